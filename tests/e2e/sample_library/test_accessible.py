"""Accessibility of every page: WCAG 2.2 AA as checked by axe, keyboard, narrow windows."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page
from support.axe import NARROW, WIDE, axe_script, set_size, violations
from support.chromium import flawless
from support.sample_library import PAGES
from support.server import serve

pytestmark = pytest.mark.stack

ZOOMED = (320, 225)
"""A window of 1280 by 900 at 400 %, in CSS pixels: WCAG 1.4.10."""


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_script()


def test_axe_finds_no_violation_on_any_page_in_either_theme(page: Page, axe: str) -> None:
    lines = []
    for name in sorted(
        PAGES.keys() - {"watch-at", "watch-portrait"}
    ):  # they have the parts of "watch"
        page.goto(PAGES[name])
        lines += violations(page, axe, name)
    assert lines == []


def test_axe_finds_no_violation_in_the_menus_of_a_player(page: Page, axe: str) -> None:
    page.goto(PAGES["watch"])
    page.locator("[data-seek]").hover()
    page.locator("[data-glimpse-frame]").wait_for()
    lines = violations(page, axe, "at the seek bar")
    for name, menu in (("Captions", "#captions-menu"), ("Settings", "#settings-menu")):
        page.get_by_role("button", name=name).click()
        assert page.locator(menu).is_visible()
        lines += violations(page, axe, name)
        page.keyboard.press("Escape")
        assert page.locator(menu).is_hidden()
    assert lines == []


def test_axe_detects_violations(page: Page, axe: str) -> None:
    page.goto(PAGES["library"])
    page.evaluate("""() => document.querySelector("main").append(
        document.createElement("button"), document.createElement("button"), new Image())""")
    assert {line.split(": ")[1] for line in violations(page, axe, "")} == {
        "button-name",
        "image-alt",
        "target-size",
    }


# By keyboard

FOCUSABLE = """() => {
    const all = document.querySelectorAll(`a[href], button:enabled, select:enabled,
        input:enabled:not([type=hidden]), textarea:enabled, summary, audio[controls],
        video[controls], iframe, [tabindex]`);
    const stops = [...all].filter((element) =>
        element.tabIndex >= 0 && element.checkVisibility({visibilityProperty: true}));
    stops.forEach((element, number) => element.setAttribute("data-stop", number));
    return stops.map((element) => element.outerHTML.slice(0, 120));
}"""

# The focused element: its number, whether it is in the window, and whether its style shows focus.
FOCUSED = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const shows = (style) => (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)
        || style.boxShadow !== "none";
    const box = element.getBoundingClientRect();
    return {
        stop: element.dataset.stop === undefined ? null : Number(element.dataset.stop),
        html: element.outerHTML.slice(0, 120),
        shown: shows(getComputedStyle(element)) || shows(getComputedStyle(element, "::after")),
        seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };
}"""


def name_of_focused(cdp: CDPSession) -> str:
    """Return the accessible name of the focused element, as the browser computes it."""
    element = cdp.send("Runtime.evaluate", {"expression": "document.activeElement"})["result"]
    query = {"objectId": element["objectId"], "fetchRelatives": False}
    (node,) = cdp.send("Accessibility.getPartialAXTree", query)["nodes"]
    return str(node.get("name", {}).get("value", ""))


def walk(page: Page, cdp: CDPSession) -> Iterator[dict[str, Any]]:
    """Press Tab until the focus leaves the page or starts over; a player has stops of its own."""
    first = last = None
    for _ in range(150):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or (last != first and focused["stop"] == first):
            return
        last = focused["stop"]
        first = last if first is None else first
        yield focused | {"name": name_of_focused(cdp)}
    pytest.fail(f"the focus does not leave {page.url}")


