"""The edge: its cache, compression and TLS, and its answers while the service is down."""

import gzip
import http.client
import json
import socket
import ssl
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.edge_pages import BROWSER, check_edge_page
from support.http_contract import DATA, REVISION, TAG, Origin
from support.raw_http import ask, connect
from support.server import BLOCK, SIZE, content, until, write
from support.service_counters import Fetched
from support.stack import ROOT, Stack

pytestmark = pytest.mark.stack


@pytest.fixture
def fetched(stack: Stack) -> Fetched:
    return Fetched(stack)


def uncached_file(origin: Origin, name: str, size: int = SIZE) -> tuple[str, bytes]:
    """Write an uncached file; return its pinned path and its bytes."""
    data = content(size, hash(name) % 1000 + 100)
    write(origin.media, f"{name}.mp4", data)
    etag = origin.get(f"/media/{name}.mp4", "HEAD").headers["ETag"].strip('"')
    return f"{name}.mp4?v={etag}", data


@pytest.mark.parametrize("span", ["0-", f"{BLOCK}-", f"{BLOCK + 9}-", "100-200", f"7-{SIZE}"])
def test_a_repeated_request_is_a_cache_hit_with_the_same_bytes(
    origin: Origin, fetched: Fetched, span: str
) -> None:
    pinned, data = uncached_file(origin, f"second-{span}")
    first = origin.get(f"/media/{pinned}", Range=f"bytes={span}")
    second = origin.get(f"/media/{pinned}", Range=f"bytes={span}")
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    start, end = first.span()
    assert first.body == second.body == data[start : end + 1]
    assert second.span() == first.span()
    assert fetched.media_requests == 1


@pytest.mark.parametrize("target", ["/", "/api/videos"])
def test_text_is_compressed_for_clients_that_accept_gzip(origin: Origin, target: str) -> None:
    viewer = {"Accept-Encoding": "gzip, br", "Sec-Fetch-Site": "none"}
    plain, small = origin.get(target), origin.get(target, **viewer)
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body) / 2
    if tag := plain.headers["ETag"]:
        assert small.headers["ETag"] == f"W/{tag}"
        viewer["If-None-Match"] = small.headers["ETag"]
        assert origin.get(target, **viewer).status == 304


@pytest.mark.parametrize(
    ("site", "encoding"),
    [("none", "gzip"), ("same-origin", "gzip"),
     ("same-site", None), ("cross-site", None), ("same-origin, none", None), ("", None)],
)  # fmt: skip
def test_cross_site_requests_are_not_compressed(
    origin: Origin, site: str, encoding: str | None
) -> None:
    for target in ("/", "/?q=f", "/api/videos?q=f"):  # pages repeat the search terms
        answer = origin.get(target, **{"Accept-Encoding": "gzip", "Sec-Fetch-Site": site})
        assert answer.status == 200
        assert answer.headers["Content-Encoding"] == encoding
        # Compression changes no other header fields.
        names, plain = set(answer.headers.keys()), set(origin.get(target).headers.keys())
        assert names ^ plain <= {"Content-Encoding", "Content-Length", "Transfer-Encoding", "Vary"}


