"""A thousand files added at once: viewers are served meanwhile, and each file is probed once."""

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
PROBED = 150  # probed while viewers are active, which slows probing
WATCHED = "watched.mp4"
VIEWERS = 4
RANGES = 25  # ranges that a viewer requests between two checks of the progress
INTERVAL = "5"  # seconds between scans: the watch may start shortly after the server is ready


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make an audio file, from which only metadata is derived."""
    file = tmp_path_factory.mktemp("clip") / "clip.m4a"
    return ffmpeg(file, *SOUND, *AAC).read_bytes()


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Return a library with one file, which viewers request."""
    folder = tmp_path / "media"
    folder.mkdir()
    write(folder, WATCHED, content())
    return folder


@pytest.fixture
def crowd(tmp_path: Path, clip: bytes) -> Path:
    """Create the files outside the library, in folders of a hundred."""
    for number in range(CROWD):
        write(tmp_path / "crowd", f"{number // 100}/{number:04}.m4a", clip)
    return tmp_path / "crowd"


def watch(server: Server, seed: int) -> list[str]:
    """Request ranges on one connection; return a description of each wrong response."""
    choose, wrong, data = random.Random(seed), [], content()  # noqa: S311 # no secret
    connection = connect(server.base)
    for _ in range(RANGES):
        first = choose.randrange(SIZE)
        requested = first + choose.randrange(65536)
        last = min(requested, SIZE - 1, (first // BLOCK + 1) * BLOCK - 1)  # within the block
        headers = {"Range": f"bytes={first}-{requested}"}
        connection.request("GET", url_of("media", WATCHED), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        content_range = answer.headers["Content-Range"]
        if (answer.status, content_range, body) != (
            206,
            f"bytes {first}-{last}/{SIZE}",
            data[first : last + 1],
        ):
            wrong.append(
                f"{first}-{requested}: {answer.status}, {content_range}, {len(body)} bytes"
            )
    connection.close()
    return wrong


def probe_processes(server: Server) -> set[int]:
    """Return the process identifiers of the probe workers."""
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


def listed_videos(server: Server) -> Iterator[dict[str, Any]]:
    """Yield every video of the listing, page by page."""
    target = "/api/videos?limit=200"
    while target:
        page = json.loads(ask(server.base, target).body)
        yield from page["videos"]
        target = page["next_url"]


@pytest.mark.slow
def test_a_thousand_new_files_are_probed_in_turn_while_viewers_are_served(
    media: Path, crowd: Path
) -> None:
    expected = {f"crowd/{file.relative_to(crowd)}" for file in crowd.rglob("*.m4a")}
    assert len(expected) == CROWD
    probes, pending, done = (
        "reelay_probe_seconds_count",
        'reelay_videos{state="pending"}',
        'reelay_videos{state="probed"}',
    )
    with (
        serve(media, RESCAN_INTERVAL=INTERVAL) as server,
        ThreadPoolExecutor(VIEWERS) as viewers,
    ):
        until(lambda: server.metric(probes) or None, f"{WATCHED} is probed")
        before, begun = server.metric("reelay_probe_seconds_sum"), time.monotonic()
        crowd.rename(media / "crowd")
        wrong, rounds, seeds = [], 0, itertools.count()

        def enough_are_probed() -> bool | None:
            nonlocal rounds
            for answers in viewers.map(
                lambda seed: watch(server, seed), itertools.islice(seeds, VIEWERS)
            ):
                wrong.extend(answers)
            rounds += server.metric(pending) > 0
            running = probe_processes(server)
            # One worker may start shortly before its predecessor has ended.
            until(lambda: len(running & probe_processes(server)) <= 1 or None, "one process probes")
            return server.metric(probes) > PROBED or None

        until(enough_are_probed, "some are probed", timeout=600)
        assert wrong == []
        assert rounds > 0  # some requests were served while files were waiting for a probe
        until(lambda: server.metric(done) == CROWD or None, "all are probed", timeout=600)
        assert {video["path"] for video in listed_videos(server)} == expected | {WATCHED}
        assert server.metric(probes) == CROWD + 1
        # Probes in turn take at most the elapsed time.
        assert server.metric("reelay_probe_seconds_sum") <= time.monotonic() - begun + before

    with serve(media, RESCAN_INTERVAL=INTERVAL) as server:
        assert {video["path"] for video in listed_videos(server)} == expected | {WATCHED}
        assert server.metric(done) == CROWD
        assert server.metric(probes) == 0
