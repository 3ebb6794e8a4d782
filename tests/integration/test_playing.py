"""The player as its viewers use it, in Chromium and Firefox: its controls, and the next video.

Both browsers let sound play only after a click or a key, as they do by default.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import flawless, launched
from support.clock_films import CHAPTERS, LENGTH, cues, film, second_of_shade
from support.firefox import Tab, tab
from support.raw_http import ask
from support.server import Server, serve, until

EPISODES = [f"Show/Season 1/Episode {number}.mp4" for number in range(1, 5)]
BROWSERS = ["Chromium", pytest.param("Firefox", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("playing") / "media"
    (media / EPISODES[0]).parent.mkdir(parents=True)
    for path in EPISODES:
        film(media, path, 0)
        for language in ("de", "en"):
            text = f"WEBVTT\n\n{cues('.')}"
            (media / path).with_suffix(f".{language}.vtt").write_text(text, encoding="utf-8")
    with serve(media) as server:
        until(lambda: all(is_complete(server, path) for path in EPISODES), "all is made")
        yield server


def video(server: Server, path: str) -> Any:
    return json.loads(ask(server.base, f"/api/videos/{path.replace(' ', '%20')}").body)


def is_complete(server: Server, path: str) -> bool:
    kinds = ("poster", "storyboard", "captions")
    return all(video(server, path)[kind]["state"] == "ready" for kind in kinds)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched(strict_autoplay=True) as browser:
        yield browser


@pytest.fixture(scope="module", params=BROWSERS)
def page(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page | Tab]:
    """Open a page on which any fault fails the test that is the last to use it."""
    with ExitStack() as stack:
        if request.param == "Firefox":
            profile = tmp_path_factory.mktemp("firefox") / "profile"
            strict = {"media.autoplay.default": 1}
            firefox = stack.enter_context(tab(server.base, profile, **strict))
            firefox.add_init_script(RECORD_ACTIONS)
            yield firefox
            assert firefox.complaints() == []
            shutil.rmtree(profile, ignore_errors=True)
        else:
            browser = request.getfixturevalue("browser")
            chromium = stack.enter_context(flawless(browser, server.base))
            chromium.add_init_script(RECORD_ACTIONS)
            yield chromium


# What the system may ask a page to do has no other way into a test.
RECORD_ACTIONS = """
    window.actions = {};
    const set = MediaSession.prototype.setActionHandler;
    MediaSession.prototype.setActionHandler = function (name, act) {
        window.actions[name] = act;
        set.call(this, name, act);
    };
