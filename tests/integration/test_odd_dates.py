"""Files with unusual modification times are served and listed like any other."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time_ns

import pytest
from support.raw_http import ask, url_of
from support.server import Server, content, serve, until, write

from service.protocol.revisions import FILE_REVISION

DATA = content(5000)

YESTERDAY = time_ns() - 24 * 3600 * 10**9

# Nanoseconds since 1970; the last ones are outside any calendar.
TIMES = [
    *(-(10**27), -62_135_596_800_000_000_001, -11_644_473_600 * 10**9, -3_600 * 10**9, -1, 0, 1),
    *(2**31 * 10**9, 2**32 * 10**9, 15_032_385_535 * 10**9, 253_402_300_800 * 10**9, 10**27),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Serve files from memory where Linux offers it: such a folder keeps every time exactly."""
    memory = Path("/dev/shm")  # noqa: S108 # a file system, not a file's name
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        for time in TIMES:
            file = write(folder / "media", f"{time}.mp4", DATA)
            os.utime(file, ns=(time, time))
        with serve(folder / "media") as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("time", TIMES)
def test_a_file_of_any_date_has_a_revision_of_its_own(server: Server, time: int) -> None:
    target = url_of("media", f"{time}.mp4")
    answer = ask(server.base, target)
    assert (answer.status, answer.body) == (200, DATA)
    revision = answer.headers["ETag"].strip('"')
    assert re.fullmatch(FILE_REVISION, revision)
    pinned = ask(server.base, f"{target}?v={revision}", {"Range": "bytes=5-9"})
    assert (pinned.status, pinned.body) == (206, DATA[5:10])
    # RFC 9110 §8.8.2.1: the date must not be in the future.
    modified = parsedate_to_datetime(answer.headers["Last-Modified"])
    assert modified <= parsedate_to_datetime(answer.headers["Date"])
    by_revision = ask(server.base, target, {"If-None-Match": answer.headers["ETag"]})
    assert by_revision.status == 304
    # A date in the future is replaced by the date of the response, which is another one a second
    # later: only a date in the past proves anything about the file.
    if time <= YESTERDAY:
        by_date = ask(server.base, target, {"If-Modified-Since": answer.headers["Last-Modified"]})
        assert by_date.status == 304


@pytest.mark.parametrize("time", TIMES)
def test_a_file_of_any_date_has_a_page(server: Server, time: int) -> None:
    path = f"{time}.mp4"
    until(lambda: ask(server.base, f"/api/videos/{path}").status == 200 or None, "it is listed")
    assert ask(server.base, f"/watch/{path}", {"Accept": "text/html"}).status == 200
    assert isinstance(json.loads(ask(server.base, f"/api/videos/{path}").body)["modified"], float)


def test_files_of_all_dates_are_sorted_by_date(server: Server) -> None:
    listing = json.loads(ask(server.base, "/api/videos?sort=date&limit=200").body)["videos"]
    times = [video["modified"] for video in listing]
    assert len(times) == len(TIMES)
    assert times in (sorted(times), sorted(times, reverse=True))