def test_tab_reaches_every_control_and_shows_the_focus(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    narrow = [(name, NARROW) for name in ("folder", "watch", "embed", "error-404")]
    # These have the controls of "watch".
    wide = PAGES.keys() - {"watch-at", "watch-portrait", "watch-arabic"}
    for name, size in [*((name, WIDE) for name in sorted(wide)), *narrow]:
        set_size(page, size)
        page.goto(PAGES[name])
        page.wait_for_load_state("networkidle")  # a player may have failed by then
        wanted = page.evaluate(FOCUSABLE)
        stops = list(walk(page, page.context.new_cdp_session(page)))
        reached = {stop["stop"] for stop in stops}
        assert [html for n, html in enumerate(wanted) if n not in reached] == [], name
        # In a player the browser's own controls show the focus, which its element does not reflect.
        shown = {stop["stop"] for stop in stops if stop["shown"]}
        assert [stop["html"] for stop in stops if stop["stop"] not in shown] == [], name
        assert [stop["html"] for stop in stops if not stop["seen"]] == [], name
        assert [stop["html"] for stop in stops if not stop["name"]] == [], name


def test_the_first_tab_stop_skips_to_the_content(page: Page) -> None:
    for target in (PAGES["library"], PAGES["watch"], PAGES["error-404"]):
        page.goto(target)
        page.keyboard.press("Tab")
        skip = page.locator(":focus")
        assert skip.inner_text() == "Skip to content"
        assert skip.bounding_box()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.localName") == "main"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")


# Narrow and zoomed windows, text spacing

# Elements wider than the window, except scrolling and visually hidden ones.
TOO_WIDE = """() => {
    const wide = document.documentElement.clientWidth;
    const lines = document.documentElement.scrollWidth > wide
        ? [`the page: ${document.documentElement.scrollWidth} of ${wide}`] : [];
    const inside = (element) => {
        for (let e = element; e && e !== document.body; e = e.parentElement) {
            const style = getComputedStyle(e);
            const scrolls = ["auto", "scroll"].includes(style.overflowX);
            // A picture may be cut to its frame.
            const cut = e !== element && style.overflowX !== "visible"
                && e.querySelector("img, svg, video");
            if (scrolls || cut || style.clipPath !== "none") return true;
        }
        return false;
    };
    for (const element of document.body.querySelectorAll("*")) {
        const box = element.getBoundingClientRect();
        if (box.width && (box.right > wide + 1 || box.left < -1) && element.checkVisibility()
            && !inside(element)) lines.push(element.outerHTML.slice(0, 120));
    }
    return lines;
}"""

# Elements whose text is cut off by a box that neither grows nor scrolls.
CUT = """() => [...document.body.querySelectorAll("*")].filter((element) => {
    const style = getComputedStyle(element);
    if (!element.checkVisibility() || style.clipPath !== "none") return false;
    if (!["hidden", "clip"].includes(style.overflowY) || !element.innerText?.trim()) return false;
    return element.scrollHeight > element.clientHeight + 1
        || element.scrollWidth > element.clientWidth + 1;
}).map((element) => element.outerHTML.slice(0, 120))"""

# WCAG 1.4.12, as in a viewer's own style sheet, to which the policy does not apply.
SPACED = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important; } p { margin-block-end: 2em !important; }`);
    document.adoptedStyleSheets = [sheet];
}"""


def test_nothing_overflows_or_is_cut_off_in_narrow_windows_or_with_wide_text(page: Page) -> None:
    for name, target in PAGES.items():
        page.emulate_media(reduced_motion="no-preference")
        page.goto(target)
        for size in (NARROW, ZOOMED):
            set_size(page, size)
            assert page.evaluate(TOO_WIDE) == [], (name, size)
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate("document.getAnimations().length") == 0, name
        for size in (WIDE, NARROW):
            set_size(page, size)
            page.evaluate("document.adoptedStyleSheets = []")
            before = page.evaluate(CUT)
            page.evaluate(SPACED)
            assert page.evaluate(TOO_WIDE) == [], (name, size)
            assert set(page.evaluate(CUT)) <= set(before), (name, size)


def test_an_empty_library_is_accessible(
    browser: Browser, axe: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty") / "media"
    empty.mkdir()
    with serve(empty) as server, flawless(browser, server.base) as page:
        page.goto("/")
        assert "No videos yet" in page.inner_text("main")
        assert violations(page, axe, "empty") == []
        set_size(page, ZOOMED)
        assert page.evaluate(TOO_WIDE) == []
