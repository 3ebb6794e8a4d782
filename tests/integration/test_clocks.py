"""Films whose own clock does not begin at 0: all times on the page count from the first picture.

Chromium's currentTime is on the file's clock, Firefox's is not; both show the same here."""

import http.client
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Page
from support.chromium import launched
from support.clock_films import (
    CHAPTERS,
    LENGTH,
    broadcast_film,
    cues,
    film,
    film_with_late_picture,
    fragmented_film,
    second_of_shade,
    tell_length,
)
from support.firefox import Tab
from support.server import Server, serve, until

pytestmark = pytest.mark.slow  # every file in both browsers

STARTS = {
    "zero.mkv": 0,
    "frame.mkv": 0.08,
    "second.mkv": 2,
    "hour.mkv": 3600,
    "length as by mkvmerge.mkv": 2,
    "frame.webm": 0.08,
    "second.webm": 2,
    "hour.webm": 3600,
    "fragments.mp4": 0,
    "hour of fragments.mp4": 3600,
    "frame.mp4": 0.08,
    "second.mp4": 2,
    # FFmpeg cannot write MP4's text tracks that begin after 36 minutes.
    "half an hour.mp4": 1800,
    "half an hour, index in front.mp4": 1800,
    "second.ts": 2,
    "hour.ts": 3600,
    # Times have 33 bits of 1/90000 s (ISO/IEC 13818-1 §2.4.3.7): they begin anew after 5 s.
    "a day.ts": 2**33 / 90_000 - 5,
}
FILMS = list(STARTS)
# What the page shows of a clock depends on its container, and on whether it begins a frame off or
# far off. The others have no other scripts and times; the service's are checked for all.
SHOWN_FILMS = [
    "frame.mkv", "hour.mkv", "length as by mkvmerge.mkv", "frame.webm", "hour.webm",
    "hour of fragments.mp4", "frame.mp4", "half an hour.mp4", "half an hour, index in front.mp4",
    "hour.ts", "a day.ts",
]  # fmt: skip
LATE_PICTURE, DELAY = "late picture.mp4", 3
FAST_START = ("-movflags", "+faststart")


def has_no_texts(name: str) -> bool:
    """Return whether captions and chapters are beside the film, and none in it."""
    return "fragments" in name or name.endswith(".ts")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clocks") / "media"
    folder.mkdir()
    for name, start in STARTS.items():
        if has_no_texts(name):
            make = broadcast_film if name.endswith(".ts") else fragmented_film
            make(folder, name, start)
            (folder / name).with_suffix(".chapters.vtt").write_text(
                "WEBVTT\n\n"
                + "".join(f"00:{at:02}.000 --> 00:{at + 1:02}.000\n{title}\n\n"
                          for at, title in CHAPTERS.items()),
                encoding="utf-8",
            )  # fmt: skip
        else:
            path = film(folder, name, start, *(FAST_START if "front" in name else ()))
            if "mkvmerge" in name:
                tell_length(path)
        (folder / name).with_suffix(".en.vtt").write_text(
            "WEBVTT\n\n" + cues("."), encoding="utf-8"
        )
    film_with_late_picture(folder, LATE_PICTURE, DELAY)
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media) as server:
        for name in FILMS:
            until(lambda name=name: is_complete(server, name), f"{name} has its artefacts")
        yield server


def fetched(server: Server, target: str) -> bytes:
    connection = http.client.HTTPConnection(server.base.removeprefix("http://"), timeout=60)
    connection.request("GET", target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, (target, answer.status, body)
    return body


def video(server: Server, name: str) -> Any:
    return json.loads(fetched(server, f"/api/videos/{quote(name)}"))


def is_complete(server: Server, name: str) -> bool:
    told = video(server, name)
    # Else the page would load it again as MP4.
    is_known = all(told[kind]["state"] != "waiting" for kind in ("remux", "copied"))
    return is_known and all(
        told[kind]["state"] == "ready" for kind in ("poster", "storyboard", "captions")
    )


@pytest.fixture(scope="module", params=["Chromium", "Firefox"])
def page(request: pytest.FixtureRequest, server: Server) -> Iterator[Page | Tab]:
    if request.param == "Firefox":
        firefox: Tab = request.getfixturevalue("firefox_tab")
        firefox.renew(server.base)
        yield firefox
        return
    with launched() as browser:
        yield browser.new_context(base_url=server.base).new_page()


SHOWN = """() => {
    const find = (selector) => document.querySelector(selector);
    const video = find("video");
    if (video.readyState < 2 || video.seeking) return null;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 4;
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 4, 4);
    for (const track of video.textTracks) {
        if (track.kind === "subtitles" && track.mode === "disabled") track.mode = "hidden";
    }
    return {
        shade: context.getImageData(1, 1, 1, 1).data[1],
        chapter: find("[data-chapters] [aria-current] bdi")?.textContent ?? null,
        frame: find(".strip [aria-current]")?.dataset.t ?? null,
        bar: find("[data-time]").textContent,
        cues: [...video.textTracks].filter((track) => track.kind === "subtitles").map(
            (track) => [...(track.activeCues ?? [])].map((cue) => cue.text).join()),
    };
}"""


REFUSE_CLIPBOARD = """() => {
    navigator.clipboard.writeText = () => Promise.reject(new Error("refused"));
}"""
PRESS_5 = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '5', bubbles: true}))"


