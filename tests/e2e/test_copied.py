"""A film that is copied into an MP4, through the edge and its cache."""

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
    """Make a transport stream of ten seconds and about 5 MB, and a Matroska file of two of it."""
    folder = tmp_path_factory.mktemp("copied") / "media"
    folder.mkdir()
    made = ten_seconds(folder.parent / "film.mkv")
    file = ffmpeg(folder / "film.ts", "-i", made, "-c", "copy")
    # Two films in one file: no header makes an MP4 of it, and it is not copied unasked.
    (folder / "two.mkv").write_bytes(2 * made.read_bytes())
    return file


@pytest.fixture(scope="module")
def stack(film: Path) -> Iterator[Stack]:
    with running(film.parent) as stack:
        yield stack


def described(stack: Stack, name: str = "film.ts") -> Any:
    return json.loads(ask(stack.base, f"/api/videos/{name}").body)


def copied(stack: Stack, name: str = "film.ts") -> Any:
    def made() -> Any:
        item = described(stack, name)
        return item if item.get("representation") == "copied" else None

    return until(made, f"{name} is copied")


def test_every_range_of_the_mp4_is_exact_from_the_service_and_from_the_cache(
    stack: Stack, film: Path
) -> None:
    url = copied(stack)["media_url"]
    whole = ask(stack.base, url)
    assert whole.status == 200
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+-c[0-9a-f]{16}"', whole.headers["ETag"])
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.body[4:8] == b"ftyp"
    size, header = len(whole.body), whole.body.index(b"mdat") + 12
    spans = [
        (0, 0), (0, header - 1), (header - 1, header), (header, header + 99),
        (BLOCK - 1, BLOCK - 1), (BLOCK, BLOCK + 999), (2 * BLOCK + 7, 3 * BLOCK - 1),
        (size - 1, size - 1), (size - 9, size + 99),
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
    assert ask(stack.base, "/download/film.ts").body == film.read_bytes()


def test_a_film_is_asked_for_through_the_edge(stack: Stack) -> None:
    until(
        lambda: described(stack, "two.mkv").get("copied", {}).get("state") == "possible" or None,
        "no header is made",
    )
    origin = stack.base.rstrip("/")
    answers = {
        "elsewhere": ask(
            stack.base, "/copies/two.mkv",
            {"Content-Length": "0", "Origin": "https://elsewhere.example"}, method="POST",
        ),
        "here": ask(
            stack.base, "/copies/two.mkv", {"Content-Length": "0", "Origin": origin}, method="POST"
        ),
    }  # fmt: skip
    assert answers["elsewhere"].status == 403
    assert (answers["here"].status, answers["here"].headers["Location"]) == (303, "/watch/two.mkv")
    item = copied(stack, "two.mkv")
    assert ask(stack.base, item["media_url"], {"Range": "bytes=0-9"}).body[4:8] == b"ftyp"


def test_cached_blocks_of_the_mp4_are_sent_while_the_service_is_down(stack: Stack) -> None:
    url = copied(stack)["media_url"]
    whole = ask(stack.base, url).body
    stack.compose("stop", "service")
    try:
        for first, last in ((0, BLOCK - 1), (BLOCK + 5, BLOCK + 99), (len(whole) - 9, len(whole))):
            answer = ask(stack.base, url, {"Range": f"bytes={first}-{last}"})
            assert answer.status == 206
            assert answer.body == whole[first : min(last + 1, len(whole))]
            assert answer.headers["X-Cache"] == "HIT"
    finally:
        stack.compose("start", "service")
