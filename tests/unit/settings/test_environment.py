import os
import pwd
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings.environment import EDGE_VARIABLES, PREFIX, Settings, SettingsError, load
from service.settings.listen import listen_source, listening_address
from service.settings.values import parse_size

KIB, MIB, GIB = 2**10, 2**20, 2**30
EDGE = Path(__file__).parents[3] / "nginx/docker-entrypoint.d/10-settings.envsh"

# Texts and their bytes; None if it is refused as a block size.
SIZES: dict[str, tuple[str, int | None]] = {
    "a space before the unit": ("4 MiB", 4 * MIB),
    "space around": (" 4MiB ", None),
    "line end": ("4MiB\n", None),
    "space around bytes": ("\t65536 ", None),
    "two spaces before the unit": ("4  MiB", None),
    "mebibytes": ("4MiB", 4 * MIB),
    "kibibytes": ("512KiB", 512 * KIB),
    "the most": ("1GiB", GIB),
    "the most, in bytes": ("1073741824", GIB),
    "the least": ("64KiB", 64 * KIB),
    "the least, in bytes": ("65536", 64 * KIB),
    "a number that is no power of two": ("65537", 65537),
    "lower case": ("4mib", 4 * MIB),
    "upper case": ("4MIB", 4 * MIB),
    "mixed case": ("1gIb", GIB),
    # A number with leading zeros is decimal: 010MiB is not octal.
    "leading zero": ("010MiB", 10 * MIB),
    "leading zero before a digit that is not octal": ("08MiB", 8 * MIB),
    "leading zeros in bytes": ("0065536", 64 * KIB),
    "decimal unit": ("4MB", None),
    "unit cut short": ("4M", None),
    "unit cut short by one": ("4Mi", None),
    "unknown unit": ("1TiB", None),
    "bits": ("4Mibit", None),
    "two units": ("4MiBKiB", None),
    "unit alone": ("MiB", None),
    "unit first": ("MiB4", None),
    "space inside the number": ("4 4MiB", None),
    "word": ("large", None),
    "negative": ("-4MiB", None),
    "plus sign": ("+4MiB", None),
    "fraction": ("1.5MiB", None),
    "comma": ("65,536", None),
    "underscore": ("65_536", None),
    "exponent": ("1e6", None),
    "hexadecimal": ("0x10000", None),
    "shell arithmetic": ("65536+1", None),
    "command": ("$(echo 65536)", None),
    "nothing at all of bytes": ("0", None),
    "one byte less than the least": ("65535", None),
    "one less than the least, in KiB": ("63KiB", None),
    "one byte more than the most": ("1073741825", None),
    "more than the most": ("2GiB", None),
    "twelve digits": ("999999999999", None),
    "twelve digits of gibibytes": ("999999999999GiB", None),
    # Modulo 2**64, 2**34 + 1 GiB would be 1 GiB, and 2**34 GiB would be 0.
    "more than 64 bits hold": ("17179869185GiB", None),
    "thirteen digits": ("0000000065536", None),
    "huge": ("9" * 5000, None),
    "Arabic digits": ("٤MiB", None),
    "full-width digit": ("４MiB", None),  # noqa: RUF001
    "superscript": ("4²MiB", None),
    "Kelvin sign": ("64\N{KELVIN SIGN}iB", None),
    "no-break space": ("4\N{NO-BREAK SPACE}MiB", None),
}


# Only the service accepts white space, which a _FILE or a form may leave behind.
@pytest.fixture(autouse=True)
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the default folder of videos."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def settings(**values: str) -> Settings:
    """Load settings from these REELAY_ variables alone."""
    return load({PREFIX + name: value for name, value in values.items()})


def problems(environment: dict[str, str]) -> list[str]:
    """Return the error lines of an environment."""
    with pytest.raises(SettingsError) as caught:
        load(environment)
    return str(caught.value).split("\n")


def problem(environment: dict[str, str]) -> str:
    """Return the only error line of an environment."""
    (line,) = problems(environment)
    return line


