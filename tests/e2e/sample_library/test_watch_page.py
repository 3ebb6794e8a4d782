"""The watch page in Chromium, as viewers see and use it."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support.chromium import flawless
from support.sample_library import ARABIC, AUDIO, BROKEN, CAPTIONED, EPISODES, HEVC, PLAIN, PORTRAIT
from support.stack import Stack

pytestmark = pytest.mark.stack

AT = "document.querySelector('[data-player]').currentTime"
PROGRESS = "JSON.parse(localStorage.getItem('reelay.progress') ?? '{}')"


def watch(page: Page, path: str, query: str = "") -> None:
    """Open the page of a video, and wait until it can play."""
    page.goto(f"/watch/{quote(path)}{query}")
    until(page, "document.querySelector('[data-player]').readyState > 0")


def until_at(page: Page, second: float, tolerance: float = 0.3) -> None:
    until(page, f"Math.abs({AT} - {second}) <= {tolerance}")


def until(page: Page, condition: str) -> None:
    """Wait for a condition. Playwright's own waiting needs eval, which the policy forbids."""
    for _ in range(1200):
        if page.evaluate(f"Boolean({condition})"):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"{condition}; it is at {page.evaluate(AT)} s")


def play(page: Page, second: float, seconds: float = 0.5) -> None:
    """Play a little from a position, and pause."""
    page.evaluate(
        """async ([from, seconds]) => {
            const player = document.querySelector("[data-player]");
            player.currentTime = from;
            await player.play();
            await new Promise((resolve) => {
                const look = () => player.currentTime >= from + seconds ? resolve()
                    : setTimeout(look, 20);
                look();
            });
            player.pause();
        }""",
        [second, seconds],
    )


