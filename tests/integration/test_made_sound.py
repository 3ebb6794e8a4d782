"""Films without sound that browsers play: a running service makes it, and pages go over to it."""

import json
import os
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser
from support.chromium import flawless
from support.ffmpeg_fixtures import AAC, ffmpeg
from support.firefox import Tab
from support.made_sound import about, clicks_of, complaints, damage_sound, film, make
from support.raw_http import Answer, ask
from support.representations import check_conditions, check_ranges
from support.seeks import unmade
from support.server import BLOCK, Server, serve, until, write
from support.sounds import IN_THE_CENTRE, SECONDS

pytestmark = pytest.mark.slow  # sound is encoded

MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]

NOISY = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "24", "-bf", "2", "-pix_fmt", "yuv420p",
         "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "2M",
         "-x264-params", "nal-hrd=cbr")  # fmt: skip
FILMS = ("film.mkv", "dts.mkv", "pcm.mkv", "flash.flv", "index at the end.mp4",
         "index in front.mov", "layer two.mp4")  # fmt: skip
AC3 = (*IN_THE_CENTRE, "-c:a", "ac3")
DTS = (*IN_THE_CENTRE, "-strict", "-2", "-c:a", "dca")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "media"
    folder.mkdir()
    film(folder / "film.mkv", *AC3, picture=NOISY)
    film(folder / "dts.mkv", *DTS, "-output_ts_offset", "3")
    film(folder / "pcm.mkv", "-c:a", "pcm_s16le")
    film(folder / "aac.mkv", *AAC)
    film(folder / "index at the end.mp4", *AC3, picture=NOISY)
    film(folder / "index in front.mov", "-c:a", "pcm_s24le", "-movflags", "+faststart")
    film(folder / "layer two.mp4", "-c:a", "mp2", "-movflags", "+faststart")
    film(folder / "flash.flv", "-ar", "22050", "-c:a", "adpcm_swf")
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media) as server:
        yield server


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def video(server: Server, name: str) -> Any:
    return json.loads(get(server, f"/api/videos/{quote(name)}").body)


def settled(server: Server, name: str) -> Any:
    """Return a video's JSON when everything that players need of it is made."""

    def known() -> Any:
        item = video(server, name)
        states = [item.get(kind, {}).get("state") for kind in ("remux", "sound")]
        is_known = item.get("state") == "probed" and not {"waiting", "possible"} & {*states}
        return item if is_known else None

    return until(known, f"the sound of {name} is made")


