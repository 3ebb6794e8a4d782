"""The home page of a family's library: rails that need no script, in which nothing overprints."""

import json
import re
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from support.chromium import flawless
from support.family_library import FILMS, ODD_NAMES, SERIES, family_library
from support.ffmpeg_fixtures import H264, TINY_PICTURE, ffmpeg
from support.firefox import Tab
from support.npm import packages
from support.raw_http import ask
from support.realistic_names import NAMES
from support.sent_text import SentText
from support.server import Server, serve, until, write

MAX_TEXT = 60_000  # bytes of the first page: HTML, style sheets and scripts, with their heads
WIDTHS = (1920, 1280, 820, 390)

# Text that leaves its card, or that is printed over other text of the card. What an ancestor clips
# is not seen.
MEASURE = """() => {
    const visible = (node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        let {left, top, right, bottom} = range.getBoundingClientRect();
        for (let e = node.parentElement; !e.matches(".card"); e = e.parentElement) {
            if (getComputedStyle(e).overflow === "visible") continue;
            const box = e.getBoundingClientRect();
            left = Math.max(left, box.left);
            top = Math.max(top, box.top);
            right = Math.min(right, box.right);
            bottom = Math.min(bottom, box.bottom);
        }
        return {left, top, right, bottom, text: node.textContent.trim()};
    };
    const lines = [];
    let count = 0;
    for (const card of document.querySelectorAll(".card")) {
        const frame = card.getBoundingClientRect();
        if (!frame.width) continue;
        count += 1;
        const boxes = [];
        const walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            if (walker.currentNode.textContent.trim()) boxes.push(visible(walker.currentNode));
        }
        for (const box of boxes) {
            if (box.left < frame.left - 1 || box.right > frame.right + 1
                || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
                lines.push(`leaves its card: ${box.text}`);
            }
            for (const other of boxes) {
                if (other === box) break;
                if (box.left < other.right - 1 && other.left < box.right - 1
                    && box.top < other.bottom - 1 && other.top < box.bottom - 1) {
                    lines.push(`over each other: ${box.text} and ${other.text}`);
                }
            }
        }
    }
    return [count, lines];
}"""

# How many cards of the longest rail are seen whole.
COLUMNS = """() => Math.max(...[...document.querySelectorAll(".rail")].map((rail) => {
    const frame = rail.getBoundingClientRect();
    return [...rail.querySelectorAll(".card")].filter((card) =>
        card.getBoundingClientRect().right <= frame.right).length;
}))"""

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