# Reading


def test_everything_has_a_default(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    loaded = load({})
    assert loaded.model_dump() == {
        "media": media.resolve(),
        "listen": ("127.0.0.1", 8000),
        "max_partial_size": 4 * MIB,
        "derived": Path("/home/somebody/.cache/reelay"),
        "derived_size": 2048 * MIB,
        "sound": "on",
        "workers": 1,
        "stall_timeout": 30,
        "drain_delay": 2,
        "drain_timeout": 25,
        "rescan_interval": 60,
        "settle_time": 3,
        "embed_origins": "*",
        "cors_origins": "none",
        "ignore": (),
        "hosts": (),
        "trusted_proxies": (),
        "search_engines": "off",
        "viewing_reports": "on",
        "password": None,
        "oidc_issuer": None,
        "oidc_client_id": None,
        "oidc_client_secret": None,
        "oidc_allowed": (),
        "auth_header": None,
        "state": None,
        "key": None,
        "metrics_token": None,
        "replicas": (),
        "edge_metrics": (),
        "block_cache": 64 * MIB,
        "store_timeout": 10,
        "log_level": "info",
    }


def test_artefacts_go_to_the_platforms_cache_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # XDG Base Directory Specification: $HOME/.cache if the variable is unset or empty.
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/caches")
    assert load({}).derived == Path("/var/caches/reelay")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert load({}).derived == Path("/home/somebody/.cache/reelay")


def test_a_user_without_a_home_gets_the_variable_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_user(_: int) -> pwd.struct_passwd:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_user)
    assert "REELAY_DERIVED" in problem({})
    assert settings(DERIVED="/var/cache").derived == Path("/var/cache")


# Each setting with a text that is not the default, and its value.
TEXTS: list[tuple[str, str, Any]] = [
    ("MEDIA", "films", Path("films")),
    ("LISTEN", "10.1.2.3:81", ("10.1.2.3", 81)),
    ("MAX_PARTIAL_SIZE", "1MiB", MIB),
    ("DERIVED", "/var/derived", Path("/var/derived")),
    ("DERIVED_SIZE", "5GiB", 5 * 1024 * MIB),
    ("SOUND", "off", "off"),
    ("WORKERS", "3", 3),
    ("STALL_TIMEOUT", "1.5", 1.5),
    ("DRAIN_DELAY", "0", 0),
    ("DRAIN_TIMEOUT", "7", 7),
    ("RESCAN_INTERVAL", "3600", 3600),
    ("SETTLE_TIME", "0.25", 0.25),
    ("EMBED_ORIGINS", "https://a.example,http://b:81", "https://a.example http://b:81"),
    ("CORS_ORIGINS", "https://a.example,http://b:81", "https://a.example http://b:81"),
    ("IGNORE", "Private/, *.sample.mp4", ("Private/", "*.sample.mp4")),
    ("HOSTS", "Video.example.org, b.lan", ("video.example.org", "b.lan")),
    ("TRUSTED_PROXIES", "192.0.2.7", (ip_network("192.0.2.7/32"),)),
    ("SEARCH_ENGINES", "on", "on"),
    ("VIEWING_REPORTS", "off", "off"),
    ("PASSWORD", "open sesame", "open sesame"),
    ("OIDC_ISSUER", "https://login.example", "https://login.example"),
    ("OIDC_CLIENT_ID", "reelay", "reelay"),
    ("OIDC_CLIENT_SECRET", "secret", "secret"),
    ("OIDC_ALLOWED", "Ada@a.example, group:B", ("ada@a.example", "group:B")),
    ("AUTH_HEADER", "Remote-User", "Remote-User"),
    ("STATE", "/var/state", Path("/var/state")),
    ("KEY", "0123456789abcdef" * 4, "0123456789abcdef" * 4),
    ("METRICS_TOKEN", "scrape", "scrape"),
    ("REPLICAS", "A.example:8000, b:1", (("a.example", 8000), ("b", 1))),
    ("EDGE_METRICS", "nginx:9145", (("nginx", 9145),)),
    ("BLOCK_CACHE", "0", 0),
    ("STORE_TIMEOUT", "2.5", 2.5),
    ("LOG_LEVEL", "debug", "debug"),
]


