"""The content security policy: its text, what it blocks, and that no page violates it."""

import json

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import watched
from support.raw_http import ask
from support.sample_library import CAPTIONED, PAGES, watch
from support.server import until
from support.stack import Stack

pytestmark = pytest.mark.stack

HTML = {"Accept": "text/html"}


def policy(base: str, target: str) -> dict[str, list[str]]:
    (header,) = ask(base, target, HTML).headers.get_all("Content-Security-Policy", [])
    directives = (directive.split() for directive in header.split(";"))
    return {name: sources for name, *sources in directives}


@pytest.mark.parametrize("target", PAGES.values(), ids=PAGES)
def test_every_page_has_a_policy_that_allows_only_same_origin_files(
    cinema: Stack, target: str
) -> None:
    directives = policy(cinema.base, target)
    assert directives["default-src"] == ["'none'"]  # also for object-src, worker-src and others
    assert directives["base-uri"] == ["'none'"]  # default-src does not cover these three
    assert directives["form-action"] == ["'self'"]
    framed = ["*"] if target.startswith("/embed/") else ["'self'"]
    assert directives["frame-ancestors"] == framed
    rest = directives.keys() - {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert "script-src" in rest
    # static/stream.js plays what it has loaded from this origin: a MediaSource has such a URL.
    assert directives["media-src"] == ["'self'", "blob:"]
    assert {source for name in rest - {"media-src"} for source in directives[name]} == {"'self'"}


def added(tag: str, name: str, value: str, *, to: str) -> str:
    """Return a script that adds an element with a property to the page's head or body."""
    return f"""() => {{
        const element = document.createElement("{tag}");
        element.{name} = {json.dumps(value)};
        document.{to}.append(element);
    }}"""


# Forbidden actions with the directive that must block each.
FORBIDDEN = {
    "an inline script": (
        "script-src-elem",
        added("script", "textContent", "document.title = 'It ran'", to="head"),
    ),
    "a script in an address": (
        "script-src-elem",
        added("script", "src", "data:text/javascript,document.title = 'It ran'", to="head"),
    ),
    "a script in an attribute": (
        "script-src-attr",
        """() => {
            const button = document.createElement("button");
            button.setAttribute("onclick", "document.title = 'It ran'");
            document.body.append(button);
            button.click();
        }""",
    ),
    "a script from a string": (
        "script-src",
        """() => { setTimeout("document.title = 'It ran'", 0); }""",
    ),
    "an inline style": (
        "style-src-attr",
        """() => document.body.setAttribute("style", "color: red")""",
    ),
    "an image of another site": (
        "img-src",
        """() => { new Image().src = "https://elsewhere.invalid/pixel.gif"; }""",
    ),
    "a request to another site": (
        "connect-src",
        """() => { fetch("https://elsewhere.invalid/").catch(() => {}); }""",
    ),
    "a frame": ("frame-src", added("iframe", "src", "/", to="body")),
    "an object": ("object-src", added("object", "data", "/static/favicon.svg", to="body")),
    "another base": ("base-uri", added("base", "href", "https://elsewhere.invalid/", to="head")),
    "a form to elsewhere": (
        "form-action",
        """() => {
            const form = document.createElement("form");
            form.action = "https://elsewhere.invalid/";
            document.body.append(form);
            form.submit();
        }""",
    ),
}


def test_the_policy_blocks_forbidden_content_and_the_browser_reports_it(
    browser: Browser, cinema: Stack
) -> None:
    """Show also that the tests of the pages detect violations."""
    with watched(browser, cinema.base) as (page, complaints):
        for action, (directive, script) in FORBIDDEN.items():
            page.goto(PAGES["error-404"])
            assert complaints == [], action
            page.evaluate(script)

            def reported(directive: str = directive) -> bool | None:
                page.wait_for_timeout(20)  # so that Playwright receives the report
                return any(line.startswith(f"policy: {directive} ") for line in complaints) or None

            until(reported, f"{action} is blocked")
            assert page.title() != "It ran", action
            page.goto("about:blank")
            complaints.clear()


def test_no_page_violates_the_policy(page: Page) -> None:
    """The fixture checks each page for violations, errors and other hosts."""
    for target in PAGES.values():
        page.goto(target)


def test_watching_seeking_and_searching_do_not_violate_the_policy(page: Page) -> None:
    page.goto(PAGES["library"])
    page.get_by_label("Search").press_sequentially("harbour")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Harbour at Dawn").first.click()
    page.wait_for_url(f"**{watch(CAPTIONED)}")
    video = page.locator("video")
    video.evaluate("""async (video) => {
        video.muted = true;
        video.textTracks[0].mode = "showing";
        await video.play();
        video.currentTime = 50;
        await new Promise((resolve) => video.addEventListener("seeked", resolve, {once: true}));
        video.currentTime = video.duration - 0.5;
        await new Promise((resolve) => video.addEventListener("ended", resolve, {once: true}));
    }""")
    for key in ("?", "Escape", "j", "k", "m", "c"):
        page.keyboard.press(key)
    page.wait_for_load_state("networkidle")
