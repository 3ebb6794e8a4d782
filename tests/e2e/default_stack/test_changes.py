"""Files change while clients read them; no answer mixes bytes of two versions."""

import http.client
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from support.http_contract import Origin
from support.load_clients import crowd
from support.raw_http import connect
from support.server import BLOCK, until, write

pytestmark = [pytest.mark.slow, pytest.mark.stack]

CLIENTS = 20
SIZE = 5 * BLOCK + 4321


def rename(file: Path, new: bytes) -> None:
    write(file.parent, f".{file.name}.part", new, age=0)
    (file.parent / f".{file.name}.part").replace(file)


def truncate(file: Path, new: bytes) -> None:
    os.truncate(file, len(new))


def rewrite(file: Path, new: bytes) -> None:
    """Overwrite the file in place, chunk by chunk, without a temporary file."""
    with file.open("r+b") as stream:
        for start in range(0, len(new), BLOCK // 2):
            stream.write(new[start : start + BLOCK // 2])
            stream.flush()
            time.sleep(0.1)


class Bytes:
    """The bytes that clients received for each entity tag."""

    def __init__(self, versions: dict[str, bytes]) -> None:
        self.versions = versions
        self.mixed: list[str] = []
        self.answers = 0
        self._seen: dict[str, dict[int, bytes]] = {}
        self._lock = threading.Lock()

    def take(self, etag: str, first: int, data: bytes) -> None:
        with self._lock:
            self.answers += 1
            version = self.versions.get(etag)
            if version is not None:
                if version[first : first + len(data)] != data:
                    self.mixed.append(f"{etag} at {first}: bytes of another version")
                return
            # An intermediate state of a file: its bytes are unknown, but they must be the same for
            # all clients.
            seen = self._seen.setdefault(etag, {})
            for offset in range(0, len(data) - 4096, 4096):
                position = first + offset
                if position % 4096 == 0:
                    page = data[offset : offset + 4096]
                    if seen.setdefault(position, page) != page:
                        self.mixed.append(f"{etag} at {position}: two answers differ")


@contextmanager
def downloading(origin: Origin, target: str, seen: Bytes) -> Iterator[None]:
    over = False

    def read(number: int) -> None:
        chance = random.Random(number)  # noqa: S311
        while not over:
            first = chance.randrange(SIZE)
            route, span = ("download", f"bytes={first // 4096 * 4096}-")
            if number % 2:
                route, span = "media", f"bytes={first // BLOCK * BLOCK}-"
            connection = connect(origin.base, timeout=30)
            try:
                connection.request("GET", f"/{route}/{target}", headers={"Range": span})
                response = connection.getresponse()
                data = b""
                try:
                    while chunk := response.read(256 * 1024):
                        data += chunk
                        time.sleep(0.02)  # so that the change falls into answers in progress
                except http.client.IncompleteRead as error:
                    data += error.partial
                if response.status == 206:
                    first = int(response.headers["Content-Range"][6:].partition("-")[0])
                    seen.take(response.headers["ETag"], first, data)
            except TimeoutError:
                raise  # a client hangs
            except (OSError, http.client.HTTPException):
                pass  # truncated, as expected
            finally:
                connection.close()

    with crowd([partial(read, number) for number in range(CLIENTS)]):
        try:
            yield
        finally:
            over = True


@pytest.mark.parametrize("change", [rename, truncate, rewrite])
def test_no_answer_mixes_two_versions(
    origin: Origin, change: Callable[[Path, bytes], None]
) -> None:
    old = secrets.token_bytes(SIZE)
    new = old[: 2 * BLOCK + 99] if change is truncate else secrets.token_bytes(SIZE)
    file = write(origin.media, f"changing-{change.__name__}.mp4", old)

    def etag() -> str:
        return str(origin.get(f"/media/{file.name}", "HEAD").headers["ETag"])

    before = etag()
    pinned = f"/media/{file.name}?v={before.strip(chr(34))}"
    assert origin.get(pinned, Range="bytes=0-").body == old[:BLOCK]  # now this block is cached
    seen = Bytes({before: old})
    with downloading(origin, file.name, seen):
        time.sleep(1)
        change(file, new)
        # Unpinned URLs serve only the new version immediately.
        after = etag()
        assert after != before
        seen.versions[after] = new
        for span, body in [("0-", new[:BLOCK]), ("100-", new[100:BLOCK]), ("5-99", new[5:100])]:
            answer = origin.get(f"/media/{file.name}", Range=f"bytes={span}")
            assert (answer.headers["ETag"], answer.body) == (after, body)
        assert origin.get(f"/download/{file.name}").body == new
        time.sleep(3)
    assert seen.mixed == []
    assert seen.answers > CLIENTS
    # Old pinned URLs: the edge may serve cached blocks; others are 410.
    assert origin.get(pinned, Range="bytes=0-").body == old[:BLOCK]
    fresh = write(origin.media, f"uncached-{change.__name__}.mp4", old)
    tag = origin.get(f"/media/{fresh.name}", "HEAD").headers["ETag"].strip('"')
    change(fresh, new)
    for span in ("0-", "7-", "9-99"):
        answer = origin.get(f"/media/{fresh.name}?v={tag}", Range=f"bytes={span}")
        assert answer.status == 410
    until(lambda: etag() == after or None, "the new version stays")
