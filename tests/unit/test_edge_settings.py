"""The edge's settings, and the environment that 10-settings.envsh derives from them."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.cors_cases import LISTED, ORIGINS, PRIVATE, READABLE

from service.http import cors
from service.protocol.origin_list import matcher, parse

NGINX = Path(__file__).parents[2] / "nginx"
SCRIPT = NGINX / "docker-entrypoint.d" / "10-settings.envsh"


def run(**settings: str) -> tuple[int, dict[str, str], str]:
    """Source the script as the image's entry point does; return status, environment and errors."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REELAY_")}
    done = subprocess.run(
        ["sh", "-euc", f'. "{SCRIPT}"; env -0'],
        env=clean | {f"REELAY_{name}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    pairs = (pair.partition("=") for pair in done.stdout.split("\0") if pair)
    return done.returncode, {name: value for name, _, value in pairs}, done.stderr


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("MAX_PARTIAL_SIZE", "", {"BLOCK_SIZE": "4194304"}),
        ("MAX_PARTIAL_SIZE", "64KiB", {"BLOCK_SIZE": "65536"}),
        ("MAX_PARTIAL_SIZE", "1 gib", {"BLOCK_SIZE": "1073741824"}),
        ("MAX_PARTIAL_SIZE", "0065536", {"BLOCK_SIZE": "65536"}),
        ("CACHE_SIZE", "", {"CACHE_SIZE": "10737418240"}),
        ("CACHE_MIN_USES", "", {
            "CACHE_MIN_USES": "1", "MEMORY_CACHE": "",
            "CACHE_ZONE": "blocks", "CACHES_SNIPPET": "one-cache",
        }),
        ("CACHE_MEMORY", "16MiB", {"CACHE_MIN_USES": "1", "MEMORY_CACHE": ""}),
        ("OVERLOAD_DELAY", "", {"OVERLOAD_DELAY": "50"}),
        ("OVERLOAD_DELAY", "0", {"OVERLOAD_DELAY": "0"}),
        ("SERVICE", "", {"SERVICE": "service:8000"}),
        ("SERVICE", "a-b.example", {"SERVICE": "a-b.example:8000"}),
        ("SERVICE", "service.reelay.svc.cluster.local:80",
         {"SERVICE": "service.reelay.svc.cluster.local:80"}),
        ("SERVICE", "192.0.2.7:65535", {"SERVICE": "192.0.2.7:65535"}),
        ("CONNECTIONS_PER_CLIENT", "", {"CLIENT_CONNECTIONS": "256", "CLIENT_ANSWERS": "256"}),
        ("CONNECTIONS_PER_CLIENT", "8", {"CLIENT_CONNECTIONS": "8", "CLIENT_ANSWERS": "8"}),
        # nginx allows no limit of zero, so the unused limit is one.
        ("CONNECTIONS_PER_CLIENT", "0", {"CLIENT_CONNECTIONS": "0", "CLIENT_ANSWERS": "1"}),
        ("CONNECTIONS_PER_CLIENT", "000", {"CLIENT_CONNECTIONS": "0", "CLIENT_ANSWERS": "1"}),
        ("CONNECTIONS_PER_CLIENT", "010", {"CLIENT_CONNECTIONS": "10"}),
        # All connections: four for each response.
        ("CONNECTIONS_PER_CLIENT", "", {"CLIENT_SOCKETS": "1024"}),
        ("CONNECTIONS_PER_CLIENT", "0", {"CLIENT_SOCKETS": "4"}),
        ("REQUESTS_PER_CLIENT", "", {"CLIENT_REQUESTS": "100", "CLIENT_BURST": "500"}),
        # Pages: a tenth, but at least ten.
        ("REQUESTS_PER_CLIENT", "", {
            "CLIENT_PAGES": "10", "CLIENT_PAGES_BURST": "100", "CLIENT_PAGES_AT_ONCE": "20",
        }),
        ("REQUESTS_PER_CLIENT", "11", {"CLIENT_PAGES": "10"}),
        ("REQUESTS_PER_CLIENT", "50", {"CLIENT_PAGES": "10"}),
        ("REQUESTS_PER_CLIENT", "2000", {"CLIENT_PAGES": "200", "CLIENT_PAGES_BURST": "2000"}),
        ("REQUESTS_PER_CLIENT", "2", {"CLIENT_REQUESTS": "2", "CLIENT_RATE": "2"}),
        ("REQUESTS_PER_CLIENT", "0", {"CLIENT_REQUESTS": "0", "CLIENT_RATE": "1"}),
        ("HSTS_MAX_AGE", "", {"HSTS_MAX_AGE": "0"}),
        ("HSTS_MAX_AGE", "63072000", {"HSTS_MAX_AGE": "63072000"}),
        ("TRUSTED_PROXIES", "", {"TRUSTED_GEO": "", "TRUSTED_REAL_IP": ""}),
        ("TRUSTED_PROXIES", "10.0.0.0/8", {"TRUSTED_GEO": "10.0.0.0/8 1; "}),
        ("TRUSTED_PROXIES", "192.0.2.7,::7", {"TRUSTED_GEO": "192.0.2.7 1; ::7 1; "}),
        ("TRUSTED_PROXIES", " ::1 ,\t::/0\n", {"TRUSTED_GEO": "::1 1; ::/0 1; "}),
        ("TRUSTED_PROXIES", "1:2:3:4:5:6:7:8", {"TRUSTED_GEO": "1:2:3:4:5:6:7:8 1; "}),
        ("TRUSTED_PROXIES", "FE80::/10", {"TRUSTED_REAL_IP": "set_real_ip_from FE80::/10; "}),
        ("HOSTS", "", {"KNOWN_HOSTS": "", "ANY_HOST": "1", "ANY_OPERATORS_HOST": "1"}),
        ("HOSTS", "a.example, B.Lan a.example", {
            "KNOWN_HOSTS": "a.example 1; b.lan 1; ", "ANY_HOST": "", "ANY_OPERATORS_HOST": "",
        }),
        # The public ports still accept any host name: HOSTNAME only names the certificate.
        ("HOSTNAME", "Video.example.org", {
            "KNOWN_HOSTS": "video.example.org 1; ", "ANY_HOST": "1", "ANY_OPERATORS_HOST": "",
        }),
        ("HOSTNAME", "localhost", {"KNOWN_HOSTS": "", "ANY_OPERATORS_HOST": "1"}),
        ("CORS_ORIGINS", "none", {"CORS_ORIGINS": "", "CORS_VARY": ""}),
        ("CORS_ORIGINS", " * ", {"CORS_ORIGINS": "default *; ", "CORS_VARY": ""}),
        ("CORS_ORIGINS", "https://a.example", {
            "CORS_ORIGINS": "~*^https://a[.]example$ $http_origin; ",
            "CORS_VARY": "Origin",
        }),
        ("EDGES", "", {"EDGES": "", "THIS_EDGE": "", "PEER_UPSTREAMS": ""}),
        ("KEY", "", {"KEY": "", "KEY_FILE": "/var/lib/reelay/key", "AUTH_VARIABLE": '""'}),
        ("KEY", "0f" * 32, {"KEY": "0f" * 32}),
        ("KEY_FILE", "/run/secrets/reelay.key", {"KEY": "", "KEY_FILE": "/run/secrets/reelay.key"}),
        ("AUTH_HEADER", "", {"AUTH_VARIABLE": '""'}),
        ("PROXY_PROTOCOL", "", {"PROXY_PROTOCOL": "", "REAL_IP_HEADER": "X-Forwarded-For"}),
        ("PROXY_PROTOCOL", "off", {"PROXY_PROTOCOL": "", "REAL_IP_HEADER": "X-Forwarded-For"}),
    ],
)  # fmt: skip
def test_valid_values_are_accepted(setting: str, value: str, expected: dict[str, str]) -> None:
    status, environment, errors = run(**{setting: value})
    assert (status, errors) == (0, "")
    assert expected.items() <= environment.items()


