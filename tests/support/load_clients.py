"""Many concurrent clients that act as players and download managers and check every byte."""

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
    """A film that clients request, and its bytes."""

    target: str
    """The path below the route: `film.mp4`, with `?v=` or without."""
    data: bytes


@dataclass
class Account:
    """Results of all clients of a crowd."""

    answers: int = 0
    received: int = 0
    """Bytes."""
    statuses: list[int] = field(default_factory=list)
    """Unexpected statuses: all except 200 and 206."""
    broken: list[str] = field(default_factory=list)
    """Truncated answers and failed connections."""
    wrong: list[str] = field(default_factory=list)
    """Descriptions of bytes that differ from the film."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """First byte and end of each answer that clients received."""
    readers: set[int] = field(default_factory=set)
    """Threads whose client has received the first bytes of an answer."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def distinct(self) -> int:
        """Return the number of distinct bytes that clients received."""
        total = reached = 0
        for first, end in sorted(self.spans):
            total += max(0, end - max(first, reached))
            reached = max(reached, end)
        return total

    def assert_flawless(self) -> None:
        assert self.answers
        assert (self.wrong, self.statuses, self.broken) == ([], [], [])


class Client:
    """A client with one connection, which it reopens after a failure."""

    def __init__(self, base: str, film: Film, account: Account, rate: float | None = None) -> None:
        self._base, self._film, self._account, self._rate = base, film, account, rate
        self._connection: http.client.HTTPConnection | None = None
        self._etag = ""

    def fetch(self, route: str, headers: dict[str, str], limit: int | None = None) -> int:
        """Send one request, read at most `limit` bytes, and return the offset where they end."""
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
        wanted = whole if limit is None else min(limit, whole)
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
        taken, started, film = 0, time.monotonic(), self._film.data
        while taken < wanted:
            try:
                chunk = response.read(min(CHUNK, wanted - taken))
            except (OSError, http.client.HTTPException):
                break
            if not chunk:
                break
            if taken == 0:
                with self._account.lock:
                    self._account.readers.add(threading.get_ident())
            offset = first + taken
            if not film.startswith(chunk, offset):
                self._record_wrong(offset, bytes(chunk), response)
            taken += len(chunk)
            if self._rate:
                time.sleep(max(0.0, taken / self._rate - (time.monotonic() - started)))
        return taken

    def download(self) -> None:
        """Fetch the whole film; resume after failures as `curl -C -` does."""
        position = self.fetch("download", {})
        for _ in range(200):
            if position >= len(self._film.data):
                return
            position = self.fetch("download", {"Range": f"bytes={position}-"})
        self._fail("the end was not reached")

    def play(self, start: int, amount: int, leaves: Callable[[], bool] = lambda: False) -> None:
        """Watch from an offset with `bytes=N-` and `bytes=N-LAST` with If-Range in turn."""
        position, end = start, min(start + amount, len(self._film.data))
        closed = False
        for _ in range(2000):
            if position >= end:
                return
            headers = {"Range": f"bytes={position}-"}
            if closed and self._etag:
                last = len(self._film.data) - 1
                headers = {"Range": f"bytes={position}-{last}", "If-Range": self._etag}
            limit = end - position
            if leaves():
                limit = min(limit, CHUNK)
                end = position + limit
            position = self.fetch("media", headers, limit)
            closed = not closed
        self._fail("the end was not reached")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _record_wrong(self, offset: int, chunk: bytes, response: http.client.HTTPResponse) -> None:
        """Record details that help to find the source of wrong bytes."""
        wanted = self._film.data[offset : offset + len(chunk)]
        first = next(
            at for at, pair in enumerate(zip(chunk, wanted, strict=False)) if len({*pair}) > 1
        )
        position = self._film.data.find(chunk[first : first + 64])
        fields = {name: response.headers[name] for name in ("Content-Range", "ETag", "X-Cache")}
        with self._account.lock:
            self._account.wrong.append(
                f"{self._film.target}: {len(chunk)} bytes at {offset}, wrong from {offset + first}:"
                f" {chunk[first : first + 16]!r}, whose offset is {position};"
                f" {response.status} {fields}"
            )

    def _fail(self, reason: str) -> None:
        with self._account.lock:
            self._account.broken.append(reason)
        self.close()
        time.sleep(0.2)


def _first(value: str | None) -> int:
    return int(value.removeprefix("bytes=").partition("-")[0]) if value else 0


@contextlib.contextmanager
def crowd(works: Sequence[Callable[[], None]]) -> Iterator[Callable[[], int]]:
    """Run all clients; yield a function that returns how many have not finished."""
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(work) for work in works]
        yield lambda: sum(not future.done() for future in futures)
        for future in futures:
            future.result()


def seeks(film: Film, seed: int, number: int) -> list[int]:
    """Return offsets to watch from; the viewer starts at the first one."""
    chance = random.Random(seed)  # noqa: S311
    return [chance.randrange(len(film.data)) for _ in range(number)]
