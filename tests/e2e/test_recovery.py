"""Playback continues through failures."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from support.ffmpeg_fixtures import ffmpeg
from support.firefox import Tab
from support.player_page import LISTEN, patient, seek, start, state, until_playing
from support.server import until
from support.stack import EDGE_WAIT, Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

NAMES = (
    "replaced in chromium.mp4", "replaced in firefox.mp4",
    "restarted in chromium.mp4", "restarted in firefox.mp4",
    "lost.mp4", "gone.mp4",
)  # fmt: skip


@pytest.fixture(scope="module")
def films(long_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack with a film for each test, so that none is cached."""
    media = tmp_path_factory.mktemp("films") / "media"
    media.mkdir()
    for name in NAMES:
        (media / name).hardlink_to(long_film)
    with running(media, RESCAN_INTERVAL="1") as stack:
        yield stack


@pytest.fixture(scope="module")
def browser(complete_browser: Browser) -> Browser:
    """Return the Chromium that viewers have."""
    return complete_browser


@pytest.fixture
def viewer(browser: Browser, films: Stack) -> Iterator[Page]:
    """Open a page on which only failed requests are allowed as faults."""
    with patient(browser, films.base) as page:
        yield page


@pytest.fixture
def firefox(films: Stack, firefox_tab: Tab) -> Iterator[Tab]:
    """Open such a page in Firefox."""
    with firefox_tab.at(films.base, watched=True) as page:
        page.add_init_script(LISTEN)
        yield page
        assert page.complaints() == []


@pytest.fixture(params=["chromium", "firefox"])
def any_viewer(request: pytest.FixtureRequest) -> tuple[Page | Tab, str]:
    """Return a page and the name of its browser."""
    page: Page | Tab = request.getfixturevalue(
        {"chromium": "viewer", "firefox": "firefox"}[request.param]
    )
    return page, request.param


def test_playback_continues_at_the_same_second_after_a_film_is_replaced(
    any_viewer: tuple[Page | Tab, str], films: Stack, long_film: Path
) -> None:
    viewer, browser_name = any_viewer
    name = f"replaced in {browser_name}.mp4"
    another = ("-c", "copy", "-metadata", "title=New", "-movflags", "+faststart")
    other = ffmpeg(films.media / ".new.mp4", "-i", long_film, *another)
    start(viewer, name)
    before = state(viewer)["source"]
    # At once, before the viewer has read ahead as far as the seek.
    other.replace(films.media / name)
    # Without a seek the viewer would reach missing bytes only later.
    seek(viewer, 40)
    player = until_playing(viewer, 40)
    assert player["source"] != before
    seek(viewer, 20)
    assert until_playing(viewer, 20)["source"] == player["source"]


def test_a_restart_of_the_service_does_not_interrupt_playback(
    any_viewer: tuple[Page | Tab, str], films: Stack
) -> None:
    viewer, browser_name = any_viewer
    start(viewer, f"restarted in {browser_name}.mp4")
    with ThreadPoolExecutor() as threads:
        restarted = threads.submit(restart, films)
        for second in (45, 15, 30):
            seek(viewer, second)
            until_playing(viewer, second)
        seconds = restarted.result()
    seek(viewer, 52)
    until_playing(viewer, 52)
    assert state(viewer)["noticed"] == [] or seconds > EDGE_WAIT


def restart(stack: Stack) -> float:
    """Restart the service; return after how many seconds it was healthy."""
    began = time.monotonic()
    stack.compose("restart", "service")
    stack.up()
    return time.monotonic() - began


def test_a_lost_network_shows_a_message_until_playback_resumes(viewer: Page, films: Stack) -> None:
    start(viewer, "lost.mp4")
    films.compose("stop", "--timeout", "1", "nginx")
    try:
        seek(viewer, 40)
        until(lambda: state(viewer)["message"] or None, "it shows a message")
        assert viewer.locator(".banner[role=status]").is_visible()
    finally:
        films.compose("start", "nginx")
    until_playing(viewer, 40)


def test_a_removed_film_shows_a_message(viewer: Page, films: Stack) -> None:
    start(viewer, "gone.mp4")
    (films.media / "gone.mp4").unlink()
    seek(viewer, 40)
    until(lambda: state(viewer)["message"] or None, "it shows a message")
    viewer.locator(".banner").get_by_role("link").click()
    viewer.wait_for_url(lambda url: "/watch/" not in url)