@pytest.mark.parametrize(
    ("memory", "block", "blocks"),
    [
        ("", "4MiB", 24),
        ("16MiB", "4MiB", 3),
        ("1GiB", "64KiB", 512),  # at most, as they are sorted
    ],
)
def test_three_quarters_of_the_memory_are_for_blocks_that_are_kept(
    memory: str, block: str, blocks: int
) -> None:
    status, environment, _ = run(CACHE_MIN_USES="2", CACHE_MEMORY=memory, MAX_PARTIAL_SIZE=block)
    assert (status, environment["MEMORY_BLOCKS"]) == (0, str(blocks))


@pytest.mark.parametrize(
    ("uses", "zone", "snippet"), [("0", "memory", "one-cache"), ("2", "blocks", "several-caches")]
)
def test_without_a_tmpfs_the_cache_in_memory_is_on_disk(uses: str, zone: str, snippet: str) -> None:
    status, environment, errors = run(CACHE_MIN_USES=uses)  # this machine has no such folder
    assert (status, environment["CACHE_ZONE"], environment["CACHES_SNIPPET"]) == (0, zone, snippet)
    assert "keys_zone=memory:" in environment["MEMORY_CACHE"]
    assert errors.startswith(f"REELAY_CACHE_MIN_USES='{uses}': /srv/memory is no tmpfs")


