"""Observe a player as its viewer does: its playback and its messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Page

from support.chromium import watched
from support.firefox import Tab
from support.server import until

# Events that a viewer would notice: errors of the player or its source, unexpected pauses.
LISTEN = """
    window.noticed = [];
    for (const type of ["error", "pause", "ended"]) {
        document.addEventListener(type, (event) => {
            const video = document.querySelector("video");
            if (event.target !== video && event.target.parentElement !== video) return;
            window.noticed.push(`${type} of ${event.target.localName} at ${video.currentTime}`);
        }, true);
    }
"""

STATE = """() => {
    const video = document.querySelector("video");
    const banner = document.querySelector(".banner");
    return {
        at: video.currentTime, paused: video.paused, ready: video.readyState,
        source: video.currentSrc, error: video.error?.code ?? null,
        message: banner.innerText.trim(), buttons: banner.querySelectorAll("button").length,
        noticed: window.noticed,
    };
}"""


@contextmanager
def patient(browser: Browser, base: str) -> Iterator[Page]:
    """Open a page on which only failed requests to the server are allowed as faults."""
    with watched(browser, base) as (page, complaints):
        page.add_init_script(LISTEN)
        yield page
    rest = [line for line in complaints if not line.startswith("Failed to load resource: ")]
    assert rest == [], rest


def state(page: Page | Tab) -> Any:
    page.wait_for_timeout(50)
    return page.evaluate(STATE)


def until_playing(page: Page | Tab, at: float) -> Any:
    """Wait until the player plays on from this second and shows no message."""

    def playing() -> Any:
        player = state(page)
        going = not player["paused"] and player["ready"] >= 3 and not player["message"]
        return player if going and at + 0.5 < player["at"] < at + 15 else None

    try:
        return until(playing, f"plays on from {at} s")
    except AssertionError as error:
        raise AssertionError(f"{error}: {state(page)}") from None


def start(page: Page | Tab, name: str) -> None:
    page.goto(f"/watch/{quote(name)}")
    page.evaluate("document.querySelector('video').play()")
    until_playing(page, 0)


def seek(page: Page | Tab, second: float) -> None:
    """Seek by the seek bar, as a viewer does. A player that recovers just then goes there later."""
    page.evaluate(
        """(second) => {
            const bar = document.querySelector("[data-seek]");
            bar.value = second;
            bar.dispatchEvent(new Event("change"));
        }""",
        second,
    )
