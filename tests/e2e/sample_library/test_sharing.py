"""Embedding in other sites, installing and printing, in Chromium and over TLS."""

import json
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Frame, Page
from support.chromium import flawless, watched
from support.html_validate import html_faults
from support.raw_http import ask
from support.sample_library import AUDIO, CAPTIONED, PAGES, PLAIN
from support.stack import Stack

pytestmark = pytest.mark.stack

PLAYS_UP_TO = """async ([second, press]) => {
    const player = document.querySelector("[data-player]");
    if (press) await player.play();
    await new Promise((resolve, reject) => {
        player.addEventListener("error", () => reject(player.error), {once: true});
        setTimeout(() => reject(`stuck at ${player.currentTime}`), 60000);
        const look = () => player.currentTime > second ? resolve() : setTimeout(look, 50);
        look();
    });
    return [player.muted, document.querySelectorAll("track[kind=subtitles]").length];
}"""


@pytest.fixture(scope="module")
def elsewhere(cinema: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a page of another site over TLS, with a frame as in its query; yield its origin."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out",
         "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = self.path.partition("?")[2]
            body = (
                "<!DOCTYPE html><html lang='en'><title>Elsewhere</title>"
                "<link rel='icon' href='data:,'><h1>Elsewhere</h1>"
                f"<iframe src='{cinema.base}/{target}' width='640' height='400' "
                "title='A film' allow='autoplay; fullscreen'></iframe>"
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Page) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def outside(browser: Browser, cinema: Stack, elsewhere: str) -> Iterator[Page]:
    """Open a page for another site, on which any fault of our page fails the test."""
    with watched(browser, cinema.base) as (page, complaints):
        yield page
    theirs = {line for line in complaints if line.startswith(f"elsewhere: {elsewhere}/?embed/")}
    assert set(complaints) == theirs


def framed(page: Page, url: str) -> Frame:
    """Open a page of another site; return its frame."""
    page.goto(url)
    (frame,) = page.main_frame.child_frames
    return frame


def test_an_embedded_film_plays_on_another_site_with_captions(
    outside: Page, elsewhere: str
) -> None:
    frame = framed(outside, f"{elsewhere}/?embed/{quote(CAPTIONED)}?t=30")
    assert frame.evaluate(PLAYS_UP_TO, [31, True]) == [False, 2]
    link = frame.get_by_role("link", name="Harbour at Dawn")
    with outside.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.url.endswith(f"/watch/{quote(CAPTIONED)}")
    assert opened.value.evaluate("window.opener") is None
    # The other site stays in its own window.
    assert outside.evaluate("document.querySelector('h1').textContent") == "Elsewhere"


def test_an_embedded_film_may_autoplay_muted(outside: Page, elsewhere: str) -> None:
    frame = framed(outside, f"{elsewhere}/?embed/{quote(PLAIN)}?autoplay=1")
    assert frame.evaluate(PLAYS_UP_TO, [0.5, False]) == [True, 0]


def test_other_sites_cannot_frame_other_pages(
    browser: Browser, cinema: Stack, elsewhere: str
) -> None:
    # A refused frame logs an error, so this page may have faults.
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    try:
        for target in (f"watch/{quote(PLAIN)}", "", "embed/missing.mp4"):
            with page.expect_console_message(lambda line: "frame-ancestors 'self'" in line.text):
                frame = framed(page, f"{elsewhere}/?{target}")
            frame.wait_for_url("chrome-error://**")
    finally:
        context.close()


@pytest.mark.parametrize("path", [CAPTIONED, AUDIO])
def test_the_embedded_player_needs_no_script(browser: Browser, cinema: Stack, path: str) -> None:
    context = browser.new_context(
        ignore_https_errors=True, base_url=cinema.base, java_script_enabled=False
    )
    page = context.new_page()
    try:
        page.set_viewport_size({"width": 320, "height": 180})
        page.goto(f"/embed/{quote(path)}?t=5")
        assert page.locator("[data-player][controls] source").get_attribute("src")
        assert page.get_by_role("link").count() >= 1
    finally:
        context.close()


def test_the_site_can_be_installed(complete_browser: Browser, cinema: Stack) -> None:
    with flawless(complete_browser, cinema.base) as page:
        page.goto("/")
        session = page.context.new_cdp_session(page)
        session.send("Page.enable")
        response = session.send("Page.getAppManifest")
        assert response["errors"] == []
        manifest = json.loads(response["data"])
        assert manifest["name"] == "Reelay"
        response = session.send("Page.getInstallabilityErrors")
        errors = [error["errorId"] for error in response["installabilityErrors"]]
        assert errors == ["in-incognito"]  # as all contexts of tests


def test_an_error_page_is_printed_without_controls(
    browser: Browser, cinema: Stack, tmp_path: Path
) -> None:
    context = browser.new_context(ignore_https_errors=True, base_url=cinema.base)
    page = context.new_page()
    try:
        page.emulate_media(media="print", color_scheme="dark")
        page.goto("/watch/missing.mp4")
        assert page.get_by_role("heading", name="Nothing here").is_visible()
        assert page.get_by_text("/watch/missing.mp4").is_visible()
        assert page.locator("button:visible, input:visible, .actions:visible").count() == 0
        background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert background == "rgb(255, 255, 255)"
    finally:
        context.close()


def test_structured_data_and_playlists_have_public_urls(cinema: Stack) -> None:
    page = ask(cinema.base, f"/watch/{quote(CAPTIONED)}").body.decode()
    data = json.loads(page.partition('<script type="application/ld+json">')[2].partition("</")[0])
    assert data["url"] == f"{cinema.base}/watch/{quote(CAPTIONED)}"
    assert [part["name"] for part in data["hasPart"]] == [
        "The quay",
        "Nets and ropes",
        "Out to sea",
    ]
    for key in ("contentUrl", "embedUrl", "thumbnailUrl"):
        address = data[key]
        assert address.startswith(f"{cinema.base}/")
        assert ask(cinema.base, address.removeprefix(cinema.base), method="HEAD").status == 200
    playlist = ask(cinema.base, f"/playlists/{quote(CAPTIONED)}.m3u").body.decode()
    assert data["contentUrl"] in playlist.splitlines()
    # Forwarded fields from untrusted clients are ignored.
    forged = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}
    assert ask(cinema.base, f"/playlists/{quote(CAPTIONED)}.m3u", forged).body.decode() == playlist


def test_every_page_is_valid_html(cinema: Stack, tmp_path: Path) -> None:
    pages = {
        name: ask(cinema.base, target, {"Accept": "text/html"}).body.decode()
        for name, target in PAGES.items()
    }
    assert html_faults(pages, tmp_path) == set()
