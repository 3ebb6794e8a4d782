"""The start of the service from a command line and an environment, and its error messages."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.object_store import Bucket
from support.raw_http import ask
from support.server import content, environment, free_port, serve, until, write

import service
from service.settings.environment import Settings

ROOT = Path(__file__).parents[2]
START = (sys.executable, "-m", "service")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    write(folder, "film.mp4", content(5000))
    return folder


def run(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a start that is expected to fail."""
    return subprocess.run(
        [*START, *arguments],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def complaint(env: Mapping[str, str]) -> str:
    """Return the only line of a failed start."""
    done = run(env=env)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.endswith("\n")
    (line,) = done.stderr.splitlines()
    return line


@contextlib.contextmanager
def started(env: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Start a service. Yield its printed address, and its lines after it has ended."""
    with subprocess.Popen(
        START, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        lines: list[str] = []
        try:
            first = process.stdout.readline()
            match = re.fullmatch(r"Reelay \S+ serves (.+) on (http://\S+/)\n", first)
            assert match, first
            base = match[2].removesuffix("/")
            until(lambda: is_ready(base), f"{base} is ready")
            yield base, lines
            process.send_signal(signal.SIGTERM)
            lines += process.stdout.read().splitlines()
            assert process.wait(300) == 0
        finally:
            if process.poll() is None:
                process.kill()


def is_ready(base: str) -> bool | None:
    try:
        return ask(base, "/readyz").status == 200 or None
    except OSError:
        return None


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as listener:
            listener.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


# The command line


def test_help_names_every_setting(tmp_path: Path) -> None:
    done = run("--help", env=environment(tmp_path / "missing", LISTEN="x"))
    assert (done.returncode, done.stderr) == (0, "")
    for name, field in Settings.model_fields.items():
        assert f"REELAY_{name.upper()} " in done.stdout
        assert field.description
        assert field.description in done.stdout
    assert "NAME_FILE" in done.stdout


def test_the_version_is_printed(tmp_path: Path) -> None:
    done = run("--version", env=environment(tmp_path / "missing", LISTEN="x"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Reelay {service.__version__}\n"


def test_an_unknown_argument_is_refused(media: Path) -> None:
    done = run("--port", "80", env=environment(media))
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert done.stdout == ""


# Failed starts


def test_each_invalid_setting_ends_the_start_with_a_line_that_names_it(media: Path) -> None:
    """What is invalid: tests/unit/settings."""
    values = {
        "LISTEN": "8000",
        "MAX_PARTIAL_SIZE": "4MB",
        "STALL_TIMEOUT": "0",
        "DRAIN_TIMEOUT": "soon",
        "LOG_LEVEL": "loud",
        "MEDIA": "s3://",
    }
    done = run(env=environment(media, **values, LISTENS="x"))
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == len(values) + 1
    for start in (*(f"REELAY_{name}={value!r}: " for name, value in values.items()),
                  "REELAY_LISTENS: "):  # fmt: skip
        assert [line for line in lines if line.startswith(start)], start


def test_a_missing_media_folder_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    line = complaint(environment(missing))
    assert line == f"REELAY_MEDIA={str(missing)!r}: should be a folder that exists"


@pytest.mark.parametrize(
    ("url", "changed", "message"),
    [
        ("s3://no-such-bucket/films", {}, "there is no such bucket"),
        ("{}", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "the store refuses these credentials"),
        (
            "{}",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "REELAY_STORE_TIMEOUT": "1"},
            "the store cannot be asked",
        ),
    ],
)
def test_a_bucket_that_cannot_be_served_is_named(
    media: Path, bucket: Bucket, url: str, changed: dict[str, str], message: str
) -> None:
    url = url.format(bucket.url)
    env = environment(media, MEDIA=url) | bucket.environ() | changed
    assert complaint(env).startswith(f"'{url}': {message}: ")


def test_a_bucket_that_cannot_store_artefacts_is_named(media: Path, bucket: Bucket) -> None:
    url = "s3://no-such-bucket/derived"
    env = environment(media, DERIVED=url) | bucket.environ()
    assert complaint(env).startswith(f"'{url}': there is no such bucket: ")


@pytest.fixture
def used_port() -> Iterator[int]:
    """Yield a port that is in use."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_an_address_in_use_is_named(media: Path, used_port: int) -> None:
    line = complaint(environment(media, LISTEN=f"127.0.0.1:{used_port}"))
    assert line.startswith(f"REELAY_LISTEN='127.0.0.1:{used_port}': ")
    assert "in use" in line.lower()


def test_a_port_in_use_is_named_by_the_variable_it_came_from(media: Path, used_port: int) -> None:
    line = complaint(environment(media) | {"PORT": str(used_port)})
    assert line.startswith(f"PORT='{used_port}': ")
    assert "in use" in line.lower()


@needs_ipv6
def test_an_ipv6_address_in_use_is_named_as_it_was_written(media: Path) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        where = f"[::1]:{other.getsockname()[1]}"
        line = complaint(environment(media, LISTEN=where))
    assert line.startswith(f"REELAY_LISTEN={where!r}: ")


@pytest.mark.parametrize(
    "where",
    [
        "no-such-host.invalid:8000",  # RFC 6761 §6.4: never resolves
        "192.0.2.1:8000",  # RFC 5737: unassigned
        f"{'x' * 64}.example:8000",  # RFC 1035 §2.3.4: a label has at most 63 octets
    ],
)
def test_an_address_of_another_machine_is_named(media: Path, where: str) -> None:
    line = complaint(environment(media, LISTEN=where))
    assert line.startswith(f"REELAY_LISTEN={where!r}: ")


# Output


def test_the_printed_address_can_be_opened(media: Path) -> None:
    with started(environment(media, LISTEN="127.0.0.1:0", DRAIN_DELAY="0")) as (base, _):
        assert not base.endswith(":0")
        assert ask(base, "/media/film.mp4").body == content(5000)


def test_port_listens_on_all_addresses(media: Path) -> None:
    port = free_port()
    env = environment(media, DRAIN_DELAY="0") | {"PORT": str(port)}
    with started(env) as (base, _):
        assert base == f"http://localhost:{port}"
        assert ask(f"http://127.0.0.2:{port}", "/healthz").status == 200


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "::ffff:127.0.0.1"])
def test_an_ipv6_address_is_printed_as_a_url(media: Path, host: str) -> None:
    port = free_port()
    with started(environment(media, LISTEN=f"[{host}]:{port}", DRAIN_DELAY="0")) as (base, _):
        assert base in (f"http://localhost:{port}", f"http://[{host}]:{port}")
        assert ask(f"http://[{host}]:{port}", "/media/film.mp4").body == content(5000)