def test_a_smaller_tmpfs_is_not_filled_above_three_quarters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    df = tmp_path / "df"
    answer = "*fstype*) echo tmpfs ;; *) echo 67108864 ;;"
    df.write_text(f'#!/bin/sh\ncase "$*" in {answer} esac\n', encoding="ascii")
    df.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    status, environment, errors = run(CACHE_MIN_USES="2", CACHE_MEMORY="1GiB")
    assert (status, environment["MEMORY_BLOCKS"], errors) == (0, "12", "")


@pytest.mark.parametrize("uses", ["0", "2"])
def test_a_memory_without_room_for_four_blocks_prevents_the_start(uses: str) -> None:
    status, _, errors = run(CACHE_MIN_USES=uses, CACHE_MEMORY="15MiB")
    assert status == 2
    assert "REELAY_CACHE_MEMORY='15MiB': should be at least 16777216 bytes" in errors
    # Without that cache, nothing has to fit into it.
    assert run(CACHE_MIN_USES="1", CACHE_MEMORY="15MiB")[0] == 0


@pytest.mark.parametrize("listed", [LISTED, "http://a:080,https://B.example:443", "http://h:*"])
def test_the_edge_matches_the_same_origins_as_the_service(listed: str) -> None:
    _, environment, _ = run(CORS_ORIGINS=listed)
    patterns = re.findall(r"~\*(\S+) \$http_origin; ", environment["CORS_ORIGINS"])
    assert len(patterns) == len(listed.split(","))
    is_listed = matcher(parse(listed))
    more = ["http://a", "http://a:80", "https://b.example", "http://h", "http://h:81", "http://h:"]
    for origin in (*ORIGINS, *more):
        matches = [pattern for pattern in patterns if re.search(pattern, origin, re.IGNORECASE)]
        assert bool(matches) == is_listed(origin), origin


def test_the_edge_has_the_routes_and_headers_of_the_service() -> None:
    snippet = (NGINX / "snippets" / "cors-variables.conf").read_text(encoding="utf-8")
    routes = [re.compile(pattern) for pattern in re.findall(r'"~(\^/[^"]+)" 1;', snippet)]
    paths = [target.partition("?")[0] for target, *_ in READABLE.values()]
    for path in (*paths, *PRIVATE, "/playlists/a.m3u", "/mediax/a.mp4", "/api", "/oembed/x"):
        assert any(route.search(path) for route in routes) == cors.is_shared_route(path), path
        # In the edge, access.conf takes the prefix away first.
        assert cors.is_shared_route(f"/s/1.0.a{path}") == cors.is_shared_route(path), path
    for value in (cors._ALLOWED_METHODS, cors._ALLOWED_HEADERS, cors._EXPOSED_HEADERS):  # noqa: SLF001
        assert f'"{value.decode()}";' in snippet
    assert f" 1 {cors._MAX_AGE.decode()};" in snippet  # noqa: SLF001


def test_the_proxy_protocol_is_used_with_trusted_proxies() -> None:
    status, environment, _ = run(PROXY_PROTOCOL="on", TRUSTED_PROXIES="10.0.0.0/8")
    assert status == 0
    assert environment["PROXY_PROTOCOL"] == " proxy_protocol"
    assert environment["REAL_IP_HEADER"] == "proxy_protocol"


