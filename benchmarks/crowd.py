"""Measure how many players the edge and the service carry, and what happens beyond.

    .venv/bin/python benchmarks/crowd.py [--crowds N,...] [--seconds S] [--megabits M] [--films N]
        [--cpus N] [--delay MS]

Needs a Docker engine. Runs crowds of players through the edge. Each player opens a film by Zipf's
law with a request for its first bytes, goes on anywhere, keeps 20 s of it buffered, and plays at
the film's bit rate; it seeks and pauses now and then, and leaves for another film. All share two
cores with the stack. With --cpus the edge has a part of a core: so the players do not run short
of processor time before it does.

Prints for each crowd how many players had begun their film; what they got; how much of their time
they had nothing to play, also after seeks; the time to the first byte of a request; refusals with
`Retry-After`, other refusals and broken connections; cores that the edge, the service and the
players took; and memory per player.
"""

import argparse
import asyncio
import random
import resource
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import uvloop

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from cache_writes import usage  # noqa: E402
from film import write_film  # noqa: E402
from support.container_memory import private_memory  # noqa: E402
from support.stack import Stack, docker, running  # noqa: E402

BLOCK = 4 * 1024**2
FILM = 16 * BLOCK
HEADER = 64 * 1024
"""Bytes of a film that a player reads first, wherever it goes on."""
ZIPF = 0.8
"""As in benchmarks/scaling.py."""
BUFFERED = 20.0  # seconds that a player keeps ahead
SEEK, PAUSE, LEAVE = 0.02, 0.02, 0.02
"""Probabilities after each response."""
PAUSED = 5.0  # seconds
RAMP = 10.0  # seconds in which players arrive


@dataclass
class Results:
    """What all players of a crowd saw."""

    received: int = 0
    waiting: list[float] = field(default_factory=list)
    """At moments half a second apart: the share of those who play that had nothing to play."""
    playing: list[int] = field(default_factory=list)
    """At these moments: how many played. The others had not begun."""
    first_bytes: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """By status; with a star if there was no Retry-After."""
    broken: int = 0


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--crowds", default="100,200,400,600,800")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--megabits", type=float, default=6)
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--cpus", type=float, help="processors that the edge may use")
    parser.add_argument("--delay", type=int, default=50, help="REELAY_OVERLOAD_DELAY of the edge")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        media.chmod(0o755)
        for number in range(options.films):
            write_film(media / f"film{number}.mp4", FILM)
        settings = {"MAX_PARTIAL_SIZE": str(BLOCK), "OVERLOAD_DELAY": str(options.delay)}
        with running(media, **settings) as stack:
            print(f"{'players':>7} {'play':>6} {'MB/s':>6} {'waiting':>8}"
                  f" {'first byte p50, p99':>20}"
                  f" {'refused':>14} {'broken':>7} {'cores: edge, service, players':>30}"
                  f" {'KiB: edge, service':>20}", flush=True)  # fmt: skip
            if options.cpus:
                docker("update", "--cpus", str(options.cpus), stack.container("nginx")["Id"])
            idle = {name: private_memory(stack, name) for name in ("nginx", "service")}
            for players in map(int, options.crowds.split(",")):
                measure(stack, players, options, idle)
    return 0


def measure(stack: Stack, players: int, options: argparse.Namespace, idle: dict[str, int]) -> None:
    """Run a crowd and print a line."""
    results = Results()
    crowd = Crowd(stack.address("nginx"), options, results)
    names = {name: stack.container(name)["Id"] for name in ("nginx", "service")}
    before: dict[str, float] = {}
    peak = dict.fromkeys(names, 0)

    def begin() -> None:
        before.update({name: usage(id_)[0] for name, id_ in names.items()})
        before["players"] = time.process_time()

    def end() -> None:
        for name, id_ in names.items():
            before[name] = usage(id_)[0] - before[name]
            peak[name] = private_memory(stack, name)
        before["players"] = time.process_time() - before["players"]

    uvloop.run(crowd.watch(players, begin, end))
    waiting = statistics.mean(results.waiting)
    times = sorted(results.first_bytes) or [0.0]
    p99 = times[int(len(times) * 0.99)]
    cores = ", ".join(f"{spent / options.seconds:.2f}" for spent in before.values())
    each = ", ".join(f"{(peak[name] - idle[name]) / 1024 / players:.0f}" for name in names)
    refused = " ".join(f"{status}:{count}" for status, count in results.refused.items()) or "-"
    playing, rate = statistics.mean(results.playing), results.received / options.seconds / 1e6
    print(f"{players:7} {playing:6.0f} {rate:6.0f} {waiting:8.2%}"
          f" {statistics.median(times) * 1e3:9.0f}, {p99 * 1e3:6.0f} ms {refused:>14}"
          f" {results.broken:7} {cores:>30} {each:>20}", flush=True)  # fmt: skip


