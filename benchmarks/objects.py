"""What the service adds to an object store: against a bare loop of the same ranged GETs.

    .venv/bin/python benchmarks/objects.py [--rounds N] [--blocks N]

Starts OpenStack Swift (tests/object_store.py) and a service over it, and reads a film by its blocks
in turns: by obstore itself, as fast as it goes, and by HTTP from the service, which has none of the
blocks. In order, and every other block in any order, so that nothing is read ahead; by one reader
and by four. Prints the median of the rounds' ratios, service to bare, with their spread, and the
processor time that a block takes the service and the bare loop; then a cold block's first byte.
"""

import argparse
import asyncio
import http.client
import os
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "tests"))

from object_store import Bucket, Swift  # noqa: E402
from server import Server, serve  # noqa: E402

BLOCK = 4 * 1024**2
HELD = 4 * BLOCK
"""What the service holds: so few that a film read again is cold again."""
FILM = "film.ts"


def main() -> int:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        swift = Swift(Path(folder))
        try:
            swift.start()
            bucket = swift.bucket()
            tag = bucket.put(FILM, os.urandom(options.blocks * BLOCK))
            with serve(
                Path(folder) / "media",
                MEDIA=bucket.url,
                MAX_PARTIAL_SIZE=str(BLOCK),
                BLOCK_CACHE=str(HELD),
                environ=bucket.environ(),
            ) as server:
                measure(Bare(bucket, f'"{tag}"'), Served(server), options)
        finally:
            swift.stop()
    return 0


class Bare:
    """Ranged GETs by the client of the store, and nothing else."""

    def __init__(self, bucket: Bucket, tag: str) -> None:
        self._store = bucket.store
        self._tag = tag
        self._runner = asyncio.Runner()

    def read(self, numbers: list[int], readers: int) -> float:
        """Read these blocks; give the seconds that it took."""

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
        """Give the seconds to the first bytes of a block; then take the others."""

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
    """The same by way of the service."""

    def __init__(self, server: Server) -> None:
        self._host = urlsplit(server.base).netloc
        self.pid = server.process.pid
        connection = http.client.HTTPConnection(self._host)
        connection.request("HEAD", f"/media/{FILM}")
        answer = connection.getresponse()
        answer.read()
        self._target = f"/media/{FILM}?v={answer.headers['ETag'].strip(chr(34))}"
        connection.close()

    def read(self, numbers: list[int], readers: int) -> float:
        """Read these blocks; give the seconds that it took."""

        def read_some(own: list[int]) -> None:
            connection = http.client.HTTPConnection(self._host)
            buffer = bytearray(1024**2)
            for number in own:
                answer = self._ask(connection, number)
                length = 0
                while got := answer.readinto(buffer):
                    length += got
                check(length == BLOCK)
            connection.close()

        started = time.perf_counter()
        with ThreadPoolExecutor(readers) as threads:
            list(threads.map(read_some, shares(numbers, readers)))
        return time.perf_counter() - started

    def first_byte(self, number: int) -> float:
        """Give the seconds to the first bytes of a block; then take the others."""
        connection = http.client.HTTPConnection(self._host)
        connection.connect()
        started = time.perf_counter()
        answer = self._ask(connection, number)
        check(len(answer.read(1)) == 1)
        took = time.perf_counter() - started
        answer.read()
        connection.close()
        return took

    def _ask(self, connection: http.client.HTTPConnection, number: int) -> http.client.HTTPResponse:
        headers = {"Range": f"bytes={number * BLOCK}-{(number + 1) * BLOCK - 1}"}
        connection.request("GET", self._target, headers=headers)
        answer = connection.getresponse()
        check(answer.status == http.HTTPStatus.PARTIAL_CONTENT)
        return answer


def check(right: bool) -> None:  # noqa: FBT001 # as assert has it
    """Raise RuntimeError for what must not be measured."""
    if not right:
        raise RuntimeError("the answer is not what was asked for")


def processor_time(pid: int) -> float:
    """Give the seconds of a process's, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shares(numbers: list[int], readers: int) -> list[list[int]]:
    """Deal blocks out: to each reader a run of them."""
    each = len(numbers) // readers
    return [numbers[start : start + each] for start in range(0, each * readers, each)]


def measure(bare: Bare, served: Served, options: argparse.Namespace) -> None:
    """Compare in turns, and print."""
    blocks = list(range(options.blocks))
    print(f"{'':36} {'service/bare':>12} {'spread':>12} {'service':>12} {'bare':>12}")
    for order, some in {"in order": blocks, "apart, in any order": blocks[::2]}.items():
        for readers in (1, 4):
            times, spent = [], []
            for _ in range(options.rounds):
                numbers = some if some is blocks else random.sample(some, len(some))
                pids = (served.pid, os.getpid())
                before = [processor_time(pid) for pid in pids]
                ours = served.read(numbers, readers)
                between = processor_time(os.getpid())
                after = processor_time(served.pid)
                times.append([ours, bare.read(numbers, readers)])
                spent.append([after - before[0], processor_time(os.getpid()) - between])
            rates = [[len(some) * BLOCK / one / 1e6 for one in pair] for pair in times]
            show(f"blocks {order}, readers: {readers}", rates, "MB/s")
            each = [[one * 1000 / len(some) for one in pair] for pair in spent]
            show("  processor time a block", each, "ms")
    apart = blocks[::2] * options.rounds  # more of them than the service holds
    first = [[1000 * way.first_byte(number) for way in (served, bare)] for number in apart]
    show("a cold block's first byte", first, "ms")


def show(what: str, pairs: list[list[float]], unit: str) -> None:
    """Print a line of medians."""
    ratios = sorted(one / other for one, other in pairs)
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
    print(
        f"{what:36} {statistics.median(ratios):12.2f} {spread:>12} {ours:7.1f} {unit:4} "
        f"{theirs:7.1f} {unit}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
