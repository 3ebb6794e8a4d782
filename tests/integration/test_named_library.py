"""A library whose names and tags say what is in it: series, films, albums and clips of a camera."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from support.axe import NARROW, WIDE, axe_script, set_size, violations
from support.chromium import flawless, until_true
from support.ffmpeg_fixtures import TINY_PICTURE, ffmpeg
from support.firefox import Tab
from support.raw_http import ask
from support.server import Server, serve, until, write

SEASON_1 = [f"Harbor Lights/Season 01/{n:02} - {t}.mp4" for n, t in ((1, "Ebb"), (2, "Storm"))]
SEASON_2 = [
    f"More/{series}.S02E{number:02}.1080p.WEB-DL.x264.mp4"
    for series, number in (("Harbor.Lights", 1), ("Harbor.Lights", 2), ("HARBOR.LIGHTS", 10))
]
SPECIAL = "Harbor Lights/Specials/01 - Making of.mp4"
SERIES = [*SEASON_1, *SEASON_2, SPECIAL]
LONG = "/".join(2 * ["夜の海とアラビア語 رحلة إلى البحر " + "Donaudampfschifffahrt" * 4])
LONG_SERIES = [f"{LONG}/S01E0{number} - {'Wellenbrecher' * 6}.mp4" for number in (1, 2)]
FILM = "Films/The.Matrix.1999.1080p.BluRay.x264.mp4"
ALBUM = {  # by disc and track, against the alphabet
    "Concert/Zephyr.mp4": ("1/2", "1/2"),
    "Concert/Encore.mp4": ("1/2", "2/2"),
    "Concert/Another Day.mp4": ("2/2", "1"),
}
CLIPS = {  # tags, names and the file's time
    "Phone/IMG_0007.mp4": "2019-07-04T10:00:00Z",
    "Phone/IMG_0001.mp4": "2019-08-01T10:00:00Z",  # the counter began anew
    "Phone/VID_20190610_120000.mp4": None,
}
PLAIN = ["Home/Mother 60.mp4", "Home/IMG_2034 (edited).mp4"]
WATCH = re.compile(r'<h[34]>\s*<a href="/watch/([^"]+)"')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("named")
    media = folder / "media"
    picture = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
    film = ffmpeg(folder / "film.mp4", *TINY_PICTURE, *picture).read_bytes()
    for path in (*SERIES, *LONG_SERIES, FILM, *PLAIN):
        write(media, path, film)
    for path, (disc, track) in ALBUM.items():
        tags = {"disc": disc, "track": track, "artist": "The Tides", "date": "1994"}
        write(media, path, _tagged(folder, picture, tags))
    for path, date in CLIPS.items():
        write(media, path, _tagged(folder, picture, {"creation_time": date} if date else {}))
    Image.new("RGB", (600, 600), (200, 30, 60)).save(media / "Concert/folder.jpg")
    with serve(media) as running:
        total = len(SERIES) + len(LONG_SERIES) + 1 + len(PLAIN) + len(ALBUM) + len(CLIPS)
        until(lambda: running.metric('reelay_videos{state="probed"}') == total, "all are probed")
        until(lambda: _posters(running) == total, "all posters are made")
        yield running


def _tagged(folder: Path, picture: tuple[str, ...], tags: dict[str, str]) -> bytes:
    options = [part for name, text in tags.items() for part in ("-metadata", f"{name}={text}")]
    return ffmpeg(folder / "tagged.mp4", *TINY_PICTURE, *picture, *options).read_bytes()


def _json(server: Server, target: str) -> Any:
    answer = ask(server.base, target)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def _posters(server: Server) -> int:
    videos = _json(server, "/api/videos?limit=200")["videos"]
    return sum(bool(video["poster"]["pictures"]) for video in videos)


def _html(server: Server, target: str) -> str:
    answer = ask(server.base, target)
    assert answer.status == 200, answer.body
    return answer.body.decode()


def _text(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def _watched(html: str) -> list[str]:
    return [unquote(path) for path in WATCH.findall(html)]


def _next(server: Server, path: str) -> str | None:
    html = _html(server, f"/watch/{quote(path)}")
    link = re.search(r'href="/watch/([^"]+)"\s+rel="next"', html)
    return unquote(link[1]) if link else None


def test_titles_say_what_the_names_say(server: Server) -> None:
    titles = {video["path"]: video for video in _json(server, "/api/videos?limit=200")["videos"]}
    assert titles[SEASON_1[1]]["title"] == "Harbor Lights · S1 E2 · Storm"
    assert titles[SEASON_2[2]]["title"] == "HARBOR LIGHTS · S2 E10"
    assert titles[FILM]["title"] == "The Matrix (1999)"
    assert titles[PLAIN[0]]["title"] == "Mother 60"
    assert titles[SEASON_1[1]]["metadata"]["parsed_name"] == {
        "series": "Harbor Lights",
        "season": 1,
        "episodes": [2],
        "episode_title": "Storm",
        "aired": None,
        "film": None,
        "edition": None,
        "year": None,
    }
    assert titles[PLAIN[1]]["metadata"]["parsed_name"] is None


def test_a_series_has_its_seasons_from_all_folders(server: Server) -> None:
    html = _html(server, "/series/harbor%20lights")
    assert _watched(html) == SEASON_1
    assert "3 seasons · 6 episodes" in _text(html)
    assert "Play S1 E1" in _text(html)
    seasons = re.findall(r'href="(/series/[^"]+)"[^>]*>([^<]+)</a>', html)
    assert [title for _, title in seasons] == ["Season 1", "Season 2", "Specials"]
    season = _html(server, seasons[1][0])
    assert _watched(season) == SEASON_2
    assert "Episode 10" in _text(season)
    assert "E1 Ebb" in _text(html)
    assert _watched(_html(server, seasons[2][0])) == [SPECIAL]
    assert ask(server.base, "/series/nothing").status == 404
    assert ask(server.base, "/series/Harbor%20Lights?season=9").status == 404


def test_next_crosses_seasons_and_folders(server: Server) -> None:
    order: list[str | None] = [SEASON_1[0]]
    while order[-1]:
        order.append(_next(server, order[-1]))
    assert order == [*SERIES, None]
    following = [_json(server, f"/api/next/{quote(path)}")["video"] for path in SERIES]
    assert [video and video["path"] for video in following] == order[1:]


def test_the_folder_of_a_series_leads_to_its_page(server: Server) -> None:
    home = _html(server, "/")
    assert 'href="/series/Harbor%20Lights"' in home
    folder = _html(server, "/?folder=Harbor%20Lights")
    assert 'href="/series/Harbor%20Lights"' in folder
    assert 'href="/series/Harbor%20Lights?season=1"' in folder
    watch = _html(server, f"/watch/{quote(SEASON_1[0])}")
    assert 'href="/series/Harbor%20Lights"' in watch


def test_an_album_is_in_the_order_of_its_tracks(server: Server) -> None:
    html = _html(server, "/?folder=Concert")
    tracks = list(ALBUM)
    assert _watched(html) == tracks
    assert f'href="/watch/{quote(tracks[0])}">Play</a>' in html
    assert "The Tides · 1994 · 3 tracks" in _text(html)
    assert "Disc 1, track 2" in _text(html)
    assert 'class="cover"' in html
    assert _watched(_html(server, "/?folder=Concert&sort=name")) == sorted(ALBUM)
    assert [_next(server, path) for path in ALBUM] == [*tracks[1:], None]
    playlist = ask(server.base, "/playlists?folder=Concert").body.decode()
    assert re.findall(r"/download/([^?]+)", playlist) == list(map(quote, ALBUM))


def test_clips_are_in_the_order_of_their_dates_by_months(server: Server) -> None:
    html = _html(server, "/?folder=Phone")
    order = ["Phone/VID_20190610_120000.mp4", "Phone/IMG_0007.mp4", "Phone/IMG_0001.mp4"]
    assert _watched(html) == order
    assert re.findall(r'class="month">([^<]+)<', html) == ["June 2019", "July 2019", "August 2019"]
    assert [_next(server, path) for path in order] == [*order[1:], None]
    assert 'class="month"' not in _html(server, "/?folder=Home")


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("s1e2 harbor", SEASON_1[1:]),
        ("harbor 1x02", SEASON_1[1:]),
        ("S02E01", SEASON_2[:1]),
        ("2019", list(CLIPS)),
        ("harbro", SERIES),
        ("1999", [FILM]),
    ],
)
def test_a_search_finds_episodes_years_and_words_with_a_typo(
    server: Server, query: str, paths: list[str]
) -> None:
    page = _json(server, f"/api/videos?q={quote(query)}&limit=200")
    assert {video["path"] for video in page["videos"]} == set(paths)
    assert page["approximate"] is (query == "harbro")
    if page["approximate"]:
        assert "6 videos like harbro" in _text(_html(server, f"/?q={query}"))


# In browsers

PROGRESS = {SEASON_2[1]: [300, 1000, 1_700_000_000_000], SEASON_1[0]: [5, 10, 1_600_000_000_000]}
STORE = f"localStorage['reelay.progress'] = JSON.stringify({json.dumps(PROGRESS)})"
PLAYS = "document.querySelector('video[data-player]')?.played.length > 0"
CONTINUE = "document.querySelector('[data-play]').textContent === 'Continue S2 E2'"
MARKED = "document.querySelectorAll('.episode .watched').length"
# A link cuts its text off after two lines, so that the text itself may be higher than the card.
OVERFLOW = """() => [...document.querySelectorAll(".card, .series-head, .seasons li")]
    .flatMap((box) => {
    const edge = box.getBoundingClientRect();
    return [...box.querySelectorAll("h1, h3, h4, p, a, bdi")].filter((text) => {
        const {left, right, bottom, width} = text.getBoundingClientRect();
        const below = !text.matches("a bdi") && bottom > edge.bottom + 1;
        return width && (left < edge.left - 1 || right > edge.right + 1 || below);
    }).map((text) => text.textContent.trim());
}).concat(document.documentElement.scrollWidth > innerWidth ? ["the page is too wide"] : [])"""


def _look(page: Page, target: str, axe: str, name: str) -> None:
    page.goto(target)
    assert violations(page, axe, name) == []
    for size in (WIDE, NARROW):
        set_size(page, size)
        assert page.evaluate(OVERFLOW) == [], (name, size)


def test_the_pages_are_accessible_and_nothing_is_printed_over_another(
    server: Server, browser: Browser
) -> None:
    axe = axe_script()
    with flawless(browser, server.base) as page:
        for name, target in (
            ("series", "/series/Harbor%20Lights"),
            ("long-series", f"/series/{quote(LONG.split('/')[0])}"),
            ("album", "/?folder=Concert"),
            ("clips", "/?folder=Phone"),
        ):
            _look(page, target, axe, name)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_button_of_an_album_is_beside_its_cover(
    server: Server, browser: Browser, width: int
) -> None:
    with flawless(browser, server.base) as page:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/?folder=Concert")
        cover, button = (
            page.locator(".cover").bounding_box(),
            page.locator(".album .button").bounding_box(),
        )
        assert cover
        assert button
        assert button["x"] > cover["x"] + cover["width"]
        assert button["y"] < cover["y"] + cover["height"]


def test_chromium_goes_on_where_the_viewer_stopped(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        page.goto("/series/Harbor%20Lights")
        assert page.locator("[data-play]").text_content() == "Play S1 E1"
        page.evaluate(STORE)
        page.reload()
        until_true(page, CONTINUE)
        assert page.evaluate(MARKED) == 1
        page.get_by_role("link", name="Season 2").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**season=2")
        until_true(page, CONTINUE)
        page.get_by_role("link", name="Continue S2 E2").click()
        page.wait_for_url(f"**/watch/{quote(SEASON_2[1])}")
        until_true(page, PLAYS)
        page.goto("/series/Harbor%20Lights")
        page.evaluate("localStorage.clear()")
        page.reload(wait_until="networkidle")
        page.get_by_role("link", name="Play S1 E1").click()
        until_true(page, PLAYS)


def test_an_album_and_clips_keep_their_order_whatever_order_is_remembered(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base) as page:
        page.goto("/?folder=Concert")
        page.select_option("#sort", "name")  # it counts only here
        page.wait_for_url("**sort=name**")
        page.goto("/videos")
        page.select_option("#sort", "-name")
        page.wait_for_url("**sort=-name**")
        for folder, order in (("Concert", "track"), ("Phone", "date")):
            page.goto(f"/?folder={folder}", wait_until="networkidle")
            assert page.input_value("#sort") == order
            assert "sort=" not in page.url
        page.goto("/videos", wait_until="networkidle")
        assert page.input_value("#sort") == "-name"


@pytest.mark.slow
def test_firefox_goes_on_where_the_viewer_stopped(server: Server, firefox_tab: Tab) -> None:
    with firefox_tab.at(server.base, watched=True) as page:
        page.goto("/series/Harbor%20Lights")
        page.evaluate(STORE)
        page.goto("/series/Harbor%20Lights")
        until(lambda: page.evaluate(CONTINUE), "the episode to continue")
        assert page.evaluate(MARKED) == 1
        for target in ("/series/Harbor%20Lights", f"/series/{quote(LONG.split('/')[0])}"):
            page.goto(target)
            assert page.evaluate(OVERFLOW) == []
        assert page.complaints() == []


def test_without_scripts_there_are_seasons_and_a_first_episode(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base, java_script_enabled=False) as page:
        page.goto("/series/Harbor%20Lights")
        page.get_by_role("link", name="Season 2").click()
        assert page.get_by_role("link", name="Play S2 E1").get_attribute("href") == (
            f"/watch/{quote(SEASON_2[0])}"
        )
        assert page.get_by_role("link", name="Season 2").get_attribute("aria-current") == "page"