class Crowd:
    """Players on this machine."""

    def __init__(self, host: str, options: argparse.Namespace, results: Results) -> None:
        self._host, self._results, self._seconds = host, results, options.seconds
        self._rate = options.megabits * 1e6 / 8
        self._weights = list(accumulate((n + 1) ** -ZIPF for n in range(options.films)))
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE
        self._is_measured = False
        self._plays_until: list[float | None] = []
        """Of each player; None until it has begun its film."""

    async def watch(self, players: int, begin: Callable[[], None], end: Callable[[], None]) -> None:
        """Start the players, and measure when all have filled their buffers.

        Call `begin` before the measurement and `end` after it.
        """
        self._plays_until = [None] * players
        tasks = [asyncio.create_task(self._player(number, players)) for number in range(players)]
        await asyncio.sleep(RAMP + BUFFERED / 2)
        begin()
        self._is_measured = True
        for _ in range(round(2 * self._seconds)):
            await asyncio.sleep(0.5)
            now = time.monotonic()
            plays_until = [until for until in self._plays_until if until is not None]
            late = sum(until < now for until in plays_until)
            self._results.waiting.append(late / max(1, len(plays_until)))
            self._results.playing.append(len(plays_until))
        self._is_measured = False
        end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _player(self, number: int, players: int) -> None:
        rng = random.Random(number)  # noqa: S311
        await asyncio.sleep(RAMP * number / players)
        while True:
            film = rng.choices(range(len(self._weights)), cum_weights=self._weights)[0]
            try:
                await self._watch_film(number, f"/media/film{film}.mp4", rng)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                self._results.broken += self._is_measured
                await asyncio.sleep(1)

    async def _watch_film(self, number: int, target: str, rng: random.Random) -> None:
        """Play from anywhere to the end, or until the player leaves."""
        self._plays_until[number] = None
        reader, writer = await asyncio.open_connection(self._host, 8443, ssl=self._tls)
        try:
            position, last = 0, str(HEADER - 1)
            until = 0.0
            while position < FILM:
                asked = time.monotonic()
                writer.write(
                    f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
                    f"Range: bytes={position}-{last}\r\n\r\n".encode()
                )
                length = await self._head(reader, asked)
                if not length:
                    continue
                position += length
                if last:
                    position, last = rng.randrange(FILM), ""
                while length:
                    part = await reader.read(min(length, 1 << 18))
                    if not part:
                        raise asyncio.IncompleteReadError(b"", length)
                    length -= len(part)
                    self._results.received += len(part) * self._is_measured
                    until = max(until, time.monotonic()) + len(part) / self._rate
                    self._plays_until[number] = until
                chance = rng.random()
                if chance < LEAVE:
                    return
                if chance < LEAVE + SEEK:
                    position, until = rng.randrange(FILM), 0.0
                elif chance < LEAVE + SEEK + PAUSE:
                    until += PAUSED
                self._plays_until[number] = until
                await asyncio.sleep(max(0.0, until - time.monotonic() - BUFFERED))
            await asyncio.sleep(max(0.0, until - time.monotonic()))
        finally:
            self._plays_until[number] = None
            writer.transport.abort()

    async def _head(self, reader: asyncio.StreamReader, asked: float) -> int:
        """Return the length of a response; wait and return 0 if it is refused."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, lines = head[9:12], head.split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        length = int(fields["content-length"])
        if status == "206":
            if self._is_measured:
                self._results.first_bytes.append(time.monotonic() - asked)
            return length
        await reader.readexactly(length)
        if self._is_measured:
            self._results.refused[status + ("" if "retry-after" in fields else "*")] += 1
        await asyncio.sleep(float(fields.get("retry-after", 1)))
        return 0


if __name__ == "__main__":
    sys.exit(main())