def test_the_table_below_has_every_setting() -> None:
    assert [name.lower() for name, _, _ in TEXTS] == list(Settings.model_fields)


@pytest.mark.parametrize(("name", "text", "meaning"), TEXTS, ids=[row[0] for row in TEXTS])
def test_a_setting_is_read_from_its_variable_or_from_a_file(
    tmp_path: Path, name: str, text: str, meaning: object
) -> None:
    (tmp_path / "films").mkdir()
    if isinstance(meaning, Path):
        meaning = tmp_path.resolve() / meaning
    by_variable = settings(**{name: text})
    assert getattr(by_variable, name.lower()) == meaning
    file = tmp_path / "secret"
    file.write_text(f"{text}\n", encoding="utf-8")
    assert settings(**{f"{name}_FILE": str(file)}) == by_variable
    assert load({}) != by_variable


@pytest.mark.parametrize(
    ("name", "text"), [row[:2] for row in TEXTS], ids=[row[0] for row in TEXTS]
)
def test_a_variable_and_its_file_together_are_an_error(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "films").mkdir()
    file = tmp_path / "secret"
    file.write_text(text, encoding="utf-8")
    line = problem({f"REELAY_{name}": text, f"REELAY_{name}_FILE": str(file)})
    assert line.startswith(f"REELAY_{name} and REELAY_{name}_FILE are both set")


