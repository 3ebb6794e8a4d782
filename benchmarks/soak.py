"""Check that the service does not grow under many requests, a fifth of which are aborted.

    .venv/bin/python benchmarks/soak.py [--requests 200000] [--warm-up 5000] [--every 20000]
                                        [--clients 32] [--seed 1]

Starts a service on loopback without an edge, and checks every response: its status, and each byte
of media. After the warm-up and then after every N requests, all clients disconnect, and it prints
the usage of the idle process: descriptors, threads, resident memory, tasks, responses in progress.
It exits with 1 if a response was wrong, or if a value has grown since the warm-up by more than the
margins below.
"""

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.server import serve, write

BLOCK = 4 * 1024**2
SIZE = 4 * BLOCK + 4321
ABORTED_SHARE = 0.2
TIMEOUT = 60  # seconds
IDLE_SECONDS = 7  # the service keeps an idle connection for five

# Allowed growth after the warm-up. A pool starts a thread only when none is idle, so some of
# its threads (32 for disks, 6 of the event loop on two processors) may start only later.
MAX_DESCRIPTORS = 3
MAX_TASKS = 2
MAX_THREADS = 38
MAX_MEMORY = 24 * 1024**2


@dataclass(frozen=True)
class Kind:
    """A kind of request with its expected status and its share of all requests."""

    share: int
    target: str
    status: int
    headers: str = ""
    """Lines to format with two offsets in the film, a length, and the entity tag."""
    method: str = "GET"


FILM = "/media/film.mp4"
KINDS = (
    Kind(20, FILM, 206, "Range: bytes={a}-{b}\r\n"),
    Kind(8, FILM, 206, "Range: bytes={a}-\r\n"),
    Kind(8, FILM, 206, "Range: bytes={a}-\r\nIf-Range: {revision}\r\n"),
    Kind(4, FILM, 206, "Range: bytes=-{length}\r\n"),
    Kind(4, FILM, 206, "Range: bytes={a}-{b}, 0-99, -100\r\n"),
    Kind(4, "/download/film.mp4", 206, "Range: bytes={a}-{b}\r\n"),
    Kind(2, FILM, 200),
    Kind(4, FILM, 200, method="HEAD"),
    Kind(8, FILM, 304, "If-None-Match: {revision}\r\n"),
    Kind(4, FILM, 412, 'If-Match: "another"\r\n'),
    Kind(4, FILM, 416, "Range: bytes=999999999-\r\n"),
    Kind(4, FILM + "?v=another", 410),
    Kind(4, "/media/none.mp4", 404),
    Kind(4, "/nowhere/at/all", 404),
    Kind(4, "/_revision?path=/media/film.mp4", 204),
    Kind(4, "/api/videos", 200),
    Kind(4, "/api/videos/film.mp4", 200),
    Kind(3, "/", 200),
    Kind(3, "/watch/film.mp4", 200),
)