BEGUN = f"Odd names/{ODD_NAMES[0]}.mp4"
STORED = {
    "reelay.progress": f'{{"{BEGUN}": [0.4, 1, 1795000000000]}}',
    "reelay.seen": f'{{"Odd names/{ODD_NAMES[1]}.mp4": 1795000000001}}',
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = family_library(tmp_path_factory.mktemp("family") / "media")
    with serve(media, WORKERS="2") as server:
        # The posters of folders are made once a page with the folders was sent.
        until(
            lambda: has_all_pictures(server) and html_of(server, "/").count("rail-upright") == 2,
            "all pictures are made",
        )
        yield server


def has_all_pictures(server: Server) -> bool:
    videos = json.loads(ask(server.base, "/api/videos?limit=200").body)["videos"]
    return not any(
        {video["state"], video["poster"]["state"], video["storyboard"]["state"]}
        & {"pending", "waiting"}
        for video in videos
    )


def html_of(server: Server, target: str) -> str:
    answer = ask(server.base, target)
    assert answer.status == 200, answer.body
    return answer.body.decode()


def results(html: str) -> str:
    """Return the part of a page that has its rails."""
    return html[html.index("data-results") : html.index('<section class="history"')]


def headings(html: str) -> list[str]:
    texts = re.findall(r"<h2[^>]*>(.*?)</h2>", results(html), re.DOTALL)
    return [" ".join(unescape(re.sub("<[^>]*>", " ", text)).split()) for text in texts]


def cards(html: str, heading: str) -> list[str]:
    """Return the titles in a rail."""
    section = next(part for part in sections(html) if heading in "".join(headings_of(part)))
    texts = re.findall(r"<h3[^>]*>(.*?)</h3>", section, re.DOTALL)
    return [" ".join(unescape(re.sub("<[^>]*>", " ", text)).split()) for text in texts]


def sections(html: str) -> list[str]:
    return results(html).split("<section")[1:]


def headings_of(part: str) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", part, re.DOTALL)


def test_the_home_page_has_a_rail_for_each_folder(server: Server) -> None:
    html = html_of(server, "/")
    assert headings(html)[0] == "Recently added"
    assert headings(html)[-2:] == ["More folders", "More videos"]
    assert {"Films", "Series", "Holidays", "Odd names"} < set(headings(html))
    assert cards(html, "Films") == sorted(
        f"{title} ({1990 + number})" for number, title in enumerate(FILMS)
    )
    assert cards(html, "Series") == sorted(SERIES)
    assert cards(html, "More videos") == ["At the top"]
    # A folder with a single video is shown as that video.
    assert cards(html, "More folders").count("Music") == 1
    total = len(FILMS) + 8 * len(SERIES) + 5 + 6 + 2 * len(ODD_NAMES) + 1
    assert f"All {total} videos</a>" in html


def test_the_text_of_a_first_page_of_49_cards_has_less_than_60_kb(
    tmp_path: Path, browser: Browser
) -> None:
    """Not compressed, and with all pictures, whose addresses are a part of it."""
    film = ffmpeg(tmp_path / "film.mp4", *TINY_PICTURE, *H264).read_bytes()
    for name in NAMES:
        write(tmp_path / "media", name, film)
    with serve(tmp_path / "media", WORKERS="2") as server, flawless(browser, server.base) as page:
        page.goto("/robots.txt")
        until(lambda: has_all_pictures(server), "all pictures are made")
        text = SentText(page)
        page.goto("/", wait_until="networkidle")
        cards = page.locator(".rail .card")
        assert (cards.count(), cards.locator("img").count()) == (49, 49)
        assert MAX_TEXT / 2 < text.count() < MAX_TEXT


def test_a_folder_of_films_in_folders_of_their_own_shows_the_films(server: Server) -> None:
    html = html_of(server, "/?folder=Films")
    assert headings_of(html)[0] == "Films"
    links = re.findall(r'<h3>\s*<a href="([^"]*)"', html)
    assert len(links) == len(FILMS)
    assert all(link.startswith("/watch/Films/") for link in links)
    # Other folders stay folders.
    assert 'href="/?folder=Music/Evening"' in html_of(server, "/?folder=Music")


def test_no_card_is_twice_in_a_rail(server: Server) -> None:
    html = html_of(server, "/")
    for section in sections(html):
        links = re.findall(r'<h3>\s*<a href="([^"]*)"', section)
        assert links
        assert len(links) == len(set(links))


def test_every_rail_leads_to_all_that_it_shows_a_part_of(server: Server) -> None:
    html = html_of(server, "/")
    for link in re.findall(r'<a href="(/[^"]*)"\s+aria-labelledby', html):
        assert ask(server.base, unescape(link)).status == 200
    listing = html_of(server, "/videos")
    assert "All videos" in listing
    assert 'href="/videos?page=2"' in listing
    assert "/videos?page=2" not in html_of(server, "/?folder=Films")


def test_rails_of_films_and_series_have_upright_posters_and_others_have_stills(
    server: Server,
) -> None:
    html = html_of(server, "/")
    for section in sections(html):
        upright = "rail-upright" in section
        assert upright == any(
            title in "".join(headings_of(section)) for title in ("Films", "Series")
        )
        urls = re.findall(r'<img[^>]*src="([^"]*)"', section)
        assert urls
        for url in urls:
            picture = Image.open(BytesIO(ask(server.base, unescape(url)).body))
            assert (picture.width < picture.height) == upright


@pytest.mark.parametrize("target", ["/", pytest.param("/videos?limit=60", marks=pytest.mark.slow)])
def test_no_text_leaves_its_card_or_is_over_another_in_chromium(
    server: Server, browser: Browser, target: str
) -> None:
    with flawless(browser, server.base) as page:
        page.goto("/robots.txt")
        page.evaluate("(kept) => Object.assign(localStorage, kept)", STORED)
        page.goto(target)
        page.locator(".watched").first.wait_for()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            count, lines = page.evaluate(MEASURE)
            assert count >= 40
            assert lines == [], width
            assert page.evaluate(OVERFLOW) <= 0, width


def test_no_page_of_a_long_or_arabic_name_is_wider_than_a_phone(
    server: Server, browser: Browser
) -> None:
    videos = [quote(f"Odd names/{name}.mp4") for name in ODD_NAMES[1:4]]
    targets = ["/?folder=Odd%20names", f"/?q={quote(ODD_NAMES[3][:4])}"]
    targets += [f"/{page}/{video}" for page in ("watch", "embed") for video in videos]
    with flawless(browser, server.base, java_script_enabled=False) as page:
        for target in targets:
            page.goto(target)
            for width, height in ((360, 740), (740, 360)):
                page.set_viewport_size({"width": width, "height": height})
                assert page.evaluate(OVERFLOW) <= 0, (target, width)


@pytest.mark.slow
def test_no_text_leaves_its_card_or_is_over_another_in_firefox(
    server: Server, firefox_tab: Tab
) -> None:
    with firefox_tab.at(server.base, watched=True) as page:
        page.goto("/robots.txt")
        page.evaluate("(kept) => Object.assign(localStorage, kept)", STORED)
        for target in ("/", "/videos?limit=60"):
            page.goto(target)
            until(lambda: page.evaluate("document.querySelector('.watched') !== null"), "marks")
            for width in WIDTHS:
                page.resize(width, 900)
                count, lines = page.evaluate(MEASURE)
                assert count >= 40
                assert lines == [], (target, width)
                assert page.evaluate(OVERFLOW) <= 0, (target, width)
        assert page.complaints() == []


def test_a_wide_screen_shows_seven_cards_at_a_time_and_a_phone_two(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base) as page:
        page.goto("/")
        for width, expected in zip(WIDTHS, (7, 5, 3, 2), strict=True):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(COLUMNS) == expected


def rail(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name)


def test_the_buttons_of_a_rail_scroll_it_and_stay_in_the_order_of_the_keyboard(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base, reduced_motion="reduce") as page:
        page.goto("/")
        page.mouse.move(5, 5)
        region = rail(page, "Recently added")
        back = region.get_by_role("button", name="Previous in Recently added")
        on = region.get_by_role("button", name="More in Recently added")
        assert back.get_attribute("aria-disabled") == "true"
        last = region.get_by_role("link").last
        on.focus()
        for _ in range(3):
            page.keyboard.press("Enter")
        until(lambda: on.get_attribute("aria-disabled") == "true", "the end of the rail")
        box, width = last.bounding_box(), page.viewport_size
        assert box
        assert width
        assert box["x"] + box["width"] <= width["width"]
        assert page.evaluate("document.activeElement.ariaLabel") == "More in Recently added"


def test_without_scripts_every_card_can_be_reached(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base, java_script_enabled=False) as page:
        page.goto("/")
        assert not rail(page, "Continue watching").is_visible()
        link = rail(page, "Recently added").get_by_role("link").last
        link.focus()  # the browser scrolls the rail
        link.click()
        assert "/watch/" in page.url
        page.goto("/")
        rail(page, "Films").get_by_role("link", name="See all").click()
        assert page.get_by_role("heading", name="Films").first.is_visible()


FRAME = "document.querySelector('.sweep')?.getAttribute('viewBox') ?? null"


def test_the_pointer_on_a_card_sweeps_through_its_frames(server: Server, browser: Browser) -> None:
    """Nothing of a storyboard is loaded before, or for those who prefer reduced motion."""
    with flawless(browser, server.base) as page:
        page.emulate_media(reduced_motion="reduce")
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto("/", wait_until="networkidle")
        card = rail(page, "Holidays").locator(".card").first
        card.hover()
        page.wait_for_timeout(1000)  # twice as long as a pointer rests before frames are loaded
        page.mouse.move(0, 0)
        page.emulate_media(reduced_motion="no-preference")
        page.reload(wait_until="networkidle")
        assert not [url for url in requests if "/storyboards/" in url]
        card.hover()
        page.locator(".sweep").wait_for()
        first = page.evaluate(FRAME)
        until(lambda: page.evaluate(FRAME) not in {first, None}, "another frame")
        page.mouse.move(0, 0)
        page.locator(".sweep").wait_for(state="detached")
        page.keyboard.press("Tab")
        card.get_by_role("link").focus()
        page.locator(".sweep").wait_for()


AXE = """async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const {passes, violations} = await axe.run(document, {
        runOnly: {type: "tag", values: tags}, rules: {"target-size": {enabled: true}},
    });
    return [passes.length, violations.flatMap(({id, nodes}) =>
        nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`))];
}"""


def test_axe_finds_no_violation_in_either_theme(server: Server, browser: Browser) -> None:
    axe = (packages() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    with flawless(browser, server.base, reduced_motion="reduce") as page:
        page.goto("/robots.txt")
        page.evaluate("(kept) => Object.assign(localStorage, kept)", STORED)
        page.goto("/")
        page.locator(".watched").first.wait_for()
        page.evaluate(f"() => {{ {axe}; }}")
        for scheme, width in (("light", 1280), ("dark", 390)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 900})
            passes, lines = page.evaluate(AXE)
            assert passes > 10
            assert lines == []