def test_an_empty_variable_leaves_the_file_to_decide(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("sesame\n", encoding="utf-8")
    given = settings(PASSWORD="", PASSWORD_FILE=str(file))  # as in Compose
    assert given.password == "sesame"  # noqa: S105


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    line = problem({"REELAY_LISTEN_FILE": str(file)})
    assert line.startswith(f"REELAY_LISTEN_FILE={str(file)!r}: the file cannot be read")


@pytest.mark.parametrize("name", ["PASSWORD", "KEY", "OIDC_CLIENT_SECRET", "METRICS_TOKEN"])
def test_an_empty_file_of_a_secret_does_not_open_the_library(tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text(" \n", encoding="utf-8")
    line = problem({f"REELAY_{name}_FILE": str(file)})
    assert line == f"REELAY_{name}_FILE={str(file)!r}: the file is empty"


def test_an_unreadable_file_does_not_blame_the_default(media: Path, tmp_path: Path) -> None:
    media.rmdir()
    assert problem({"REELAY_MEDIA_FILE": "missing"}).startswith("REELAY_MEDIA_FILE='missing'")


def test_variables_of_other_programs_are_ignored() -> None:
    assert load({"HOME": "/x", "MEDIA": "/y", "LISTEN": "z", "reelay_listen": "q"}) == load({})


def test_settings_are_immutable() -> None:
    loaded = load({})
    with pytest.raises(ValidationError):
        loaded.listen = ("0.0.0.0", 80)  # noqa: S104
    assert loaded.listen == ("127.0.0.1", 8000)
    assert hash(loaded) == hash(load({}))


# Sizes


@pytest.mark.parametrize(("text", "expected"), SIZES.values(), ids=SIZES.keys())
def test_a_block_is_a_number_of_bytes_within_bounds(text: str, expected: int | None) -> None:
    if expected is not None:
        assert parse_size(text) == expected
        assert settings(MAX_PARTIAL_SIZE=text).max_partial_size == expected
        return
    line = problem({"REELAY_MAX_PARTIAL_SIZE": text})
    assert line.startswith(f"REELAY_MAX_PARTIAL_SIZE={text!r}: should ")
    assert "4MiB" in line or "between 64KiB and 1GiB" in line


def edge_block(text: str, tmp_path: Path) -> int | None:
    """Return the edge's block size for a text, or None if it refuses to start."""
    done = subprocess.run(
        ["sh", "-c", '. "$0" && echo "block=$BLOCK_SIZE"', EDGE],
        env={
            "PATH": os.environ["PATH"],
            "REELAY_MAX_PARTIAL_SIZE": text,
            "REELAY_CACHE_SIZE": "10GiB",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        assert "block=" not in done.stdout
        assert "REELAY_MAX_PARTIAL_SIZE" in done.stderr, done.stderr
        return None
    return int(done.stdout.removeprefix("block="))


@pytest.mark.parametrize(("text", "expected"), SIZES.values(), ids=SIZES.keys())
def test_the_edge_reads_the_same_size(text: str, expected: int | None, tmp_path: Path) -> None:
    assert edge_block(text, tmp_path) == expected


# Addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),  # noqa: S104
        ("[::]:8000", ("::", 8000)),
        ("[::1]:65535", ("::1", 65535)),
        ("[fe80::1%eth0]:8000", ("fe80::1%eth0", 8000)),
        ("localhost:8000", ("localhost", 8000)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),  # any free port
    ],
)
def test_an_address_and_a_port_are_listened_on(text: str, expected: tuple[str, int]) -> None:
    assert settings(LISTEN=text).listen == expected


@pytest.mark.parametrize(
    "text",
    [
        "8000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:http",
        "127.0.0.1:-1",
        "127.0.0.1:+80",
        "127.0.0.1:65536",
        "127.0.0.1:８０",  # noqa: RUF001
        "127.0.0.1:8_0",
        "127.0.0.1: 80",
        "[::1]",
        "",
        ":",
        "127.0.0.1:" + "9" * 4000,
        "127.0.0.1:" + "9" * 5000,  # more than int() accepts
    ],
    ids=lambda text: text[:24],
)
def test_an_invalid_address_is_refused(text: str) -> None:
    line = problem({"REELAY_LISTEN": text})
    assert line.startswith(f"REELAY_LISTEN={text!r}: should be ADDRESS:PORT, such as ")


def test_port_alone_sets_the_address() -> None:
    # Platforms that set PORT route to the container's address, not to its loopback.
    assert load({"PORT": "5000"}).listen == ("0.0.0.0", 5000)  # noqa: S104


def test_listen_wins_over_port(tmp_path: Path) -> None:
    (tmp_path / "listen").write_text("127.0.0.1:81")
    assert load({"PORT": "5000", "REELAY_LISTEN": "127.0.0.1:80"}).listen[1] == 80
    assert load({"PORT": "5000", "REELAY_LISTEN_FILE": "listen"}).listen[1] == 81
    assert load({"PORT": "x", "REELAY_LISTEN": "127.0.0.1:80"}).listen[1] == 80


@pytest.mark.parametrize("text", ["x", "", "-1", "65536", "80:81", "[::1]:80", "٨٠"])
def test_an_invalid_port_is_named(text: str) -> None:
    line = problem({"PORT": text})
    assert line.startswith(f"PORT={text!r}: ")
    assert "ADDRESS" not in line  # PORT has no address
    assert "65535" in line


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("none", "none"),
        (" * ", "*"),
        ("https://a.example", "https://a.example"),
        ("https://*.a.example:*  http://localhost:8080,\nhttps://b.example",
         "https://*.a.example:* http://localhost:8080 https://b.example"),
    ],
)  # fmt: skip
def test_origins_are_separated_by_commas_or_blanks(text: str, meaning: str) -> None:
    assert settings(EMBED_ORIGINS=text).embed_origins == meaning
    assert settings(CORS_ORIGINS=text).cors_origins == meaning


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/films/2026", "gs://b1", "az://c1/x"])
def test_media_may_be_in_a_bucket(url: str) -> None:
    assert settings(MEDIA=url).media == url
    assert settings(MEDIA=f"{url}/").media == url


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", []),
        ("192.0.2.7,::7", ["192.0.2.7/32", "::7/128"]),
        (" ::1 ,\t::/0\n", ["::1/128", "::/0"]),
        ("10.1.2.3/8 FE80::/10", ["10.0.0.0/8", "fe80::/10"]),
    ],
)
def test_proxies_are_separated_by_commas_or_blanks(text: str, meaning: list[str]) -> None:
    assert settings(TRUSTED_PROXIES=text).trusted_proxies == tuple(map(ip_network, meaning))


