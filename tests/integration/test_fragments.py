"""Long films that a running service also sends as fragments, with an index of segments."""

import json
import random
from collections.abc import Iterator
from email.utils import formatdate
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page
from support import firefox
from support.chromium import flawless
from support.ffmpeg_fixtures import ffmpeg
from support.firefox import Tab
from support.long_film import (
    BUFFERED,
    FAST_LOOPS,
    FAST_RATE,
    LENGTH,
    LOOPS,
    MAX_BUFFERED,
    MODIFIED,
    add_second_sound,
    check_playback,
    make_long_film,
    segments,
)
from support.mp4_boxes import boxes
from support.player_page import LISTEN, patient, seek, state, until_playing
from support.raw_http import Answer, ask
from support.remuxed_files import TOLERANCE, packets
from support.representations import check_conditions, check_ranges
from support.server import BLOCK, Server, serve, until, write
from support.tones import heard
from support.track_files import TONES

pytestmark = pytest.mark.slow  # films of half an hour

DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fragments") / "media"
    folder.mkdir()
    film = make_long_film(folder / "long.mkv")
    add_second_sound(folder / "long.mp4", film)
    cue = "WEBVTT\n\n00:15:00.000 --> 00:15:20.000\nIt is a quarter past.\n"
    (folder / "long.en.vtt").write_text(cue, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, SOUND="off") as server:
        yield server