def test_a_trusted_proxy_may_name_the_user() -> None:
    status, environment, _ = run(AUTH_HEADER="X-Remote-User", TRUSTED_PROXIES="10.0.0.7")
    assert (status, environment["AUTH_VARIABLE"]) == (0, "$http_x_remote_user")
    for settings in ({}, {"TRUSTED_PROXIES": "10.0.0.7", "PROXY_PROTOCOL": "on"}):
        status, _, errors = run(AUTH_HEADER="X-Remote-User", **settings)
        assert status == 2
        assert "needs REELAY_TRUSTED_PROXIES" in errors


@pytest.mark.parametrize("key", ["0f" * 31, "0f" * 33, "0F" * 32, "0g" * 32, " ", "0f" * 32 + "\n"])
def test_a_wrong_key_prevents_the_start_and_is_not_printed(key: str) -> None:
    status, _, errors = run(KEY=key)
    assert (status, key.strip() in errors) == (2, not key.strip())
    assert errors.startswith("REELAY_KEY: should have 64 digits")


def test_the_key_is_given_in_one_way() -> None:
    status, _, errors = run(KEY="0f" * 32, KEY_FILE="/key")
    assert status == 2
    assert "REELAY_KEY_FILE" in errors


def test_an_edge_knows_the_others_and_itself() -> None:
    status, environment, errors = run(EDGES="e-1, 10.0.0.7:99 e_3.example", EDGE_NAME="e-1")
    assert (status, errors) == (0, "")
    assert environment["EDGES"] == "e-1:9146,10.0.0.7:99,e_3.example:9146"
    assert environment["THIS_EDGE"] == "e-1:9146"
    assert environment["CACHES_SNIPPET"] == "several-caches"
    assert "include snippets/multiple-edges.conf;" in environment["PEER_UPSTREAMS"]
    for number, edge in enumerate(environment["EDGES"].split(",")):
        assert (
            f"upstream edge_{number} {{ zone edge_{number} 64k; server {edge} resolve "
            in (environment["PEER_UPSTREAMS"])
        )


def test_an_edge_identifies_itself_by_its_host_name() -> None:
    host = os.uname().nodename
    status, environment, _ = run(EDGES=f"other,{host}", EDGE_NAME="")
    assert (status, environment["THIS_EDGE"]) == (0, f"{host}:9146")
    assert run(EDGES=f"other,{host}:99", EDGE_NAME=f"{host}:99")[0] == 0


def test_the_peer_cache_is_part_of_the_cache_size() -> None:
    _, environment, _ = run(EDGES="a,b", EDGE_NAME="a", CACHE_SIZE="8GiB")
    assert environment["CACHE_SIZE"] == str(7 * 2**30)
    assert f" max_size={2**30} " in environment["PEER_UPSTREAMS"]
    # Neither part is smaller than a block.
    _, environment, _ = run(EDGES="a,b", EDGE_NAME="a", CACHE_SIZE="8MiB")
    assert environment["CACHE_SIZE"] == str(4 * 2**20)
    assert f" max_size={4 * 2**20} " in environment["PEER_UPSTREAMS"]


