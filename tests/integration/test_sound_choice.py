"""A viewer chooses among the sounds of a film: over HTTP, and on the page in both browsers."""

import json
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import pytest
from playwright.sync_api import Browser, Page, expect
from support.chromium import flawless, watched
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg
from support.firefox import Tab
from support.long_film import MODIFIED
from support.raw_http import Answer, ask
from support.remuxed_files import TOLERANCE, Packet, packets
from support.representations import check_conditions, check_ranges
from support.server import Server, serve, until
from support.tones import heard, tone_of
from support.track_files import TONES, tracks_file

pytestmark = pytest.mark.slow  # a film with each of its sounds, in both browsers

LANGUAGES = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger",
             "-metadata:s:a:1", "title=Kommentar")  # fmt: skip
SECONDS = 60


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds") / "media"
    folder.mkdir()
    # Two sounds that browsers play.
    for name in ("film.mkv", "film.mp4"):
        tracks_file(folder / name, "v:h264", "a:aac", "a:aac-", more=LANGUAGES, seconds=SECONDS)
    cue = "WEBVTT\n\n00:00.000 --> 01:00.000\nIt is shown.\n"
    (folder / "film.en.vtt").write_text(cue, encoding="utf-8")
    # The second and the third are made on request. The third is of a kind that MP4 does not have.
    tracks_file(folder / "mixed.mkv", "v:h264", "a:aac", "a:ac3-", "a:dts-", more=LANGUAGES)
    tracks_file(folder / "one.mp4", "v:h264", "a:aac")
    tracks_file(folder / "silent.mp4", "v:h264")
    # A copy has eight sounds.
    nine = ("-map", "0:v", *("-map", "1:a") * 9)
    ffmpeg(folder / "nine.ts", *PICTURE, *SOUND, *nine, *H264, *AAC)
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media) as server:
        yield server


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def video(server: Server, name: str, query: str = "") -> Any:
    return json.loads(get(server, f"/api/videos/{quote(name)}{query}").body)


def settled(server: Server, name: str) -> Any:
    """Return a video's JSON once it is certain what players get."""

    def known() -> Any:
        item = video(server, name)
        is_due = "waiting" in {item["remux"]["state"], item["sound"]["state"]}
        is_due |= "waiting" in {item["copied"]["state"], item["captions"]["state"]}
        return item if item.get("state") == "probed" and not is_due else None

    return until(known, f"{name} is examined")


def ready(server: Server, name: str, number: int) -> Any:
    """Return a sound of a video when browsers play it."""

    def made() -> Any:
        sound = video(server, name, f"?sound={number}")["sounds"][number - 1]
        assert sound["state"] in {"ready", "waiting", "possible"}, sound
        return sound if sound["state"] == "ready" else None

    settled(server, name)
    return until(made, f"sound {number} of {name} is made")


def track(file: str | BytesIO, kind: str, place: int = 0) -> list[Packet]:
    with av.open(file) as container:
        index = [stream.index for stream in container.streams if stream.type == kind][place]
    if isinstance(file, BytesIO):
        file.seek(0)
    return packets(file, index)


def digests(file: str | BytesIO, kind: str, place: int = 0) -> list[bytes]:
    return [packet.digest for packet in track(file, kind, place)]


# Over HTTP


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4"])
def test_each_sound_has_an_mp4_in_which_it_comes_first(
    server: Server, media: Path, name: str
) -> None:
    item, file = settled(server, name), str(media / name)
    first, second = item["sounds"]
    assert [first["language"], second["language"]] == ["en", "de"]
    assert first["label"] == "English"
    assert second["label"].startswith("Deutsch")
    assert first["default"]
    assert first["url"] == item["media_url"]
    for sound, tone in ((first, TONES[0]), (second, TONES[1])):
        data = get(server, sound["url"]).body
        current = get(server, f"/media/{name}?sound={sound['number']}")
        assert current.body == data
        assert f"v={json.loads(current.headers['ETag'])}" in sound["url"]
        assert tone_of(data) == tone
        # Nothing of the film is other than in the file.
        assert digests(BytesIO(data), "video") == digests(file, "video")
        for place, number in enumerate((1, 0) if sound is second else (0, 1)):
            made, original = track(BytesIO(data), "audio", place), track(file, "audio", number)
            assert [packet.digest for packet in made] == [packet.digest for packet in original]
            # In sync with the picture as there.
            later = track(BytesIO(data), "video")[0].time - track(file, "video")[0].time
            off = [
                one.time - another.time - later for one, another in zip(made, original, strict=True)
            ]
            assert max(map(abs, off)) <= 2 * TOLERANCE


