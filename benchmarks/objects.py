"""Compare the service over an object store with a bare loop of the same ranged GETs.

    .venv/bin/python benchmarks/objects.py [--rounds N] [--blocks N]

Starts OpenStack Swift (tests/support/object_store.py) and a service over it, and reads the blocks
of a film from each in turn: with obstore alone at full speed, and over HTTP from the service, which
has none of the blocks. It reads every other block in random order, so that nothing is read ahead,
and all blocks in order; with one reader and with four. Prints the median of the ratios of the
rounds, service to bare, with their spread, and the processor time per block of the service and of
the bare loop; then the time to the first byte of a cold block, and how many bytes the service
requested from the store per byte sent.

The store runs on its own processor, as on another machine, and its readers on the others; with
--shared, all use all processors.
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "tests"))

from support.object_store import Bucket, Swift  # noqa: E402
from support.server import Server, serve  # noqa: E402

BLOCK = 4 * 1024**2
BLOCKS = 64
"""Blocks of the film: half of them are twice as many as the service holds by default, so that they
are cold again in the next round."""
FILM = "film.ts"
HEAD = 64 * 1024
"""Bytes in which the end of a response's head is searched."""


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shared", action="store_true")
    options = parser.parse_args()
    processors = os.sched_getaffinity(0)
    store_processors = processors if options.shared or len(processors) == 1 else {min(processors)}
    with tempfile.TemporaryDirectory() as folder:
        swift = Swift(Path(folder))
        try:
            os.sched_setaffinity(0, store_processors)  # child processes inherit it
            swift.start()
            os.sched_setaffinity(0, processors - store_processors or processors)
            bucket = swift.bucket()
            tag = bucket.put(FILM, os.urandom(BLOCKS * BLOCK))
            with serve(
                Path(folder) / "media",
                MEDIA=bucket.url,
                MAX_PARTIAL_SIZE=str(BLOCK),
                environ=bucket.environ(),
            ) as server:
                measure(Bare(bucket, f'"{tag}"'), Served(server), options.rounds)
                requested = server.metric("reelay_store_bytes_total")
                sent = server.metric('reelay_sent_bytes_total{route="media"}')
                print(f"{'bytes asked for, each given':36} {requested / sent:12.2f}")
        finally:
            swift.stop()
    return 0


class Bare:
    """Ranged GETs by the store's client alone."""

    def __init__(self, bucket: Bucket, tag: str) -> None:
        self._store = bucket.store
        self._tag = tag
        self._runner = asyncio.Runner()

    def read(self, numbers: list[int], readers: int) -> float:
        """Read these blocks; return the seconds that it took."""

        async def read_some(own: list[int]) -> None:
            for number in own:
                answer = await self._get(number)
                check(len(await answer.bytes_async()) == BLOCK)

        async def read_all() -> None:
            await asyncio.gather(*(read_some(own) for own in shares(numbers, readers)))

        started = time.perf_counter()
        self._runner.run(read_all())
        return time.perf_counter() - started

    def first_byte(self, number: int) -> float:
        """Return the seconds to the first bytes of a block; then read the others."""

        async def read() -> float:
            started = time.perf_counter()
            chunks = aiter((await self._get(number)).stream(1))
            await anext(chunks)
            took = time.perf_counter() - started
            async for _ in chunks:
                pass
            return took

        return self._runner.run(read())

    async def _get(self, number: int) -> Any:
        span = (number * BLOCK, (number + 1) * BLOCK)
        return await self._store.get_async(FILM, options={"if_match": self._tag, "range": span})


