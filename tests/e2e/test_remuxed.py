"""A Matroska file that is sent as MP4, through the edge and its cache."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ffmpeg_fixtures import ffmpeg, ten_seconds
from support.raw_http import ask
from support.server import BLOCK, until
from support.stack import Stack, running

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a Matroska file of ten seconds and about 5 MB."""
    folder = tmp_path_factory.mktemp("remuxed") / "media"
    folder.mkdir()
    file = ten_seconds(folder / "film.mkv")
    assert file.stat().st_size > 4 * BLOCK
    return file


@pytest.fixture(scope="module")
def stack(film: Path) -> Iterator[Stack]:
    with running(film.parent) as stack:
        yield stack


def described(stack: Stack) -> Any:
    return json.loads(ask(stack.base, "/api/videos/film.mkv").body)


def test_every_range_of_the_mp4_is_exact_from_the_service_and_from_the_cache(
    stack: Stack, film: Path
) -> None:
    until(lambda: described(stack)["representation"] == "remuxed" or None, "the MP4 is ready")
    url = described(stack)["media_url"]
    # Without a range the answer is whole.
    whole = ask(stack.base, url)
    assert whole.status == 200
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+-m[0-9a-f]{16}"', whole.headers["ETag"])
    assert whole.headers["Content-Type"] == "video/mp4"
    original = film.read_bytes()
    assert whole.body.endswith(original)
    header = len(whole.body) - len(original)
    assert whole.body[4:8] == b"ftyp"
    size = len(whole.body)
    spans = [
        (0, 0), (0, header - 1), (header - 1, header), (header, header + 99),
        (BLOCK - 1, BLOCK - 1), (BLOCK, BLOCK + 999), (2 * BLOCK + 7, 3 * BLOCK - 1),
        (len(original) - 1, len(original) - 1),
        # These begin or end beyond the size of the file itself.
        (len(original), len(original) + 9), (size - header // 2, size - 1), (size - 1, size + 99),
    ]  # fmt: skip
    for first, last in spans:
        for state in ("first", "again"):
            answer = ask(stack.base, url, {"Range": f"bytes={first}-{last}"})
            end = min(last + 1, size, (first // BLOCK + 1) * BLOCK)
            assert (answer.status, answer.body) == (206, whole.body[first:end]), (first, last)
            assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
            if state == "again":
                assert answer.headers["X-Cache"] == "HIT", (first, last)
    beyond = ask(stack.base, url, {"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert ask(stack.base, "/download/film.mkv").body == original


def test_cached_blocks_of_the_mp4_are_sent_while_the_service_is_down(stack: Stack) -> None:
    until(lambda: described(stack)["representation"] == "remuxed" or None, "the MP4 is ready")
    url = described(stack)["media_url"]
    whole = ask(stack.base, url).body
    stack.compose("stop", "service")
    try:
        for first, last in ((0, BLOCK - 1), (BLOCK + 5, BLOCK + 99), (len(whole) - 9, len(whole))):
            answer = ask(stack.base, url, {"Range": f"bytes={first}-{last}"})
            assert (answer.status, answer.body) == (206, whole[first : last + 1])
            assert answer.headers["X-Cache"] == "HIT"
    finally:
        stack.up()


def test_a_replaced_file_is_gone_under_its_old_address(stack: Stack, film: Path) -> None:
    url = described(stack)["media_url"]
    other = film.with_name(".new.mkv")
    ffmpeg(other, "-i", film, "-c", "copy", "-metadata", "title=New")
    other.replace(film)
    until(lambda: ask(stack.base, f"{url}&x").status == 410 or None, "the old one is gone")
    new = until(lambda: described(stack)["media_url"] != url and described(stack), "a new one")
    assert ask(stack.base, new["media_url"]).body.endswith(film.read_bytes())