"""

STATE = """() => {
    const find = (selector) => document.querySelector(selector);
    const video = find("video");
    return {
        path: decodeURIComponent(location.pathname), title: document.title,
        heading: find("h1").textContent.trim(), session: navigator.mediaSession.metadata?.title,
        full: document.fullscreenElement === find("[data-stage]"),
        playing: !video.paused && video.readyState > 2, at: video.currentTime,
        card: find("[data-upnext]")?.checkVisibility() ?? null, same: window.same === true,
        volume: video.volume, muted: video.muted, speed: video.playbackRate,
        captions: [...video.textTracks].filter(({mode}) => mode === "showing")
            .map(({language}) => language),
        size: document.documentElement.dataset.captionSize,
        idle: find("[data-stage]").hasAttribute("data-idle"),
        time: find("[data-time]").textContent,
    };
}"""


def until_state(page: Page | Tab, **expected: Any) -> dict[str, Any]:
    """Wait until the page is in this state; return the whole of it."""
    last: Any = None

    def is_reached() -> bool:
        nonlocal last
        last = page.evaluate(STATE)
        return all(last[name] == value for name, value in expected.items())

    try:
        until(is_reached, f"{expected}")
    except AssertionError:
        raise AssertionError(f"{expected}: {last}") from None
    return dict(last)


def press(page: Page | Tab, keys: str) -> None:
    if isinstance(page, Tab):
        page.press(keys)
    else:
        page.keyboard.press(keys)


def go(page: Page | Tab, path: str, query: str = "") -> None:
    """Open the page of a video with nothing remembered."""
    page.goto("/watch/" + path.replace(" ", "%20") + query)
    page.evaluate("localStorage.clear()")
    page.goto("/watch/" + path.replace(" ", "%20") + query)
    until(lambda: page.evaluate("document.querySelector('video').readyState > 0"), "metadata")


def seek(page: Page | Tab, second: float) -> None:
    page.evaluate("(second) => { document.querySelector('video').currentTime = second; }", second)


def seek_to_card(page: Page | Tab, second: float) -> None:
    """Seek to the last seconds and pause, so that the card of the next video stays."""
    page.evaluate("document.querySelector('video').pause()")
    seek(page, second)
    until_state(page, card=True)


def watch_path(path: str) -> str:
    return f"/watch/{path}"


def test_episodes_follow_each_other_in_full_screen(page: Page | Tab) -> None:
    go(page, EPISODES[0])
    page.evaluate("window.same = true")
    page.click("[data-large-play]")
    until_state(page, playing=True)
    press(page, "f")
    until_state(page, full=True)
    for number in (2, 3):  # the next one begins by itself, with sound
        seek_to_card(page, LENGTH - 2)
        press(page, "k")
        path, name = EPISODES[number - 1], f"Show · S1 E{number}"
        state = until_state(page, path=watch_path(path), playing=True)
        assert (state["full"], state["same"], state["muted"]) == (True, True, False)
        assert state["title"].startswith(name)
        assert (state["heading"], state["session"], state["card"]) == (name, name, False)
        assert state["at"] < LENGTH / 2
    # By key, and back by the browser's button.
    press(page, "Shift+P")
    until_state(page, path=watch_path(EPISODES[1]), playing=True, full=True, same=True)
    page.evaluate("history.back()")
    until_state(page, path=watch_path(EPISODES[2]), heading="Show · S1 E3", playing=True, same=True)
    assert page.evaluate("document.querySelectorAll('h1, video').length") == 2
    press(page, "f")
    until_state(page, full=False)
    for name, number in (("previous", 2), ("next", 3)):
        page.click(f"[data-control={name}]")
        until_state(page, path=watch_path(EPISODES[number - 1]), playing=True, same=True)
    # By a link of the page, and by what the system asks for.
    page.click(".about-side a[rel=next]")
    until_state(page, path=watch_path(EPISODES[3]), playing=True, same=True)
    page.evaluate("window.actions.previoustrack()")
    until_state(page, path=watch_path(EPISODES[2]), playing=True, same=True)
    assert page.evaluate("window.actions.nexttrack !== null")


def test_the_card_can_be_cancelled_and_the_step_switched_off(page: Page | Tab) -> None:
    go(page, EPISODES[0])
    page.click("[data-play]")
    seek_to_card(page, LENGTH - 3)
    page.click("[data-cancel]")
    until_state(page, card=False)
    page.click("[data-play]")
    ended = "document.querySelector('video').ended"
    until(lambda: page.evaluate(ended), "it ends")
    assert page.evaluate(STATE)["path"] == watch_path(EPISODES[0])
    go(page, EPISODES[1])
    page.click("[data-autoplay]")
    page.click("[data-play]")
    seek(page, LENGTH - 2)
    until(lambda: page.evaluate(ended), "it ends")
    state = page.evaluate(STATE)
    assert (state["path"], state["card"]) == (watch_path(EPISODES[1]), False)
    # The card's own button plays at once.
    page.click("[data-autoplay]")
    page.click("[data-play]")
    seek_to_card(page, LENGTH - 3.5)
    page.click("[data-now]")
    state = until_state(page, path=watch_path(EPISODES[2]), playing=True)
    assert state["at"] < LENGTH / 2


GLIMPSE = """async (part) => {
    const range = document.querySelector("[data-seek]");
    const {left, width, top, height} = range.getBoundingClientRect();
    const thumb = 16;
    range.dispatchEvent(new PointerEvent("pointermove", {
        bubbles: true, pointerType: "mouse", clientY: top + height / 2,
        clientX: left + thumb / 2 + (width - thumb) * part,
    }));
    const find = (name) => document.querySelector(`[data-glimpse-${name}]`);
    const sheet = find("frame").querySelector("image").getAttribute("href");
    if (!sheet || find("frame").hasAttribute("hidden")) return null;
    const image = new Image();
    image.src = sheet;
    await image.decode();
    const [x, y, w, h] = find("frame").getAttribute("viewBox").split(" ").map(Number);
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    context.drawImage(image, x + w / 2, y + h / 2, 1, 1, 0, 0, 1, 1);
    return {
        shade: context.getImageData(0, 0, 1, 1).data[1], time: find("time").textContent,
        chapter: find("chapter").textContent, seen: find("frame").checkVisibility(),
    };
}"""


LINES = """() => {
    const tracks = [...document.querySelector("video").textTracks];
    const cues = tracks.find(({mode}) => mode === "showing")?.cues ?? [];
    return [...new Set([...cues].map(({line}) => line === "auto" ? line : Math.sign(line)))];
}"""


def test_the_seek_bar_shows_the_frame_and_the_chapter_of_each_place(page: Page | Tab) -> None:
    go(page, EPISODES[0])
    for second, chapter in ((2, "First"), (6, "Second"), (13, "Third")):
        shown = until(
            lambda second=second: page.evaluate(GLIMPSE, (second + 0.5) / LENGTH), "a frame"
        )
        assert second_of_shade(shown["shade"]) == pytest.approx(second, abs=0.5)
        assert (shown["time"], shown["chapter"]) == (f"0:{second:02}", chapter)
        assert shown["seen"]
    marks = page.evaluate("""() => [...document.querySelectorAll("[data-marks] span")]
        .map((mark) => Number(mark.style.getPropertyValue("--at")))""")
    assert marks == pytest.approx([start / LENGTH for start in CHAPTERS if start], abs=0.01)
    # The bar seeks, also by keys, and says where it is.
    page.click("[data-seek]")
    until(lambda: abs(page.evaluate(STATE)["at"] - LENGTH / 2) < 0.3, "half of the film")
    press(page, "ArrowRight")
    until(lambda: abs(page.evaluate(STATE)["at"] - LENGTH / 2 - 5) < 0.3, "5 s on")
    words = "document.querySelector('[data-seek]').getAttribute('aria-valuetext')"
    assert page.evaluate(words) == "0:13 of 0:16, Third"
    assert page.evaluate(STATE)["time"] == "0:13 / 0:16"
    # Controls make way for the film, and come back; captions stand above them.
    seek(page, 0)
    press(page, "c")
    until(lambda: page.evaluate(LINES) == [-1], "raised captions")
    press(page, "k")
    until_state(page, playing=True, idle=True)
    assert page.evaluate(LINES) == ["auto"]
    press(page, "m")
    until_state(page, idle=False)
    assert page.evaluate(LINES) == [-1]


def choose(page: Page | Tab, selector: str, value: str) -> None:
    page.evaluate(
        """([selector, value]) => {
            const field = document.querySelector(selector);
            field.focus();
            field.value = value;
            for (const type of ["input", "change"]) {
                field.dispatchEvent(new Event(type, {bubbles: true}));
            }
        }""",
        [selector, value],
    )


def test_choices_are_remembered_for_other_videos(page: Page | Tab) -> None:
    go(page, EPISODES[0])
    page.click("[data-captions-button]")
    page.click("[data-track]:has([lang=de])")
    choose(page, "[data-style=captionSize]", "large")
    press(page, "Escape")
    choose(page, "[data-volume-slider]", "0.4")
    choose(page, "[data-speeds]", "1.5")
    page.click("[data-mute]")
    chosen = {"captions": ["de"], "size": "large", "volume": 0.4, "speed": 1.5, "muted": True}
    until_state(page, **chosen)
    page.goto("/watch/" + EPISODES[1].replace(" ", "%20"))
    until_state(page, **chosen)
    press(page, "c")
    until_state(page, captions=[])
    page.goto("/watch/" + EPISODES[2].replace(" ", "%20"))
    until_state(page, **chosen | {"captions": []})
    press(page, "c")
    until_state(page, captions=["de"])


ENGLISH_IS_LOADED = (
    "document.querySelector('track[srclang=en]').readyState === HTMLTrackElement.LOADED"
)


def test_the_chosen_captions_alone_are_shown_in_the_next_video(page: Page | Tab) -> None:
    """Chromium adds a choice of its own when it notices the new tracks."""
    go(page, EPISODES[0])
    page.click("[data-play]")
    page.click("[data-captions-button]")
    page.click("[data-track]:has([lang=en])")  # not the first one
    press(page, "Escape")
    until_state(page, captions=["en"])
    page.evaluate("window.same = true")
    for number in (2, 3):
        press(page, "Shift+N")
        until_state(page, path=watch_path(EPISODES[number - 1]), playing=True, same=True)
        # Its cues are there once the browser has chosen.
        until(lambda: page.evaluate(ENGLISH_IS_LOADED), "cues")
        until_state(page, captions=["en"])


FIRST_CARD = "document.querySelector('[data-results] a[href^=\"/watch/\"]')?.pathname.slice(-5)"


def test_the_order_of_a_list_is_remembered(page: Page | Tab) -> None:
    go(page, EPISODES[0])
    page.goto("/?folder=Show%2FSeason%201")
    until(lambda: page.evaluate(FIRST_CARD) == "1.mp4", "by name")
    choose(page, "#sort", "-name")
    until(lambda: page.evaluate(FIRST_CARD) == "4.mp4", "backwards")
    page.goto("/?folder=Show%2FSeason%201")
    until(lambda: page.evaluate(FIRST_CARD) == "4.mp4", "it is remembered")
    page.goto("/?folder=Show%2FSeason%201&sort=name")
    until(lambda: page.evaluate(FIRST_CARD) == "1.mp4", "the address takes precedence")


@pytest.mark.parametrize("first", ["/", "/series/Show"])
def test_a_viewer_goes_back_and_on(page: Page | Tab, first: str) -> None:
    """Firefox keeps the first page as it was (the back/forward cache)."""
    go(page, EPISODES[0])
    page.goto(first)
    page.evaluate("void addEventListener('pageshow', function () { window.shown = true; })")
    page.goto(f"/watch/{EPISODES[0].replace(' ', '%20')}")
    page.click("[data-large-play]")
    until_state(page, playing=True)
    page.go_back()
    assert page.evaluate("location.pathname") == first
    if isinstance(page, Tab):
        until(lambda: page.evaluate("window.shown"), "it is as it was")
    page.goto("/")
    assert page.evaluate("[location.pathname, document.readyState]") == ["/", "complete"]


def test_a_card_of_the_library_plays_its_video(page: Page | Tab) -> None:
    """The click does not count for the new page. If it is needed, the large button says so."""
    go(page, EPISODES[0])
    page.goto("/?folder=Show%2FSeason%201")
    card = "main a[href$='Episode%202.mp4']"
    if isinstance(page, Tab):
        page.follow(card)
    else:
        page.click(card)
    says = "document.querySelector('[data-large-play]').innerText.trim()"

    def has_begun() -> bool:
        return bool(page.evaluate(STATE)["playing"] or page.evaluate(says))

    until(lambda: page.evaluate("location.pathname.endsWith('2.mp4')"), "its page")
    until(has_begun, "it plays, or says why not")
    if not page.evaluate(STATE)["playing"]:
        assert page.evaluate(says) == "Press to play: this browser waits for it."
        page.click("[data-large-play]")
        until_state(page, playing=True)


def test_the_system_knows_what_plays_and_seeks_in_it(page: Page | Tab, server: Server) -> None:
    go(page, EPISODES[0])
    pictures = video(server, EPISODES[0])["poster"]["pictures"]
    artwork = page.evaluate("navigator.mediaSession.metadata.artwork.length")
    assert artwork == len(pictures) > 0
    page.evaluate("window.actions.seekto({seekTime: 7})")
    until(lambda: abs(page.evaluate(STATE)["at"] - 7) < 0.3, "7 s")
    page.evaluate("window.actions.seekbackward({seekOffset: 3})")
    until(lambda: abs(page.evaluate(STATE)["at"] - 4) < 0.3, "4 s")
    assert page.evaluate("window.actions.previoustrack") is None  # it is the first one


def test_a_link_beyond_the_end_says_so(page: Page | Tab) -> None:
    go(page, EPISODES[0], "?t=0:07")
    until(lambda: abs(page.evaluate(STATE)["at"] - 7) < 0.3, "7 s")
    go(page, EPISODES[0], "?t=01:10")
    said = page.evaluate("document.querySelector('[data-beyond-end]').innerText.trim()")
    assert said.startswith("The link leads to 1:10, but this ends at 0:16")
    assert page.evaluate(STATE)["at"] == 0
    # Also where the viewer had stopped elsewhere: it begins at the start, as it says.
    stored = {EPISODES[0]: [9, LENGTH, 1795000000000]}
    page.evaluate(f"localStorage.setItem('reelay.progress', '{json.dumps(stored)}')")
    page.goto(f"/watch/{EPISODES[0].replace(' ', '%20')}")
    until(lambda: page.evaluate(STATE)["at"] == 9, "it goes on")
    page.goto(f"/watch/{EPISODES[0].replace(' ', '%20')}?t=01:10")
    page.click("[data-large-play]")
    assert until_state(page, playing=True)["at"] < 8


def test_where_only_a_video_fills_the_screen_the_browsers_controls_stay(
    server: Server, browser: Browser
) -> None:
    """As on iPhones."""
    with flawless(browser, server.base) as page:
        page.add_init_script("delete Element.prototype.requestFullscreen;")
        page.goto("/watch/" + EPISODES[0].replace(" ", "%20"))
        page.keyboard.press("c")
        until(lambda: page.evaluate(STATE)["captions"], "the other modules run")
        assert page.evaluate("document.querySelector('video').controls")
        assert page.locator("[data-controls]").is_hidden()


def test_the_page_of_a_film_has_less_than_40_kb(server: Server) -> None:
    html = ask(server.base, "/watch/" + EPISODES[1].replace(" ", "%20")).body
    assert len(html) < 40_000
    assert not re.search(rb"^[ \t]+<", html, re.MULTILINE)  # no indentation


def test_without_scripts_the_browsers_own_controls_stay(server: Server, browser: Browser) -> None:
    context = browser.new_context(base_url=server.base, java_script_enabled=False)
    page = context.new_page()
    page.goto("/watch/" + EPISODES[0].replace(" ", "%20"))
    assert page.locator("video").get_attribute("controls") is not None
    assert page.locator("[data-controls]").is_hidden()
    assert page.locator("[data-large-play]").is_hidden()
    page.get_by_role("link", name="Filmstrip").click()
    frames = page.get_by_role("navigation", name="Filmstrip").get_by_role("link")

    def all_are_there() -> bool:  # the page shows them once they are made
        page.reload()
        return frames.count() >= LENGTH

    until(all_are_there, "there is a filmstrip")
    context.close()