def test_media_is_never_compressed(origin: Origin) -> None:
    answer = origin.get("/media/file.mp4", **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert answer.body == DATA


def test_seeks_and_downloads_share_cached_blocks(origin: Origin, fetched: Fetched) -> None:
    pinned, data = uncached_file(origin, "shared")
    for start in range(0, SIZE, BLOCK):
        assert origin.get(f"/media/{pinned}", Range=f"bytes={start}-").headers["X-Cache"] == "MISS"
    assert fetched.media_requests == 4
    for target, value, body in [
        (f"/media/{pinned}", "bytes=5-99", data[5:100]),
        (f"/media/{pinned}", f"bytes={BLOCK + 1}-", data[BLOCK + 1 : 2 * BLOCK]),
        (f"/download/{pinned}", "bytes=10-", data[10:]),
        (f"/download/{pinned}", f"bytes={BLOCK - 5}-{2 * BLOCK + 5}",
         data[BLOCK - 5 : 2 * BLOCK + 6]),
    ]:  # fmt: skip
        answer = origin.get(target, Range=value)
        assert answer.headers["X-Cache"] == "HIT"
        assert answer.body == body
    assert origin.get(f"/download/{pinned}").body == data
    assert origin.get(f"/media/{pinned}").body == data
    assert fetched.media_requests == 4


def test_unpinned_urls_share_blocks_with_pinned_ones(origin: Origin, fetched: Fetched) -> None:
    pinned, data = uncached_file(origin, "unpinned")
    path = pinned.partition("?")[0]
    origin.get(f"/media/{pinned}", Range="bytes=0-")
    for other in (path, path.replace("u", "%75"), path.replace("u", "%75", 1)):
        answer = origin.get(f"/media/{other}", Range="bytes=0-")
        assert (answer.headers["X-Cache"], answer.body) == ("HIT", data[:BLOCK])
        answer = origin.get(f"/media/{other}", Range="bytes=9-19", If_Range=answer.headers["ETag"])
        assert (answer.headers["X-Cache"], answer.body) == ("HIT", data[9:20])
    assert fetched.media_requests == 1


def test_a_cached_block_needs_no_request_to_the_service(origin: Origin, fetched: Fetched) -> None:
    pinned, _ = uncached_file(origin, "warm")
    origin.get(f"/media/{pinned}", Range="bytes=0-")
    warm = Fetched(fetched._stack)  # noqa: SLF001
    for value in ("bytes=0-", "bytes=0-99", "bytes=77-"):
        assert origin.get(f"/media/{pinned}", Range=value).headers["X-Cache"] == "HIT"
    assert warm.media_requests == 0
    assert warm.since('reelay_requests_total{method="GET",route="revision"') == 0


def test_concurrent_requests_for_a_block_cause_one_fetch(origin: Origin, fetched: Fetched) -> None:
    pinned, data = uncached_file(origin, "crowd")

    def view(number: int) -> bytes:
        # Two of three clients request the whole block, the third a part of it.
        value = "bytes=0-" if number % 3 else "bytes=0-999"
        return origin.get(f"/media/{pinned}", Range=value).body

    with ThreadPoolExecutor(24) as pool:
        bodies = list(pool.map(view, range(24)))
    assert all(body == (data[:BLOCK] if i % 3 else data[:1000]) for i, body in enumerate(bodies))
    assert fetched.media_requests == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=-100"},
        {"Range": "bytes=0-9,20-29"},
        {"Range": "bytes=5-4"},
        {"Range": "lines=0-9"},
        {"Range": "bytes=0-9", "If-None-Match": TAG},
        {"Range": "bytes=0-9", "If-Match": '"x"'},
        {"Range": "bytes=0-9", "If-Range": '"x"'},
        {"Range": "bytes=0-9", "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"},
        {"Range": "bytes=0-9", "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"},
        {"Range": f"bytes={SIZE}-"},
    ],
)
def test_requests_that_the_cache_cannot_answer_bypass_it(
    origin: Origin, headers: dict[str, str]
) -> None:
    for query in ("", f"?v={REVISION}"):
        answer = ask(origin.base, f"/media/file.mp4{query}", headers)
        assert answer.headers["X-Cache"] == "BYPASS"


def test_a_download_resumes_to_an_identical_file(origin: Origin, tmp_path: Path) -> None:
    for number, command in enumerate(
        [
            ["curl", "--insecure", "--silent", "--fail", "--continue-at", "-", "--output"],
            ["wget", "--no-check-certificate", "--quiet", "--continue", "--output-document"],
        ]
    ):
        target = tmp_path / f"{number}.mp4"
        target.write_bytes(DATA[: BLOCK + 4321])
        subprocess.run([*command, target, f"{origin.base}/download/file.mp4"], check=True)
        assert target.read_bytes() == DATA


