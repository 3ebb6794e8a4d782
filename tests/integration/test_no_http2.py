"""The service speaks only HTTP/1.1, however a client requests HTTP/2."""

import re
import subprocess
from collections.abc import Iterator

import pytest
from support.raw_http import open_socket
from support.server import Server, serve

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4
SETTINGS = bytes(3) + b"\x04" + bytes(5)  # an empty frame: §4.1, §6.5
HELLO = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = (
    b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("no-http2") / "media"
    media.mkdir()
    with serve(media) as running:
        yield running
        assert not [line for line in running.lines if "Traceback" in line]


def received(server: Server, sent: bytes) -> bytes:
    """Send bytes; return everything that the server sends until it closes the connection."""
    answer = b""
    with open_socket(server.base) as client:
        client.sendall(sent)
        while piece := client.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("hello", [b"", HELLO], ids=["first", "behind another"])
def test_an_upgrade_is_ignored(server: Server, hello: bytes) -> None:
    """RFC 9113 §3.1: the upgrade is obsolete, and could bypass the rules of a proxy."""
    last = HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = received(server, hello + UPGRADE + last)
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
    assert statuses == [b"200"] * (2 + bool(hello))
    assert b"upgrade" not in answer.lower()


@pytest.mark.parametrize(
    "words",
    [
        PREFACE + SETTINGS,
        HELLO + PREFACE + SETTINGS,
        b"PRI * HTTP/2.0\r\nUpgrade: h2c\r\n\r\n",
        b"PRI * HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_the_preface_is_refused_over_http_1(server: Server, words: bytes) -> None:
    answer = received(server, words)
    assert answer.startswith(b"HTTP/1.1 ")
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answer)]
    if words.startswith(HELLO):
        assert statuses.pop(0) == 200
    assert statuses
    assert min(statuses) >= 400
    assert SETTINGS[:4] not in answer


def test_curl_is_answered_over_http_1_or_fails(server: Server) -> None:
    def curl(option: str) -> subprocess.CompletedProcess[bytes]:
        command = ["curl", option, "--silent", "--write-out", "%{http_version} %{http_code}"]
        target = ["--output", "/dev/null", f"{server.base}/readyz"]
        return subprocess.run([*command, *target], check=False, capture_output=True)

    assert curl("--http2").stdout == b"1.1 200"
    assert curl("--http2-prior-knowledge").returncode != 0
