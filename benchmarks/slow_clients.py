"""The clients of slow.py: timed viewers and slow clients."""

import argparse
import asyncio
import random
import socket
import ssl
import statistics
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import uvloop

SPAN = 64 * 1024
PACE = 1024  # bytes a second
BUFFER = 4096  # receive buffer of a slow client, bytes
HEADERLESS_BYTE_EVERY = 2  # seconds
SPREAD = 10  # groups of slow clients, whose turns are spread over a second
RAMP = 10  # seconds in which the slow clients connect, so that they are not all cut at once


@dataclass
class Target:
    """The URL of the film."""

    url: str
    host: str = field(init=False)
    port: int = field(init=False)
    path: str = field(init=False)
    tls: ssl.SSLContext | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.host = parts.hostname or "localhost"
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.path = parts.path + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "https":
            self.tls = ssl.create_default_context()
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE  # it may be self-signed

    def request(self, span: str) -> bytes:
        host = f"{self.host}:{self.port}"
        return f"GET {self.path} HTTP/1.1\r\nHost: {host}\r\n{span}\r\n".encode()


# Viewers


@dataclass
class Results:
    """Results of the viewers."""

    p50: float
    """Seconds."""
    p99: float
    errors: int
    memory: int = 0
    """The server's peak memory in bytes."""


def run_viewers(options: argparse.Namespace, seconds: float, pipe: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(view_all(options, seconds)))


async def view_all(options: argparse.Namespace, seconds: float) -> Results:
    viewers = [Viewer(options, number) for number in range(options.viewers)]
    end = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for viewer in viewers:
            group.create_task(viewer.view(end))
    errors = [error for viewer in viewers for error in viewer.errors]
    for error in sorted(set(errors)):
        print(f"error ({errors.count(error)} times): {error}", file=sys.stderr)
    cuts = statistics.quantiles([time for viewer in viewers for time in viewer.times], n=100)
    return Results(cuts[49], cuts[98], len(errors))


class Viewer:
    """Request random spans on one connection, each when it is due."""

    def __init__(self, options: argparse.Namespace, number: int) -> None:
        self.times: list[float] = []
        self.errors: list[str] = []
        self._target = Target(options.url)
        self._interval = 1 / options.rate
        self._due = time.monotonic() + self._interval * number / options.viewers
        self._chosen = random.Random(number)  # noqa: S311 # the same in each run
        self._size = 2 * SPAN  # until an answer has the real size
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def view(self, end: float) -> None:
        while self._due < end:
            await asyncio.sleep(max(0, self._due - time.monotonic()))
            try:
                async with asyncio.timeout(30):
                    await self._ask(self._chosen.randrange(self._size - SPAN))
                self.times.append(time.monotonic() - self._due)
            except (OSError, EOFError, ValueError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
                self._disconnect()
            self._due += self._interval
        self._disconnect()

    async def _ask(self, start: int) -> None:
        if self._connection is None:
            self._connection = await asyncio.open_connection(
                self._target.host, self._target.port, ssl=self._target.tls
            )
        reader, writer = self._connection
        writer.write(self._target.request(f"Range: bytes={start}-{start + SPAN - 1}\r\n"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        fields = dict(line.split(": ", 1) for line in head.splitlines()[1:-1])
        await reader.readexactly(int(fields.get("content-length", 0)))
        unit, _, value = fields.get("content-range", "").partition(" ")
        span, _, size = value.partition("/")
        first, _, _ = span.partition("-")
        if unit != "bytes" or int(first) != start:
            raise ValueError(head.partition("\r")[0])
        self._size = int(size)
        if fields.get("connection") == "close":
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
        self._connection = None


# Slow clients


class Client:
    """A client that hardly reads, and reconnects when it is cut off."""

    def __init__(self, target: Target, request: bytes, trickle: bytes) -> None:
        self._target = target
        self._request = request
        self._trickle = trickle
        self._socket: socket.socket | None = None
        self.cuts = 0
        self.taken = 0

    def connect(self) -> None:
        plain = socket.socket()
        self._socket = plain
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        plain.settimeout(30)
        try:
            plain.connect((self._target.host, self._target.port))
            if self._target.tls is not None:
                self._socket = self._target.tls.wrap_socket(
                    plain, server_hostname=self._target.host
                )
            self._socket.sendall(self._request)
            self._socket.settimeout(0)
        except OSError:
            plain.close()
            self._cut()

    def turn(self) -> None:
        """Read a second's worth, or send another byte of the header section."""
        if self._socket is None:
            self.connect()
            return
        try:
            if self._trickle:
                self._socket.send(self._trickle)
            data = self._socket.recv(PACE)
            self.taken += len(data)
            if not data:
                self._cut()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # no data yet
        except OSError:
            self._cut()

    def _cut(self) -> None:
        self.cuts += 1
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def run_slow_clients(options: argparse.Namespace, pipe: Connection) -> None:
    """Run all slow clients, with a turn each second, until a message ends them."""
    target = Target(options.url)
    request = target.request("" if options.whole else "Range: bytes=0-\r\n")
    partial = target.request("X-Endless: ")[:-2]
    readers = [Client(target, request, b"") for _ in range(options.slow)]
    headerless = [Client(target, partial, b"x") for _ in range(options.headerless)]
    clients = readers + headerless
    random.Random(0).shuffle(clients)  # noqa: S311
    for client in clients:
        client.connect()
        time.sleep(RAMP / len(clients))
    pipe.send("ready")
    started, late, turn = time.monotonic(), 0.0, 0
    while not pipe.poll():
        for client in readers[turn % SPREAD :: SPREAD]:
            client.turn()
        for client in headerless[turn % (SPREAD * HEADERLESS_BYTE_EVERY) ::
                                 SPREAD * HEADERLESS_BYTE_EVERY]:  # fmt: skip
            client.turn()
        turn += 1
        ahead = started + turn / SPREAD - time.monotonic()
        late = max(late, -ahead)
        time.sleep(max(0, ahead))
    seconds = time.monotonic() - started
    taken = sum(client.taken for client in readers) / max(1, len(readers)) / seconds
    cuts, more_cuts = (sum(client.cuts for client in group) for group in (readers, headerless))
    pipe.send(
        f"{taken:,.0f} B/s each, cut {cuts} times, without headers {more_cuts} times;"
        f" generator late by {late:.2f} s at most"
    )
