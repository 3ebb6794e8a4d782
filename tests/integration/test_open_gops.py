"""H.264 with open GOPs: a decoder that is as strict as Chromium's can begin at every key frame of
what players get of an MP4, of MP4s with sound that was made, and of copied ones. Of others the page
loads another form when the player has failed."""

import json
import os
from collections.abc import Iterator
from email.utils import formatdate
from functools import cache
from io import BytesIO
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import av
import pytest
from playwright.sync_api import Browser
from support.chromium import flawless
from support.clock_films import second_of_shade
from support.ffmpeg_fixtures import AAC, ffmpeg
from support.firefox import Tab
from support.long_film import MODIFIED
from support.open_gops import OPEN_GOPS, StrictFilm, check_entry_points
from support.raw_http import ask
from support.remuxed_files import packets
from support.representations import check_conditions, check_ranges
from support.seeks import LENGTH, SEEK, SHADES, SOUND
from support.server import Server, serve, until

DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]
# With a limit, as otherwise a player that has failed would be waited for forever.
SOON = f"""(second) => Promise.race([({SEEK})(second),
    new Promise((resolve, reject) => setTimeout(reject, 30_000, "no picture"))])"""
SECONDS = (4.5, 9.5, 2.5, 15, 7.5, 12.3)
FRAME = 1 / 25


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("open") / "media"
    folder.mkdir()
    ffmpeg(folder / "film.mkv", *SHADES, *SOUND, "-map", "0:v", "-map", "1:a", "-map", "1:a",
           *OPEN_GOPS, *AAC, "-metadata:s:a:1", "language=ger")  # fmt: skip
    sound = ("-c:a", "ac3", "-ac", "2")
    ffmpeg(folder / "made.mkv", "-i", folder / "film.mkv", *SOUND, "-map", "0:v", "-map", "1:a",
           "-c:v", "copy", *sound)  # fmt: skip
    ffmpeg(folder / "copied.m2ts", "-i", folder / "film.mkv", "-c", "copy", "-map", "0:v",
           "-map", "0:a:0")  # fmt: skip
    ffmpeg(folder / "gap.mkv", "-i", folder / "film.mkv", "-c", "copy", "-map", "0:v",
           "-map", "0:a:0", "-bsf:a", r"noise=drop=between(n\,100\,200)")  # fmt: skip
    ffmpeg(folder / "plain.mp4", "-i", folder / "film.mkv", "-c", "copy", "-map", "0")
    ffmpeg(folder / "camera.mov", "-i", folder / "film.mkv", "-c", "copy", "-map", "0:v",
           "-map", "0:a:0", "-movflags", "+faststart")  # fmt: skip
    ffmpeg(folder / "cavlc.mp4", *SHADES, *OPEN_GOPS[:-1], f"{OPEN_GOPS[-1]}:cabac=0")
    ffmpeg(folder / "closed.mkv", *SHADES, *SOUND, "-c:v", "libx264", "-g", "25", *AAC, "-t", "2")
    for name in ("film.mkv", "gap.mkv"):
        os.utime(folder / name, (MODIFIED, MODIFIED))
    with serve(folder) as server:
        yield server


def settled(server: Server, name: str) -> Any:
    def known() -> Any:
        item = json.loads(ask(server.base, f"/api/videos/{quote(name)}", {}).body)
        states = {item.get(kind, {}).get("state") for kind in ("remux", "sound", "copied")}
        known = item.get("state") == "probed" and not {"waiting", "possible"} & states
        return item if known else None

    return until(known, f"{name} has been examined")


def whole(server: Server, url: str) -> bytes:
    return ask(server.base, url, {}).body


@cache
def decoded(server: Server, url: str) -> StrictFilm:
    """Return a film with which several others are compared."""
    return StrictFilm(whole(server, url))


def test_decoding_begins_at_each_key_frame_and_shows_the_same_pictures(server: Server) -> None:
    item = settled(server, "film.mkv")
    as_it_is, seekable = (decoded(server, item[name]) for name in ("media_url", "seekable_url"))
    check_entry_points(as_it_is, seekable)


@pytest.mark.parametrize("name", ["plain.mp4", "camera.mov"])
def test_a_plain_mp4_is_mended(server: Server, name: str) -> None:
    item = settled(server, name)
    assert (item["representation"], item["media_type"]) == ("remuxed", "video/mp4")
    assert "open_gops" not in [finding["code"] for finding in item["findings"]]
    file, mended = (whole(server, item[url]) for url in ("download_url", "media_url"))
    as_it_is = StrictFilm(file)
    check_entry_points(as_it_is, StrictFilm(mended))
    for index in range(1, 3 if name == "plain.mp4" else 2):
        assert packets(BytesIO(mended), index) == packets(BytesIO(file), index)
    check_ranges(server.base, item["media_url"], mended)
    for sound in item["sounds"]:
        check_entry_points(as_it_is, StrictFilm(whole(server, sound["url"])))