def test_the_table_of_ranges_and_conditions_holds(server: Server, media: Path) -> None:
    for name in ("film.mkv", "film.mp4"):
        sound = settled(server, name)["sounds"][1]
        data = get(server, sound["url"]).body
        for url in (sound["url"], f"/media/{name}?sound=2"):
            check_ranges(server.base, url, data)
    revision = sound["url"].partition("?v=")[2]
    assert revision.endswith("-a2")
    modified = get(server, sound["url"]).headers["Last-Modified"]
    earlier, later = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    check_conditions(server.base, sound["url"], revision, (modified, earlier, later))


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("/media/film.mkv?sound=0", 400, "number"),
        ("/media/film.mkv?sound=x", 400, "number"),
        ("/media/film.mkv?sound=02", 400, "number"),
        ("/media/film.mkv?sound=", 400, "number"),
        ("/media/film.mkv?sound=3", 404, "sounds from 1 to 2"),
        ("/media/film.mkv?sound=999", 404, "no sound 999"),
        ("/media/film.mkv?sound=1000", 400, "number"),
        ("/media/one.mp4?sound=2", 404, "sounds from 1 to 1"),
        ("/media/silent.mp4?sound=1", 404, "no sound"),
        ("/media/gone.mp4?sound=1", 404, "no such video"),
        ("/api/videos/film.mkv?sound=3", 404, "sounds from 1 to 2"),
        ("/watch/film.mkv?sound=3", 404, "sounds from 1 to 2"),
        ("/embed/film.mkv?sound=x", 400, "number"),
    ],
)
def test_a_sound_that_is_not_there_is_a_clear_error(
    server: Server, target: str, status: int, says: str
) -> None:
    if "gone" not in target:
        settled(server, target.partition("?")[0].rpartition("/")[2])
    answer = get(server, target)
    assert answer.status == status
    assert says in answer.body.decode()
    assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}


def test_a_revision_names_its_sound_and_is_gone_if_there_is_none(server: Server) -> None:
    url = settled(server, "film.mkv")["media_url"]
    assert get(server, f"{url}&sound=2").status == 400
    assert get(server, f"{url}-a2").status == 200
    assert get(server, f"{url}-a3").status == 410
    # The file's own bytes are the same whatever the query says.
    assert get(server, "/download/film.mkv?sound=2").body == get(server, "/download/film.mkv").body


def test_a_sound_that_is_not_in_the_copy_says_so(server: Server) -> None:
    item = settled(server, "nine.ts")
    assert item["representation"] == "copied"
    assert [sound["state"] for sound in item["sounds"]] == [*["ready"] * 8, "none"]
    assert "the first eight" in item["sounds"][8]["problem"]
    answer = get(server, "/media/nine.ts?sound=9")
    assert answer.status == 404
    assert item["sounds"][8]["problem"] in json.loads(answer.body)["detail"]


def test_a_sound_that_browsers_lack_is_made_when_somebody_asks_for_it(
    server: Server, media: Path
) -> None:
    item = settled(server, "mixed.mkv")
    assert [sound["state"] for sound in item["sounds"]] == ["ready", "possible", "possible"]
    # Players that know AC-3 get it at once. DTS is not in the MP4.
    assert tone_of(get(server, "/media/mixed.mkv?sound=2").body) == TONES[1]
    missing = get(server, "/media/mixed.mkv?sound=3")
    assert (missing.status, missing.headers["Cache-Control"]) == (503, "no-store")
    assert "Retry-After" in missing.headers
    for number in (2, 3):
        sound = ready(server, "mixed.mkv", number)
        data = get(server, sound["url"]).body
        with av.open(BytesIO(data)) as container:
            assert container.streams.audio[0].codec_context.name == "aac"
        assert tone_of(data) == TONES[number - 1]
        assert digests(BytesIO(data), "video") == digests(str(media / "mixed.mkv"), "video")
        assert get(server, f"/media/mixed.mkv?sound={number}").body == data
    # What players get without a choice is the same as before.
    assert video(server, "mixed.mkv")["media_url"] == item["media_url"]


