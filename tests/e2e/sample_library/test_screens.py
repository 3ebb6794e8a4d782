"""Screenshots of every page, for people to look at, in build/screens or REELAY_SCREENS.

The tests check that the pictures are not blank.
"""

import os
from pathlib import Path

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Browser, Page
from support.chromium import flawless
from support.sample_library import PAGES
from support.server import serve
from support.stack import ROOT

pytestmark = pytest.mark.stack

FOLDER = Path(os.environ.get("REELAY_SCREENS") or ROOT / "build" / "screens")
DESKTOP, PHONE = (1280, 800), (390, 844)
OTHER_SIZES = {"wide": (1920, 1080), "tablet": (820, 1180), "across": (844, 390)}
OF_ALL_SIZES = ("library", "folder", "series", "watch", "watch-episode", "watch-portrait")
SMALL = 200_000  # bytes: visitors of the repository load the README's picture

# Loads all images of the page and the poster of the player.
PICTURES = """async () => {
    const images = [...document.images];
    for (const image of images) image.loading = "eager";
    const poster = new Image();
    poster.src = document.querySelector("video")?.poster || document.images[0]?.src || "";
    if (poster.src) images.push(poster);
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
    const player = document.querySelector("[data-player]");
    // While the player loads, the browser shows a spinner on the picture.
    const waits = () => player.networkState === player.NETWORK_LOADING;
    for (let turn = 0; player && turn < 50 && waits(); turn += 1)
        await new Promise((resolve) => setTimeout(resolve, 100));
}"""

# After some playback a player shows no spinner.
PLAY_A_MOMENT = """async () => {
    const player = document.querySelector("[data-player]");
    await player.play();
    await new Promise((resolve) => player.addEventListener("timeupdate", resolve, {once: true}));
    player.pause();
}"""


def screen(page: Page, name: str, size: tuple[int, int], *, whole: bool = True) -> Path:
    """Take a screenshot of the whole page or of the window."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate(PICTURES)
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.png"
    page.screenshot(path=file, full_page=whole, animations="disabled")
    with Image.open(file) as image:
        # A page with little text has a small deviation, a blank one has 0.
        assert ImageStat.Stat(image.convert("L")).stddev[0] > 5, f"{file} is blank"
    return file


@pytest.mark.slow
def test_no_page_is_blank(page: Page) -> None:
    for name, target in PAGES.items():
        page.emulate_media(color_scheme="light")
        page.goto(target)
        screen(page, f"{name}-desktop", DESKTOP)
        screen(page, f"{name}-phone", PHONE)
        if name in OF_ALL_SIZES:
            for size, window in OTHER_SIZES.items():
                screen(page, f"{name}-{size}", window, whole=False)
        page.emulate_media(color_scheme="dark")
        screen(page, f"{name}-dark", DESKTOP)
        screen(page, f"{name}-dark-phone", PHONE)


def test_right_to_left_printed_and_forced_colours_pages_are_not_blank(page: Page) -> None:
    for name in ("library", "watch"):
        page.goto(PAGES[name])
        page.emulate_media(forced_colors="active")
        screen(page, f"{name}-forced-colours", DESKTOP)
        page.emulate_media(forced_colors="none", media="print")
        screen(page, f"{name}-print", DESKTOP)
        page.emulate_media(media="screen")
        page.evaluate("document.documentElement.dir = 'rtl'")
        screen(page, f"{name}-rtl", DESKTOP)
        screen(page, f"{name}-rtl-phone", PHONE)


def test_an_empty_library_is_not_blank(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty") / "media"
    empty.mkdir()
    with serve(empty) as server, flawless(browser, server.base) as page:
        page.goto("/")
        screen(page, "empty-desktop", DESKTOP)
        screen(page, "empty-phone", PHONE)
        page.emulate_media(color_scheme="dark")
        screen(page, "empty-dark", DESKTOP)


def test_the_screenshot_of_the_readme_is_small(page: Page) -> None:
    """It is kept in the repository: `cp build/screens/readme.webp .github/watch.webp`."""
    page.emulate_media(color_scheme="light")
    page.goto(PAGES["watch-at"])
    page.evaluate(PLAY_A_MOMENT)
    picture = screen(page, "readme", (1280, 1000), whole=False)
    small = picture.with_suffix(".webp")
    with Image.open(picture) as image:
        image.save(small, quality=82, method=6)
    assert small.stat().st_size < SMALL
