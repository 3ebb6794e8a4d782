"""The limit of blocks that one address may cause to be cached without reading them."""

import ipaddress
import itertools
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from support.raw_http import TRUSTING, Answer, ask
from support.server import BLOCK, content, write
from support.stack import Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

MAX_BLOCKS_LEFT = 64  # nginx/njs/fetch_limit.js
BLOCKS = 160
REQUESTS_PER_CLIENT = 100  # the default, with which one more block a second may be left


@cache
def film_bytes() -> bytes:
    return content(BLOCKS * BLOCK, 9)


_addresses = map(str, ipaddress.ip_network("203.0.113.0/24").hosts())  # RFC 5737: documentation
_names = itertools.count()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack with the default limits that trusts this machine as a proxy."""
    media = tmp_path_factory.mktemp("fetch_limit") / "media"
    media.mkdir()
    with running(media, REQUESTS_PER_CLIENT=str(REQUESTS_PER_CLIENT)) as stack:
        stack.configure(TRUSTED_PROXIES=stack.gateway)
        yield stack


@pytest.fixture
def film(stack: Stack) -> str:
    """Return the name of an uncached file."""
    name = f"film-{next(_names)}.mp4"
    write(stack.media, name, film_bytes())
    return name


def metric(stack: Stack, series: str) -> int:
    """Return one of the edge's counters."""
    text = ask(stack.operator, "/edge/metrics").body.decode()
    (line,) = (line for line in text.splitlines() if line.startswith(f"{series} "))
    return int(line.removeprefix(series))


def fetches(stack: Stack) -> int:
    """Return how many blocks the edge has fetched."""
    return metric(stack, 'reelay_edge_blocks_total{source="service"}')


@contextmanager
def few_fetches(stack: Stack, taken: float = 0) -> Iterator[None]:
    """Check that the edge fetches no more blocks than one address may leave unread.

    The address reads the share `taken` of each of them.
    """
    before, began = fetches(stack), time.monotonic()
    yield
    seconds = math.ceil(time.monotonic() - began)
    assert fetches(stack) - before <= (MAX_BLOCKS_LEFT + 1 + seconds) / (1 - taken)


def get(stack: Stack, client: str, target: str, span: str) -> Answer:
    return ask(stack.base, target, {"Range": f"bytes={span}", "X-Forwarded-For": client})


@pytest.mark.parametrize("route", ["media", "download"])
def test_one_byte_of_many_blocks_does_not_fetch_them_all(
    stack: Stack, film: str, route: str
) -> None:
    client = next(_addresses)
    states = []
    with few_fetches(stack):
        for block in range(BLOCKS):
            first = block * BLOCK + 7
            answer = get(stack, client, f"/{route}/{film}", f"{first}-{first}")
            assert (answer.status, answer.body) == (206, film_bytes()[first : first + 1])
            states.append(answer.headers["X-Cache"])
    assert states[:MAX_BLOCKS_LEFT] == ["MISS"] * MAX_BLOCKS_LEFT
    assert metric(stack, "reelay_edge_blocks_over_limit_total") >= states.count("BYPASS") > 0
    # Other addresses are not limited, and cached blocks are served to all.
    other, limited = next(_addresses), states.index("BYPASS") * BLOCK
    span = f"{limited}-{limited + BLOCK - 1}"
    assert get(stack, other, f"/{route}/{film}", span).headers["X-Cache"] == "MISS"
    assert get(stack, client, f"/{route}/{film}", span).headers["X-Cache"] == "HIT"
    # An answer of several blocks is complete, wherever its first block comes from.
    first = (BLOCKS - 3) * BLOCK + 5
    answer = get(stack, client, f"/download/{film}", f"{first}-")
    assert (answer.status, answer.body) == (206, film_bytes()[first:])


@pytest.mark.parametrize("route", ["media", "download"])
def test_clients_that_disconnect_do_not_fetch_all_blocks(
    stack: Stack, film: str, route: str
) -> None:
    # The engine's proxy of a published port would read the bytes in place of the client.
    client, address = next(_addresses), (stack.address("nginx"), 8443)
    with few_fetches(stack, taken=1 / 4):  # 256 KiB: the kernel buffers on the way
        for block in range(BLOCKS):
            with socket.socket() as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                plain.connect(address)
                with TRUSTING.wrap_socket(plain, server_hostname="localhost") as connection:
                    connection.sendall(
                        f"GET /{route}/{film} HTTP/1.1\r\nHost: x\r\n"
                        f"X-Forwarded-For: {client}\r\n"
                        f"Range: bytes={block * BLOCK}-\r\n\r\n".encode()
                    )
                    connection.recv(1)


@pytest.mark.parametrize("end", ["{}", ""], ids=["bounded", "open"])
def test_ranges_across_block_borders_do_not_fetch_all_blocks(
    stack: Stack, film: str, end: str
) -> None:
    """The first block of each range is cached; the second one must not be fetched."""
    client, address = next(_addresses), (stack.address("nginx"), 8443)
    with few_fetches(stack, taken=1 / 4):
        for block in range(1, BLOCKS):
            border = block * BLOCK
            with socket.socket() as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                plain.connect(address)
                with TRUSTING.wrap_socket(plain, server_hostname="localhost") as connection:
                    connection.sendall(
                        f"GET /download/{film} HTTP/1.1\r\nHost: x\r\n"
                        f"X-Forwarded-For: {client}\r\nConnection: close\r\n"
                        f"Range: bytes={border - 1}-{end.format(border)}\r\n\r\n".encode()
                    )
                    received = b""
                    while len(received.partition(b"\r\n\r\n")[2]) < 2:
                        data = connection.recv(4096)
                        assert data
                        received += data
                    body = received.partition(b"\r\n\r\n")[2]
                    assert body[:2] == film_bytes()[border - 1 : border + 1]


def test_a_client_that_reads_all_fetched_bytes_has_no_limit(stack: Stack, film: str) -> None:
    client = next(_addresses)
    for block in range(BLOCKS):
        first = block * BLOCK
        answer = get(stack, client, f"/media/{film}", f"{first}-{first + BLOCK - 1}")
        assert answer.body == film_bytes()[first : first + BLOCK]
        assert answer.headers["X-Cache"] == "MISS"


def test_small_files_count_by_their_size(stack: Stack) -> None:
    client = next(_addresses)
    for number in range(2 * MAX_BLOCKS_LEFT):
        name = f"small-{number}.mp4"
        write(stack.media, name, content(5000, number))
        answer = get(stack, client, f"/media/{name}", "0-9")
        assert (answer.body, answer.headers["X-Cache"]) == (content(10, number), "MISS")


def test_a_long_answer_counts_only_its_unread_bytes(stack: Stack, film: str) -> None:
    client = next(_addresses)
    headers = {"X-Forwarded-For": client}
    for _ in range(2):  # together more blocks than the limit
        name = f"long-{next(_names)}.mp4"
        write(stack.media, name, film_bytes())
        assert ask(stack.base, f"/download/{name}", headers).body == film_bytes()
    assert get(stack, client, f"/media/{film}", "0-9").headers["X-Cache"] == "MISS"
