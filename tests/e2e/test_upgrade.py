"""An upgrade of a clone, and the way back: everything of before is found.

The earlier versions are made from the history of the repository.
"""

import io
import json
import re
import ssl
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.raw_http import Answer, ask
from support.server import until, write
from support.stack import ROOT, Stack, require_engine

pytestmark = [pytest.mark.slow, pytest.mark.stack]

EARLIER = {
    "0.1.0": "f544db3",
    "a clone of 2026-11-28": "76b3a2f",  # before access control, Matroska as MP4, and rails
}
KINDS = ("poster", "captions", "storyboard")
FRONT, LATE, MATROSKA = "sample.mp4", "late.mp4", "film.mkv"
VIDEOS = (FRONT, LATE, MATROSKA)
SETTINGS = {
    "MAX_PARTIAL_SIZE": "64KiB",
    "DERIVED_SIZE": "1GiB",
    "RESCAN_INTERVAL": "2",
    "SETTLE_TIME": "0",
    "DRAIN_DELAY": "0",
    "EMBED_ORIGINS": "https://example.org",
    "HOSTNAME": "localhost",
    "CACHE_SIZE": "1GiB",
    "HSTS_MAX_AGE": "60",
}
"""A .env of before: names that it could have then."""


@pytest.fixture(scope="module", params=list(EARLIER.values()), ids=list(EARLIER))
def earlier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compose file of an earlier version, in a folder with all of its files."""
    archive = subprocess.run(
        ["git", "archive", request.param], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"the repository's history does not have {request.param}")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder / "docker-compose.yml"


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upgrade") / "media"
    write(folder, FRONT, (ROOT / "media" / FRONT).read_bytes())
    write(folder, "sample.en.srt", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    source = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=20",
              "-f", "lavfi", "-i", "sine=duration=20", *H264, *AAC)  # fmt: skip
    ffmpeg(folder / LATE, *source)
    ffmpeg(folder / MATROSKA, *source)
    return folder


@pytest.fixture(scope="module")
def stack(media: Path, earlier: Path) -> Iterator[Stack]:
    """Yield a stack of the earlier version, which has not been started."""
    require_engine()
    stack = Stack(media, dict(SETTINGS), compose_file=earlier)
    try:
        yield stack
    finally:
        stack.compose_file = ROOT / "docker-compose.yml"  # which has all volumes
        stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "10")


def start(stack: Stack, compose_file: Path) -> None:
    """Change to another version, as an operator does with `docker compose up --build`."""
    if stack.containers("nginx"):
        stack.compose("down", "--timeout", "10")
    stack.compose_file = compose_file
    stack.up("--build")


@dataclass(frozen=True)
class Seen:
    """What a viewer finds after a version has started."""

    links: dict[str, Answer]
    """The first answers to the links of the earlier version's pages: media, downloads, pages."""
    videos: dict[str, Any]
    """The descriptions of the videos, when all is made."""
    certificate: str
    warnings: list[str]
    """The service's warnings and errors, and the edge's lines that are not about requests."""


def description(stack: Stack, path: str) -> Any:
    answer = ask(stack.base, f"/api/videos/{path}")
    return json.loads(answer.body) if answer.status == 200 else None


def until_made(stack: Stack) -> dict[str, Any]:
    """Return the descriptions of the videos when their artefacts are there."""

    def made() -> dict[str, Any] | None:
        found = {path: description(stack, path) for path in VIDEOS}
        waits = [
            path
            for path, item in found.items()
            if item is None or "waiting" in {item[kind]["state"] for kind in KINDS if kind in item}
        ]
        return None if waits else found

    videos: dict[str, Any] = until(made, "everything is made", pause=0.5)
    return videos


def links(videos: dict[str, Any]) -> list[str]:
    """Return the links of pages. Downloads are first: they fill the cache with blocks of media."""
    media = [item[name] for name in ("download_url", "media_url") for item in videos.values()]
    return [*media, *(f"/watch/{path}" for path in videos), "/"]


def look(stack: Stack, before: dict[str, Any] | None = None) -> Seen:
    """Follow the links of `before`, or else those of the version that runs."""
    videos = before or until_made(stack)
    followed = {link: ask(stack.base, link) for link in links(videos)}
    levels = ('"level": "warning"', '"level": "error"', '"level": "critical"')
    service, edge = stack.lines("service"), stack.lines("nginx")
    return Seen(
        followed,
        until_made(stack),
        ssl.get_server_certificate(("localhost", stack.ports["HTTPS"])),
        [line for line in service if any(level in line for level in levels)]
        + [line for line in edge if '"event":"request"' not in line],
    )


@pytest.fixture(scope="module")
def versions(stack: Stack, earlier: Path) -> dict[str, Seen]:
    """Return what viewers find before, after the upgrade, and after the way back."""
    start(stack, earlier)
    found = {"before": look(stack)}
    before = found["before"].videos
    for name, file in (("after", ROOT / "docker-compose.yml"), ("back", earlier)):
        start(stack, file)
        found[name] = look(stack, before)
    return found


def test_links_of_before_lead_to_the_same_bytes(versions: dict[str, Seen]) -> None:
    before, after = versions["before"].links, versions["after"].links
    assert len(after) == 2 * len(VIDEOS) + len(VIDEOS) + 1
    for link, answer in after.items():
        assert answer.status == before[link].status, link
        if not link.startswith(("/media/", "/download/")):
            continue
        assert answer.headers["ETag"] == before[link].headers["ETag"]
        assert answer.body == before[link].body


def test_the_blocks_that_were_cached_are_used(versions: dict[str, Seen]) -> None:
    for link, answer in versions["after"].links.items():
        if link.startswith("/download/"):
            assert answer.headers["X-Cache"] == "HIT", link


def test_posters_captions_and_storyboards_are_there_again(versions: dict[str, Seen]) -> None:
    for path, item in versions["before"].videos.items():
        for kind in item.keys() & KINDS:
            assert item[kind]["state"] == versions["after"].videos[path][kind]["state"], path
    (track,) = versions["after"].videos[FRONT]["captions"]["tracks"]
    assert track["language"] == "en"


def test_the_certificate_stays(versions: dict[str, Seen]) -> None:
    assert len({seen.certificate for seen in versions.values()}) == 1


def test_nothing_is_wrong_with_the_settings_or_the_data_of_before(
    versions: dict[str, Seen],
) -> None:
    assert versions["after"].warnings == []


def test_the_way_back_finds_everything_of_before(versions: dict[str, Seen]) -> None:
    before, back = versions["before"], versions["back"]
    assert back.videos == before.videos
    for link, answer in back.links.items():
        assert (answer.status, answer.headers.get("ETag")) == (
            before.links[link].status,
            before.links[link].headers.get("ETag"),
        )
    assert back.warnings == []


def test_every_variable_of_before_is_still_one(earlier: Path) -> None:
    now = ROOT / "docker-compose.yml"
    was, is_now = (
        set(re.findall(r"\$\{(\w+)", file.read_text(encoding="utf-8"))) for file in (earlier, now)
    )
    assert len(was) > 10
    assert was <= is_now