def test_an_mp4_that_cannot_be_mended_keeps_its_finding(server: Server) -> None:
    item = settled(server, "cavlc.mp4")
    assert item["representation"] == "fast_start"
    assert "open_gops" in [finding["code"] for finding in item["findings"]]
    assert item["remux"]["declined"] == "The file has open GOPs that are not mended here."


@pytest.mark.parametrize(
    ("name", "representation"), [("made.mkv", "with_sound"), ("copied.m2ts", "copied")]
)
def test_decoding_begins_at_each_key_frame_of_what_is_made(
    server: Server, name: str, representation: str
) -> None:
    item = settled(server, name)
    assert item["representation"] == representation
    as_it_is = decoded(server, settled(server, "film.mkv")["media_url"])  # of the same pictures
    check_entry_points(as_it_is, StrictFilm(whole(server, item["media_url"])))


@pytest.mark.parametrize("url", ["media_url", "seekable_url"])
def test_gaps_of_its_sound_are_silent(server: Server, url: str) -> None:
    item = settled(server, "gap.mkv")
    data = whole(server, item[url])
    times = [packet.time for packet in packets(BytesIO(data), 1)]
    frame = 1024 / 48_000
    assert [b - a for a, b in pairwise(times)] == pytest.approx(
        [frame] * (len(times) - 1), abs=0.02
    )
    assert times[-1] == pytest.approx(LENGTH, abs=2 * frame)
    film, expected = StrictFilm(data), decoded(server, settled(server, "film.mkv")[url])
    assert list(film.pictures.values()) == list(expected.pictures.values())
    assert film.failures == expected.failures


@pytest.mark.parametrize("name", ["film.mkv", "gap.mkv"])
def test_its_ranges_and_conditions_are_those_of_any_representation(
    server: Server, name: str
) -> None:
    url = settled(server, name)["seekable_url"]
    check_ranges(server.base, url, whole(server, url))
    check_conditions(server.base, url, url.partition("?v=")[2], DATES)


def test_the_form_has_each_sound_first(server: Server) -> None:
    item = settled(server, "film.mkv")
    first, second = (sound["seekable_url"] for sound in item["sounds"])
    assert first == item["seekable_url"]
    as_it_is = whole(server, item["sounds"][1]["url"])
    check_entry_points(StrictFilm(as_it_is), StrictFilm(whole(server, second)))
    with av.open(BytesIO(whole(server, second))) as container:
        assert container.streams.audio[0].language == "deu"
    check_ranges(server.base, second, whole(server, second))


def test_a_film_with_closed_gops_needs_none(server: Server) -> None:
    item = settled(server, "closed.mkv")
    assert item["representation"] == "remuxed"
    assert item["seekable_url"] is None


def check_pictures(page: Any) -> Any:
    for second in SECONDS:
        seen = page.evaluate(SOON, second)
        # After a seek to a few pictures before a key frame, players show that one.
        assert abs(seen["at"] - second) < 4 * FRAME
        assert abs(second_of_shade(seen["shade"]) - second) < 0.3, second
        assert abs(seen["duration"] - LENGTH) < 0.1
    assert page.evaluate("document.querySelector('.banner').innerText.trim()") == ""
    return seen["source"]


def test_chromium_shows_the_right_picture_after_seeks(server: Server, browser: Browser) -> None:
    item = settled(server, "film.mkv")
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        source = check_pictures(page)
    assert source.endswith((item["media_url"], item["seekable_url"]))


def test_chromium_shows_it_with_another_sound(server: Server, browser: Browser) -> None:
    item = settled(server, "film.mkv")
    with flawless(browser, server.base) as page:
        page.goto(f"{item['watch_url']}?sound=2")
        source = check_pictures(page)
    sound = item["sounds"][1]
    assert source.endswith((sound["url"], sound["seekable_url"]))


@pytest.mark.parametrize("name", ["plain.mp4", "made.mkv", "copied.m2ts"])
def test_chromium_seeks_in_what_is_made(server: Server, browser: Browser, name: str) -> None:
    item = settled(server, name)
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        assert check_pictures(page).endswith(item["media_url"])


@pytest.mark.slow  # a second browser
def test_firefox_shows_the_right_picture_after_seeks(server: Server, firefox_tab: Tab) -> None:
    item = settled(server, "film.mkv")
    with firefox_tab.at(server.base) as tab:
        tab.goto(item["watch_url"])
        # Its decoder begins at open GOPs, so the page does not load the other form.
        assert check_pictures(tab).endswith(item["media_url"])