@pytest.mark.parametrize("name", ["c", "a:99", "-", "a b", "a,b", "a:x"])
def test_an_edge_that_is_not_listed_does_not_start(name: str) -> None:
    status, _, errors = run(EDGES="a,b", EDGE_NAME=name)
    assert status == 2
    assert "REELAY_EDGE_NAME" in errors
    assert "should" in errors


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("CORS_ORIGINS", ["", "https://*", "* https://a", "null", "a.example", "http://a/", "http://a:65536",
                          "https://a; x", 'https://"', "https://a none", "https://$a"]),
        ("MAX_PARTIAL_SIZE", ["65535", "2GiB", "-1", "4MB", "MiB", "1.5MiB", "4MiB;", "9" * 20]),
        ("CACHE_SIZE", ["1MiB", "2000000GiB", "lots", "$(id)"]),
        ("CACHE_MIN_USES", ["101", "-1", "often"]),
        ("CACHE_MEMORY", ["1023KiB", "2048GiB", "half", "$(id)"]),
        ("OVERLOAD_DELAY", ["60001", "-1", "1s"]),
        ("SERVICE", [
            ":8000", "service:", "service:0", "service:08000", "service:65536",
            "service:99999999999999999999", "http://service:8000", "service:8000/", "a b:1",
            "service:8000;", "a..b:1", ".a:1", "-a:1", "[::1]:8000", "$(id):1",
        ]),
        ("CONNECTIONS_PER_CLIENT", ["-1", "65536", "many", "1.5", "4;", "9" * 20]),
        ("REQUESTS_PER_CLIENT", ["-1", "1000001", "10r/s", " 5"]),
        ("HOSTS", [
            "a;", "a b.example;", "*.example.org", "https://a", "a:80", "a..b", ".a", "-a", "a.",
            "[::1]", "${HOME}", "a.example, b{",
        ]),
        ("HOSTNAME", ["a;", "a b", "*.example.org", "a..b", ".a", "$(id)"]),
        ("HSTS_MAX_AGE", ["-1", "315360001", "1y", "1; preload"]),
        ("TRUSTED_PROXIES", [
            "example.com", "abc", "*", "unix:", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4/33",
            "1.2.3.4/", "/8", "1.2.3.4/8/8", "1.2.3.4/x", "1.2.3.4;", "10.0.0.0/8; deny all",
            ":::", "1::2::3", ":1", "1:", "12345::", "::g", "::1/129", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "${HOME}", "192.0.2.7, 192.0.2.8x",
        ]),
        ("EDGES", [
            "a,b",  # none of them is this host
            "-a", ".a", "a..b", "a;b", "a:", "a:0", "a:65536", "a:x", ":9146", "http://a", "a/b",
            "[::1]:9146", "$(id)", "*", "a{", "a,a", "a,b,a:9146",
        ]),
        ("KEY_FILE", ["key;", "a b", "$(id)", "/{"]),
        ("AUTH_HEADER", ["Remote User", "-User", "Remote_User", "$(id)", "Remote-User;", "1"]),
        ("PROXY_PROTOCOL", ["yes", "On", "1", "on"]),  # `on` needs trusted proxies
    ],
)  # fmt: skip
def test_invalid_values_prevent_the_start_and_are_named(setting: str, values: list[str]) -> None:
    for value in values:
        status, _, errors = run(**{setting: value})
        assert status == 2, value
        (line,) = errors.splitlines()
        assert line.startswith(f"REELAY_{setting}='"), value
        assert "should" in line or "needs" in line


@pytest.mark.parametrize(
    ("memory", "processors", "workers", "connections"),
    [
        # 128 KiB of memory for a connection, and 128 MiB for a worker.
        ("1073741824", "2", "2", "4096"),
        ("1073741824", "1", "1", "8192"),
        ("1073741824", "64", "8", "1024"),
        ("268435456", "4", "2", "1024"),
        ("67108864", "4", "1", "512"),
        # More than the machine has, here 2 GiB, or no limit, which cgroup v1 writes as a number.
        ("1099511627776", "4", "4", "4096"),
        ("max", "2", "2", "8192"),
        ("9223372036854771712", "2", "2", "8192"),
    ],
)
def test_connections_are_limited_by_memory(
    tmp_path: Path, memory: str, processors: str, workers: str, connections: str
) -> None:
    (tmp_path / "memory.max").write_text(f"{memory}\n", encoding="ascii")
    (tmp_path / "meminfo").write_text("MemTotal:        2097152 kB\n", encoding="ascii")
    getconf = tmp_path / "getconf"
    getconf.write_text(f"#!/bin/sh\necho {processors}\n", encoding="ascii")
    getconf.chmod(0o755)
    text = SCRIPT.read_text(encoding="utf-8")
    for path in ("/sys/fs/cgroup/memory.max", "/proc/meminfo"):
        assert path in text
        text = text.replace(path, str(tmp_path / Path(path).name))
    script = tmp_path / "settings.sh"
    script.write_text(text.replace("/sys/fs/cgroup/memory/", f"{tmp_path}/none/"), encoding="utf-8")
    done = subprocess.run(
        ["sh", "-euc", f'. "{script}"; echo "$WORKERS $WORKER_CONNECTIONS $OPEN_FILES"'],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [workers, connections, str(2 * int(connections))]


def test_the_image_replaces_all_variables_of_the_templates() -> None:
    texts = [path.read_text() for path in NGINX.glob("templates/**/*.template")]
    used = set(re.findall(r"\$\{([A-Z_]+)\}", "".join(texts)))
    _, environment, _ = run()
    replaced = re.compile(environment["NGINX_ENVSUBST_FILTER"])
    assert used
    assert {name for name in used if name not in environment or not replaced.search(name)} == set()
