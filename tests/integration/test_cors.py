"""REELAY_CORS_ORIGINS: scripts and players of other sites, by headers and in two browsers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.access import PASSWORD
from support.api_client import wait_until_derived
from support.chromium import launched
from support.cors_cases import (
    FILM,
    LISTED,
    ORIGINS,
    PRIVATE,
    READABLE,
    SEEN,
    SEEN_BY_OTHERS,
    SITE,
    VISIT,
    ask_from,
    assert_permitted,
    assert_readable,
    assert_unreadable,
    cors_fields,
    fill,
    other_site,
    preflight,
    words,
)
from support.firefox import Tab
from support.raw_http import ask
from support.server import Server, serve


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Run another site, whose pages a browser opens."""
    with other_site() as origin:
        yield origin


@pytest.fixture(scope="module")
def server(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service that lists some origins."""
    media = tmp_path_factory.mktemp("cors") / "media"
    fill(media)
    listed = f"{LISTED}, {site}"
    with serve(media, CORS_ORIGINS=listed, HOSTS="video.example.org") as server:
        wait_until_derived(server, FILM)
        yield server


@pytest.fixture(scope="module")
def open_server(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service that allows every origin."""
    media = tmp_path_factory.mktemp("open") / "media"
    fill(media)
    with serve(media, CORS_ORIGINS="*", HOSTS="video.example.org") as running:
        wait_until_derived(running, FILM)
        yield running


@pytest.mark.parametrize("name", READABLE)
def test_a_listed_site_reads_answers_and_errors(server: Server, name: str) -> None:
    target, headers, status = READABLE[name]
    answer = ask_from(server.base, target, SITE, headers)
    assert answer.status == status
    assert_readable(answer, SITE)
    # An allowed origin changes nothing else.
    plain = ask_from(server.base, target, None, headers)
    assert (plain.status, plain.body) == (answer.status, answer.body) or b"--" in plain.body
    assert cors_fields(plain) == set()
    assert "origin" in words(plain, "Vary")


@pytest.mark.parametrize("name", READABLE)
def test_every_site_reads_answers_and_errors_if_all_may(open_server: Server, name: str) -> None:
    target, headers, status = READABLE[name]
    for origin in (SITE, "null", None):
        answer = ask_from(open_server.base, target, origin, headers)
        assert answer.status == status
        assert_readable(answer, "*")


@pytest.mark.parametrize("origin", ORIGINS)
def test_only_listed_origins_match(server: Server, origin: str) -> None:
    answer = ask_from(server.base, "/api/videos", origin)
    asked = preflight(server.base, f"/media/{FILM}", origin)
    assert answer.status == 200
    if ORIGINS[origin]:
        assert_readable(answer, origin)
        assert_permitted(asked, origin)
    else:
        assert_unreadable(answer)
        assert_unreadable(asked)
        assert "origin" in words(answer, "Vary")


@pytest.mark.parametrize("target", PRIVATE)
def test_pages_and_operators_routes_are_read_by_no_other_site(
    server: Server, open_server: Server, target: str
) -> None:
    for base in (server.base, open_server.base):
        assert_unreadable(ask_from(base, target, SITE))
        assert_unreadable(preflight(base, target, SITE))


@pytest.mark.parametrize("target", [READABLE[name][0] for name in READABLE])
def test_a_preflight_is_permitted(server: Server, open_server: Server, target: str) -> None:
    assert_permitted(preflight(server.base, target, SITE), SITE)
    assert_permitted(preflight(open_server.base, target, SITE), "*")


def test_a_preflight_of_a_private_library_is_permitted_and_its_errors_are_readable(
    tmp_path: Path,
) -> None:
    fill(tmp_path / "media")
    with serve(tmp_path / "media", CORS_ORIGINS=SITE, PASSWORD=PASSWORD) as private:
        statuses = {
            f"/media/{FILM}": 401,
            "/media/none.mp4": 401,
            "/api/videos": 401,
            f"/s/0.x/media/{FILM}": 403,
        }
        for target, status in statuses.items():
            assert_permitted(preflight(private.base, target, SITE), SITE)
            answer = ask_from(private.base, target, SITE)
            assert answer.status == status
            assert_readable(answer, SITE)
            # Other sites, other requests and pages are refused as without the setting.
            other = preflight(private.base, target, "https://evil.example")
            assert other.status == status
            assert_unreadable(other)
            assert ask(private.base, target, {"Origin": SITE}, "OPTIONS").status == status
        assert_unreadable(preflight(private.base, f"/watch/{FILM}", SITE))


def test_an_error_before_any_route_is_readable(server: Server) -> None:
    too_long = ask_from(server.base, f"/api/videos?q={'x' * 30_000}", SITE)
    assert too_long.status == 414
    assert_readable(too_long, SITE)


def test_an_artefact_that_is_not_there_yet_says_when_to_retry(
    tmp_path: Path,
) -> None:
    fill(tmp_path / "media")
    with serve(tmp_path / "media", CORS_ORIGINS=SITE, DERIVED_SIZE="16MiB") as server:
        answer = ask_from(server.base, f"/storyboards/{FILM}.vtt", SITE)
        assert_readable(answer, SITE)
        assert answer.status == 200 or answer.headers["Retry-After"]


def test_without_the_setting_no_site_reads_anything(tmp_path: Path) -> None:
    fill(tmp_path / "media")
    with serve(tmp_path / "media") as server:
        for target in ("/api/videos", f"/media/{FILM}"):
            for answer in (
                ask_from(server.base, target, SITE),
                preflight(server.base, target, SITE),
            ):
                assert_unreadable(answer)
                assert "Cross-Origin-Resource-Policy" not in answer.headers
                assert "Vary" not in answer.headers


def test_oembed_of_a_page_is_readable(server: Server) -> None:
    answer = ask_from(server.base, f"/oembed?url={server.base}/watch/{FILM}", SITE)
    assert json.loads(answer.body)["type"] == "video"
    assert_readable(answer, SITE)


def test_head_and_options_are_readable(server: Server) -> None:
    for method, status in (("HEAD", 200), ("OPTIONS", 204), ("POST", 405)):
        answer = ask(server.base, f"/media/{FILM}", {"Origin": SITE}, method)
        assert answer.status == status
        assert_readable(answer, SITE)


def test_chromium_plays_and_reads_from_a_listed_site(server: Server, site: str) -> None:
    with launched() as browser:
        page = browser.new_page()
        page.goto(f"{site}/")
        seen = page.evaluate(VISIT, server.base)
        page.goto(f"{site.replace('localhost', '127.0.0.1')}/")  # another origin, not listed
        unseen = page.evaluate(VISIT, server.base)
    assert seen == SEEN | {"tag": seen["tag"]}
    assert seen["tag"].startswith('"')
    assert unseen == SEEN_BY_OTHERS | {"tag": "TypeError"}


@pytest.mark.slow
def test_firefox_plays_and_reads_from_a_listed_site(
    server: Server, site: str, firefox_tab: Tab
) -> None:
    with firefox_tab.at(site) as page:
        page.goto("/")
        seen = page.evaluate(VISIT, server.base)
    with firefox_tab.at(site.replace("localhost", "127.0.0.1")) as page:
        page.goto("/")
        unseen = page.evaluate(VISIT, server.base)
    assert seen == SEEN | {"tag": seen["tag"]}
    assert unseen == SEEN_BY_OTHERS | {"tag": "TypeError"}


def test_a_sandboxed_page_reads_only_what_all_may(server: Server, open_server: Server) -> None:
    script = "async (target) => (await fetch(target)).status"
    with other_site() as site, launched() as browser:
        page = browser.new_page()
        page.goto(f"{site}/")
        page.set_content('<iframe sandbox="allow-scripts" srcdoc="<title>x</title>"></iframe>')
        frame = page.frames[1]
        with pytest.raises(Exception, match="TypeError"):
            frame.evaluate(script, f"{server.base}/api/videos")
        assert frame.evaluate(script, f"{open_server.base}/api/videos") == 200
