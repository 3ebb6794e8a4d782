"""Long films that are copied, or get sound, and are also sent as fragments of that."""

import json
import random
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support.chromium import flawless
from support.ffmpeg_fixtures import ffmpeg
from support.long_film import (
    FAST_LOOPS,
    FAST_RATE,
    LENGTH,
    LOOPS,
    check_playback,
    make_long_film,
    make_long_transport_stream,
    segments,
)
from support.raw_http import ask
from support.remuxed_files import TOLERANCE, packets
from support.representations import check_ranges
from support.server import Server, serve, until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "representation", "loops"),
    [
        ("silent.mkv", "with_sound", FAST_LOOPS),  # six minutes of sound
        ("long.ts", "copied", 2 * LOOPS),
    ],
)
def test_a_film_that_was_made_has_fragments(
    tmp_path: Path, browser: Browser, name: str, representation: str, loops: int
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    if name == "long.ts":
        make_long_transport_stream(folder / name)
    else:
        fast = make_long_film(tmp_path / "fast.mkv", FAST_RATE, FAST_LOOPS)
        ffmpeg(folder / name, "-i", fast, "-c:v", "copy", "-c:a", "ac3", "-b:a", "32k")

    def made(server: Server) -> Any:
        item = json.loads(ask(server.base, f"/api/videos/{name}").body)
        return item if item.get("representation") == representation else None

    with serve(folder) as server:
        # The worker has only the time that nobody else needs.
        item = until(partial(made, server), "it is made", timeout=3600)
        form = item["fragments"]
        assert form["url"].startswith(f"/media/{name}?v={item['revision']}-h")
        assert form["type"].endswith('mp4a.40.2"')
        whole, data = ask(server.base, item["media_url"]).body, ask(server.base, form["url"]).body
        head = data[: form["head"]]
        found = segments(head)
        assert len(found) == pytest.approx(LENGTH * loops, abs=1)
        for index in (0, 1):
            of_form, of_film = (packets(BytesIO(film), index) for film in (data, whole))
            assert [p.digest for p in of_form] == [p.digest for p in of_film]
            apart = [abs(a.time - b.time) for a, b in zip(of_form, of_film, strict=True)]
            assert max(apart) <= TOLERANCE
        for segment in random.Random(4).sample(found, 8):  # noqa: S311 # no secrets
            part = head + data[segment.start : segment.end]
            pictures, sounds = (packets(BytesIO(part), index) for index in (0, 1))
            assert pictures[0].is_key
            # Players find the sound of a picture in its segment, or in the one before.
            assert abs(sounds[0].time - pictures[0].time) < 1.0
        check_ranges(server.base, form["url"], data)
        with flawless(browser, server.base) as page:
            page.goto(item["watch_url"])
            check_playback(page, loops)
    with serve(folder) as server:  # a pin is enough
        assert ask(server.base, form["url"]).body == data
        other = form["url"][:-1] + ("0" if form["url"][-1] != "0" else "1")
        assert ask(server.base, other).status == 410
