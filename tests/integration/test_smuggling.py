"""Request smuggling against the service, on Hypercorn and h11."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.raw_http import answers_to, ask, open_socket
from support.server import Server, serve
from support.smuggling_cases import Shape, shapes

SHAPES = shapes()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("smuggling") / "media"
    media.mkdir()
    with serve(media) as running:
        yield running


def hidden(shape: Shape) -> str:
    return f"/api/videos/{shape.name}.mp4".replace(" ", "-")


@pytest.fixture(scope="module")
def answers(server: Server) -> dict[str, list[int]]:
    """Send every shape and return the statuses. Most wait until the server sends nothing more."""

    def send(shape: Shape) -> list[int]:
        with open_socket(server.base) as client:
            return answers_to(client, shape.request("/api/videos", hidden(shape)))

    with ThreadPoolExecutor(len(SHAPES)) as pool:
        results = list(pool.map(send, SHAPES))
    ask(server.base, "/api/videos/after-the-shapes.mp4")
    server.wait_for_log(path="/api/videos/after-the-shapes.mp4")
    return {shape.name: statuses for shape, statuses in zip(SHAPES, results, strict=True)}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_hidden_request_is_not_answered(
    server: Server, answers: dict[str, list[int]], shape: Shape
) -> None:
    assert not server.logged(path=hidden(shape))
    assert len(answers[shape.name]) <= 1
    if shape.refused:  # the connection may have been reset first
        assert all(status >= 400 for status in answers[shape.name])


def test_two_requests_in_one_write_get_two_responses(server: Server) -> None:
    """RFC 9112 §9.3.2: these tests would notice an answer to a hidden request."""
    request = "GET /api/videos/pipelined-{}.mp4 HTTP/1.1\r\nHost: x\r\n\r\n"
    with open_socket(server.base) as client:
        data = (request.format(1) + request.format(2)).encode()
        assert answers_to(client, data, 2) == [404, 404]
    assert server.logged(path="/api/videos/pipelined-2.mp4")


def test_conflicting_lengths_are_refused_and_the_connection_closed(server: Server) -> None:
    """RFC 9112 §6.3: it is an error, and the bytes after the head are not a request."""
    head = "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"
    next_one = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    with open_socket(server.base) as client:
        assert answers_to(client, f"{head}\r\n\r\n0\r\n\r\n{next_one}".encode(), 1) == [400]
        client.settimeout(60)
        assert client.recv(1) == b""
