"""The library page in Chromium: with and without JavaScript, by keyboard, on a phone, printed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support.sample_library import (
    ARABIC,
    AUDIO,
    CAPTIONED,
    EPISODES,
    PLAIN,
    PORTRAIT,
    SERIES,
    title,
)
from support.server import until
from support.stack import Stack

pytestmark = pytest.mark.stack

GONE = "Films/Gone.mp4"
STARTED = {  # position, duration, time of the last change
    CAPTIONED: [42, 60, 5],
    EPISODES[1]: [9, 20, 4],
    GONE: [10, 20, 9],
    ARABIC: [12, 20, 3],
    PORTRAIT: [5, 20, 2],
    AUDIO: [10, 20, 1],
    "odd": "of another kind",
    "odder": [None, 20, 1],
}

SHIFTS = """() => new Promise((resolve) => {
    let sum = 0;
    const add = (entries) => entries.forEach((e) => (sum += e.hadRecentInput ? 0 : e.value));
    const observer = new PerformanceObserver((list) => add(list.getEntries()));
    observer.observe({type: "layout-shift", buffered: true});
    requestAnimationFrame(() => requestAnimationFrame(() => {
        add(observer.takeRecords());
        setTimeout(() => resolve(sum), 100);
    }));
})"""

PAINTED = """() => new Promise((resolve) =>
    new PerformanceObserver(resolve).observe({type: "paint", buffered: true})).then(() => 0)"""

TRANSFERRED = """() => performance.getEntriesByType("navigation")
    .concat(performance.getEntriesByType("resource"))
    .filter(({initiatorType: by, name}) => by !== "img" && by !== "fetch" && !/svg/.test(name))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""

# The name of the focused element, and whether its style shows focus.
FOCUSED = """() => {
    const at = document.activeElement;
    const seen = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const name = at.labels?.[0]?.innerText ?? at.getAttribute("aria-label") ?? at.innerText;
    return [name.trim(), seen(getComputedStyle(at)) || seen(getComputedStyle(at, "::after"))];
}"""

WIDER_THAN_THE_WINDOW = """() => {
    const root = document.documentElement;
    return root.scrollWidth > root.clientWidth;
}"""


def seed(page: Page, started: dict[str, Any]) -> None:
    """Store the started videos before the first page opens; keep later changes by pages."""
    text = json.dumps(json.dumps(started))
    page.add_init_script(
        f"""if (!localStorage.getItem("seeded")) {{
            localStorage.setItem("seeded", "yes");
            localStorage.setItem("reelay.progress", {text});
        }}"""
    )


def stored_progress(page: Page) -> Any:
    return page.evaluate("JSON.parse(localStorage.getItem('reelay.progress'))")


def titles(page: Page, within: str = "[data-results] .shelf:last-of-type") -> list[str]:
    return page.locator(f"{within} h3").all_inner_texts()


@contextmanager
def opened(browser: Browser, cinema: Stack, **options: Any) -> Iterator[Page]:
    """Open a page in a browser context with other options."""
    context = browser.new_context(ignore_https_errors=True, base_url=cinema.base, **options)
    yield context.new_page()
    context.close()


def test_search_results_update_while_typing(page: Page) -> None:
    page.goto("/")
    box, status = page.get_by_label("Search"), page.get_by_role("status")
    expect(page.get_by_role("button", name="Show")).to_be_hidden()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    expect(box).to_have_value("")
    box.press_sequentially("lihthouse/")  # in the box it is an ordinary character
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.keyboard.press("Backspace")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    page.wait_for_url("**/?q=lighthouse")
    expect(status).to_have_text("12 videos for lighthouse")
    assert titles(page) == [title(number) for number in range(1, 13)]
    assert page.title().startswith("lighthouse ")
    expect(box).to_be_focused()
    assert box.evaluate("box => [box.selectionStart, box.selectionEnd]") == [3, 3]
    page.get_by_label("Sort by").select_option("Name, backwards")
    page.wait_for_url("**/?q=lighthouse&sort=-name")
    assert titles(page)[0] == title(12)
    page.get_by_role("link", name=title(12)).click()
    page.wait_for_url("**/watch/**")
    page.go_back()
    expect(box).to_have_value("lighthouse")
    assert titles(page)[0] == title(12)
    assert page.url.endswith("/?q=lighthouse&sort=-name")
    page.go_back()  # typing adds no history entries
    assert page.url == "about:blank"


def test_words_that_were_typed_before_the_scripts_came_are_searched_for(page: Page) -> None:
    held: list[Route] = []
    page.route("**/static/*/library.js", lambda route: held.append(route))  # noqa: PLW0108 # as below
    with page.expect_request("**/static/*/library.js"):
        page.goto("/", wait_until="commit")
    page.get_by_label("Search").fill("lighthouse")
    (script,) = held
    script.continue_()
    expect(page.get_by_role("status")).to_have_text("12 videos for lighthouse")


