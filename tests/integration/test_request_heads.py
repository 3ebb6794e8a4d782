"""Methods and hosts that a server must refuse on every route."""

import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest
from support.raw_http import answers_to, ask, open_socket
from support.server import Server, content, serve, write

from service.protocol.request_head import MAX_FIELDS, MAX_PARAMETERS, MAX_TARGET

TARGETS = [
    "/media/film.mp4",
    "/download/film.mp4",
    "/",
    "/watch/film.mp4",
    "/api/videos",
    "/static/watch.js",
    "/_revision?path=/media/film.mp4",
    "/healthz",
    "/openapi.json",
    "/nothing",
]
BAD_HOSTS = [
    "", "a b", "a\x01b", "a\x7f", "a\x1fb", "user@host", "a/b", "a?b", 'a"b', "a:b", "a:1:2", "::1",
    "[::g]", ":80", "a..b", "x" * 64, "\xe4",
]  # fmt: skip
GOOD_HOSTS = ["x", "x:", "x:8000", "[::1]:8000", "192.0.2.7", "a!b", "%41", "x."]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("heads") / "media"
    write(media, "film.mp4", content(5000))
    with serve(media) as running:
        yield running


def status(server: Server, head: str) -> int:
    """Send a raw head and return the response's status."""
    address = urlsplit(server.base)
    with socket.create_connection((address.hostname, address.port), timeout=60) as client:
        client.sendall(head.encode("latin-1") + b"\r\nConnection: close\r\n\r\n")
        answer = b""
        while len(answer) < 12 and (piece := client.recv(4096)):
            answer += piece
    return int(answer.split()[1])


@pytest.mark.parametrize("target", TARGETS)
def test_methods_are_case_sensitive(server: Server, target: str) -> None:
    """RFC 9110 §9.1."""
    for method in ("get", "Get", "head", "options", "post", "BREW"):
        assert status(server, f"{method} {target} HTTP/1.1\r\nHost: x") == 501, method
    line = server.wait_for_log(status=501, method="head")
    assert line["route"] == "unmatched"


def test_the_connection_of_an_unknown_method_stays_open(server: Server) -> None:
    address = urlsplit(server.base)
    with socket.create_connection((address.hostname, address.port), timeout=60) as client:
        client.sendall(
            b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n"
            b"Connection: close\r\n\r\n"
        )
        answers = b""
        while piece := client.recv(4096):
            answers += piece
    assert answers.startswith(b"HTTP/1.1 501")
    assert answers.count(b"HTTP/1.1 200") == 1


def test_an_unknown_method_does_not_affect_other_connections(server: Server) -> None:
    with open_socket(server.base) as client:
        for _ in range(3):
            assert status(server, "get /healthz HTTP/1.1\r\nHost: x") == 501
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = HTTPResponse(client)
            answer.begin()
            answer.read()
            assert answer.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_a_known_method_that_is_not_allowed_is_405(server: Server, method: str) -> None:
    for target in TARGETS[:-1]:
        answer = ask(server.base, target, method=method)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"  # RFC 9110 §15.5.6


@pytest.mark.parametrize("target", TARGETS)
def test_an_invalid_host_is_a_bad_request(server: Server, target: str) -> None:
    """RFC 9112 §3.2."""
    for host in BAD_HOSTS:
        for version in ("1.1", "1.0"):
            head = f"GET {target} HTTP/{version}\r\nHost: {host}"
            assert status(server, head) == 400, (host, version)
    two = f"GET {target} HTTP/1.1\r\nHost: x\r\nhost: x"
    assert status(server, two) == 400
    assert status(server, f"GET {target} HTTP/1.1") == 400
    assert not server.logged("unexpected error")


@pytest.mark.parametrize("target", TARGETS)
def test_a_valid_host_is_accepted(server: Server, target: str) -> None:
    expected = {"/nothing": 404, TARGETS[6]: 204}.get(target, 200)
    for host in GOOD_HOSTS:
        assert status(server, f"GET {target} HTTP/1.1\r\nHost: {host}") == expected, host
    assert status(server, f"GET {target} HTTP/1.0") == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://v.example/media/film.mp4", 200),
        ("HTTP://v.example:8000/media/film.mp4?a=b", 200),
        ("http://v.example", 200),
        ("http://v.example/media%2Ffilm.mp4", 200),
        ("http:///media/film.mp4", 400),
        ("http://user@v.example/media/film.mp4", 400),
        ("http://v.example:x/media/film.mp4", 400),
        ("http://a..b/media/film.mp4", 400),
        ("http://a%2f/media/film.mp4", 200),
    ],
)
def test_the_host_in_an_absolute_target_is_checked_too(
    server: Server, target: str, expected: int
) -> None:
    """RFC 9112 §3.2.2, RFC 9110 §4.2.1 and §4.2.4."""
    assert status(server, f"GET {target} HTTP/1.1\r\nHost: x") == expected
    assert status(server, f"GET {target} HTTP/1.1\r\nHost: a b") == 400


def test_links_name_the_host_of_an_absolute_target(server: Server) -> None:
    """RFC 9112 §3.2.2: the Host field of the request is ignored."""
    address = urlsplit(server.base)
    with socket.create_connection((address.hostname, address.port), timeout=60) as client:
        client.sendall(
            b"GET http://right.example/playlists/film.mp4.m3u HTTP/1.1\r\nHost: wrong.example\r\n"
            b"Connection: close\r\n\r\n"
        )
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    assert b"http://right.example/download/film.mp4" in answer
    assert b"wrong.example" not in answer


def test_a_head_that_would_be_slow_to_parse_is_refused(server: Server) -> None:
    many = "".join(f"a{number}: b\r\n" for number in range(MAX_FIELDS))
    few = "".join(f"a{number}: b\r\n" for number in range(MAX_FIELDS - 3))
    lines = "a:\r\n" * 14_000
    long, wide = "x" * MAX_TARGET, "&a=b" * MAX_PARAMETERS
    for target in TARGETS:
        assert status(server, f"GET {target} HTTP/1.1\r\nHost: x\r\n{many}x: y") == 431
        assert status(server, f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}x: y") == 431
        assert status(server, f"GET {target} HTTP/1.1\r\nHost: x\r\n{few}x: y") < 431
        mark = "&" if "?" in target else "?"
        assert status(server, f"GET {target}{mark}{long} HTTP/1.1\r\nHost: x") == 414
        assert status(server, f"GET {target}{mark}{wide} HTTP/1.1\r\nHost: x") == 400
    assert status(server, f"GET /{long} HTTP/1.1\r\nHost: x") == 414


def test_a_later_request_on_the_same_connection_is_refused_too(server: Server) -> None:
    first = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    second = "GET /healthz HTTP/1.1\r\nHost: x\r\n" + "a:\r\n" * (MAX_FIELDS + 1) + "\r\n"
    with open_socket(server.base) as client:
        assert answers_to(client, (first + second).encode(), 2) == [200, 431]
