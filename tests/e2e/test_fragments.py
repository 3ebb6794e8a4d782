"""A long film that is sent in fragments, through the edge and its cache."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support import firefox
from support.chromium import flawless
from support.ffmpeg_fixtures import ffmpeg
from support.long_film import check_playback, make_long_film, segments
from support.raw_http import ask
from support.server import BLOCK, until
from support.stack import Stack, running

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fragments") / "media"
    folder.mkdir()
    film = make_long_film(folder / "film.mkv")
    assert film.stat().st_size > 4 * BLOCK
    return film


@pytest.fixture(scope="module")
def stack(film: Path) -> Iterator[Stack]:
    with running(film.parent) as stack:
        yield stack


def described(stack: Stack) -> Any:
    return json.loads(ask(stack.base, "/api/videos/film.mkv").body)


@pytest.fixture(scope="module")
def made(stack: Stack) -> Any:
    return until(lambda: described(stack)["fragments"], "the fragments are ready")


def test_every_range_is_exact_from_the_service_and_from_the_cache(
    stack: Stack, film: Path, made: Any
) -> None:
    whole = ask(stack.base, made["url"])
    assert whole.status == 200
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+-h[0-9a-f]{16}"', whole.headers["ETag"])
    data, size, original = whole.body, len(whole.body), film.stat().st_size
    assert size > original
    some = random.Random(5).sample(segments(data[: made["head"]]), 5)  # noqa: S311 # no secrets
    spans = [
        (0, 0), (0, made["head"] - 1), (made["head"] - 1, made["head"]),
        *((segment.start, segment.end - 1) for segment in some),
        (BLOCK - 1, BLOCK - 1), (BLOCK, BLOCK + 999), (2 * BLOCK + 7, 3 * BLOCK - 1),
        # These begin or end beyond the size of the file itself.
        (original, original + 9), (size - 5, size - 1), (size - 1, size + 99),
    ]  # fmt: skip
    for first, last in spans:
        for state in ("first", "again"):
            answer = ask(stack.base, made["url"], {"Range": f"bytes={first}-{last}"})
            end = min(last + 1, size, (first // BLOCK + 1) * BLOCK)
            assert (answer.status, answer.body) == (206, data[first:end]), (first, last)
            assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
            if state == "again":
                assert answer.headers["X-Cache"] == "HIT", (first, last)
    beyond = ask(stack.base, made["url"], {"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_chromium_plays_the_segments(stack: Stack, made: Any, browser: Browser) -> None:
    assert made
    with flawless(browser, stack.base) as page:
        page.goto("/watch/film.mkv")
        check_playback(page)


@pytest.mark.slow
def test_firefox_plays_the_segments(stack: Stack, made: Any, tmp_path: Path) -> None:
    assert made
    with firefox.tab(stack.base, tmp_path / "profile") as tab:
        tab.goto("/watch/film.mkv")
        check_playback(tab)


def test_segments_of_a_replaced_file_are_gone(stack: Stack, film: Path, made: Any) -> None:
    other = film.with_name(".new.mkv")
    ffmpeg(other, "-i", film, "-c", "copy", "-metadata", "title=New")
    other.replace(film)
    until(lambda: ask(stack.base, f"{made['url']}&x").status == 410 or None, "the old is gone")
    new = until(lambda: (m := described(stack)["fragments"]) != made and m, "a new one")
    answer = ask(stack.base, new["url"], {"Range": f"bytes=0-{new['head'] - 1}"})
    assert answer.status == 206
    assert segments(answer.body)