@pytest.fixture
def plain_page(browser: Browser, cinema: Stack) -> Iterator[Page]:
    """Open a page without JavaScript."""
    context = browser.new_context(
        ignore_https_errors=True, base_url=cinema.base, java_script_enabled=False
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def failing_page(browser: Browser, cinema: Stack) -> Iterator[Page]:
    """Open a page on which answers may fail, which the console reports."""
    context = browser.new_context(ignore_https_errors=True, base_url=cinema.base)
    yield context.new_page()
    context.close()


def test_without_javascript_frames_chapters_and_neighbours_are_links(plain_page: Page) -> None:
    page = plain_page
    page.goto(f"/watch/{quote(CAPTIONED)}")
    page.get_by_role("link", name="Filmstrip").click()
    frames = page.get_by_role("navigation", name="Filmstrip").get_by_role("link")
    expect(frames).to_have_count(60)
    expect(page.get_by_label("Speed")).to_be_hidden()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    frames.filter(has_text="0:03").click()
    page.wait_for_url("**?filmstrip=1&t=3")
    until(page, f"Math.abs({AT} - 3) < 0.3")
    expect(page.locator(".strip [aria-current]")).to_have_text("0:03")
    page.get_by_role("link", name="0:40 Out to sea").click()
    page.wait_for_url("**?t=40")
    until(page, f"Math.abs({AT} - 40) < 0.3")
    expect(page.locator(".chapters [aria-current]")).to_contain_text("Out to sea")
    page.get_by_text("Embed in a page of yours").click()
    code = page.get_by_label("Paste this").input_value()
    assert f'/embed/{quote(CAPTIONED)}" title="' in code
    page.get_by_role("link", name=re.compile("^Next Paper Lanterns")).click()
    page.wait_for_url(f"**/watch/{quote(HEVC)}")
    page.get_by_text("For the owner", exact=True).click()
    expect(page.get_by_text("HEVC plays in some browsers only")).to_be_visible()


def test_filmstrip_frames_seek_highlight_and_preview(page: Page) -> None:
    watch(page, CAPTIONED)
    page.evaluate("window.stays = true")
    assert page.locator(".strip").count() == 0  # it is loaded when it is wanted
    page.get_by_role("button", name="Filmstrip").click()
    strip = page.get_by_role("navigation", name="Filmstrip")
    frame = strip.get_by_role("link", name="0:04", exact=True)
    preview = strip.locator(".preview")
    expect(preview).to_be_hidden()
    frame.hover()
    expect(preview).to_be_visible()
    expect(preview).to_contain_text("0:04")
    box, inside = preview.bounding_box(), frame.bounding_box()
    assert box
    assert inside
    assert box["width"] > 1.5 * inside["width"]
    assert abs(box["x"] + box["width"] / 2 - inside["x"] - inside["width"] / 2) < 2
    frame.click()
    until_at(page, 4)
    expect(frame).to_have_attribute("aria-current", "true")
    page.mouse.move(0, 0)
    expect(preview).to_be_hidden()
    # By keyboard: one stop for all frames, arrows, Enter.
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(preview).to_contain_text("0:06")
    until_at(page, 4)
    page.keyboard.press("Enter")
    until_at(page, 6)
    expect(page.locator(".strip [aria-current]")).to_have_text("0:06")
    page.keyboard.press("End")
    expect(strip.get_by_role("link", name="0:59")).to_be_focused()
    expect(strip.get_by_role("link", name="0:59")).to_be_in_viewport()
    expect(preview).to_contain_text("0:59")
    expect(preview).to_be_visible()  # after the strip has scrolled
    page.keyboard.press("Escape")
    expect(preview).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Download").first).to_be_focused()
    # A chapter link seeks and scrolls the strip, but not the page.
    page.mouse.wheel(0, 300)
    until(page, "scrollY > 100")
    page.get_by_role("link", name="0:20 Nets and ropes").click()
    until_at(page, 20)
    expect(page.locator(".chapters [aria-current]")).to_contain_text("Nets and ropes")
    scrolled = page.evaluate("scrollY")
    page.evaluate(f"{AT} = 45.5")
    expect(page.locator(".chapters [aria-current]")).to_contain_text("Out to sea")
    expect(page.locator(".strip [aria-current]")).to_have_text("0:45")
    until(
        page,
        "(frame => frame.left >= 0 && frame.right <= innerWidth)("
        "document.querySelector('.strip [aria-current]').getBoundingClientRect())",
    )
    assert page.evaluate("[scrollY, window.stays]") == [scrolled, True]


def test_the_filmstrip_stays_open_on_other_pages_until_it_is_folded_away(page: Page) -> None:
    strip = page.get_by_role("navigation", name="Filmstrip")
    watch(page, CAPTIONED)
    page.get_by_role("button", name="Filmstrip").click()
    expect(strip).to_be_visible()
    watch(page, PLAIN)
    expect(strip).to_be_visible()
    page.get_by_role("button", name="Filmstrip").click()
    expect(strip).to_be_hidden()
    watch(page, CAPTIONED)
    assert page.locator(".strip").count() == 0


def test_a_link_opens_at_its_time_and_can_be_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for query, second in (("?t=0m12.5s", 12.5), ("?t=0:45", 45), ("?t=30", 30)):
        watch(page, CAPTIONED, query)
        until_at(page, second)
    copy = page.get_by_role("button", name="Copy link at this moment")
    copy.click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.url == f"{page.url.partition('?')[0]}?t=30"
    page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error()))")
    copy.click()
    field = page.get_by_label("The link at this moment")
    expect(field).to_be_focused()
    assert field.input_value() == link
    assert page.evaluate("getSelection().toString() || document.activeElement.selectionEnd") in (
        link,
        len(link),
    )


def test_playback_resumes_at_the_saved_position_or_starts_over(page: Page) -> None:
    message = page.locator(".resumed")
    watch(page, CAPTIONED)
    play(page, 2, 0.2)
    page.reload()
    assert page.evaluate(PROGRESS) == {}  # a position in the first five seconds is not saved
    watch(page, CAPTIONED)
    play(page, 21)
    page.reload()
    until_at(page, 21.5, 1)
    expect(message).to_contain_text(re.compile("Resumed at 0:2[12]"))
    second, duration, at = page.evaluate(PROGRESS)[CAPTIONED]
    assert second == pytest.approx(21.5, abs=1)
    assert duration == pytest.approx(60, abs=0.2)
    assert at == pytest.approx(page.evaluate("Date.now()"), abs=60_000)
    watch(page, CAPTIONED, "?t=50")
    until_at(page, 50)
    expect(message).to_be_empty()
    watch(page, CAPTIONED)
    page.get_by_role("button", name="Start over").click()
    until_at(page, 0)
    assert page.evaluate(PROGRESS) == {}
    expect(message).to_be_empty()
    play(page, 30)
    page.reload()
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(message).to_have_text("Forgotten.")
    play(page, 33)
    page.reload()
    until_at(page, 0)
    assert page.evaluate(PROGRESS) == {}
    play(page, 30)
    play(page, 58, 0.2)  # within the last twentieth
    assert page.evaluate(PROGRESS) == {}