def seen(page: Page | Tab, second: int, chapter: str, captions: int | None) -> None:
    """Wait until the page shows a second of the film with what belongs to it."""
    last: Any = None

    def is_shown() -> bool:
        nonlocal last
        last = page.evaluate(SHOWN)
        return (
            last is not None
            # A third of a second: sound may begin before the picture, and shades are lossy.
            and abs(second_of_shade(last["shade"]) - second) < 0.35
            and last["chapter"] == chapter
            and last["frame"] == str(second)
            # The last moment of a second may be shown for the next.
            and last["bar"] in {f"0:{at:02} / 0:{LENGTH}" for at in (second - 1, second)}
            and (captions is None or last["cues"] == [f"cue {second}"] * captions)
        )

    try:
        until(is_shown, f"second {second}")
    except AssertionError as error:
        at = page.evaluate("document.querySelector('video').currentTime")
        raise AssertionError(f"{error}: {last}, currentTime {at}") from None


def click(page: Page | Tab, selector: str) -> None:
    page.evaluate(f"document.querySelector({json.dumps(selector)}).click()")


@pytest.mark.parametrize("name", SHOWN_FILMS)
def test_everything_on_the_page_counts_from_the_first_picture(page: Page | Tab, name: str) -> None:
    captions = 1 if has_no_texts(name) else 2  # one beside the film, one inside
    page.goto(f"/watch/{quote(name)}?filmstrip=1&t=5")
    page.evaluate("localStorage.clear()")
    page.evaluate("localStorage.setItem('reelay.settings', '{\"filmstrip\": true}')")
    seen(page, 5, "Second", captions)
    click(page, "[data-chapters] li:nth-child(3) a")
    seen(page, 9, "Third", captions)
    click(page, ".strip a[data-t='3']")
    seen(page, 3, "First", captions)
    page.evaluate(PRESS_5)  # half of the film
    seen(page, LENGTH // 2, "Second", captions)
    page.evaluate(REFUSE_CLIPBOARD)
    click(page, "[data-copy]")
    link = "document.querySelector('[data-copy-field] input').value"
    until(lambda: page.evaluate(link).endswith("?t=8"), "a link to this second")
    # The next visit goes on there.
    stored = page.evaluate("JSON.parse(localStorage.getItem('reelay.progress'))")[name]
    assert stored[:2] == pytest.approx([8, LENGTH], abs=0.15)
    page.goto(f"/watch/{quote(name)}")
    seen(page, 8, "Second", captions)
    click(page, "[data-chapters] li:nth-child(1) a")
    seen(page, 0, "First", None)  # a cue inside may begin with the picture, after the sound


def test_a_picture_that_waits_for_its_sound_is_shown_when_it_should(page: Page | Tab) -> None:
    page.goto(f"/watch/{quote(LATE_PICTURE)}?t=8")
    page.evaluate("localStorage.clear()")

    def is_shown() -> bool:
        shown = page.evaluate(SHOWN)
        return shown is not None and abs(second_of_shade(shown["shade"]) - (8 - DELAY)) < 0.35

    until(is_shown, f"second {8 - DELAY} of the picture", timeout=60)


@pytest.mark.parametrize("name", FILMS)
def test_the_service_tells_all_times_from_the_first_picture(server: Server, name: str) -> None:
    told = video(server, name)
    # FFmpeg counts from where a clock begins anew: the start is negative, and told as 0.
    start = 0 if name == "a day.ts" else STARTS[name]
    assert told["metadata"]["start"] == pytest.approx(start, abs=0.025)
    assert told["metadata"]["duration"] == pytest.approx(LENGTH, abs=0.1)
    starts = [chapter["start"] for chapter in told["chapters"]]
    assert starts == pytest.approx(list(CHAPTERS), abs=0.025)


@pytest.mark.parametrize("name", FILMS)
def test_a_storyboard_shows_the_pictures_of_its_times(server: Server, name: str) -> None:
    index = fetched(server, video(server, name)["storyboard"]["url"]).decode()
    tiles = [line for line in index.splitlines() if "#xywh=" in line]
    assert LENGTH <= len(tiles) <= LENGTH + 1  # sound may last some milliseconds longer
    for second, tile in enumerate(tiles[:LENGTH]):
        sheet, _, area = tile.partition("#xywh=")
        left, top, width, height = map(int, area.split(","))
        with Image.open(BytesIO(fetched(server, sheet))) as image:
            shade = image.convert("L").getpixel((left + width // 2, top + height // 2))
        assert isinstance(shade, int | float)
        assert second_of_shade(shade) == pytest.approx(second, abs=0.5)