class Served:
    """The same reads through the service."""

    def __init__(self, server: Server) -> None:
        self._address = (urlsplit(server.base).hostname, urlsplit(server.base).port)
        self.pid = server.process.pid
        head = Request(f"{server.base}/media/{FILM}", method="HEAD")  # noqa: S310
        with urlopen(head) as answer:  # noqa: S310
            tag = answer.headers["ETag"].strip('"')
        self._target = f"/media/{FILM}?v={tag}"

    def read(self, numbers: list[int], readers: int) -> float:
        """Read these blocks; return the seconds that it took."""

        def read_some(own: list[int]) -> None:
            buffer = bytearray(BLOCK)
            with socket.create_connection(self._address) as connection:
                for number in own:
                    self._ask(connection, number)
                    check(_receive(connection, buffer) == BLOCK)

        started = time.perf_counter()
        with ThreadPoolExecutor(readers) as threads:
            list(threads.map(read_some, shares(numbers, readers)))
        return time.perf_counter() - started

    def first_byte(self, number: int) -> float:
        """Return the seconds to the first bytes of a block; then read the others."""
        with socket.create_connection(self._address) as connection:
            started = time.perf_counter()
            self._ask(connection, number)
            check(_receive(connection, bytearray(1)) == 1)
            took = time.perf_counter() - started
            check(_receive(connection, bytearray(BLOCK - 1)) == BLOCK - 1)
        return took

    def _ask(self, connection: socket.socket, number: int) -> None:
        """Request a block, and read the head of the response."""
        connection.sendall(
            f"GET {self._target} HTTP/1.1\r\nHost: benchmark\r\n"
            f"Range: bytes={number * BLOCK}-{(number + 1) * BLOCK - 1}\r\n\r\n".encode()
        )
        head = connection.recv(HEAD, socket.MSG_PEEK)
        while b"\r\n\r\n" not in head:
            head = connection.recv(HEAD, socket.MSG_PEEK)
        connection.recv(head.index(b"\r\n\r\n") + 4)
        check(head.startswith(b"HTTP/1.1 206 "))


def _receive(connection: socket.socket, buffer: bytearray) -> int:
    """Fill the buffer as cheaply as possible; return the number of bytes received."""
    return connection.recv_into(buffer, len(buffer), socket.MSG_WAITALL)


def check(correct: bool) -> None:  # noqa: FBT001 # like assert
    """Raise RuntimeError unless the answer is correct."""
    if not correct:
        raise RuntimeError("the answer is wrong")


def processor_time(pid: int) -> float:
    """Return the processor time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shares(numbers: list[int], readers: int) -> list[list[int]]:
    """Divide blocks into one run for each reader."""
    each = len(numbers) // readers
    return [numbers[start : start + each] for start in range(0, each * readers, each)]


def measure(bare: Bare, served: Served, rounds: int) -> None:
    """Compare both in turn, and print the results."""
    print(f"{'':36} {'service/bare':>12} {'spread':>12} {'service':>12} {'bare':>12}")
    apart = random.sample(range(0, BLOCKS, 2), BLOCKS // 2)
    pids = (served.pid, os.getpid())
    for order, numbers in {"apart": apart, "in order": list(range(BLOCKS))}.items():
        for readers in (1, 4):
            times, spent = [], []
            for _ in range(rounds):
                before = [processor_time(pid) for pid in pids]
                ours = served.read(numbers, readers)
                between = [processor_time(pid) for pid in pids]
                times.append([ours, bare.read(numbers, readers)])
                spent.append([between[0] - before[0], processor_time(os.getpid()) - between[1]])
            rates = [[len(numbers) * BLOCK / one / 1e6 for one in pair] for pair in times]
            show(f"blocks {order}, readers: {readers}", rates, "MB/s")
            each = [[one * 1000 / len(numbers) for one in pair] for pair in spent]
            show("  processor time a block", each, "ms")
    first = [[1000 * way.first_byte(number) for way in (served, bare)] for number in apart * rounds]
    show("a cold block's first byte", first, "ms")


def show(title: str, pairs: list[list[float]], unit: str) -> None:
    """Print a line of medians."""
    ratios = sorted(one / other for one, other in pairs)
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
    print(
        f"{title:36} {statistics.median(ratios):12.2f} {spread:>12} {ours:7.1f} {unit:4} "
        f"{theirs:7.1f} {unit}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