@pytest.fixture(scope="module")
def other_films(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the films of two tests."""
    folder = tmp_path_factory.mktemp("others") / "media"
    folder.mkdir()
    film = media / "long.mkv"
    ffmpeg(folder / "gap.mkv", "-i", film, "-c", "copy", "-bsf:a",
           r"noise=drop=between(n\,10000\,10100)")  # fmt: skip
    for name in ("short.mkv", "short.mp4"):
        ffmpeg(folder / name, "-i", film, "-c", "copy", "-t", "60")
    fast = make_long_film(folder.parent / "fast.mkv", FAST_RATE, FAST_LOOPS)
    ffmpeg(folder / "silent.mkv", "-i", fast, "-c:v", "copy", "-c:a", "ac3", "-b:a", "32k")
    with serve(folder, SOUND="off") as server:
        yield server


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def settled(server: Server, name: str) -> Any:
    """Return a video's JSON when it is known what players get."""

    def known() -> Any:
        item = json.loads(get(server, f"/api/videos/{quote(name)}").body)
        known = item.get("state") == "probed" and item["remux"]["state"] != "waiting"
        is_due = name in {"long.mp4", "a.mp4"} and known and item["fragments"] is None
        return item if known and not is_due else None

    return until(known, f"{name} is examined")


@cache
def whole(server: Server, url: str) -> bytes:
    """Return the whole of what a revision's URL names."""
    return get(server, url).body


LONG = pytest.mark.parametrize("name", ["long.mkv", "long.mp4"])


@LONG
def test_each_segment_is_a_part_of_the_film_and_begins_with_a_key_frame(
    server: Server, media: Path, name: str
) -> None:
    made = settled(server, name)["fragments"]
    head = get(server, made["url"], Range=f"bytes=0-{made['head'] - 1}").body
    assert [kind for kind, _ in boxes(head)] == [b"ftyp", b"moov", b"sidx"]
    data = whole(server, made["url"])
    found = segments(head)
    assert len(found) == pytest.approx(LENGTH * LOOPS, abs=1)  # a key frame a second
    originals = [packets(str(media / name), index) for index in (0, 1)]
    for index, original in enumerate(originals):
        made_of_it = packets(BytesIO(data), index)
        assert [(p.digest, p.is_key) for p in made_of_it] == [
            (p.digest, p.is_key) for p in original
        ]
        assert (
            max(abs(a.time - b.time) for a, b in zip(made_of_it, original, strict=True))
            <= TOLERANCE
        )
    for segment in random.Random(2).sample(found, 8):  # noqa: S311 # no secrets
        part = data[segment.start : segment.end]
        assert {kind for kind, _ in boxes(part)} == {b"moof", b"mdat"}
        first = packets(BytesIO(head + part), 0)[0]
        assert first.is_key
        assert first.time == pytest.approx(segment.time, abs=TOLERANCE)
        assert first.digest in {packet.digest for packet in originals[0] if packet.is_key}
    rest = data[found[-1].end :]
    assert not rest or [kind for kind, _ in boxes(rest)] == [b"free"]


def test_a_gap_of_the_sound_is_silent(other_films: Server) -> None:
    """Of 101 frames, fewer one for each loop before it: the sound of a loop is a frame too long."""
    item = settled(other_films, "gap.mkv")
    for url in (item["media_url"], item["fragments"]["url"]):
        data = get(other_films, url).body
        pictures, sound = (packets(BytesIO(data), index) for index in (0, 1))
        assert len(pictures) == LENGTH * LOOPS * 25
        assert sound[-1].time == pytest.approx(LENGTH * LOOPS, abs=0.1)
        assert len({packet.digest for packet in sound[10_005:10_080]}) == 1
        # In a player that plays one frame after the other, what follows is heard at its time.
        assert sound[10_200].time == pytest.approx(10_200 * 1024 / 48_000, abs=0.045)


def test_an_mp4_has_fragments_with_each_sound(server: Server, media: Path) -> None:
    item = settled(server, "long.mp4")
    assert item["representation"] == "fast_start"  # for players that need no fragments
    first, second = (sound["fragments"] for sound in item["sounds"])
    assert first == item["fragments"]
    assert second["url"] != first["url"]
    data = whole(server, second["url"])
    for index, of_file in ((0, 0), (1, 2)):
        made = packets(BytesIO(data), index)
        original = packets(str(media / "long.mp4"), of_file)
        assert [p.digest for p in made] == [p.digest for p in original]
        # A tick of the picture has 1 / 16,000 of a second, and one of the sound 1 / 48,000.
        assert max(abs(a.time - b.time) for a, b in zip(made, original, strict=True)) < 1 / 12_000


@LONG
def test_the_table_of_ranges_holds_up_to_the_end_of_a_block(server: Server, name: str) -> None:
    url = settled(server, name)["fragments"]["url"]
    check_ranges(server.base, url, whole(server, url))


@LONG
def test_every_range_is_a_slice_of_one_resource(server: Server, name: str) -> None:
    made = settled(server, name)["fragments"]
    data, chance = whole(server, made["url"]), random.Random(3)  # noqa: S311 # no secrets
    size = len(data)
    edges = [0, made["head"], BLOCK, size - 1]
    for segment in chance.sample(segments(data[: made["head"]]), 10):
        edges += [segment.start, segment.start + data[segment.start :].index(b"mdat") + 4]
    starts = [max(0, min(size - 1, edge + shift)) for edge in edges for shift in (-3, -1, 0, 1)]
    for start in [*starts, *(chance.randrange(size) for _ in range(60))]:
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        end = min(last + 1, size, start // BLOCK * BLOCK + BLOCK)
        answer = get(server, made["url"], Range=f"bytes={start}-{last}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == data[start:end]


def test_conditions_apply_as_for_any_representation(server: Server) -> None:
    url = settled(server, "long.mkv")["fragments"]["url"]
    check_conditions(server.base, url, url.partition("?v=")[2], DATES)


def test_a_revision_is_bound_to_its_headers_and_route(server: Server) -> None:
    item = settled(server, "long.mkv")
    made = item["fragments"]
    file, digest = made["url"].partition("?v=")[2].split("-h")
    assert file == item["revision"]
    assert made["url"] == f"/media/long.mkv?v={file}-h{digest}"
    assert made["type"] == f'video/mp4; codecs="{", ".join(item["remux"]["codecs"])}"'
    answer = get(server, made["url"], Range="bytes=0-0")
    assert answer.headers["ETag"] == f'"{file}-h{digest}"'
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    mp4 = item["media_url"].partition("-m")[2]
    other = f"{int(digest, 16) ^ 1:016x}"
    for invalid in (f"{file}-h{other}", f"{file}-h", f"0{file}-h{digest}", f"{file}-h{mp4}"):
        assert get(server, f"/media/long.mkv?v={invalid}").status == 410, invalid
    assert get(server, f"/download/long.mkv?v={file}-h{digest}").status == 410
    # Players that name no revision get one MP4 with one index.
    assert get(server, "/_revision?path=/media/long.mkv").headers["X-Revision"].endswith(f"-m{mp4}")


@pytest.mark.parametrize(
    ("name", "representation"),
    [("short.mkv", "remuxed"), ("silent.mkv", "remuxed"), ("short.mp4", "fast_start")],
)
def test_films_that_play_as_well_as_mp4_have_no_fragments(
    other_films: Server, name: str, representation: str
) -> None:
    item = settled(other_films, name)
    assert item["representation"] == representation
    assert item["fragments"] is None


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [(".mkv", "remux"), (".mp4", "fragments")],
)
def test_fragments_outlive_a_restart_and_are_made_again_if_they_are_lost(
    tmp_path: Path, media: Path, suffix: str, kind: str
) -> None:
    folder = tmp_path / "media"
    name = f"a{suffix}"
    write(folder, name, (media / f"long{suffix}").read_bytes())
    with serve(folder) as server:
        made = settled(server, name)["fragments"]
        data = get(server, made["url"]).body
    (stored,) = [path for path in (tmp_path / "derived" / kind).rglob("*") if path.is_file()]
    with serve(folder) as server:
        # Also before the library has looked at anything: a pin is enough.
        assert get(server, made["url"]).body == data
    with serve(folder) as server:
        assert settled(server, name)["fragments"] == made
        stored.unlink()
        assert get(server, made["url"]).status == 410  # and they are made again
        assert settled(server, name)["fragments"] == made
        assert get(server, made["url"]).body == data


# Browsers


STATE_OF_EMBED = """() => {
    const video = document.querySelector("video");
    return [video.currentSrc.slice(0, 5), video.readyState];
}"""


@LONG
def test_chromium_plays_the_segments(server: Server, browser: Browser, name: str) -> None:
    item = settled(server, name)
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        check_playback(page)


@LONG
def test_firefox_plays_the_segments(server: Server, firefox_tab: Tab, name: str) -> None:
    item = settled(server, name)
    firefox_tab.renew(server.base)
    firefox_tab.goto(item["watch_url"])
    check_playback(firefox_tab)


def test_a_player_with_little_memory_plays_on(server: Server, tmp_path: Path) -> None:
    """Firefox has room for some ten seconds of this film, not for thirty."""
    item = settled(server, "long.mkv")
    room = {
        f"media.mediasource.eviction_threshold.{kind}": 200 * 1024 for kind in ("video", "audio")
    }
    with firefox.tab(server.base, tmp_path / "profile", **room) as tab:
        tab.goto(item["watch_url"])
        tab.evaluate("document.querySelector('video').muted = true")
        seek(tab, 100)
        tab.evaluate("document.querySelector('video').play()")
        until_playing(tab, 100)
        tab.evaluate("document.querySelector('video').playbackRate = 4")
        player = until(lambda: (s := state(tab))["at"] > 140 and s, "it has played on")
        assert player["source"].startswith("blob:")
        assert tab.evaluate(BUFFERED) < 30


def test_what_has_been_played_is_removed_from_memory(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        page.evaluate("""() => {
            const video = document.querySelector("video");
            [video.muted, video.playbackRate] = [true, 8];
            video.play();
        }""")
        most = 0.0
        while state(page)["at"] < MAX_BUFFERED + 60:
            most = max(most, page.evaluate(BUFFERED))
        assert state(page)["source"].startswith("blob:")
        assert 30 < most <= MAX_BUFFERED


def test_a_frame_in_another_page_plays_the_segments(server: Server, browser: Browser) -> None:
    settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.goto("/embed/long.mkv")
        until(lambda: page.evaluate(STATE_OF_EMBED) == ["blob:", 4], "it has the first segments")


VIEW = """() => {
    const video = document.querySelector("video");
    const shown = [...video.textTracks].find((track) => track.mode === "showing");
    return {
        at: video.currentTime, rate: video.playbackRate, full: Boolean(document.fullscreenElement),
        cues: [...(shown?.activeCues ?? [])].map((cue) => cue.text),
    };
}"""


def test_captions_keys_full_screen_and_resuming_work_as_ever(
    server: Server, browser: Browser
) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:

        def sees(**expected: Any) -> None:
            def seen() -> bool:
                view = page.evaluate(VIEW)
                return all(view[name] == value for name, value in expected.items())

            until(seen, f"{expected}")

        page.goto(f"{item['watch_url']}?t=880")
        sees(at=880, cues=[])
        page.keyboard.press("c")
        for key, expected in (
            ("l", {"at": 890}), ("l", {"at": 900, "cues": ["It is a quarter past."]}),
            ("ArrowRight", {"at": 905}), ("j", {"at": 895, "cues": []}),
            (">", {"rate": 1.25}), ("<", {"rate": 1}),
            ("f", {"full": True}), ("f", {"full": False}),
        ):  # fmt: skip
            page.keyboard.press(key)
            sees(**expected)
        page.evaluate("document.querySelector('video').play()")
        until_playing(page, 895)
        page.goto(item["watch_url"])
        until(lambda: 895 < page.evaluate(VIEW)["at"] < 915, "it resumes where it was")
        assert state(page)["source"].startswith("blob:")


def test_a_link_to_a_moment_begins_there(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.goto(f"{item['watch_url']}?t=900.5")
        until(lambda: state(page)["at"] == 900.5, "it is at the moment")
        player = until(lambda: (s := state(page))["ready"] >= 2 and s, "it shows the picture")
        assert player["paused"]
        assert player["source"].startswith("blob:")


def test_a_browser_that_lacks_the_codec_gets_the_mp4(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.add_init_script("MediaSource.isTypeSupported = () => false;")
        page.goto(f"{item['watch_url']}?t=30")
        until(lambda: state(page)["at"] == 30, "it is at the moment")
        assert state(page)["source"].partition("#")[0].endswith(item["media_url"])


def test_segments_that_cannot_be_played_are_replaced_by_the_mp4(
    server: Server, browser: Browser
) -> None:
    item = settled(server, "long.mkv")
    with patient(browser, server.base) as page:
        page.route("**/*-h*", lambda route: route.fulfill(status=206, body=bytes(60_000)))
        page.goto(f"{item['watch_url']}?t=30")
        until(lambda: item["media_url"] in state(page)["source"], "it takes the MP4")
        page.evaluate("document.querySelector('video').play()")
        until_playing(page, 30)


def test_a_film_that_is_replaced_while_it_plays_goes_on(
    tmp_path: Path, media: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    film = (media / "long.mkv").read_bytes()
    write(folder, "a.mkv", film)
    with serve(folder, SOUND="off") as server, patient(browser, server.base) as page:
        item = settled(server, "a.mkv")
        page.goto(f"{item['watch_url']}?t=30")
        page.evaluate("document.querySelector('video').play()")
        assert until_playing(page, 30)["source"].startswith("blob:")
        write(folder, "new", film, age=1800).rename(folder / "a.mkv")
        until(lambda: settled(server, "a.mkv")["revision"] != item["revision"], "it is noticed")
        seek(page, 1200)  # nothing of it is in the player's memory
        until_playing(page, 1200)


def test_firefox_goes_on_with_a_replaced_film(
    tmp_path: Path, media: Path, firefox_tab: Tab
) -> None:
    folder = tmp_path / "media"
    film = (media / "long.mkv").read_bytes()
    write(folder, "a.mkv", film)
    with serve(folder, SOUND="off") as server:
        item = settled(server, "a.mkv")
        firefox_tab.renew(server.base)
        firefox_tab.add_init_script(LISTEN)
        firefox_tab.goto(f"{item['watch_url']}?t=30")
        firefox_tab.evaluate("document.querySelector('video').muted = true")
        firefox_tab.evaluate("document.querySelector('video').play()")
        assert until_playing(firefox_tab, 30)["source"].startswith("blob:")
        write(folder, "new", film, age=1800).rename(folder / "a.mkv")
        until(lambda: settled(server, "a.mkv")["revision"] != item["revision"], "it is noticed")
        seek(firefox_tab, 1200)
        until_playing(firefox_tab, 1200)


def test_a_film_goes_on_after_the_network_was_lost(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with patient(browser, server.base) as page:
        page.goto(f"{item['watch_url']}?t=30")
        page.evaluate("document.querySelector('video').play()")
        until_playing(page, 30)
        page.context.set_offline(True)
        seek(page, 1200)
        until(lambda: state(page)["message"], "it says that the connection is lost")
        page.context.set_offline(False)
        until_playing(page, 1200)


# Choosing a sound

CHOOSE_SECOND = """() => {
    document.querySelector("details.sounds").open = true;
    document.querySelector("[data-sound-link='2']").click();
}"""


def check_choice(item: Any, page: Page | Tab) -> None:
    """Play the first sound of a long film, and choose the second in its middle."""

    def plays(other_than: str = "") -> Any:
        player = state(page)
        is_playing = player["ready"] >= 3 and not player["paused"] and player["at"] >= 900
        is_other = player["source"].startswith("blob:") and player["source"] != other_than
        return player if is_playing and is_other else None

    page.goto(f"{item['watch_url']}?sound=1&t=900")
    page.evaluate("document.querySelector('video').play()")
    before = until(plays, "it plays segments")
    assert heard(page) == TONES[0]
    page.evaluate(CHOOSE_SECOND)
    after = until(lambda: plays(before["source"]), "it plays the other segments")
    assert 900 <= after["at"] < 960
    assert heard(page) == TONES[1]


def test_a_viewer_chooses_a_sound(server: Server, browser: Browser, firefox_tab: Tab) -> None:
    item = settled(server, "long.mp4")
    with flawless(browser, server.base) as page:
        check_choice(item, page)
    firefox_tab.renew(server.base)
    check_choice(item, firefox_tab)