def test_every_line_after_the_first_is_one_json_object(media: Path) -> None:
    write(media, "no\N{LINE SEPARATOR}video.mp4", b"no video")
    env = environment(media, LISTEN="127.0.0.1:0", DRAIN_DELAY="0", LOG_LEVEL="debug")
    targets = ["/media/film.mp4", "/media/a%0Ab", '/media/"%22', "/media/%F0%9F%8E%AC", "/%1b[31m"]
    with started(env) as (base, lines):
        for target in targets:
            ask(base, target, {"User-Agent": 'a "quoted" \t one', "Range": "x\x1b[31m"})
    events = [json.loads(line) for line in lines]
    assert all(isinstance(event, dict) and event["event"] and event["level"] for event in events)
    assert all(line.isascii() and line.isprintable() for line in lines)
    paths = [event["path"] for event in events if event["event"] == "request"]
    for path in ("/media/film.mp4", "/media/a\nb", '/media/""', "/media/🎬", "/\x1b[31m"):
        assert path in paths


def test_the_log_level_drops_less_severe_lines(media: Path) -> None:
    write(media, "bad.mp4", b"no video")
    with serve(media, LOG_LEVEL="warning") as server:
        ask(server.base, "/media/film.mp4")
        server.wait_for_log("a file cannot be probed", path="bad.mp4")
    levels = {json.loads(line)["level"] for line in server.lines[1:]}
    assert levels == {"warning"}


# The health check


def healthcheck(env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli.healthcheck"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", pytest.param("[::]", marks=needs_ipv6)],
)
def test_the_health_check_reports_whether_the_service_is_ready(media: Path, host: str) -> None:
    env = environment(media, LISTEN=f"{host}:{free_port()}", DRAIN_DELAY="0")
    before = healthcheck(env)
    assert (before.returncode, before.stdout, before.stderr) == (1, "", "")
    with started(env):
        during = healthcheck(env)
        assert (during.returncode, during.stdout, during.stderr) == (0, "", "")
    assert healthcheck(env).returncode == 1


def test_the_health_check_uses_port(media: Path) -> None:
    """With PORT, the service listens on 0.0.0.0."""
    env = environment(media, DRAIN_DELAY="0") | {"PORT": str(free_port())}
    with started(env):
        assert healthcheck(env).returncode == 0


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n"]
)
def test_the_health_check_fails_quietly_on_other_responses(media: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-m", "service.cli.healthcheck"],
            env=environment(media, LISTEN=f"127.0.0.1:{port}"),
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            other.settimeout(60)
            connection, _ = other.accept()
            with connection:
                assert connection.recv(65536).startswith(b"GET /readyz ")
                connection.sendall(answer)
            assert process.stderr
            errors = process.stderr.read()
            assert process.wait(300) == 1
    assert errors == ""


def test_the_health_check_names_invalid_settings(media: Path) -> None:
    done = healthcheck(environment(media, LISTEN="x"))
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("REELAY_LISTEN='x': ")
