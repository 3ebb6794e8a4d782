"""Clients that hardly read or never finish their requests do not block others."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.http_contract import Origin
from support.raw_http import TRUSTING, ask
from support.server import BLOCK, content, write
from support.stack import Stack, docker

pytestmark = [pytest.mark.slow, pytest.mark.stack]

SLOW, HEADERLESS = 1000, 500
SECONDS = 20
SPAN = 64 * 1024
MAX_MEMORY = 600 * 2**20  # bytes, of the edge's container, as in docs/benchmarks.md

DATA = content(8 * BLOCK, 77)


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Raise the limit of open descriptors of this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def begin(address: str, clients: ExitStack, request: str) -> socket.socket:
    plain = socket.create_connection((address, 8443), 60)
    client = clients.enter_context(TRUSTING.wrap_socket(plain, server_hostname="localhost"))
    client.sendall(request.encode())
    return client


def memory(stack: Stack) -> int:
    """Return the edge's memory in bytes, as counted by the engine."""
    (name,) = stack.containers("nginx")
    usage = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", name).split()[0]
    unit = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[usage[-3:]]
    return int(float(usage[:-3]) * unit)


@pytest.mark.parametrize("span", ["0-", "7-"], ids=["whole blocks", "cut"])
def test_slow_clients_use_little_memory_and_do_not_block_others(
    origin: Origin, stack: Stack, span: str
) -> None:
    write(stack.media, "slow.mp4", DATA)
    assert ask(origin.base, "/download/slow.mp4").body == DATA
    request = f"GET /media/slow.mp4 HTTP/1.1\r\nHost: x\r\nRange: bytes={span}\r\n\r\n"
    address = stack.address("nginx")  # the proxy of a published port would cost much
    with ExitStack() as clients:
        slow = [begin(address, clients, request) for _ in range(SLOW)]
        for _ in range(HEADERLESS):
            begin(address, clients, "GET /media/slow.mp4 HTTP/1.1\r\nHost: x\r\nX-Endl")
        began, answers, peak = time.monotonic(), 0, 0
        while time.monotonic() - began < SECONDS:
            for client in slow:
                assert client.recv(1024)  # 1 KiB of each about every second
            for number in range(10):
                first = (answers + number) * 100_003 % (len(DATA) - SPAN)
                value = f"bytes={first}-{first + SPAN - 1}"
                answer = ask(origin.base, "/media/slow.mp4", {"Range": value})
                start, last = answer.span()
                assert start == first
                assert answer.body == DATA[first : last + 1]
            answers += 10
            peak = max(peak, memory(stack))
    assert peak <= MAX_MEMORY
    assert stack.container("nginx")["RestartCount"] == 0