def test_an_outdated_search_answer_is_not_shown(page: Page) -> None:
    held: list[Route] = []
    page.route("**/?q=t", lambda route: held.append(route))  # noqa: PLW0108 # Playwright marks the function
    page.goto("/")
    box = page.get_by_label("Search")
    with page.expect_request("**/?q=t"):
        box.fill("t")
    box.fill("tides")
    page.wait_for_url("**/?q=tides")
    (late,) = held
    late.fulfill(status=200, content_type="text/html", body="<div data-results>late</div>")
    page.evaluate("fetch('/').then((answer) => answer.text())")  # by then it would be shown
    assert titles(page) == ["Tides"]
    box.fill("")
    page.wait_for_url(lambda url: url.endswith("/"))
    expect(page.get_by_role("heading", name="Recently added")).to_be_visible()


def test_a_failed_search_shows_a_message_and_the_next_one_works(
    browser: Browser, cinema: Stack
) -> None:
    with opened(browser, cinema) as page:
        page.goto("/")
        page.context.set_offline(True)
        page.get_by_label("Search").fill("tides")
        expect(page.get_by_text("No answer came.")).to_be_visible()
        page.context.set_offline(False)
        page.get_by_label("Search").press("Enter")
        page.wait_for_url("**/?q=tides*")
        assert titles(page) == ["Tides"]
        expect(page.get_by_text("No answer came.")).to_be_hidden()


