"""The library page of a full and an empty library. Browser tests are in tests/e2e."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect
from support.chromium import flawless
from support.raw_http import ask
from support.server import Server, serve, until, write

from service.protocol.media_types import EXTENSIONS

MOST_BYTES, MOST_BYTES_OF_RAILS = 50_000, 60_000
CARDS = 20  # per page
FOLDERS, IN_EACH = 20, 4
POSTER = re.compile(r'<img\s+src="/posters/')
LINK = re.compile(r'<h3>\s*<a href="([^"]*)"')
WATCH = re.compile(r'href="/watch/([^"]+)"')


def page(server: Server, target: str) -> str:
    answer = ask(server.base, target)
    assert answer.status == 200, answer.body
    return answer.body.decode()


def watched(html: str) -> list[str]:
    """Return the paths of the videos that a page leads to."""
    return [unquote(path) for path in WATCH.findall(html)]


def text(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a library with more folders and videos than a page shows, each with a poster."""
    media: Path = tmp_path_factory.mktemp("full") / "media"
    picture = media.parent / "poster.jpg"
    Image.new("RGB", (320, 180), (200, 30, 60)).save(picture)
    for folder in range(FOLDERS):
        inside = f"Films of the {1900 + 10 * folder}s"
        for film in range(IN_EACH):
            name = f"{inside}/The Long CountingProxy Home {film} (1957)"
            write(media, f"{name}.mp4", b"no video")
            write(media, f"{name}.jpg", picture.read_bytes())
    with serve(media) as server:

        def all_posters_ready() -> bool:
            videos = json.loads(page(server, "/api/videos?limit=200"))["videos"]
            ready = [video for video in videos if video["poster"]["state"] == "ready"]
            return len(ready) == FOLDERS * IN_EACH

        until(all_posters_ready, "all posters are ready")
        yield server


def test_a_full_page_has_less_than_50_kb_without_images(full: Server) -> None:
    """Responses are not compressed."""
    html = page(full, "/videos")
    assert len(POSTER.findall(html)) == CARDS
    assets = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js))"', html)
    assert {name.rpartition("/")[2] for name in assets} >= {
        "style.css",
        "library.css",
        "library.js",
    }
    parts = [ask(full.base, name) for name in assets]
    assert all(part.status == 200 and "Content-Encoding" not in part.headers for part in parts)
    assert len(html.encode()) < MOST_BYTES
    assert sum(len(part.body) for part in parts) < MOST_BYTES


def test_the_first_page_has_rails_of_some_folders_and_the_list_of_folders_all(
    full: Server,
) -> None:
    html = page(full, "/")
    assert len(html.encode()) < MOST_BYTES_OF_RAILS
    # Begun, folders, more. Of what was added last, nothing can be played.
    assert len(re.findall(r'class="rail"', html)) == 1 + 9 + 1
    assert html.count('class="stack"') == 8
    assert '<a href="/?folder="' in html
    everything = page(full, "/?folder=")
    assert everything.count('class="stack"') == FOLDERS
    assert 'class="stack"' not in page(full, "/videos")
    assert 'class="stack"' not in page(full, "/?q=film")


def test_following_next_shows_every_video_once_and_previous_leads_back(full: Server) -> None:
    total, target = FOLDERS * IN_EACH, "/videos"
    paths: list[str] = []
    visited: list[str] = []
    while target:
        html = page(full, target)
        place = f"{len(paths) + 1}–{min(len(paths) + CARDS, total)} of {total}"  # noqa: RUF001
        assert place in text(html)
        paths += watched(html)
        if visited:
            (back,) = re.findall(r'href="([^"]+)"\s+rel="prev"', html)
            assert watched(page(full, unescape(back))) == watched(visited[-1])
        visited.append(html)
        following = re.findall(r'href="([^"]+)"\s+rel="next"', html)
        target = unescape(following[0]) if following else ""
    listed = json.loads(ask(full.base, f"/api/videos?limit={total}").body)["videos"]
    assert paths == [video["path"] for video in listed]
    assert watched(page(full, "/videos?page=1000")) == watched(visited[-1])