@dataclass
class Crowd:
    """The clients and their results."""

    port: int
    film: bytes
    random: random.Random
    revision: str
    answers: Counter[int] = field(default_factory=Counter)
    left: int = 0
    sent: int = 0
    wrong: list[str] = field(default_factory=list)

    async def ask(self, requests: int, clients: int) -> None:
        """Send requests with this number of clients, and disconnect all of them."""
        left = iter(range(requests))
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._run_client(left))

    async def _run_client(self, left: Iterator[int]) -> None:
        """Send requests on one connection until it closes, then on the next."""
        writer = None
        for _ in left:
            kind = self.random.choices(KINDS, [kind.share for kind in KINDS])[0]
            try:
                async with asyncio.timeout(TIMEOUT):
                    if writer is None:
                        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.write(self._request(kind))
                    if self.random.random() < ABORTED_SHARE:
                        await self._leave(reader, writer)
                        writer = None
                    else:
                        await self._check(kind, reader)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self.wrong.append(f"{kind}: {error!r}")
                if writer is not None:
                    writer.close()
                writer = None
        if writer is not None:
            writer.close()

    def _request(self, kind: Kind) -> bytes:
        first = self.random.randrange(SIZE)
        length = self.random.randint(1, 256 * 1024)
        headers = kind.headers.format(
            a=first, b=first + length, length=length, revision=self.revision
        )
        return f"{kind.method} {kind.target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()

    async def _leave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Disconnect, immediately or during the answer, with FIN or RST."""
        if limit := self.random.choice((0, 0, 1, 2_000, 100_000)):
            self.sent += len(await reader.read(limit))
        if self.random.random() < 0.5:  # noqa: PLR2004 # a FIN as often as a RST
            writer.close()
        else:
            writer.transport.abort()
        self.left += 1

    async def _check(self, kind: Kind, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(None, 2)[1])
        length = re.search(r"(?i)\r\ncontent-length: (\d+)", head)
        bodiless = kind.method == "HEAD" or status in (204, 304)
        body = b"" if bodiless or length is None else await reader.readexactly(int(length[1]))
        self.answers[status] += 1
        self.sent += len(body)
        if status != kind.status:
            self.wrong.append(f"{kind}: {head}")
        elif span := re.search(r"(?i)\r\ncontent-range: bytes (\d+)-(\d+)/", head):
            if status == 206 and body != self.film[int(span[1]) : int(span[2]) + 1]:  # noqa: PLR2004
                self.wrong.append(f"{kind}: other bytes: {head}")
        elif kind.target == FILM and status == 200 and body != self.film and not bodiless:  # noqa: PLR2004
            self.wrong.append(f"{kind}: other bytes: {head}")


@dataclass(frozen=True)
class Usage:
    """Resources that a process uses."""

    descriptors: int
    threads: int
    memory: int
    """Bytes."""
    tasks: int
    in_progress: int

    def grown(self, before: "Usage") -> list[str]:
        """Return a line for each value that exceeds its margin."""
        bounds = {
            "descriptors": MAX_DESCRIPTORS,
            "threads": MAX_THREADS,
            "memory": MAX_MEMORY,
            "tasks": MAX_TASKS,
            "in_progress": 0,
        }
        return [
            f"{name}: {getattr(before, name):,}, then {getattr(self, name):,}"
            for name, margin in bounds.items()
            if getattr(self, name) > getattr(before, name) + margin
        ]


async def idle_usage(process: int, port: int) -> Usage:
    """Return the usage after the service has closed the idle connections."""
    await asyncio.sleep(IDLE_SECONDS)
    return await usage(process, port)


async def usage(process: int, port: int) -> Usage:
    """Read the usage from /proc and from the metrics of the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    metrics = (await reader.read()).decode()
    writer.close()
    series = dict(re.findall(r"(?m)^(reelay_\w+) (\S+)", metrics))
    proc = Path(f"/proc/{process}")
    status = dict(re.findall(r"(?m)^(Threads|VmRSS):\s+(\d+)", (proc / "status").read_text()))
    return Usage(
        descriptors=len(list((proc / "fd").iterdir())),
        threads=int(status["Threads"]),
        memory=int(status["VmRSS"]) * 1024,
        tasks=round(float(series["reelay_event_loop_tasks"])),
        in_progress=round(float(series["reelay_responses_in_progress"])),
    )


async def soak(options: argparse.Namespace, process: int, port: int, film: bytes) -> int:
    """Send requests and measure in turn; return the exit status."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{FILM}") as answer:  # noqa: ASYNC210 # alone
        revision = answer.headers["ETag"]
    choices = random.Random(options.seed)  # noqa: S311 # no secrets
    crowd = Crowd(port, film, choices, revision)
    await crowd.ask(options.warm_up, options.clients)
    before = await idle_usage(process, port)
    print(f"{'requests':>9} {'left':>7} {'GiB':>6} {'/s':>6} {'descriptors':>12} {'threads':>8}"
          f" {'MB':>7} {'tasks':>6} {'in progress':>12}")  # fmt: skip
    show(crowd, before, options.warm_up, 0)
    count, grown = 0, []
    while count < options.requests:
        now = min(options.every, options.requests - count)
        started = time.monotonic()
        await crowd.ask(now, options.clients)
        rate = now / (time.monotonic() - started)
        count += now
        after = await idle_usage(process, port)
        show(crowd, after, options.warm_up + count, rate)
        grown += after.grown(before)
    print("answers: " + ", ".join(f"{n} {status}" for status, n in sorted(crowd.answers.items())))
    for line in grown + crowd.wrong[:5]:
        print(line)
    return 1 if grown or crowd.wrong else 0


def show(crowd: Crowd, usage: Usage, requests: int, rate: float) -> None:
    print(f"{requests:9,} {crowd.left:7,} {crowd.sent / 1024**3:6.1f} {rate:6,.0f}"
          f" {usage.descriptors:12} {usage.threads:8} {usage.memory / 1e6:7.1f}"
          f" {usage.tasks:6} {usage.in_progress:12}", flush=True)  # fmt: skip


def main() -> int:
    """Run the service and the clients; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--warm-up", type=int, default=5_000)
    parser.add_argument("--every", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        media, film = Path(folder, "media"), os.urandom(SIZE)
        write(media, "film.mp4", film)
        with serve(media, log=subprocess.DEVNULL, MAX_PARTIAL_SIZE=str(BLOCK)) as server:
            port = int(server.base.rpartition(":")[2])
            return uvloop.run(soak(options, server.process.pid, port, film))


if __name__ == "__main__":
    sys.exit(main())