def stored_sounds(derived: Path) -> list[Path]:
    return [path for path in (derived / "sound").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", FILMS)
def test_players_get_the_film_with_sound(
    server: Server, media: Path, tmp_path: Path, name: str
) -> None:
    item = settled(server, name)
    assert (item["representation"], item["media_type"]) == ("with_sound", "video/mp4")
    assert item["sound"]["state"] == "ready"
    assert item["sound"]["codecs"][1] == "mp4a.40.2"
    assert item["sound"]["problems"] == []
    made = make(media / name, tmp_path / "a.mp4")
    answer = get(server, item["media_url"])
    assert answer.status == 200
    assert answer.body == made.data
    assert complaints(made.mp4) == ""
    assert get(server, f"/media/{quote(name)}").body == made.data
    revision = item["media_url"].partition("?v=")[2]
    found = get(server, f"/_revision?path=/media/{quote(name)}").headers["X-Revision"]
    assert found == revision
    # The file itself is what is downloaded, and a plain revision is the file.
    for url in (item["download_url"], f"/media/{quote(name)}?v={item['revision']}"):
        assert get(server, url).body == (media / name).read_bytes()


def test_findings_do_not_say_that_it_is_silent(server: Server) -> None:
    for name in FILMS:
        codes = [finding["code"] for finding in settled(server, name)["findings"]]
        assert codes == (["index_at_end"] if name == "index at the end.mp4" else []), name


def test_a_film_with_sound_that_browsers_play_gets_no_other(server: Server) -> None:
    item = settled(server, "aac.mkv")
    assert (item["representation"], item["sound"]["state"]) == ("remuxed", "none")


def test_every_range_is_a_slice_of_the_whole(server: Server) -> None:
    url = settled(server, "film.mkv")["media_url"]
    data = get(server, url).body
    size, chance = len(data), random.Random(3)  # noqa: S311 # spans, no secrets
    assert size > 2 * BLOCK
    for _ in range(150):
        start = chance.randrange(size)
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        end = min(last + 1, size, start // BLOCK * BLOCK + BLOCK)
        answer = get(server, url, Range=f"bytes={start}-{last}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == data[start:end]


def test_the_table_of_ranges_holds(server: Server) -> None:
    url = settled(server, "flash.flv")["media_url"]
    data = get(server, url).body
    assert len(data) < BLOCK  # nothing is capped
    check_ranges(server.base, url, data)


def test_conditions_apply_as_for_any_representation(server: Server) -> None:
    url = settled(server, "flash.flv")["media_url"]
    check_conditions(server.base, url, url.partition("?v=")[2], DATES)


# Changes


def test_a_replaced_film_is_never_mixed(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    old, new = ((media / name).read_bytes() for name in ("film.mkv", "dts.mkv"))
    write(folder, "a.mkv", old)
    with serve(folder) as server:
        item = settled(server, "a.mkv")
        first = get(server, item["media_url"], Range="bytes=0-")
        write(folder, "new", new, age=1800).rename(folder / "a.mkv")
        second = get(server, "/media/a.mkv", Range="bytes=0-", If_Range=first.headers["ETag"])
        assert second.status == 200
        assert old[-1000:] not in second.body
        for pin in (item["media_url"].partition("=")[2], item["revision"]):
            assert get(server, f"/media/a.mkv?v={pin}", Range="bytes=0-").status == 410
        again = until(
            lambda: (now := settled(server, "a.mkv"))["revision"] != item["revision"] and now,
            "the new file is examined",
        )
        data = tmp_path / "a.mp4"
        data.write_bytes(get(server, again["media_url"]).body)
        assert clicks_of(data) == about([time - 3 for time in clicks_of(media / "dts.mkv")])


def test_sound_outlives_a_restart_and_is_made_again_if_it_is_lost(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.flv", (media / "flash.flv").read_bytes())
    with serve(folder) as server:
        url = settled(server, "a.flv")["media_url"]
        data = get(server, url).body
    (stored,) = stored_sounds(tmp_path / "derived")
    with serve(folder) as server:
        assert get(server, url).body == data  # a pin is enough
        assert settled(server, "a.flv")["media_url"] == url
        assert server.metric('reelay_derivations_total{kind="sound"') == 0
    with serve(folder) as server:
        assert settled(server, "a.flv")["media_url"] == url
        stored.unlink()
        assert get(server, url).status == 410
        assert settled(server, "a.flv")["media_url"] == url
        assert get(server, url).body == data


@pytest.mark.parametrize("place", ["the record", "the end"])
def test_damaged_layouts_are_not_served(tmp_path: Path, media: Path, place: str) -> None:
    folder = tmp_path / "media"
    write(folder, "a.flv", (media / "flash.flv").read_bytes())
    with serve(folder) as server:
        url = settled(server, "a.flv")["media_url"]
        data = get(server, url).body
    (stored,) = stored_sounds(tmp_path / "derived")
    record = bytearray(stored.read_bytes())
    if place == "the end":
        del record[-100:]
    else:
        record[-200] ^= 1
    stored.write_bytes(record)
    with serve(folder) as server:
        assert get(server, url).status == 410
        assert settled(server, "a.flv")["media_url"] == url
        assert get(server, url).body == data


def test_damage_is_reported(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    film = (media / "film.mkv").read_bytes()
    for name, first, last in (("noise.mkv", -1.0, 99.0), ("part.mkv", 1.2, 2.2)):
        write(folder, name, film)
        damage_sound(folder / name, first, last)
    with serve(folder) as server:
        noise, part = settled(server, "noise.mkv"), settled(server, "part.mkv")
        assert (noise["representation"], noise["sound"]["state"]) == ("remuxed", "none")
        reason = "has sound that cannot be decoded"
        assert noise["sound"]["declined"] == f"The file {reason}."
        (finding,) = [f for f in noise["findings"] if f["code"] == "audio_codec"]
        assert finding["sentence"].endswith(f"No other can be made: the file {reason}.")
        assert part["representation"] == "with_sound"
        assert [finding["code"] for finding in part["findings"]] == ["damaged_sound"]
        assert len(part["sound"]["problems"]) == 1
        failed = [line for line in server.logged(route="media") if line["status"] >= 500]
        assert failed == []


def test_no_sound_is_made_if_it_is_switched_off(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    write(folder, "a.flv", (media / "flash.flv").read_bytes())
    write(folder, "b.mkv", (media / "dts.mkv").read_bytes())
    write(folder, "c.mp4", (media / "index at the end.mp4").read_bytes())
    ffmpeg(folder / "d.mp4", "-i", media / "index at the end.mp4", "-c", "copy",
           "-movflags", "frag_keyframe+empty_moov+delay_moov")  # fmt: skip
    with serve(folder) as server:
        url = settled(server, "a.flv")["media_url"]
        settled(server, "b.mkv")
    with serve(folder, SOUND="off") as server:
        item = settled(server, "a.flv")
        assert (item["representation"], item["sound"]["state"]) == ("file", "none")
        other = settled(server, "b.mkv")
        assert other["representation"] == "remuxed"
        assert "audio_codec" in [finding["code"] for finding in other["findings"]]
        assert get(server, url).status in {200, 410}
        for name in ("c.mp4", "d.mp4"):  # to copy them would only make sound
            assert settled(server, name)["copied"]["state"] == "none"


# Browsers


# Plays, and waits until a click is heard.
LISTEN = """async (from) => {
    const video = document.querySelector("video");
    if (video.readyState < 1)
        await new Promise((resolve) =>
            video.addEventListener("loadedmetadata", resolve, { once: true }));
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 32768 });
    context.createMediaElementSource(video).connect(analyser).connect(context.destination);
    video.muted = false;
    video.currentTime = from;
    await context.resume();
    await video.play();
    const samples = new Float32Array(analyser.fftSize);
    for (;;) {
        analyser.getFloatTimeDomainData(samples);
        const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
        if (peak > 0.1) break;
        if (video.ended) return { at: -1 };
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    video.pause();
    return { at: video.currentTime, source: video.currentSrc };
}"""


@pytest.mark.parametrize("name", ["film.mkv", "dts.mkv", "flash.flv", "index at the end.mp4"])
def test_chromium_plays_it_with_sound(server: Server, browser: Browser, name: str) -> None:
    item = settled(server, name)
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        for second in (0, 3):
            heard = page.evaluate(LISTEN if second == 0 else SEEK_ON, second)
            assert heard["at"] >= second
            assert heard["source"].endswith(item["media_url"])
        assert page.evaluate("document.querySelector('video').webkitAudioDecodedByteCount") > 0


# Plays up to a second.
PLAY = """async (second) => {
    const video = document.querySelector("video");
    await video.play();
    while (video.currentTime < second)
        await new Promise((resolve) => setTimeout(resolve, 20));
    video.pause();
    return { sounds: video.mozHasAudio, source: video.currentSrc };
}"""
SEEK_ON = """async (second) => {
    const video = document.querySelector("video");
    video.currentTime = second;
    await new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
    return { at: video.currentTime, source: video.currentSrc };
}"""


def test_firefox_plays_it_with_sound(server: Server, firefox_tab: Tab) -> None:
    names = ("film.mkv", "dts.mkv", "flash.flv", "index in front.mov")
    items = [settled(server, name) for name in names]
    with firefox_tab.at(server.base) as tab:
        for item in items:
            tab.goto(item["watch_url"])
            played = tab.evaluate(PLAY, 1)
            assert played["sounds"]
            assert played["source"].endswith(item["media_url"])
            assert tab.evaluate(SEEK_ON, 3)["at"] == pytest.approx(3)
            assert tab.evaluate("document.querySelector('video').error") is None


def test_a_page_plays_the_picture_and_goes_over_to_sound_by_itself(
    tmp_path: Path, media: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.mkv", (media / "film.mkv").read_bytes())
    with ExitStack() as locks:
        locks.enter_context(unmade(tmp_path / "derived"))
        with serve(folder) as server, flawless(browser, server.base) as page:
            until(lambda: video(server, "a.mkv").get("state") == "probed", "it is probed")
            page.goto("/watch/a.mkv?t=2")
            item = video(server, "a.mkv")
            assert item["sound"]["state"] == "waiting"
            (finding,) = [f for f in item["findings"] if f["code"] == "audio_codec"]
            assert finding["severity"] == "hint"
            assert "Reelay makes sound" in finding["sentence"]
            notice = "document.querySelector('[data-sound-notice]').textContent"
            assert page.evaluate(notice) == "The sound is being prepared."
            assert page.locator("[data-unplayable]").is_hidden()
            until(lambda: page.evaluate("document.querySelector('video').readyState") >= 2 or None,
                  "there is a picture")  # fmt: skip
            locks.close()
            url = settled(server, "a.mkv")["media_url"]
            source = "document.querySelector('video').currentSrc"
            until(lambda: page.evaluate(source).endswith(url), "the page has loaded the sound")
            until(lambda: page.evaluate("document.querySelector('video').currentTime") == 2,
                  "it is at the same second")  # fmt: skip
            assert page.evaluate(notice) == ""
            assert page.evaluate(LISTEN, 0)["at"] < SECONDS


# Records what a page says of the sound, and plays from a second on: slowly, so that the film does
# not end while its sound is made.
WATCH = """(second) => {
    const [video, notice] = [document.querySelector("video"),
                             document.querySelector("[data-sound-notice]")];
    window.said = [notice.textContent];
    new MutationObserver(() => window.said.push(notice.textContent))
        .observe(notice, { childList: true, characterData: true, subtree: true });
    video.muted = true;
    video.playbackRate = video.defaultPlaybackRate = 0.0625;
    video.currentTime = second;
    return video.play();
}"""
STATE = """() => {
    const video = document.querySelector("video");
    return { at: video.currentTime, paused: video.paused, source: video.currentSrc,
             heard: video.webkitAudioDecodedByteCount };
}"""


def test_playback_goes_on_with_sound(tmp_path: Path, media: Path, browser: Browser) -> None:
    """The page says how far the sound is, and what plays goes on where it was."""
    folder = tmp_path / "media"
    folder.mkdir()
    repeat = ("-stream_loop", "4", "-i", media / "film.mkv", "-c", "copy")
    ffmpeg(folder / "a.mkv", *repeat)
    with ExitStack() as locks:
        locks.enter_context(unmade(tmp_path / "derived"))
        with serve(folder) as server, flawless(browser, server.base) as page:
            until(lambda: video(server, "a.mkv").get("state") == "probed", "it is probed")
            page.goto("/watch/a.mkv")
            page.evaluate(WATCH, 10)
            until(lambda: page.evaluate(STATE)["at"] > 10.1 or None, "it plays")
            locks.close()
            url = settled(server, "a.mkv")["media_url"]
            until(lambda: page.evaluate(STATE)["source"].endswith(url), "the sound is loaded")
            until(lambda: page.evaluate(STATE)["heard"] and page.evaluate(STATE)["at"] >= 10,
                  "it goes on where it was, with sound")  # fmt: skip
            assert not page.evaluate(STATE)["paused"]
            said = page.evaluate("window.said")
            assert (said[0], said[-1]) == ("The sound is being prepared.", "")
            assert all(re.fullmatch(r"The sound is being prepared(\.|: [0-9]+ %)", text)
                       for text in said[:-1])  # fmt: skip
