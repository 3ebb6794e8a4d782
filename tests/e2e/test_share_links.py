"""Sharing as people do it: in Chromium and Firefox, without scripts, in a frame of another site."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.access import PASSWORD, library_with_password
from support.axe import axe_script, violations
from support.chromium import flawless, until_true, watched
from support.firefox import Tab, tab
from support.raw_http import ask
from support.server import Server, until

from service.access.control import AccessControl, load_key
from service.access.grants import Scope
from service.access.links import make_link
from service.access.state import FolderState

pytestmark = pytest.mark.stack

FILM, OTHER, SECRET = "Animals/quokka.mp4", "Animals/Sea/narwhal.mp4", "Secrets/pangolin.mp4"
HTML = {"Accept": "text/html"}

PLAYS = "document.querySelector('[data-player]').currentTime > 1.5"
PLAY = "document.querySelector('[data-player]').play()"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[Server]:
    with library_with_password(tmp_path_factory.mktemp("shared"), state) as server:
        yield server


@pytest.fixture(scope="module")
def share(server: Server, state: Path) -> Callable[..., str]:
    """Return what makes a link and returns its URL."""
    store = FolderState(state)
    control = AccessControl(store, load_key(store, None))

    def link(scope: Scope, **more: Any) -> str:
        return server.base + control.link_url(make_link(store, scope, 0, **more))

    return link


def enter(page: Page, target: str) -> None:
    """Open a page as somebody who signs in first."""
    page.goto(target)
    assert page.evaluate("document.activeElement.id") == "password"
    page.keyboard.type(PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url.endswith(target)


def until_gone(base: str, url: str) -> None:
    until(
        lambda: ask(base, url.removeprefix(base), HTML).status == 410 or None,
        "the link opens nothing",
    )


def test_a_film_is_shared_watched_and_taken_back_in_chromium(
    browser: Browser, server: Server
) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with flawless(browser, server.base, permissions=permissions) as page:
        # No browser here has the system's sheet.
        page.add_init_script("navigator.share = async (sent) => { window.sent = sent; }")
        enter(page, f"/watch/{FILM}?t=2")
        until_true(page, "document.querySelector('[data-player]').currentTime === 2")
        page.get_by_text("Share…").click()
        page.get_by_label("Begin at 0:02").check()
        page.get_by_label("It works for").select_option("A day")
        page.get_by_role("button", name="Make a link").click()
        page.get_by_label("The link", exact=True).wait_for()
        page.get_by_role("button", name="Copy").first.click()
        until_true(page, "document.querySelector('[data-share-status]').textContent === 'Copied.'")
        url = page.evaluate("navigator.clipboard.readText()")
        assert url == page.get_by_label("The link", exact=True).input_value()
        assert url.startswith(f"{server.base}/s/1.")
        assert url.endswith("?t=2")
        page.get_by_role("button", name="Send…").click()
        assert page.evaluate("window.sent") == {"url": url}

        with flawless(browser, server.base) as guest:
            guest.goto(url)
            guest.evaluate(PLAY)
            until_true(guest, "document.querySelector('[data-player]').currentTime > 3")
            assert guest.get_by_text("Share…").count() == 0
            assert guest.context.cookies() == []
            home = guest.get_by_role("link", name="Reelay").get_attribute("href")
            assert home == f"{url.removeprefix(server.base).partition('?')[0]}/"

        page.goto("/links")
        page.get_by_role("button", name="Take back the link to quokka").click()
        page.wait_for_load_state()
        page.get_by_text("There are no links.").wait_for()
        assert page.get_by_text("Taken back").count() == 1
    until_gone(server.base, url)

    with flawless(browser, server.base) as guest:
        guest.goto(url)
        guest.get_by_role("heading", name="This link has ended").wait_for()


def test_a_folder_is_shared_without_scripts(browser: Browser, server: Server) -> None:
    context = browser.new_context(base_url=server.base, java_script_enabled=False)
    page = context.new_page()
    try:
        page.goto("/?folder=Animals")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Share…").click()
        page.get_by_label("Downloads allowed").uncheck()
        page.get_by_role("button", name="Make a link").click()
        page.get_by_role("heading", name="The link is made").wait_for()
        url = page.locator("#made-url").input_value()

        guest_context = browser.new_context(java_script_enabled=False)
        guest = guest_context.new_page()
        guest.goto(url)
        guest.get_by_role("heading", name="Animals", exact=True).wait_for()
        guest.get_by_role("link", name="quokka", exact=True).click()
        guest.get_by_text("Downloads are switched off for this link").wait_for()
        assert guest.get_by_role("link", name="Download").count() == 0
        guest_context.close()

        page.get_by_role("button", name="Take back the link to Animals").first.click()
        assert "/links" in page.url
        until_gone(server.base, url)
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Password").wait_for()
        page.goto("/links")
        page.get_by_label("Password").wait_for()
    finally:
        context.close()


def wait_for(page: Tab, expression: str) -> None:
    def is_true() -> Any:
        return page.evaluate(f"() => Boolean({expression})")

    until(is_true, expression)


@pytest.mark.slow
def test_a_film_is_shared_watched_and_taken_back_in_firefox(
    server: Server, firefox_tab: Tab, tmp_path: Path
) -> None:
    with firefox_tab.at(server.base, watched=True) as page:
        page.goto(f"/watch/{FILM}")
        page.evaluate(
            f"() => {{ document.querySelector('#password').value = {json.dumps(PASSWORD)}; }}"
        )
        page.follow("button[type=submit]")
        wait_for(page, "location.pathname.startsWith('/watch/')")
        page.click(".share > summary")
        page.click("[data-share-form] button[type=submit]")
        wait_for(page, "document.querySelector('#share-url').value !== ''")
        url = page.evaluate("document.querySelector('#share-url').value")

        with tab(server.base, tmp_path / "guest") as guest:
            guest.goto(url.removeprefix(server.base))
            guest.evaluate(f"() => {PLAY}")
            wait_for(guest, PLAYS)
            assert guest.evaluate("document.querySelectorAll('.share').length") == 0
            assert guest.complaints() == []

        page.goto("/links")
        page.follow(".links form button")
        until_gone(server.base, url)
        # Pages to sign in have the status 401, which the console reports.
        assert [line for line in page.complaints() if "401" not in line] == []


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Serve a page of another site, whose query is the URL of its frame; yield its origin."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                "<!DOCTYPE html><html lang='en'><title>Elsewhere</title>"
                "<link rel='icon' href='data:,'><h1>Elsewhere</h1>"
                f"<iframe src='{self.path.partition('?')[2]}' width='640' height='400' "
                "title='A film' allow='autoplay; fullscreen'></iframe>"
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        # Another site than 127.0.0.1, so that its frames get no cookies of ours.
        yield f"http://localhost:{other.server_address[1]}"
        other.shutdown()
        thread.join()


def test_a_shared_film_plays_in_a_frame_of_another_site(
    browser: Browser,
    server: Server,
    elsewhere: str,
    share: Callable[..., str],
    firefox_tab: Tab,
) -> None:
    target = f"/?{share(Scope('video', FILM))}/embed/{FILM}?autoplay=1"
    with watched(browser, server.base) as (page, complaints):
        page.goto(elsewhere + target)
        (frame,) = page.main_frame.child_frames
        until(lambda: frame.evaluate(PLAYS) or None, "plays in Chromium")
        link = frame.get_by_role("link", name="quokka").get_attribute("href") or ""
        assert link.startswith("/s/1.")
    assert set(complaints) == {f"elsewhere: {elsewhere}{target}"}
    with firefox_tab.at(elsewhere) as firefox:
        firefox.goto(target)
        until(lambda: firefox.evaluate_in_frame(PLAYS) or None, "plays in Firefox")


def test_continue_watching_shows_what_the_link_opens_and_forgets_nothing(
    browser: Browser, server: Server, share: Callable[..., str]
) -> None:
    progress = {path: [3, 6, index] for index, path in enumerate((FILM, OTHER, SECRET), 1)}
    seen = {"Secrets/Täler & Höhen.mp4": 1}
    script = f"""() => {{
        localStorage.setItem("reelay.progress", {json.dumps(json.dumps(progress))});
        localStorage.setItem("reelay.seen", {json.dumps(json.dumps(seen))});
    }}"""
    with flawless(browser, server.base) as page:
        page.goto(share(Scope("folder", "Animals/Sea")))
        page.evaluate(script)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        until_true(page, "document.querySelectorAll('.continue h3 bdi').length === 1")
        until_true(page, "document.querySelector('.continue h3 bdi').textContent === 'narwhal'")
        assert [url for url in asked if "pangolin" in url or "quokka" in url] == []
        # Of a folder in which nothing was begun there is no row.
        page.goto(share(Scope("folder", "Animals Old")))
        assert not page.locator(".continue").is_visible()
        assert page.evaluate("JSON.parse(localStorage.getItem('reelay.progress'))") == progress
        assert page.evaluate("JSON.parse(localStorage.getItem('reelay.seen'))") == seen


def test_a_page_without_an_answer_to_the_form_says_so(browser: Browser, server: Server) -> None:
    with watched(browser, server.base) as (page, complaints):
        enter(page, f"/watch/{FILM}")
        page.get_by_text("Share…").click()
        page.evaluate("document.querySelector('[data-share-form] [name=path]').value = 'no.mp4'")
        page.route(
            "**/links",
            lambda route: route.fulfill(
                status=404,
                content_type="application/problem+json",
                body='{"detail": "It is gone."}',
            ),
        )
        page.get_by_role("button", name="Make a link").click()
        until_true(page, "document.querySelector('[data-share-status]').textContent !== ''")
        assert page.locator("[data-share-status]").inner_text() == "It is gone."
        page.unroute("**/links")
        page.route("**/links", lambda route: route.abort())
        page.get_by_role("button", name="Make a link").click()
        until_true(
            page,
            "document.querySelector('[data-share-status]').textContent.startsWith('No link')",
        )
        assert page.url.endswith(FILM)
    assert {line.partition(":")[0] for line in complaints} == {"Failed to load resource"}


def test_axe_finds_no_violation_on_the_pages_of_access_control(
    browser: Browser, server: Server, state: Path, share: Callable[..., str]
) -> None:
    axe = axe_script()
    lines = []
    ended = make_link(FolderState(state), Scope("folder", ""), int(time.time()) - 60)
    control = AccessControl(FolderState(state), load_key(FolderState(state), None))
    with flawless(browser, server.base) as page:
        page.goto("/sign-in")
        lines += violations(page, axe, "sign in")
        page.keyboard.type("wrong")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.get_by_role("alert").inner_text() == "That is not the password."
        lines += violations(page, axe, "a wrong password")
        for name, target in (
            ("a link that does not work", "/s/1.0"),
            ("a link that has ended", control.link_url(ended)),
            ("a shared film", share(Scope("video", FILM), downloads=False)),
            ("a shared folder", share(Scope("folder", "Animals"))),
            ("nothing by a link", f"{share(Scope('folder', 'Animals'))}/nothing"),
        ):
            page.goto(target)
            lines += violations(page, axe, name)
        enter(page, f"/watch/{FILM}")
        page.get_by_text("Share…").click()
        page.get_by_role("button", name="Make a link").click()
        page.get_by_label("The link", exact=True).wait_for()
        lines += violations(page, axe, "a link that was made")
        page.goto("/?folder=Animals")
        page.get_by_text("Share…").click()
        lines += violations(page, axe, "a folder to share")
        page.goto("/links")
        assert page.locator(".links > li").count() > 3
        lines += violations(page, axe, "links")
    assert lines == []