def test_only_200_positions_are_saved_and_all_can_be_cleared(page: Page) -> None:
    watch(page, PLAIN)
    page.evaluate("""localStorage.setItem("reelay.progress", JSON.stringify(Object.fromEntries(
        Array.from({length: 250}, (_, number) => [`film ${number}`, [10, 60, number]]))))""")
    play(page, 10, 0.2)
    positions = page.evaluate(PROGRESS)
    assert len(positions) == 200
    assert PLAIN in positions
    assert "film 249" in positions
    assert "film 50" not in positions
    page.get_by_role("button", name="Forget all that was watched in this browser").click()
    assert page.evaluate(PROGRESS) == {}


def test_the_player_works_without_browser_storage(page: Page) -> None:
    page.add_init_script("""
        for (const name of ["localStorage", "sessionStorage"]) {
            Object.defineProperty(window, name, {get() { throw new DOMException("no"); }});
        }
    """)
    watch(page, CAPTIONED)
    play(page, 21)
    page.get_by_role("button", name="Theatre width").click()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Speed").select_option("1.5")
    assert page.evaluate("document.querySelector('video').playbackRate") == 1.5


def state(page: Page) -> dict[str, Any]:
    values: dict[str, Any] = page.evaluate("""() => {
        const video = document.querySelector("video");
        const shown = [...video.textTracks].filter((track) => track.mode === "showing");
        return {
            paused: video.paused, muted: video.muted, rate: video.playbackRate,
            shown: shown.map((track) => track.language), at: video.currentTime,
            theatre: document.documentElement.classList.contains("theatre"),
            full: document.fullscreenElement === video.closest("[data-stage]"),
        };
    }""")
    return values


def until_state(page: Page, **expected: Any) -> None:
    """Wait until the player has this state."""
    for _ in range(1200):
        actual = state(page)
        if all(actual[name] == value for name, value in expected.items()):
            return
        page.wait_for_timeout(25)
    assert {name: actual[name] for name in expected} == expected


def test_keyboard_shortcuts_control_the_player(page: Page) -> None:
    watch(page, CAPTIONED)
    press = page.keyboard.press
    press("k")
    until_state(page, paused=False)
    press(" ")
    until_state(page, paused=True)
    press("5")
    until_at(page, 30)
    for key, second in (("l", 40), ("j", 30), ("ArrowRight", 35), ("ArrowLeft", 30), ("0", 0),
                        ("9", 54), ("3", 18), (".", 18.1), (",", 18)):  # fmt: skip
        press(key)
        until_at(page, second, 0.03)
    for key, expected in (
        ("m", {"muted": True}), ("m", {"muted": False}),
        (">", {"rate": 1.25}), (">", {"rate": 1.5}), ("<", {"rate": 1.25}), ("<", {"rate": 1}),
        ("c", {"shown": ["en"]}), ("c", {"shown": []}),
        ("t", {"theatre": True}), ("t", {"theatre": False}),
        ("f", {"full": True}), ("f", {"full": False}),
    ):  # fmt: skip
        press(key)
        until_state(page, **expected)
    expect(page.locator("[data-speeds]")).to_have_value("1")
    # Keys with a modifier, in a field or on a control are not shortcuts.
    press("Control+k")
    press("Alt+m")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Speed").focus()
    press("m")
    press("Escape")
    page.get_by_role("button", name="Theatre width").focus()
    press(" ")
    until_state(page, theatre=True, paused=True, muted=False)
    # A key on the player's focused controls has its effect only once.
    page.locator("video").focus()
    press(" ")
    until_state(page, paused=False)
    press(" ")
    until_state(page, paused=True)
    press("k")
    until_state(page, paused=False)
    press("k")
    # The list of shortcuts, and turning them off.
    press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    press("m")
    until_state(page, paused=True, muted=False)
    dialog.get_by_label("Use these shortcuts").uncheck()
    press("Escape")
    expect(dialog).to_be_hidden()
    page.evaluate("document.activeElement.blur()")
    press("m")
    press("5")
    until_state(page, muted=False)
    until_at(page, 18)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    dialog.get_by_label("Use these shortcuts").check()
    dialog.get_by_role("button", name="Close").click()
    press("m")
    until_state(page, muted=True)


def test_speed_and_theatre_width_are_remembered(page: Page) -> None:
    watch(page, CAPTIONED)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Speed").select_option("2")
    page.keyboard.press("Escape")
    width = "document.querySelector('.screen').getBoundingClientRect().width"
    before = page.evaluate(width)
    page.get_by_role("button", name="Theatre width").click()
    watch(page, PLAIN)
    until_state(page, rate=2, theatre=True)
    expect(page.locator("[data-speeds]")).to_have_value("2")
    assert page.evaluate(width) > before  # the window's height may leave room beside it
    assert page.get_by_role("button", name="Theatre width").get_attribute("aria-pressed") == "true"