def test_ffmpeg_reads_the_whole_film(origin: Origin, stack: Stack) -> None:
    sample = ROOT / "media" / "sample.mp4"
    write(stack.media, "sample.mp4", sample.read_bytes())
    url = f"{origin.base}/media/sample.mp4"

    def frames(source: str, *options: str) -> str:
        command = ["ffmpeg", "-loglevel", "error", *options, "-i", source, "-f", "framehash", "-"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert frames(url, "-tls_verify", "0") == frames(str(sample))


def test_operator_routes_are_only_on_the_operator_port(origin: Origin, stack: Stack) -> None:
    for target in ("/metrics", "/healthz", "/readyz", "/_revision", "/_revision?path=/file.mp4",
                   "/%6detrics", "/./metrics", "/edge/metrics", "/stub_status", "/_ask_revision",
                   "/media/../metrics", "/metrics/", "//metrics", "/operators", "/%6fperators",
                   "/s/x/operators", "/s/x/%2Foperators"):  # fmt: skip
        answer = origin.get(target)
        assert answer.status == 404, target
        assert b"reelay_" not in answer.body
    assert b"reelay_build_info" in ask(stack.operator, "/metrics").body
    assert b"reelay_edge_requests_total" in ask(stack.operator, "/edge/metrics").body
    assert ask(stack.operator, "/healthz").status == 200
    assert ask(stack.operator, "/readyz").status == 200
    until(lambda: b">in 36" in ask(stack.operator, "/").body, "the page knows the certificate")
    assert ask(stack.operator, "/", {"Host": "evil.example"}).status == 421


def test_port_80_redirects_to_https(stack: Stack) -> None:
    base = f"http://localhost:{stack.ports['HTTP']}"
    answer = ask(base, "/watch/a%20b?x=1", {"Host": "example.test"})
    assert answer.status == 308
    port = stack.ports["HTTPS"]
    assert answer.headers["Location"] == f"https://example.test:{port}/watch/a%20b?x=1"


def test_a_link_without_a_token_is_no_redirect_to_another_port(origin: Origin) -> None:
    answer = origin.get("/s")
    assert (answer.status, answer.headers["Location"]) == (404, None)


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)],
)
def test_only_tls_1_2_and_1_3_are_accepted(stack: Stack, version: str, accepted: bool) -> None:  # noqa: FBT001
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are under test
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = getattr(ssl.TLSVersion, version)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("localhost", stack.ports["HTTPS"])) as plain:
        if accepted:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                assert secure.version() == version.replace("_", ".")
                assert secure.selected_alpn_protocol() == "h2"
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain, server_hostname="localhost")


def test_the_self_signed_certificate_names_the_host_and_survives_a_restart(stack: Stack) -> None:
    def certificate() -> str:
        port = stack.ports["HTTPS"]
        return ssl.get_server_certificate(("localhost", port))

    first = certificate()
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-text"],
        input=first, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "DNS:localhost" in text
    stack.compose("restart", "nginx")
    stack.up()
    assert certificate() == first


def test_request_bodies_and_oversized_heads_are_refused(origin: Origin) -> None:
    connection = connect(origin.base)
    connection.request("POST", "/", headers={"Content-Length": "100000"})
    assert connection.getresponse().status == 413
    connection.close()
    assert ask(origin.base, "/", {"X-Long": "x" * 17_000}).status in {400, 431}


def test_the_server_field_has_no_version(origin: Origin) -> None:
    for target in ("/", "/media/file.mp4", "/media/missing.mp4", "/metrics"):
        assert origin.get(target).headers["Server"] == "nginx"


@pytest.mark.parametrize("value", ["-5", "0-", "3-9"])
def test_the_edge_sets_the_request_id_for_client_and_service(
    origin: Origin, stack: Stack, value: str
) -> None:
    pinned, _ = uncached_file(origin, f"request-id-{value}")
    answer = origin.get(f"/media/{pinned}", Range=f"bytes={value}", X_Request_ID="from-the-client")
    request_id = answer.headers["X-Request-ID"]
    assert len(answer.headers.get_all("X-Request-ID") or []) == 1
    assert request_id != "from-the-client"

    def logged(service: str) -> dict[str, object] | None:
        lines = [line for line in stack.lines(service) if request_id in line]
        line: dict[str, object] | None = json.loads(lines[-1]) if lines else None
        return line

    assert until(lambda: logged("nginx"), "the edge logs it")["cache"] in {"BYPASS", "MISS"}
    assert until(lambda: logged("service"), "the service logs it")["route"] == "media"


