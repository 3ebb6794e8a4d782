"""Many clients at once that behave like players and download managers and check every byte."""

import contextlib
import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from support.raw_http import connect

CHUNK = 64 * 1024


@dataclass
class Film:
    """What clients request, and the bytes that they must get."""

    target: str
    """The path below the route: `film.mp4`, with `?v=` or without."""
    data: bytes


@dataclass
class Account:
    """What all clients of a crowd count together."""

    answers: int = 0
    received: int = 0
    """Bytes."""
    statuses: list[int] = field(default_factory=list)
    """Those that were not asked for: anything but 200 and 206."""
    broken: list[str] = field(default_factory=list)
    """Answers that ended early, and connections that failed."""
    wrong: list[str] = field(default_factory=list)
    """Bytes that are not the film's."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """First byte and end of what clients got."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def distinct(self) -> int:
        """Return how many bytes at least one client got."""
        total = reached = 0
        for first, end in sorted(self.spans):
            total += max(0, end - max(first, reached))
            reached = max(reached, end)
        return total

    def assert_flawless(self) -> None:
        assert self.answers
        assert (self.wrong, self.statuses, self.broken) == ([], [], [])


class Client:
    """One client with one connection, which it opens again when it breaks."""

    def __init__(self, base: str, film: Film, account: Account, rate: float | None = None) -> None:
        self._base, self._film, self._account, self._rate = base, film, account, rate
        self._connection: http.client.HTTPConnection | None = None
        self._etag = ""

    def fetch(self, route: str, headers: dict[str, str], most: int | None = None) -> int:
        """Send one request, read at most `most` bytes, and return the offset where they ended."""
        if self._connection is None:
            self._connection = connect(self._base)
        position = _first(headers.get("Range"))
        try:
            self._connection.request("GET", f"/{route}/{self._film.target}", headers=headers)
            response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._fail(f"no answer: {error!r}")
            return position
        if response.status not in {200, 206}:
            response.read()
            with self._account.lock:
                self._account.statuses.append(response.status)
            time.sleep(0.2)
            return position
        self._etag = response.headers["ETag"]
        first = position if response.status == 206 else 0
        whole = int(response.headers["Content-Length"])
        wanted = whole if most is None else min(most, whole)
        taken = self._read(response, first, wanted)
        if taken < wanted:
            self._fail(f"ended after {taken} of {whole} bytes")
        elif taken < whole:
            self.close()  # the viewer leaves
        with self._account.lock:
            self._account.answers += 1
            self._account.received += taken
            self._account.spans.append((first, first + taken))
        return first + taken

    def _read(self, response: http.client.HTTPResponse, first: int, wanted: int) -> int:
        taken, started, film = 0, time.monotonic(), memoryview(self._film.data)
        while taken < wanted:
            try:
                piece = response.read(min(CHUNK, wanted - taken))
            except (OSError, http.client.HTTPException):
                break
            if not piece:
                break
            place = first + taken
            if film[place : place + len(piece)] != piece:
                self._note_wrong(place, bytes(piece), response)
            taken += len(piece)
            if self._rate:
                time.sleep(max(0.0, taken / self._rate - (time.monotonic() - started)))
        return taken

    def download(self) -> None:
        """Fetch the whole film, and resume after breaks as `curl -C -` does."""
        position = self.fetch("download", {})
        for _ in range(200):
            if position >= len(self._film.data):
                return
            position = self.fetch("download", {"Range": f"bytes={position}-"})
        self._fail("never came to the end")

    def play(self, start: int, amount: int, leaves: Callable[[], bool] = lambda: False) -> None:
        """Watch from an offset: `bytes=N-` and `bytes=N-LAST` with If-Range, alternately."""
        position, end = start, min(start + amount, len(self._film.data))
        closed = False
        for _ in range(2000):
            if position >= end:
                return
            headers = {"Range": f"bytes={position}-"}
            if closed and self._etag:
                last = len(self._film.data) - 1
                headers = {"Range": f"bytes={position}-{last}", "If-Range": self._etag}
            most = end - position
            if leaves():
                most = min(most, CHUNK)
                end = position + most
            position = self.fetch("media", headers, most)
            closed = not closed
        self._fail("never came to the end")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _note_wrong(self, place: int, piece: bytes, response: http.client.HTTPResponse) -> None:
        """Record what may tell where wrong bytes come from."""
        wanted = self._film.data[place : place + len(piece)]
        first = next(
            at for at, pair in enumerate(zip(piece, wanted, strict=False)) if len({*pair}) > 1
        )
        stands = self._film.data.find(piece[first : first + 64])
        told = {name: response.headers[name] for name in ("Content-Range", "ETag", "X-Cache")}
        with self._account.lock:
            self._account.wrong.append(
                f"{self._film.target}: {len(piece)} bytes at {place}, wrong from {place + first}:"
                f" {piece[first : first + 16]!r}, which stand at {stands}; {response.status} {told}"
            )

    def _fail(self, what: str) -> None:
        with self._account.lock:
            self._account.broken.append(what)
        self.close()
        time.sleep(0.2)


def _first(value: str | None) -> int:
    return int(value.removeprefix("bytes=").partition("-")[0]) if value else 0


@contextlib.contextmanager
def crowd(works: Sequence[Callable[[], None]]) -> Iterator[Callable[[], int]]:
    """Run all clients at once; return how many did not finish in time."""
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(work) for work in works]
        yield lambda: sum(not future.done() for future in futures)
        for future in futures:
            future.result()


def seeks(film: Film, seed: int, number: int) -> list[int]:
    """Return offsets to watch from; the first is where a viewer starts."""
    chance = random.Random(seed)  # noqa: S311
    return [chance.randrange(len(film.data)) for _ in range(number)]
