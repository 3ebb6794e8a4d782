"""A thousand files that come at once: viewers are answered as ever, and each is probed once."""

import itertools
import json
import random
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.ffmpeg_fixtures import AAC, SOUND, ffmpeg
from support.raw_http import ask, connect, url_of
from support.server import BLOCK, SIZE, Server, content, serve, until, write

CROWD = 1000
SEEN = 150  # probed while viewers are there, for whom the service takes its time
WATCHED = "watched.mp4"
VIEWERS = 4
A_ROUND = 25  # spans that a viewer asks for between two looks at how far the service has come
OFTEN = "5"  # seconds between scans: the watch may begin a moment after the server is ready


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a film that there is nothing to derive from but its metadata: one of sound."""
    file = tmp_path_factory.mktemp("clip") / "clip.m4a"
    return ffmpeg(file, *SOUND, *AAC).read_bytes()


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Give a library of one file that is watched."""
    folder = tmp_path / "media"
    folder.mkdir()
    write(folder, WATCHED, content())
    return folder


@pytest.fixture
def crowd(tmp_path: Path, clip: bytes) -> Path:
    """Make the files beside the library, in folders of a hundred."""
    for number in range(CROWD):
        write(tmp_path / "crowd", f"{number // 100}/{number:04}.m4a", clip)
    return tmp_path / "crowd"


def watch(server: Server, seed: int) -> list[str]:
    """Ask for spans on one connection; tell which were answered wrongly."""
    choose, wrong, whole = random.Random(seed), [], content()  # noqa: S311 # no secret
    connection = connect(server.base)
    for _ in range(A_ROUND):
        first = choose.randrange(SIZE)
        asked = first + choose.randrange(65536)
        last = min(asked, SIZE - 1, (first // BLOCK + 1) * BLOCK - 1)  # to the block's end at most
        headers = {"Range": f"bytes={first}-{asked}"}
        connection.request("GET", url_of("media", WATCHED), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        told = answer.headers["Content-Range"]
        if (answer.status, told, body) != (
            206,
            f"bytes {first}-{last}/{SIZE}",
            whole[first : last + 1],
        ):
            wrong.append(f"{first}-{asked}: {answer.status}, {told}, {len(body)} bytes")
    connection.close()
    return wrong


def probers(server: Server) -> set[int]:
    """Find the processes that probe."""
    listing = subprocess.run(
        ["ps", "-o", "pid=,stat=,args=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    rows = [line.split() for line in listing.splitlines()]
    return {
        int(pid)
        for pid, state, *command in rows
        if command[-1].endswith("worker") and not state.startswith("Z")
    }


def listed(server: Server) -> Iterator[dict[str, Any]]:
    """Give every video of the listing, page after page."""
    target = "/api/videos?limit=200"
    while target:
        page = json.loads(ask(server.base, target).body)
        yield from page["videos"]
        target = page["next_url"]


@pytest.mark.slow
def test_a_thousand_files_added_at_once_are_probed_one_by_one_while_viewers_are_answered(
    media: Path, crowd: Path
) -> None:
    expected = {f"crowd/{file.relative_to(crowd)}" for file in crowd.rglob("*.m4a")}
    assert len(expected) == CROWD
    one, pending, done = (
        "reelay_probe_seconds_count",
        'reelay_videos{state="pending"}',
        'reelay_videos{state="probed"}',
    )
    with (
        serve(media, RESCAN_INTERVAL=OFTEN) as server,
        ThreadPoolExecutor(VIEWERS) as viewers,
    ):
        until(lambda: server.metric(one) or None, f"{WATCHED} is probed")
        before, begun = server.metric("reelay_probe_seconds_sum"), time.monotonic()
        crowd.rename(media / "crowd")
        wrong, rounds, seeds = [], 0, itertools.count()

        def look() -> bool | None:
            nonlocal rounds
            for answers in viewers.map(
                lambda seed: watch(server, seed), itertools.islice(seeds, VIEWERS)
            ):
                wrong.extend(answers)
            rounds += server.metric(pending) > 0
            running = probers(server)
            # The one that follows another may begin before that has gone.
            until(lambda: len(running & probers(server)) <= 1 or None, "one process probes")
            return server.metric(one) > SEEN or None

        until(look, "some are probed", timeout=600)
        assert wrong == []
        assert rounds > 0  # some were answered while there was something to probe
        until(lambda: server.metric(done) == CROWD or None, "all are probed", timeout=600)
        assert {video["path"] for video in listed(server)} == expected | {WATCHED}
        assert server.metric(one) == CROWD + 1
        # What is done one by one takes no more in all than has gone by.
        assert server.metric("reelay_probe_seconds_sum") <= time.monotonic() - begun + before

    with serve(media, RESCAN_INTERVAL=OFTEN) as server:
        assert {video["path"] for video in listed(server)} == expected | {WATCHED}
        assert server.metric(done) == CROWD
        assert server.metric(one) == 0