def test_an_unplayable_codec_is_reported_before_playback(page: Page) -> None:
    unplayable = page.locator("[data-unplayable]")
    watch(page, CAPTIONED)
    expect(unplayable).to_be_hidden()
    page.goto(f"/watch/{quote(HEVC)}")
    if page.evaluate("document.querySelector('video').canPlayType('video/mp4; codecs=\"hvc1\"')"):
        expect(page.get_by_text("This browser plays it.")).to_be_visible()
        expect(unplayable).to_be_hidden()
        return
    expect(unplayable.get_by_role("status")).to_have_text("This browser cannot play HEVC video.")
    expect(unplayable.get_by_role("link", name="Download")).to_be_visible()
    expect(unplayable.get_by_role("link", name="Open in a player")).to_have_attribute(
        "href", f"/playlists/{quote(HEVC)}.m3u"
    )
    unplayable.get_by_role("link", name="how to mend the file").click()
    expect(page.get_by_text("This FFmpeg command mends the file")).to_be_in_viewport()
    page.goto(f"/watch/{quote(BROKEN)}")
    expect(unplayable.get_by_role("status")).to_have_text("This browser cannot play this file.")
    expect(page.get_by_text("This file could not be read.")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_every_kind_of_video_fits_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in (CAPTIONED, PORTRAIT, AUDIO, ARABIC, HEVC, BROKEN):
        page.goto(f"/watch/{quote(path)}")
        until(page, "!document.querySelector('[data-tools]').hidden")
        used, available = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert used <= available, path
        stage = page.locator(".screen").bounding_box()
        assert stage
        assert stage["y"] + stage["height"] <= 800, path
        assert page.locator("h1").bounding_box()
    page.goto(f"/watch/{quote(PORTRAIT)}")
    stage = page.locator(".screen").bounding_box()
    assert stage
    if width == 320:
        assert stage["height"] > stage["width"]


def test_the_player_recovers_from_a_lost_connection(failing_page: Page) -> None:
    page = failing_page
    banner = page.locator(".banner")
    lost = True

    def answer(route: Route) -> None:
        if lost:
            route.abort("connectionfailed")
        else:
            route.continue_()

    page.route("**/media/**", answer)
    page.goto(f"/watch/{quote(CAPTIONED)}?t=30")
    expect(banner).to_contain_text("The connection is lost.")
    expect(banner.get_by_role("button", name="Try again")).to_be_visible()
    lost = False
    expect(banner).to_be_empty()
    until_at(page, 30)
    # Again, with a viewer who does not wait.
    lost = True
    page.reload()
    page.evaluate("void document.querySelector('video').play().catch(() => {})")
    expect(banner).to_contain_text("The connection is lost.")
    lost = False
    banner.get_by_role("button", name="Try again").click()
    expect(banner).to_be_empty()
    until(page, f"{AT} > 30.3 && {AT} < 40")


def test_the_player_continues_with_a_replaced_file(failing_page: Page) -> None:
    page = failing_page
    superseded: set[str] = set()

    def answer(route: Route) -> None:
        if route.request.url in superseded:
            route.fulfill(status=410, body="")
        else:
            route.continue_()

    page.route("**/media/**", answer)
    watch(page, PLAIN)
    source = page.evaluate("document.querySelector('source').src")
    play(page, 20, 0.2)
    superseded.add(source)
    page.evaluate("document.querySelector('video').load()")
    until_at(page, 20.2, 0.5)
    assert page.evaluate("document.querySelector('source').src") == source.partition("?")[0]
    expect(page.locator(".banner")).to_be_empty()
    # The file is removed.
    page.unroute("**/media/**")
    page.route("**/media/**", lambda route: route.fulfill(status=404, body=""))
    page.evaluate("document.querySelector('video').load()")
    expect(page.locator(".banner")).to_contain_text("This video is no longer in the library.")
    page.get_by_role("link", name="Go to its folder").click()
    page.wait_for_url("**/?folder=Films")


@pytest.mark.slow
def test_playing_to_the_end_logs_no_error(browser: Browser, cinema: Stack) -> None:
    for path in (EPISODES[3], AUDIO):
        with flawless(browser, cinema.base) as page:
            watch(page, path)
            play(page, 18.5, 1)
            page.evaluate("document.querySelector('[data-player]').play()")
            until(page, "document.querySelector('[data-player]').ended")
            expect(page.locator(".banner")).to_be_empty()