def test_the_page_offers_the_sounds_without_scripts(server: Server, browser: Browser) -> None:
    sounds = settled(server, "film.mkv")["sounds"]
    with flawless(browser, server.base, java_script_enabled=False) as page:
        page.goto("/watch/film.mkv?t=3")
        menu = page.locator("details.sounds")
        menu.locator("summary").click()
        names = menu.locator("li bdi")
        assert names.all_inner_texts() == [sound["label"] for sound in sounds]
        assert [one.get_attribute("lang") for one in names.all()] == ["en", "de"]
        assert menu.locator("a[aria-current] bdi").inner_text() == "English"
        menu.get_by_role("link", name=sounds[1]["label"]).click()
        assert page.locator("source").get_attribute("src") == sounds[1]["url"]
        assert menu.locator("[data-sound-name]").inner_text() == sounds[1]["label"]
        page.goto("/embed/film.mkv?sound=2")
        assert page.locator("source").get_attribute("src") == sounds[1]["url"]
        page.goto("/watch/one.mp4")
        assert page.locator("details.sounds").count() == 0


# On the page, in both browsers

STATE = """() => {
    const video = document.querySelector("video");
    const shown = [...video.textTracks].filter(({ mode }) => mode === "showing");
    return {
        at: video.currentTime, paused: video.paused, ready: video.readyState,
        rate: video.playbackRate, source: video.currentSrc, error: video.error?.code ?? null,
        seeking: video.seeking,
        captions: shown.map(({ label }) => label),
    };
}"""
CHOOSE = """(number) => {
    document.querySelector("details.sounds").open = true;
    document.querySelector(`[data-sound-link="${number}"]`).click();
}"""
SET_UP = """() => {
    const video = document.querySelector("video");
    video.currentTime = 4;
    video.playbackRate = 1.25;
    video.textTracks[0].mode = "showing";
    return video.play();
}"""
CURRENT = """() => document.querySelector("[data-sound-link][aria-current]").textContent.trim()"""


def has_source(page: Page | Tab, sound: Any, *, paused: bool) -> Any:
    """Return the state of a player that plays this sound, or is paused with it; None if not yet."""
    state = page.evaluate(STATE)
    # It begins at 0, and goes to where the other one was.
    is_there = state["source"].endswith(sound["url"]) and state["ready"] >= 3 and state["at"] > 0
    return state if is_there and state["paused"] is paused and not state["seeking"] else None


def check_choice(server: Server, page: Page | Tab, name: str, *, captions: list[str]) -> None:
    """Choose among the sounds of a film. The first one is the default."""
    first, second = settled(server, name)["sounds"]

    def has(sound: Any, *, paused: bool) -> Any:
        return has_source(page, sound, paused=paused)

    page.goto(f"/watch/{name}?sound=1")
    until(lambda: page.evaluate("document.querySelector('video').readyState > 0"), "it is loaded")
    page.evaluate(SET_UP)
    state = until(lambda: has(first, paused=False), "the first sound")
    assert heard(page) == TONES[0]
    before = page.evaluate(STATE)["at"]
    page.evaluate(CHOOSE, 2)
    state = until(lambda: has(second, paused=False), "the second sound plays")
    assert before - 0.1 <= state["at"] < before + 4
    assert (state["rate"], state["error"], state["captions"]) == (1.25, None, captions)
    assert heard(page) == TONES[1]
    assert page.evaluate(CURRENT) == second["label"]
    # The other way, while paused.
    page.evaluate("document.querySelector('video').pause()")
    paused_at = page.evaluate(STATE)["at"]
    page.evaluate(CHOOSE, 1)
    state = until(lambda: has(first, paused=True), "the first sound, paused")
    assert state["at"] == pytest.approx(paused_at, abs=0.1)
    assert state["captions"] == captions
    page.evaluate("document.querySelector('video').play()")
    assert heard(page) == TONES[0]
    page.evaluate(CHOOSE, 2)
    until(lambda: has(second, paused=False), "the second sound again")