@pytest.mark.parametrize(
    "url", ["s3://hidden:secret@bucket", "az://c1/x?sig=secret&se=2026", "s3://a@secret@bucket/x"]
)
def test_a_password_in_a_url_is_refused_and_not_printed(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(MEDIA=url)
    assert "REELAY_MEDIA=" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/derived", "gs://b1", "az://c1/x"])
def test_artefacts_may_be_in_a_bucket(url: str) -> None:
    assert settings(DERIVED=url).derived == url
    assert settings(DERIVED=f"{url}/").derived == url


# Errors


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("MEDIA", "/missing/folder", "a folder that exists"),
        ("MEDIA", "file.mp4", "a folder that exists"),
        ("MEDIA", "s3://", "a folder, or a bucket such as s3://bucket or s3://bucket/prefix"),
        ("MEDIA", "ftp://host/videos", "a folder, or a bucket such as s3://bucket"),
        ("DERIVED", "s3://", "a folder, or a bucket such as s3://bucket or s3://bucket/prefix"),
        ("BLOCK_CACHE", "64MB", "a number of bytes"),
        ("STORE_TIMEOUT", "0", "greater than 0"),
        ("STALL_TIMEOUT", "0", "greater than 0"),
        ("STALL_TIMEOUT", "-1", "greater than 0"),
        ("STALL_TIMEOUT", "86401", "86400"),
        ("STALL_TIMEOUT", "inf", ""),
        ("STALL_TIMEOUT", "nan", ""),
        ("STALL_TIMEOUT", "30s", "number"),
        ("STALL_TIMEOUT", "", "number"),
        ("DRAIN_DELAY", "-1", "greater than or equal to 0"),
        ("DRAIN_DELAY", "3601", "3600"),
        ("DRAIN_DELAY", "nan", ""),
        ("DRAIN_TIMEOUT", "0", "greater than 0"),
        ("DRAIN_TIMEOUT", "nan", ""),
        ("RESCAN_INTERVAL", "0", "greater than 0"),
        ("RESCAN_INTERVAL", "never", "number"),
        ("SETTLE_TIME", "-0.1", "greater than or equal to 0"),
        ("SETTLE_TIME", "nan", ""),
        ("SETTLE_TIME", "4000", "3600"),
        ("HOSTS", "https://a.example", "host names"),
        ("HOSTS", "a.example:8000", "host names"),
        ("HOSTS", "*.example.org", "host names"),
        ("HOSTS", "a..example", "host names"),
        ("REPLICAS", "service", "names with ports"),
        ("REPLICAS", "service:65536", "names with ports"),
        ("REPLICAS", "user@service:8000", "names with ports"),
        ("EDGE_METRICS", "http://nginx:9145", "names with ports"),
        *(
            (name, text, "* for everybody, none, or origins such as https://example.org")
            for name in ("EMBED_ORIGINS", "CORS_ORIGINS")
            for text in (
                "",
                "example.org",
                "https://a.example/page",
                "https://a.example/",
                "https://a.example; script-src *",
                "https://a.example none",
                "* https://a.example",
                "https://*",
                "https://a.*.example",
                "https://a.example:65536",
                "https://a.example:port",
                "ftp://a.example",
                "null",
                "'self'",
            )
        ),
        *(
            ("TRUSTED_PROXIES", text, "addresses and networks such as 10.0.0.0/8")
            for text in (
                "example.com",
                "*",
                "1.2.3",
                "1.2.3.256",
                "1.2.3.4/33",
                "1.2.3.4/",
                "/8",
                "10.0.0.0/255.0.0.0",
                "::1/129",
                "fe80::1%eth0",
                "1::2::3",
                "::1;",
            )
        ),
        ("OIDC_ISSUER", "http://login.example", "an HTTPS URL"),
        ("OIDC_ISSUER", "https://login.example?a", "an HTTPS URL"),
        ("OIDC_ISSUER", "login.example", "an HTTPS URL"),
        ("OIDC_ALLOWED", "ada", "ada@example.org, @example.org, group:family, or *"),
        ("AUTH_HEADER", "Remote User", "the name of a header"),
        ("SEARCH_ENGINES", "yes", "'off' or 'on'"),
        ("VIEWING_REPORTS", "no", "'on' or 'off'"),
        ("LOG_LEVEL", "verbose", "'debug', 'info', 'warning' or 'error'"),
        ("LOG_LEVEL", "", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_an_invalid_value_is_one_line_that_names_it_and_what_is_valid(
    tmp_path: Path, name: str, text: str, right: str
) -> None:
    (tmp_path / "file.mp4").touch()
    line = problem({f"REELAY_{name}": text})
    assert line.startswith(f"REELAY_{name}={text!r}: ")
    assert "should be" in line
    assert right in line


@pytest.mark.parametrize("text", ["0" * 63, "0" * 65, "g" * 64, "A" * 64, "secret"])
def test_an_invalid_key_is_not_shown(text: str) -> None:
    line = problem({"REELAY_KEY": text})
    assert line.startswith("REELAY_KEY='…': should be 64 hexadecimal digits")
    assert text not in line


@pytest.mark.parametrize(
    ("text", "reason"),
    [(" ", "not be white space alone"), ("x" * 1001, "have at most 1000 characters")],
    ids=["blank", "long"],
)
def test_a_password_that_could_not_be_typed_is_refused(text: str, reason: str) -> None:
    assert problem({"REELAY_PASSWORD": text}) == f"REELAY_PASSWORD='…': should {reason}"


def test_white_space_around_a_password_does_not_count() -> None:
    assert settings(PASSWORD=" open sesame\n").password == "open sesame"  # noqa: S105, S106


@pytest.mark.parametrize(
    "name",
    ["PASSWORD", "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "AUTH_HEADER", "STATE",
     "KEY", "METRICS_TOKEN"],
)  # fmt: skip
def test_an_empty_value_is_none_as_compose_passes_it(name: str) -> None:
    assert getattr(settings(**{name: ""}), name.lower()) is None


def test_an_invalid_value_from_a_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("loud\n")
    assert "'loud'" in problem({"REELAY_LOG_LEVEL_FILE": "secret"})


@pytest.mark.parametrize("text", ["a\nb", "a\r\nREELAY_LISTEN=x", "\x1b[31mred"])
def test_a_value_with_control_characters_is_still_one_harmless_line(text: str) -> None:
    line = problem({"REELAY_MEDIA": text})
    assert line.isprintable()


def test_a_missing_default_folder_is_named(media: Path) -> None:
    media.rmdir()
    assert problem({}) == "REELAY_MEDIA='media': should be a folder that exists"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("DERIVED_SIZE", "15MiB", "16MiB or more"),
        ("DERIVED_SIZE", "-1", "a number of bytes"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("WORKERS", "65", "less than or equal to 64"),
        ("WORKERS", "many", "a valid integer"),
    ],
)
def test_artefacts_need_space_and_a_worker(name: str, text: str, words: str) -> None:
    line = problem({f"REELAY_{name}": text})
    assert line.startswith(f"REELAY_{name}={text!r}: ")
    assert words in line


@pytest.mark.parametrize("name", ["MEDIA", "DERIVED"])
def test_an_empty_folder_name_is_not_the_current_folder(name: str) -> None:
    # Path("") is ".": `REELAY_MEDIA=` would publish the working directory.
    line = problem({f"REELAY_{name}": ""})
    assert line.startswith(f"REELAY_{name}='': should be ")


@pytest.mark.parametrize("name", ["MEDIA", "DERIVED"])
def test_a_tilde_is_the_home_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert getattr(settings(**{name: "~/media"}), name.lower()) == tmp_path / "media"


def test_the_home_of_an_unknown_user_is_refused() -> None:
    line = problem({"REELAY_MEDIA": "~no-such-user-here/films"})
    assert line.startswith("REELAY_MEDIA='~no-such-user-here/films': should be a folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_named(media: Path) -> None:
    media.chmod(0)
    try:
        assert "this user may read" in problem({"REELAY_MEDIA": str(media)})
    finally:
        media.chmod(0o755)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("REELAY_MEDAI", "REELAY_MEDIA"),
        ("REELAY_LISTENS", "REELAY_LISTEN"),
        ("REELAY_MAX_PARTIAL", "REELAY_MAX_PARTIAL_SIZE"),
        ("REELAY_STALL_TIMEOUT_SECONDS", "REELAY_STALL_TIMEOUT"),
    ],
)
def test_a_misspelt_variable_gets_a_suggestion(variable: str, meant: str) -> None:
    line = problem({variable: "x"})
    assert line == f"{variable}: there is no such setting; did you mean {meant}?"


