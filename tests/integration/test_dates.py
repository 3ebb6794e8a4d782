"""A file date in the future says nothing about its bytes (RFC 9110 §8.8.2.2)."""

import email.utils
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.raw_http import Answer, ask
from support.server import Server, content, serve, until, write

from service.protocol.conditions import STABLE_AFTER

CLIP = (Path(__file__).parents[2] / "media/sample.mp4").read_bytes()
SIZE = 5000
DAY = 86400


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("dates") / "media"
    write(folder, "film.mp4", CLIP, age=-DAY)
    for years in (-3000, -100, -1, 300, 5000):
        write(folder, f"{years}.mp4", content(SIZE), age=-years * 365 * DAY)
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media) as running:
        yield running


def date_of(answer: Answer, name: str) -> float:
    return email.utils.parsedate_to_datetime(answer.headers[name]).timestamp()


@pytest.mark.parametrize("ahead", [2.5, 60, DAY])
@pytest.mark.parametrize("route", ["media", "download"])
def test_if_range_with_a_formerly_future_date_never_mixes_two_files(
    server: Server, media: Path, ahead: float, route: str
) -> None:
    target = f"/{route}/replaced.mp4"
    for _ in range(3):  # within one second, nearly always
        write(media, "next", content(SIZE, 1), age=-ahead).rename(media / "replaced.mp4")
        first = ask(server.base, target, {"Range": "bytes=0-9"})
        assert date_of(first, "Last-Modified") <= date_of(first, "Date")
        write(media, "next", content(SIZE, 2), age=-ahead).rename(media / "replaced.mp4")
        for date in (first.headers["Last-Modified"], first.headers["Date"]):
            rest = ask(server.base, target, {"Range": "bytes=10-", "If-Range": date})
            assert (rest.status, rest.body) == (200, content(SIZE, 2))


def test_a_settled_file_with_a_future_date_is_cached_by_its_entity_tag(
    server: Server, media: Path
) -> None:
    ahead = time.time() + DAY

    def immutable() -> bool | None:
        pinned = ask(server.base, f"/media/rested.mp4?v={revision}", {"Range": "bytes=0-9"})
        assert pinned.status == 206
        return "immutable" in pinned.headers["Cache-Control"] or None

    def revision_for_the_edge() -> str | None:
        cacheable_revision: str | None = ask(
            server.base, "/_revision?path=/media/rested.mp4"
        ).headers["X-Revision"]
        return cacheable_revision

    file = write(media, "rested.mp4", content(SIZE))
    os.utime(file, (ahead, ahead))
    tag = ask(server.base, "/media/rested.mp4").headers["ETag"]
    revision = tag.strip('"')
    # While it may still be in the middle of a write, no cache is told its revision.
    announced = revision_for_the_edge()
    assert announced is None or time.time() - file.stat().st_ctime >= STABLE_AFTER
    assert until(immutable, "it has settled")
    assert revision_for_the_edge() == revision
    headers = {"Range": "bytes=10-", "If-Range": tag}
    assert ask(server.base, "/media/rested.mp4", headers).status == 206


@pytest.mark.parametrize("years", [-3000, -100, -1, 300, 5000])
def test_a_file_with_any_date_is_served_and_shown(server: Server, years: int) -> None:
    for target in (f"/media/{years}.mp4", f"/download/{years}.mp4", f"/api/videos/{years}.mp4",
                   f"/watch/{years}.mp4", f"/embed/{years}.mp4", f"/playlists/{years}.mp4.m3u",
                   "/", "/?sort=date", "/?sort=-date", "/api/videos?sort=date"):  # fmt: skip
        answer = ask(server.base, target)
        assert answer.status == 200, target
        if "Last-Modified" in answer.headers:
            assert date_of(answer, "Last-Modified") <= date_of(answer, "Date")


def test_artefacts_are_validated_by_their_entity_tag_only(server: Server) -> None:
    def poster() -> str | None:
        item = json.loads(ask(server.base, "/api/videos/film.mp4").body)
        pictures = item.get("poster", {}).get("pictures")
        return pictures[0]["url"] if pictures else None

    for target in (until(poster, "the poster is made"), "/static/watch.js"):
        answer = ask(server.base, target)
        assert date_of(answer, "Last-Modified") <= date_of(answer, "Date")
        for date in (answer.headers["Last-Modified"], answer.headers["Date"]):
            headers = {"Range": "bytes=10-", "If-Range": date}
            assert ask(server.base, target, headers).status == 200
        headers = {"Range": "bytes=10-", "If-Range": answer.headers["ETag"]}
        assert ask(server.base, target, headers).status == 206
