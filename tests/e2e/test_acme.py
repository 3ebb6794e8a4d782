"""A certificate by ACME from pebble, which validates the edge's name."""

import contextlib
import http.client
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from support.raw_http import TRUSTING, ask
from support.server import content, until, write
from support.stack import Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

NAME = "video.example.test"
# More than all buffers between the edge and a client that does not read.
FILM = content(64 * 2**20)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Run a stack with pebble in its network and the profile not yet enabled."""
    listener = tmp_path / "listener"
    listener.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-noenc", "-days", "2", "-subj", "/CN=pebble", "-addext", "subjectAltName=DNS:pebble",
         "-keyout", listener / "key.pem", "-out", listener / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    for file in listener.iterdir():
        file.chmod(0o644)
    write(tmp_path / "media", "film.mp4", FILM)
    with running(
        tmp_path / "media",
        Path(__file__).parent / "pebble" / "compose.yml",
        variables={"LISTENER": str(listener)},
        HOSTNAME=NAME,
        ACME_SERVER="https://pebble:14000/dir",
        ACME_CA=str(listener / "certificate.pem"),
        ACME_INTERVAL="2",
    ) as stack:  # fmt: skip
        yield stack


def roots(stack: Stack) -> ssl.SSLContext:
    """Return a TLS context that trusts only pebble's root."""
    read = (
        "import ssl, urllib.request as u; print(u.urlopen('https://localhost:15000/roots/0',"
        " context=ssl._create_unverified_context()).read().decode())"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def root() -> str | None:
        try:
            return stack.run("pebble", "python3", "-c", read)
        except AssertionError:
            return None  # it is not listening yet

    certificate = until(root, "pebble returns its root", pause=0.2)
    context.load_verify_locations(cadata=certificate)
    return context


def serial(stack: Stack) -> str:
    """Return the serial number of the certificate on a new connection."""
    shown = ssl.get_server_certificate(("localhost", stack.ports["HTTPS"]))
    return subprocess.run(
        ["openssl", "x509", "-noout", "-serial"],
        input=shown, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


def verified(stack: Stack, context: ssl.SSLContext) -> bool | None:
    """Return whether a new connection gets a chain from pebble's root to the name."""
    try:
        with socket.create_connection(("localhost", stack.ports["HTTPS"]), timeout=60) as plain:
            with context.wrap_socket(plain, server_hostname=NAME):
                return True
    except ssl.SSLCertVerificationError:
        return None


class SlowDownload:
    """A viewer that reads part of a film and then pauses."""

    def __init__(self, stack: Stack, target: str) -> None:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.connect(("localhost", stack.ports["HTTPS"]))
        self._connection = http.client.HTTPSConnection("localhost", context=TRUSTING)
        self._connection.sock = TRUSTING.wrap_socket(plain, server_hostname=NAME)
        self._connection.request("GET", target)
        self._response = self._connection.getresponse()
        self._head = self._response.read(100_000)

    def rest(self) -> bytes:
        """Read the rest; return all bytes."""
        with self._connection.sock, self._response:
            return self._head + self._response.read()


@contextlib.contextmanager
def over_http2(stack: Stack, target: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run curl, which writes a file to a pipe, so that the test can read it slowly.

    httpx cannot be used: it aborts at the first GOAWAY, even if its stream may continue
    (RFC 9113 §6.8).
    """
    command = ["curl", "--http2", "--insecure", "--silent", "--fail", "--write-out",
               "%{stderr}%{http_version}", f"{stack.base}{target}"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as curl:
        try:
            yield curl
        finally:
            curl.kill()


class Visitors:
    """A client that connects repeatedly, each time on a new connection."""

    def __init__(self, stack: Stack) -> None:
        self.served = 0
        self.failed: list[str] = []
        self._stack = stack
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._connect_repeatedly)

    def _connect_repeatedly(self) -> None:
        while not self._stopped.wait(0.02):
            try:
                answer = ask(self._stack.base, "/media/film.mp4", {"Range": "bytes=0-99"})
                assert answer.body == FILM[:100], answer
                self.served += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failed.append(repr(error))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def test_issuing_and_renewing_a_certificate_interrupts_no_viewer(stack: Stack) -> None:
    trust = roots(stack)
    assert verified(stack, trust) is None  # the edge has its self-signed one
    idle = http.client.HTTPSConnection(
        "localhost", stack.ports["HTTPS"], context=TRUSTING, timeout=60
    )
    idle.request("GET", "/static/style.css")
    idle.getresponse().read()
    before = serial(stack)
    with Visitors(stack) as visitors:
        download = SlowDownload(stack, "/download/film.mp4")
        stack.variables["COMPOSE_PROFILES"] = "acme"
        stack.compose("build", "acme")
        stack.up()
        until(lambda: verified(stack, trust), "the edge shows pebble's certificate")
        assert download.rest() == FILM

        # An idle connection is closed when its worker ends, or is served.
        try:
            idle.request("GET", "/static/style.css")
            assert idle.getresponse().status == 200
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
            pass
        idle.close()

        first = serial(stack)
        assert first != before
        with over_http2(stack, "/download/film.mp4") as curl:
            assert curl.stdout
            assert curl.stderr
            head = curl.stdout.read(100_000)
            second = until(
                lambda: now if (now := serial(stack)) != first else None, "it is renewed", 180
            )
            assert head + curl.stdout.read() == FILM
            assert curl.stderr.read() == b"2"
        until(lambda: verified(stack, trust), "the next one is from pebble, too")
    assert visitors.served > 0
    assert visitors.failed == []
    assert second not in {before, first}

    # The edge's self-signed certificate does not come back.
    check_rights(stack)
    stack.compose("stop", "acme")
    last = until(lambda: settled(stack), "the edge serves the last certificate")
    stack.compose("restart", "nginx")
    stack.up("nginx")
    assert serial(stack) == last
    folder = stack.run("nginx", "ls", "/etc/nginx/tls").split()
    assert "made-by-the-edge" not in folder
    assert len([name for name in folder if name.startswith("acme-")]) == 1


def settled(stack: Stack) -> str | None:
    """Return the serial number of the certificate in the folder once it is served."""
    command = ["openssl", "x509", "-noout", "-serial", "-in", "/etc/nginx/tls/fullchain.pem"]
    published = stack.run("nginx", *command)
    return published if published == serial(stack) else None


def check_rights(stack: Stack) -> None:
    container = stack.container("acme")
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert container["Config"]["User"] == "101:101"
    assert container["Config"]["Labels"]["org.opencontainers.image.title"]
