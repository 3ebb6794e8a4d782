"""Pages of videos with unusual names, and with damaged data in the browser's local storage.

These run in a browser on the service alone; tests of the edge are in tests/e2e."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import flawless
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.raw_http import ask, url_of
from support.server import Server, serve, until, write

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=96x54:rate=10:duration=8")
SOUND = ("-f", "lavfi", "-i", "sine=duration=8")
LABEL = """$& $' "><b>English</b>"""
NAMES = [
    """Odd/"'<b>&amp;</b>{{7*7}} {} $&.mp4""",
    "100% %2e%2e %00/%2F +.mp4",
    "javascript:what?t=3&x#y.mp4",
    "Odd/\u202eevil \N{CLAPPER BOARD}.mp4",
    "x.vtt/0.webp/film.m3u.jpg.mp4",
    "embed/watch/" + "long " * 50 + ".mp4",
]
CAPTIONED = "captioned.mkv"
OTHER = "other.mp4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("odd") / "media"
    clip = ffmpeg(media.parent / "clip.mp4", *PICTURE, *SOUND, *H264, "-g", "10", *AAC)
    for name in [*NAMES, OTHER]:
        write(media, name, clip.read_bytes())
    text = write(media.parent, "text.srt", b"1\n00:00:01,000 --> 00:00:03,000\nHello\n")
    titled = ("-c", "copy", "-metadata:s:s:0", f"title={LABEL}")
    film = ffmpeg(media.parent / "film.mkv", "-i", clip, "-i", text, *titled)
    write(media, CAPTIONED, film.read_bytes())
    with serve(media) as running:
        ask(running.base, f"/watch/{CAPTIONED}")  # it is probed and its captions are made first

        def captions_ready() -> Any:
            item = json.loads(ask(running.base, f"/api/videos/{CAPTIONED}").body)
            return item.get("captions", {}).get("tracks")

        until(captions_ready, "the captions are ready")
        yield running


def play(page: Page, second: float) -> None:
    """Play briefly from this time on."""
    page.locator("[data-player]").evaluate(
        """async (player, second) => {
            player.muted = true;
            player.currentTime = second;
            await player.play();
            while (player.currentTime <= second) await new Promise((go) => setTimeout(go, 20));
            player.pause();
        }""",
        second,
    )


@pytest.mark.parametrize(
    "name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])]
)
def test_every_name_leads_to_its_video(server: Server, browser: Browser, name: str) -> None:
    with flawless(browser, server.base) as page:
        page.goto(url_of("watch", name))
        play(page, 5.5)
        page.locator(".crumb a").last.click()
        page.locator("[data-results]").wait_for()
        page.goto(url_of("embed", name))
        page.evaluate("document.querySelector('.embed-title a').removeAttribute('target')")
        page.locator(".embed-title a").click()
        assert page.locator("[data-stage]").get_attribute("data-path") == name
        page.get_by_text("Resumed at").wait_for()
        page.goto("/")
        row = page.get_by_role("region", name="Continue watching")
        row.get_by_role("link").click()
        assert page.locator("[data-stage]").get_attribute("data-path") == name


@pytest.mark.parametrize(
    ("progress", "settings"),
    [
        ("{", "{"),
        ("[[1, 2, 3]]", '{"speed": "fast", "keys": 0}'),
        ('{"a.mp4": null, "b.mp4": 1, "other.mp4": {"2": 1}}', "null"),
        ('{"a.mp4": [1, 2, "x"], "other.mp4": [1e308, 8, 1]}', '{"speed": 1e-9}'),
    ],
)
def test_damaged_local_storage_is_ignored(
    server: Server, browser: Browser, progress: str, settings: str
) -> None:
    with flawless(browser, server.base) as page:
        page.goto("/robots.txt")
        stored = {"reelay.progress": progress, "reelay.settings": settings}
        page.evaluate("(kept) => Object.assign(localStorage, kept)", stored)
        for route in ("watch", "embed"):
            page.goto(url_of(route, OTHER))
            play(page, 5.5)
        place = page.evaluate("JSON.parse(localStorage['reelay.progress'])['other.mp4'][0]")
        assert 5.5 <= place < 8


def test_a_label_is_shown_literally(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        page.goto(url_of("watch", CAPTIONED))
        (label,) = page.evaluate(
            "[...document.querySelector('[data-player]').textTracks].map((track) => track.label)"
        )
        assert LABEL in label
        page.keyboard.press("c")
        page.get_by_text(f"Captions: {label}", exact=True).wait_for()