def test_cached_blocks_are_served_while_the_service_is_down(origin: Origin, stack: Stack) -> None:
    pinned, data = uncached_file(origin, "outlives")
    origin.get(f"/media/{pinned}", Range="bytes=0-")
    stack.compose("stop", "service")
    try:
        warm = origin.get(f"/media/{pinned}", Range="bytes=5-99")
        assert (warm.headers["X-Cache"], warm.body) == ("HIT", data[5:100])
        path = pinned.partition("?")[0]
        stale = origin.get(f"/media/{path}", Range="bytes=5-99")
        assert (stale.headers["X-Cache"], stale.body) == ("HIT", data[5:100])
        assert stale.headers["Cache-Control"] == "no-cache"
        # The edge waits a while for the service: so send all at once, each for another block.
        targets = [f"/media/{path}", f"/media/{pinned}", f"/download/{pinned}", "/"]
        requests = [(t, {"Range": f"bytes={n * BLOCK}-"}) for n, t in enumerate(targets, start=1)]
        requests += [("/", BROWSER), ("/media/never-requested.mp4", BROWSER)]
        with ThreadPoolExecutor(len(requests)) as pool:
            answers = list(pool.map(lambda request: ask(stack.base, *request), requests))
        for cold in answers[: len(targets)]:
            assert cold.status == 503
            assert cold.headers["Content-Type"] == "application/problem+json"
            assert cold.headers["Retry-After"] == "2"
        for page in answers[len(targets) :]:
            assert check_edge_page(page, 503) == "Back in a moment"
    finally:
        stack.up()
    until(
        lambda: origin.get(f"/media/{pinned}", Range=f"bytes={BLOCK}-").status == 206 or None,
        "it recovers by itself",
    )


def test_scaled_replicas_share_the_requests_and_answer_alike(origin: Origin, stack: Stack) -> None:
    stack.up("--scale", "service=3")
    try:

        def replicas() -> set[str] | None:
            for _ in range(12):
                origin.get("/media/file.mp4", Range="bytes=-9")
            lines = stack.events("nginx", "request", "--tail", "40")
            upstreams = {line["upstream"] for line in lines if line["range"] == "bytes=-9"}
            return upstreams if len(upstreams) == 3 else None

        assert until(replicas, "all three get requests")
        tags = {origin.get("/media/file.mp4", "HEAD").headers["ETag"] for _ in range(9)}
        assert tags == {TAG}
    finally:
        stack.up("--scale", "service=1")
    until(
        lambda: origin.get("/media/file.mp4", Range="bytes=-9").status == 206 or None,
        "the edge has forgotten the removed replicas",
    )


def test_the_containers_run_with_minimal_privileges(stack: Stack) -> None:
    for name in stack.compose("ps", "--quiet").split():
        output = subprocess.run(["docker", "inspect", name], check=True, capture_output=True)
        (container,) = json.loads(output.stdout)
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert not host["Privileged"]
        assert host["Memory"] > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert container["Config"]["User"].split(":")[0] not in {"", "0", "root"}
        assert container["State"]["Health"]["Status"] == "healthy"
        assert container["Config"]["Labels"]["org.opencontainers.image.title"]


def test_the_image_runs_without_the_stack(stack: Stack) -> None:
    """Run it as a container platform does: with PORT set, without mounts, read-only."""
    run = ["docker", "run", "--detach", "--rm", "--read-only", "--cap-drop", "ALL",
           "--env", "PORT=9000", "--publish", "127.0.0.1::9000"]  # fmt: skip
    name = subprocess.run(
        [*run, f"{stack.project}-service"], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        address = subprocess.run(
            ["docker", "port", name, "9000"], check=True, capture_output=True, text=True
        ).stdout
        base = f"http://127.0.0.1:{address.rpartition(':')[2].strip()}"

        def ready() -> bool | None:
            try:
                return ask(base, "/readyz").status == 200 or None
            except (OSError, http.client.HTTPException):
                return None

        until(ready, "it is ready")
        answer = ask(base, "/media/sample.mp4", {"Range": "bytes=200-1000"})
        sample = ROOT / "media" / "sample.mp4"
        assert answer.body == sample.read_bytes()[200:1001]
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)
