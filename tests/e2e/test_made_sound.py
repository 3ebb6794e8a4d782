"""A film with sound that was made for it, through the edge and its cache."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support.chromium import flawless
from support.made_sound import about, clicks_of, complaints, film, picture_hashes
from support.raw_http import ask
from support.representations import check_ranges
from support.server import BLOCK, until
from support.sounds import IN_THE_CENTRE
from support.stack import Stack, running

pytestmark = pytest.mark.stack

PICTURE = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "24", "-pix_fmt", "yuv420p",
           "-b:v", "5M", "-minrate", "5M", "-maxrate", "5M", "-bufsize", "2M",
           "-x264-params", "nal-hrd=cbr")  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "media"
    folder.mkdir()
    return film(folder / "film.mkv", *IN_THE_CENTRE, "-c:a", "ac3", picture=PICTURE)


@pytest.fixture(scope="module")
def stack(file: Path) -> Iterator[Stack]:
    with running(file.parent) as stack:
        yield stack


def described(stack: Stack) -> Any:
    return json.loads(ask(stack.base, "/api/videos/film.mkv").body)


def made(stack: Stack) -> Any:
    until(lambda: described(stack)["representation"] == "with_sound" or None, "the sound is made")
    return described(stack)


def test_every_range_is_exact_from_the_service_and_from_the_cache(stack: Stack, file: Path) -> None:
    url, original = made(stack)["media_url"], file.read_bytes()
    size = int(ask(stack.base, url, {"Range": "bytes=0-0"}).headers["Content-Range"].split("/")[1])
    # Ranges behind the end of the file itself come first, before a block tells the size.
    spans = [(size - 9, size + 99), (len(original) + 5, size - 1)]
    spans += [(0, 0), (BLOCK - 1, BLOCK), (BLOCK, 2 * BLOCK - 1)]
    spans += [(start, start + 7777) for start in range(3, size, size // 23)]
    cold = [ask(stack.base, url, {"Range": f"bytes={first}-{last}"}) for first, last in spans]
    whole = ask(stack.base, url)
    data = whole.body
    assert (whole.status, len(data)) == (200, size)
    assert size > max(3 * BLOCK, len(original))
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+-s[0-9a-f]{16}"', whole.headers["ETag"])
    for (first, last), answer in zip(spans, cold, strict=True):
        warm = ask(stack.base, url, {"Range": f"bytes={first}-{last}"})
        assert warm.headers["X-Cache"] == "HIT", (first, last)
        end = min(last + 1, size, (first // BLOCK + 1) * BLOCK)
        for each in (answer, warm):
            assert (each.status, each.body) == (206, data[first:end]), (first, last)
            assert each.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
    beyond = ask(stack.base, url, {"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert ask(stack.base, "/download/film.mkv").body == original
    # It is the film: its picture is that of the file, and its sound is in sync.
    mp4 = file.with_name(".film.mp4")
    mp4.write_bytes(data)
    assert complaints(mp4) == ""
    assert picture_hashes(mp4) == picture_hashes(file)
    assert clicks_of(mp4) == about(clicks_of(file))


def test_the_table_of_ranges_holds(stack: Stack) -> None:
    url = made(stack)["media_url"]
    data = ask(stack.base, url).body
    check_ranges(stack.base, url, data)


def test_cached_blocks_are_sent_while_the_service_is_down(stack: Stack) -> None:
    url = made(stack)["media_url"]
    data = ask(stack.base, url).body
    stack.compose("stop", "service")
    try:
        for first, last in ((0, BLOCK - 1), (BLOCK + 5, BLOCK + 99), (len(data) - 9, len(data))):
            answer = ask(stack.base, url, {"Range": f"bytes={first}-{last}"})
            assert (answer.status, answer.body) == (206, data[first : last + 1])
            assert answer.headers["X-Cache"] == "HIT"
    finally:
        stack.up()


def test_chromium_decodes_its_sound_through_the_edge(stack: Stack, browser: Browser) -> None:
    url = made(stack)["media_url"]
    with flawless(browser, stack.base) as page:
        page.goto("/watch/film.mkv")
        page.evaluate("document.querySelector('video').play()")
        until(
            lambda: page.evaluate("document.querySelector('video').currentTime > 1") or None,
            "it plays",
        )
        assert page.evaluate("document.querySelector('video').webkitAudioDecodedByteCount") > 0
        assert page.evaluate("document.querySelector('video').currentSrc").endswith(url)