def test_a_link_to_a_page_opens_it_whatever_order_the_viewer_chose(
    full: Server, browser: Browser
) -> None:
    with flawless(browser, full.base) as tab:
        tab.goto("/robots.txt")
        tab.evaluate("""localStorage["reelay.settings"] = '{"sort": "-name"}'""")
        tab.goto("/videos?page=2", wait_until="networkidle")
        assert tab.url.endswith("/videos?page=2")
        expect(tab.locator(".pager [aria-current]")).to_have_text("2")
        assert tab.input_value("#sort") == "name"
        tab.goto("/videos")
        tab.wait_for_url("**/videos?sort=-name")


def test_what_the_server_says_of_a_broken_file_is_isolated(
    tmp_path: Path, browser: Browser
) -> None:
    """It may be in another writing direction than the page."""
    write(tmp_path / "media", "broken.mp4", b"no film")
    with serve(tmp_path / "media") as server, flawless(browser, server.base) as tab:
        until(lambda: "Could not be read" in page(server, "/videos"), "it is examined")
        tab.goto("/videos")
        (problem,) = tab.locator(".problem > bdi").all_text_contents()
        assert problem
        tab.goto("/watch/broken.mp4")
        assert tab.locator(".notice-problem bdi").text_content() == problem


def test_a_small_library_shows_no_video_twice(tmp_path: Path) -> None:
    for name in ("Films/Copper.mp4", "Clips/1.mp4", "Clips/2.mp4"):
        write(tmp_path / "media", name, b"no film")
    with serve(tmp_path / "media") as server:
        assert re.findall(r'href="/\?folder=([^"]+)"', page(server, "/")) == ["Clips"]


def test_the_home_page_and_the_list_show_the_same_folders_as_films(tmp_path: Path) -> None:
    films = [f"Films/Film {number}/Film {number}.mp4" for number in range(12)]
    for name in (*films, "Weddings/reel 7.mp4", "Copper/Copper.mp4", "Copper 2/Deep/Copper 2.mp4"):
        write(tmp_path / "media", name, b"no film")
    with serve(tmp_path / "media") as server:
        home, listed = page(server, "/"), page(server, "/?folder=")
    for html, heading in ((home, "folders"), (listed, "collections")):
        section = next(part for part in html.split("<section") if f'<h2 id="{heading}"' in part)
        assert [link for link in LINK.findall(section) if link != "/?folder=Films"] == [
            "/watch/Copper/Copper.mp4",
            "/watch/Copper%202/Deep/Copper%202.mp4",
            "/?folder=Weddings",
        ]


def test_an_invalid_page_number_is_rejected(full: Server) -> None:
    for wrong in ("0", "-1", "x", "1e9", "99999999999999999999"):
        assert ask(full.base, f"/?page={wrong}").status == 400


def test_a_search_in_a_folder_mentions_results_elsewhere(full: Server) -> None:
    html = page(full, "/?folder=Films%20of%20the%201910s&q=films+2030s")
    assert "Nothing found" in html
    (link,) = re.findall(r'href="([^"]+)">Show 4 from the whole library', html)
    assert unescape(link) == "/?q=films+2030s"
    assert len(WATCH.findall(page(full, unescape(link)))) == IN_EACH


def test_a_query_without_letters_searches_nothing(full: Server) -> None:
    for accent in ("%20", "%CC%81"):
        assert "All videos" in page(full, f"/?q={accent}")
        assert 'rel="next"' in page(full, f"/?folder=&limit=5&q={accent}")  # there are more folders


def test_only_the_first_images_load_eagerly(full: Server) -> None:
    for target in ("/", "/videos?page=2"):
        images = re.findall("<img[^>]*>", page(full, target))
        assert len([image for image in images if "src=" in image]) >= CARDS
        assert sum('loading="lazy"' not in image for image in images) <= 12
    assert page(full, "/videos?page=2").count('fetchpriority="high"') == 1


def test_an_empty_library_explains_how_to_add_videos_and_polls_for_the_first(
    tmp_path: Path, browser: Browser
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    with serve(media, RESCAN_INTERVAL="1") as server:
        html = page(server, "/")
        for word in (
            "No videos yet",
            "docker-compose.yml",
            "REELAY_MEDIA_DIR",
            "chmod",
            *EXTENSIONS,
        ):
            assert word in html
        assert "<form" not in html
        assert "data-forget-all" not in html  # there is nothing to forget
        with flawless(browser, server.base) as tab:
            tab.goto("/")
            assert tab.get_by_role("heading", name="No videos yet").is_visible()
            write(media, "Here now.mp4", b"no video")
            tab.get_by_role("link", name="Here now").wait_for(timeout=60_000)
            assert tab.get_by_label("Search").is_visible()
