"""Where the picture, its title and what stands beside it are on the watch page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.chromium import flawless, until_true
from support.ffmpeg_fixtures import AAC, SOUND, ffmpeg
from support.firefox import Tab
from support.raw_http import ask, url_of
from support.server import Server, serve, until

SHAPES = {"wide": (478, 200), "usual": (320, 180), "old": (320, 240), "tall": (180, 320)}
EPISODES = [f"Show/Show.S01E0{number}.mkv" for number in (1, 2, 3)] + ["Show/Show.S02E01.mkv"]
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
ABOUT = ("-metadata", "artist=Ada", "-metadata", "description=Boats come home.")

TWICE = """document.addEventListener("DOMContentLoaded", () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("html { font-size: 200% !important; }");
    document.adoptedStyleSheets = [sheet];
});"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BOXES = """() => {
    const box = (selector) => document.querySelector(selector).getBoundingClientRect().toJSON();
    return {screen: box(".screen"), video: box("video"), title: box("h1"),
            window: [innerWidth, innerHeight]};
}"""


def make(path: Path, size: tuple[int, int], *more: str, seconds: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = f"testsrc2=size={size[0]}x{size[1]}:rate=10:duration={seconds}"
    ffmpeg(path, "-f", "lavfi", "-i", picture, *SOUND, *H264, *AAC, *more)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("layout") / "media"
    for name, size in SHAPES.items():
        make(media / f"{name}.mp4", size, *ABOUT)
    # 8 Mbit/s, of which a slow connection brings a fraction.
    rate = ("-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "1M",
            "-x264-params", "nal-hrd=cbr")  # fmt: skip
    make(media / "large.mp4", (320, 180), *rate, "-movflags", "+faststart", seconds=30)
    for path in EPISODES:
        make(media / path, SHAPES["usual"])
    with serve(media) as server:
        until(lambda: b'"pending"' not in ask(server.base, "/api/videos").body, "all are probed")
        yield server


def check_shape(boxes: Any, name: str) -> None:
    """Check that the picture fills the screen, which is as large as the window allows."""
    width, height = SHAPES[name]
    screen = boxes["screen"]
    assert screen["width"] / screen["height"] == pytest.approx(width / height, rel=0.01)
    for side in ("left", "right", "top", "bottom"):
        assert boxes["video"][side] == pytest.approx(screen[side], abs=1)
    is_wide = screen["width"] > 0.9 * boxes["window"][0]
    is_high = screen["height"] > 0.6 * boxes["window"][1]
    assert is_wide or is_high


@pytest.mark.parametrize("name", SHAPES)
def test_the_screen_has_the_shape_of_the_picture_and_the_title_is_visible(
    server: Server, browser: Browser, name: str
) -> None:
    with flawless(browser, server.base, viewport={"width": 1280, "height": 720}) as page:
        page.goto(f"/watch/{name}.mp4")
        boxes = page.evaluate(BOXES)
        check_shape(boxes, name)
        assert boxes["screen"]["bottom"] <= boxes["title"]["top"]
        assert boxes["title"]["bottom"] <= 720
        expect(page.get_by_text("Boats come home.")).to_be_visible()
        expect(page.get_by_role("definition").filter(has_text="Ada")).to_be_visible()


@pytest.mark.slow
def test_firefox_gives_the_screen_the_same_shape(server: Server, firefox_tab: Tab) -> None:
    with firefox_tab.at(server.base) as page:
        for name in SHAPES:
            page.goto(f"/watch/{name}.mp4")
            check_shape(page.evaluate(BOXES), name)


def test_a_phone_held_across_is_filled(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base, viewport={"width": 844, "height": 390}) as page:
        page.goto("/watch/usual.mp4")
        screen = page.evaluate(BOXES)["screen"]
        assert (screen["top"], screen["height"]) == (0, 390)


def test_an_upright_phone_keeps_the_picture_in_view(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base, viewport={"width": 390, "height": 844}) as page:
        page.goto("/watch/usual.mp4")
        page.mouse.wheel(0, 600)
        until_true(page, "scrollY > 100")
        assert page.evaluate(BOXES)["screen"]["top"] == 0


def names_beside(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(".neighbour").all_inner_texts()]


def test_the_whole_season_is_beside_an_episode(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        page.goto(url_of("watch", EPISODES[1]))
        assert names_beside(page) == ["E1 0:02", "E2 0:02", "E3 0:02"]
        expect(page.locator(".neighbour[aria-current=page]")).to_contain_text("E2")
        expect(page.locator(".neighbour[data-next]")).to_contain_text("E3")
        # At the end of a season the next one begins.
        page.goto(url_of("watch", EPISODES[2]))
        assert names_beside(page) == ["E1 0:02", "E2 0:02", "E3 0:02", "Next Show · S2 E1 0:02"]


def test_text_of_twice_the_size_fits_into_a_narrow_window(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base, viewport={"width": 320, "height": 700}) as page:
        page.add_init_script(TWICE)
        for target in (url_of("watch", EPISODES[1]), "/series/Show", "/", "/watch/nothing.mp4"):
            page.goto(target, wait_until="networkidle")
            assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "32px"
            assert page.evaluate(OVERFLOW) <= 0, target


@pytest.mark.slow
def test_a_connection_that_is_slower_than_the_film_is_told(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base) as page:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        slow = {"offline": False, "latency": 50, "downloadThroughput": 150_000,
                "uploadThroughput": 150_000}  # fmt: skip
        session.send("Network.emulateNetworkConditions", slow)
        # The page is complete only when the browser has loaded as much of the film as it wants.
        page.goto("/watch/large.mp4", wait_until="domcontentloaded")
        page.locator("video").evaluate("video => { video.muted = true; video.play(); }")
        notice = page.locator("[data-slow-link]")
        expect(notice).to_contain_text("slower than this film needs")
        expect(notice.get_by_role("link", name="Download")).to_be_visible()
        notice.get_by_role("button", name="Close").click()
        expect(notice.get_by_role("link", name="Download")).to_be_hidden()