def test_search_covers_the_folder_or_the_whole_library(page: Page) -> None:
    page.goto("/")
    for name in ("Series", "The Lighthouse", "Season 1"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    crumbs = page.get_by_role("navigation", name="Breadcrumbs").get_by_role("link")
    assert crumbs.all_inner_texts() == ["Library", "Series", "The Lighthouse", "Season 1"]
    expect(crumbs.last).to_have_attribute("aria-current", "page")
    page.get_by_label("Search", exact=True).fill("tides")
    expect(page.get_by_role("link", name="Show 1 from the whole library")).to_be_visible()
    page.get_by_label("Search in Season 1 only").uncheck()
    page.wait_for_url("**/?q=tides")
    assert titles(page) == ["Tides"]
    page.get_by_label("Search", exact=True).fill("")  # the folder is shown again
    page.wait_for_url("**/?folder=**")
    assert len(titles(page)) == len(EPISODES)


def test_continue_watching_lists_started_videos_without_layout_shift(
    browser: Browser, cinema: Stack
) -> None:
    held: list[Route] = []
    # Browsers log the 404 of a missing video, so this page may have errors.
    with opened(browser, cinema) as page:
        seed(page, STARTED)
        page.route("**/api/videos/**", lambda route: held.append(route))  # noqa: PLW0108 # as above
        page.goto("/")
        row = page.get_by_role("region", name="Continue watching")
        expect(row).to_be_visible()  # before its contents are known
        page.evaluate(PAINTED)
        # The script of the cards is loaded after the first paint.
        until(lambda: page.evaluate(PAINTED) or len(held) >= 6, "the videos are asked for")
        assert len(held) == 6
        for route in held:
            route.continue_()
        expect(row.get_by_role("link")).to_have_count(5)
        names = ["Harbour at Dawn", title(2), "رحلة إلى البحر", "Tower", "Nocturne"]
        assert titles(page, ".continue .rail") == names
        assert row.locator(".details").first.inner_text() == "0:18 left"
        assert row.get_by_role("progressbar").first.get_attribute("value") == "0.7"
        assert GONE not in stored_progress(page)
        assert page.evaluate(SHIFTS) < 0.01
        assert 10_000 < page.evaluate(TRANSFERRED) < 50_000
        cards = page.locator("[data-results] .card", has_text="Tower")  # in two rails
        lines = cards.get_by_role("progressbar").all()
        assert [line.get_attribute("value") for line in lines] == ["0.25", "0.25"]


def test_started_videos_are_forgotten_one_by_one_or_all_at_once(page: Page) -> None:
    started = {path: at for path, at in STARTED.items() if path != GONE}
    seed(page, started)
    page.goto("/")
    row = page.get_by_role("region", name="Continue watching")
    row.get_by_role("button", name=f"Forget {title(2)}").press("Enter")
    expect(row.get_by_role("button", name="Forget رحلة إلى البحر")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("Forgotten.")
    del started[EPISODES[1]]
    assert stored_progress(page) == started
    page.reload()
    expect(row.get_by_role("link")).to_have_count(4)
    row.get_by_role("link", name="Tower").click()
    page.wait_for_url(f"**/watch/{PORTRAIT}")
    page.go_back()
    page.get_by_role("button", name="Forget all").click()
    expect(row).to_be_hidden()
    assert stored_progress(page) is None
    page.reload()
    expect(page.get_by_role("heading", name="Recently added")).to_be_visible()
    expect(row).to_be_hidden()


def test_search_works_without_local_storage(page: Page) -> None:
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no storage'); }})"
    )
    page.goto("/")
    page.get_by_label("Search").fill("tides")
    page.wait_for_url("**/?q=tides")
    assert titles(page) == ["Tides"]


def test_the_library_works_without_javascript(browser: Browser, cinema: Stack) -> None:
    with opened(browser, cinema, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_label("Search").fill("LIGHTHOUSE ep")
        page.get_by_label("Sort by").select_option("Name, backwards")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", level=2)).to_have_text("12 videos for LIGHTHOUSE ep")
        assert titles(page)[0] == title(12)
        page.goto("/")
        page.get_by_role("link", name="See all Films").click()
        page.get_by_label("Search in Films only").uncheck()
        page.get_by_label("Search", exact=True).fill("nocturne")
        page.get_by_role("button", name="Show").click()
        assert titles(page) == ["Nocturne"]
        page.goto(f"/?folder={SERIES}&limit=5")
        seen = titles(page)
        for position in ("6–10 of 12", "11–12 of 12"):  # noqa: RUF001 # as on the page
            page.get_by_role("link", name="Next").click()
            expect(page.get_by_text(position)).to_be_visible()
            seen += titles(page)
        assert seen == [title(number) for number in range(1, 13)]
        page.get_by_role("link", name="Page 1", exact=True).click()
        page.get_by_role("link", name=title(1), exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(title(1))


def test_tab_visits_every_control_in_order_with_a_visible_focus(page: Page) -> None:
    seed(page, {PLAIN: [10, 60, 1]})
    page.goto(f"/?folder={SERIES}&limit=5&page=2")
    assert stops(page) == [
        "Skip to content", "Reelay", "Library", "Series", "The Lighthouse", "Season 1",
        "Seasons and episodes", "Search", "Sort by", "Search in Season 1 only",
        *(stop for number in range(6, 11) for stop in (title(number), f"{title(number)}: seen")),
        "Previous", "Page 1", "Page 2", "Page 3", "Next",
    ]  # fmt: skip
    page.goto("/")
    expect(page.get_by_role("link", name="Tides")).to_have_count(2)
    assert stops(page)[:7] == [
        "Skip to content", "Reelay", "All 19 videos", "Search", "Tides", "Forget Tides",
        "Tides: seen",
    ]  # fmt: skip
    page.get_by_role("link", name="See all Films").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?folder=Films")


def stops(page: Page) -> list[str]:
    """Press Tab through a page; return the name of each focused element."""
    names: list[str] = []
    page.locator("body").press("Tab")
    while page.evaluate("document.activeElement !== document.body") and len(names) < 100:
        name, seen = page.evaluate(FOCUSED)
        assert seen, f"{name} does not look focused"
        names.append(name)
        page.keyboard.press("Tab")
    return names


def test_narrow_windows_do_not_scroll_sideways(browser: Browser, cinema: Stack) -> None:
    for width, height, size in ((390, 844, "100%"), (320, 256, "100%"), (320, 568, "200%")):
        with opened(browser, cinema, viewport={"width": width, "height": height}) as page:
            seed(page, {CAPTIONED: [10, 60, 1], ARABIC: [10, 20, 2]})
            for target in ("/", f"/?folder={SERIES}&limit=1&page=6", "/?q=" + 40 * "nothing"):
                page.goto(target)
                page.evaluate("size => (document.documentElement.style.fontSize = size)", size)
                if target == "/":
                    expect(page.locator(".continue .rail a")).to_have_count(2)
                assert not page.evaluate(WIDER_THAN_THE_WINDOW), (width, size, target)


def test_a_right_to_left_title_is_isolated(page: Page) -> None:
    page.goto("/?q=البحر")
    title = page.get_by_role("link", name="رحلة إلى البحر").locator("bdi")
    assert title.evaluate("bdi => getComputedStyle(bdi).direction") == "rtl"
    box = page.get_by_label("Search")
    assert box.evaluate("box => getComputedStyle(box).direction") == "rtl"
    expect(page.get_by_role("heading", name="1 video for")).to_be_visible()


def test_controls_are_not_printed(page: Page) -> None:
    seed(page, {PLAIN: [10, 60, 1]})
    page.goto("/")
    expect(page.locator(".continue .rail a")).to_have_count(1)
    page.emulate_media(media="print")
    expect(page.get_by_label("Search")).to_be_hidden()
    expect(page.get_by_role("region", name="Continue watching")).to_be_hidden()
    expect(page.get_by_role("link", name="Tides")).to_be_visible()
    assert page.pdf()[:5] == b"%PDF-"