def test_an_unknown_variable_is_refused_without_a_wild_guess() -> None:
    assert problem({"REELAY_QQQQ": "x"}) == "REELAY_QQQQ: there is no such setting"


def test_variables_of_the_stack_are_allowed() -> None:
    # A .env has those of docker-compose.yml and of the service.
    expected = {"MEDIA_DIR", "BIND", "HTTP_PORT", "HTTPS_PORT", "OPERATOR_PORT", "HOSTNAME",
              "TLS_DIR", "CACHE_SIZE"}  # fmt: skip
    assert {PREFIX + name for name in expected} <= EDGE_VARIABLES
    assert load(dict.fromkeys(EDGE_VARIABLES, "x")) == load({})


def test_all_errors_are_listed_together() -> None:
    lines = problems(
        {
            "REELAY_LISTEN": "x",
            "REELAY_LOG_LEVEL": "x",
            "REELAY_LOG_LEVEL_FILE": "x",
            "REELAY_MAX_PARTIAL_SIZE": "x",
            "REELAY_MEDIUM": "x",
            "REELAY_STALL_TIMEOUT_FILE": "missing",
        }
    )
    named = sorted(line.replace("=", " ").replace(":", " ").split()[0] for line in lines)
    assert named == [
        "REELAY_LISTEN",
        "REELAY_LOG_LEVEL",  # set twice
        "REELAY_LOG_LEVEL",  # and invalid
        "REELAY_MAX_PARTIAL_SIZE",
        "REELAY_MEDIUM",
        "REELAY_STALL_TIMEOUT_FILE",
    ]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"PORT": "5000"},
        {"PORT": "5000", "REELAY_LISTEN": "[::1]:80"},
        {"PORT": "5000", "REELAY_LISTEN_FILE": "listen"},
    ],
)
def test_the_health_check_asks_where_the_service_listens(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "listen").write_text("127.0.0.1:81\n", encoding="utf-8")
    assert listening_address(variables) == load(variables).listen


@pytest.mark.parametrize(
    "variables",
    [{"PORT": "65536"}, {"PORT": ""}, {"REELAY_LISTEN": "nonsense"}, {"REELAY_LISTEN": ""}],
)
def test_the_health_check_refuses_what_the_service_refuses(variables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="should be ") as raised:
        listening_address(variables)
    assert problem(variables) == f"{listen_source(variables)}: {raised.value}"


def test_the_health_check_is_light() -> None:
    """It runs as long as the service does, also on small machines."""
    script = "import sys, service.cli.healthcheck; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    assert not {"pydantic", "quart", "hypercorn", "asyncio"} & {*modules}