def check_memory(server: Server, page: Page | Tab) -> None:
    """Open other films after German has been chosen."""
    sounds = settled(server, "film.mp4")["sounds"]
    page.goto("/watch/film.mp4")

    def is_loaded() -> bool:
        state = page.evaluate(STATE)
        return state["ready"] > 0 and bool(state["source"].endswith(sounds[1]["url"]))

    until(is_loaded, "it is loaded with German sound")
    page.evaluate("document.querySelector('video').play()")
    assert heard(page) == TONES[1]
    assert page.evaluate(CURRENT) == sounds[1]["label"]
    page.goto("/watch/one.mp4")  # it has no German
    until(lambda: page.evaluate("document.querySelector('video').readyState > 0"), "it is loaded")
    page.evaluate("document.querySelector('video').play()")
    assert heard(page) == TONES[0]


def test_a_viewer_chooses_in_chromium(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        check_choice(server, page, "film.mp4", captions=["English"])
        check_choice(server, page, "film.mkv", captions=["English"])
        check_memory(server, page)


def test_a_viewer_chooses_in_firefox(server: Server, firefox_tab: Tab) -> None:
    firefox_tab.renew(server.base, watched=True)
    check_choice(server, firefox_tab, "film.mp4", captions=["English"])
    check_choice(server, firefox_tab, "film.mkv", captions=["English"])
    check_memory(server, firefox_tab)
    assert firefox_tab.complaints() == []


def test_the_page_goes_over_to_a_sound_that_is_made_for_it(
    tmp_path: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    tracks_file(folder / "a.mkv", "v:h264", "a:aac", "a:ac3-", more=LANGUAGES, seconds=SECONDS)
    os.utime(folder / "a.mkv", (MODIFIED, MODIFIED))
    with serve(folder) as server, flawless(browser, server.base) as page:
        settled(server, "a.mkv")
        page.goto("/watch/a.mkv")
        page.evaluate("document.querySelector('video').play()")
        assert heard(page) == TONES[0]
        page.keyboard.press("a")
        made = ready(server, "a.mkv", 2)
        until(lambda: has_source(page, made, paused=False), "it plays with the new sound")
        assert heard(page) == TONES[1]
        assert page.evaluate("document.querySelector('[data-sound-status]').textContent") == ""


def test_a_sound_that_is_gone_since_the_file_was_replaced_is_not_waited_for(
    tmp_path: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    tracks_file(folder / "a.mkv", "v:h264", "a:aac", "a:ac3-", more=LANGUAGES, seconds=SECONDS)
    os.utime(folder / "a.mkv", (MODIFIED, MODIFIED))
    tracks_file(tmp_path / "one.mkv", "v:h264", "a:aac")
    os.utime(tmp_path / "one.mkv", (MODIFIED, MODIFIED + 60))
    with serve(folder) as server, watched(browser, server.base) as (page, complaints):
        before = settled(server, "a.mkv")["revision"]
        page.goto("/watch/a.mkv")
        (tmp_path / "one.mkv").replace(folder / "a.mkv")
        until(lambda: settled(server, "a.mkv")["revision"] != before, "the new file is listed")
        page.keyboard.press("a")
        status = page.locator("[data-sound-status]")
        expect(status).to_have_text("The sound could not be prepared.")
        new = video(server, "a.mkv")
        until(lambda: page.evaluate(STATE)["source"].endswith(new["media_url"]), "it is loaded")
        page.locator(".sounds summary").click()
        expect(page.locator(".sounds li")).to_have_count(2)
        assert page.locator(".sounds li").nth(1).is_hidden()
    assert [complaint for complaint in complaints if "?sound=2" not in complaint] == []


# Every kind of file, in both browsers

FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov")
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "index at the end.mp4": (("v:h264", "a:aac", "a:aac-"), ()),
    "index in front.mp4": (("v:h264", "a:aac", "a:aac-"), ("-movflags", "+faststart")),
    "fragmented.mp4": (("v:h264", "a:aac", "a:aac-"), FRAGMENTED),
    "second by default.mp4": (("v:h264", "a:aac-", "a:aac"), ()),
    "film.mov": (("v:h264", "a:aac", "a:aac-"), ()),
    "film.mkv": (("v:h264", "a:mp3", "a:opus-"), ()),
    "film.webm": (("v:vp9", "a:opus", "a:opus-"), ()),
    "film.ts": (("v:h264", "a:aac", "a:ac3-"), ()),
    # Sound is made of both, or of the second.
    "rare.mkv": (("v:h264", "a:ac3", "a:ac3-"), ()),
    "rare.mp4": (("v:h264", "a:ac3", "a:eac3-"), ()),
    "dts.mkv": (("v:h264", "a:dts", "a:dts-"), ()),
    "mixed.mp4": (("v:h264", "a:aac", "a:ac3-"), ()),
    "mixed.mov": (("v:h264", "a:aac", "a:pcm-"), ()),
}


# An MP4 of which browsers play different sounds, or not all of them one, and what all of them get.
DISAGREED = {
    "ac3 first.mp4": (("a:ac3", "a:aac-"), 2),
    "aac off.mp4": (("a:aac-", "a:ac3"), 1),
    "second by default.mp4": (("a:aac-", "a:aac"), 2),
    "refused.mov": (("a:aac", "a:ac3-"), 1),
    "silent and refused.mov": (("a:ac3", "a:aac-"), 2),
}


def test_browsers_play_the_same_sound_of_an_mp4(
    tmp_path: Path, browser: Browser, firefox_tab: Tab
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for name, (sounds, _) in DISAGREED.items():
        path = tracks_file(folder / name, "v:h264", *sounds, seconds=4)
        os.utime(path, (MODIFIED, MODIFIED))  # no file that may be changing still
    expected = {name: TONES[number - 1] for name, (_, number) in DISAGREED.items()}
    with serve(folder) as server:
        for name in DISAGREED:
            item = settled(server, name)
            assert item["representation"] == "remuxed"
            codes = {finding["code"] for finding in item["findings"]}
            assert not {"track_choice", "audio_codec"} & codes
            whole = get(server, item["media_url"]).body
            assert tone_of(whole) == expected[name]
            assert digests(BytesIO(whole), "video") == digests(str(folder / name), "video")
        with flawless(browser, server.base) as page:
            assert heard_of_all(page) == expected
        firefox_tab.renew(server.base)
        assert heard_of_all(firefox_tab) == expected


def heard_of_all(page: Page | Tab) -> dict[str, Any]:
    played = {}
    for name in DISAGREED:
        page.goto(f"/watch/{quote(name)}")
        until(lambda: page.evaluate(STATE)["ready"] >= 2, f"{name} is loaded")
        page.evaluate("document.querySelector('video').play()")
        played[name] = heard(page)
    return played


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("kinds") / "media"
    folder.mkdir()
    for name, (tracks, more) in KINDS.items():
        tracks_file(folder / name, *tracks, more=more, seconds=4)
    with serve(folder) as server:
        yield server


@pytest.mark.parametrize("name", KINDS)
def test_each_sound_of_every_kind_comes_first(all_kinds: Server, name: str) -> None:
    for number in (1, 2):
        url = ready(all_kinds, name, number)["url"]
        data = get(all_kinds, f"/media/{quote(name)}?sound={number}").body
        assert data == get(all_kinds, url).body
        assert tone_of(data) == TONES[number - 1]


# One of each way in which a sound comes first. The bytes of all are checked above.
PLAYED = [
    ("index at the end.mp4", 2),
    ("fragmented.mp4", 2),
    ("second by default.mp4", 1),
    ("film.mkv", 2),
    ("film.webm", 2),
    ("film.ts", 2),
    ("rare.mkv", 1),
    ("mixed.mov", 2),
]


def check_kinds(server: Server, page: Page | Tab) -> None:
    played = {}
    for name, number in PLAYED:
        url = ready(server, name, number)["url"]
        page.goto(f"/embed/{quote(name)}?sound={number}")
        until(lambda: page.evaluate(STATE)["ready"] >= 2, f"{name} is loaded")
        page.evaluate("document.querySelector('video').play()")
        is_source = page.evaluate(STATE)["source"].endswith(url)
        played[name, number] = heard(page) if is_source else None
    assert played == {(name, number): TONES[number - 1] for name, number in PLAYED}


def test_chromium_plays_each_sound(all_kinds: Server, browser: Browser) -> None:
    with flawless(browser, all_kinds.base) as page:
        check_kinds(all_kinds, page)


def test_firefox_plays_each_sound(all_kinds: Server, firefox_tab: Tab) -> None:
    firefox_tab.renew(all_kinds.base)
    check_kinds(all_kinds, firefox_tab)
