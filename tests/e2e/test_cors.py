"""REELAY_CORS_ORIGINS at the edge: its own answers, cached blocks, and two browsers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from support.api_client import wait_until_derived
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
from support.server import BLOCK, content, write
from support.stack import Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

# Also for the service, as if its administrator had set it there: the edge must not pass its
# headers on, nor keep a copy of a block for each origin.
_SERVICE = """
services:
  service:
    environment:
      REELAY_CORS_ORIGINS: {origins}
"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with other_site() as origin:
        yield origin


@pytest.fixture(scope="module")
def listing(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack whose edge and service list some origins."""
    folder = tmp_path_factory.mktemp("cors")
    fill(folder / "media")
    write(folder / "media", "big.mp4", content(3 * BLOCK + 77))
    listed = f"{LISTED}, {site}"
    (folder / "service.yml").write_text(_SERVICE.format(origins=f'"{listed}"'), "utf-8")
    with running(
        folder / "media",
        folder / "service.yml",
        CORS_ORIGINS=listed,
        HOSTS="video.example.org",
        MAX_PARTIAL_SIZE=str(BLOCK),
    ) as stack:
        wait_until_derived(stack, FILM)
        yield stack


@pytest.mark.parametrize("name", READABLE)
def test_a_listed_site_reads_answers_and_errors(listing: Stack, name: str) -> None:
    target, headers, status = READABLE[name]
    for attempt in range(2):  # the second from the cache, if anything is
        answer = ask_from(listing.base, target, SITE, headers)
        assert answer.status == status, attempt
        assert_readable(answer, SITE)
        plain = ask_from(listing.base, target, None, headers)
        assert plain.status == status
        assert cors_fields(plain) == set()
        assert "origin" in words(plain, "Vary")


@pytest.mark.parametrize("origin", ORIGINS)
def test_only_listed_origins_match(listing: Stack, origin: str) -> None:
    for target in ("/api/videos", f"/media/{FILM}"):
        answer = ask_from(listing.base, target, origin)
        asked = preflight(listing.base, target, origin)
        assert answer.status == 200
        if ORIGINS[origin]:
            assert_readable(answer, origin)
            assert_permitted(asked, origin)
        else:
            assert_unreadable(answer)
            assert_unreadable(asked)


@pytest.mark.parametrize("target", PRIVATE)
def test_pages_and_operators_routes_are_read_by_no_other_site(listing: Stack, target: str) -> None:
    assert_unreadable(ask_from(listing.base, target, SITE))
    assert_unreadable(preflight(listing.base, target, SITE))
    assert_unreadable(ask_from(listing.operator, target, SITE))


def test_a_block_is_cached_once_for_all_origins(listing: Stack) -> None:
    target, span = "/media/big.mp4", {"Range": f"bytes={BLOCK}-"}
    first = ask_from(listing.base, target, "https://a.example.net", span)
    assert (first.status, first.headers["X-Cache"]) == (206, "MISS")
    for origin in ("https://evil.example", SITE, None, "https://b.example.net"):
        answer = ask_from(listing.base, target, origin, span)
        assert answer.headers["X-Cache"] == "HIT"
        assert answer.body == first.body
        if origin in {SITE, "https://b.example.net"}:
            assert_readable(answer, str(origin))
        else:
            assert_unreadable(answer)
        assert answer.headers.get_all("Vary") == ["Origin"]


def test_the_edges_own_errors_are_readable(listing: Stack) -> None:
    body = ask(listing.base, "/api/videos", {"Origin": SITE, "Content-Length": "999999"})
    assert body.status == 413
    assert_readable(body, SITE)
    redirect = ask(
        listing.unencrypted, "/api/videos", {"Origin": SITE, "Host": "video.example.org"}
    )
    assert redirect.status == 308
    assert_readable(redirect, SITE)


def test_chromium_plays_and_reads_from_a_listed_site(
    listing: Stack, site: str, browser: Browser
) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{site}/")
    seen = page.evaluate(VISIT, listing.base)
    page.goto(f"{site.replace('localhost', '127.0.0.1')}/")  # another origin, not listed
    unseen = page.evaluate(VISIT, listing.base)
    context.close()
    assert seen == SEEN | {"tag": seen["tag"]}
    assert unseen == SEEN_BY_OTHERS | {"tag": "TypeError"}


def test_firefox_plays_and_reads_from_a_listed_site(
    listing: Stack, site: str, firefox_tab: Tab
) -> None:
    with firefox_tab.at(site) as page:
        page.goto("/")
        seen = page.evaluate(VISIT, listing.base)
    assert seen == SEEN | {"tag": seen["tag"]}


# The rest changes the stack.


def test_without_the_service_errors_preflights_and_blocks_are_readable(listing: Stack) -> None:
    span = {"Range": "bytes=0-"}
    ask_from(listing.base, "/media/big.mp4", None, span)
    listing.compose("stop", "service")
    try:
        cached = ask_from(listing.base, "/media/big.mp4", SITE, span)
        assert (cached.status, cached.headers["X-Cache"]) == (206, "HIT")
        error = ask_from(listing.base, "/api/videos", SITE)
        assert (error.status, error.headers["Retry-After"]) == (503, "2")
        page = ask_from(listing.base, "/api/videos", SITE, {"Accept": "text/html"})
        assert page.status == 503
        for answer in (cached, error, page):
            assert_readable(answer, SITE)
        assert_permitted(preflight(listing.base, "/api/videos", SITE), SITE)
    finally:
        listing.up()


def test_too_many_requests_is_readable(listing: Stack) -> None:
    listing.configure(REQUESTS_PER_CLIENT="1")
    answers = [ask_from(listing.base, f"/media/{FILM}", SITE) for _ in range(20)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert refused[0].headers["Retry-After"]
    assert_readable(refused[0], SITE)
    assert_permitted(preflight(listing.base, f"/media/{FILM}", SITE), SITE)


def test_every_site_reads_if_all_may(listing: Stack) -> None:
    listing.configure(CORS_ORIGINS="*", REQUESTS_PER_CLIENT="0")
    for name, (target, headers, status) in READABLE.items():
        for origin in (SITE, "null", None):
            answer = ask_from(listing.base, target, origin, headers)
            assert answer.status == status, name
            assert_readable(answer, "*")
    assert_permitted(preflight(listing.base, f"/media/{FILM}", "null"), "*")


def test_no_site_reads_without_the_setting(listing: Stack) -> None:
    listing.configure(CORS_ORIGINS="none", REQUESTS_PER_CLIENT="0")
    for target in ("/api/videos", f"/media/{FILM}", "/media/none.mp4"):
        for answer in (ask_from(listing.base, target, SITE), preflight(listing.base, target, SITE)):
            assert_unreadable(answer)
            assert "origin" not in words(answer, "Vary")
            assert "Cross-Origin-Resource-Policy" not in answer.headers
