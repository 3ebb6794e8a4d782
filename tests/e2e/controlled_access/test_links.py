"""Share links and sessions at the edge: who gets a block from its cache, and at what cost."""

import itertools
import re

import pytest
from support.access import cookie_of, sign_in
from support.raw_http import Answer, ask, connect
from support.server import BLOCK, content, until, write
from support.service_counters import Fetched
from support.shared_links import KeyHolder, media
from support.stack import Stack

from service.access.tokens import Token, derived_key

pytestmark = pytest.mark.stack

DATA = content(2 * BLOCK, 18)
RANGE = {"Range": "bytes=0-"}
_names = itertools.count()


@pytest.fixture(scope="module")
def keys(stack: Stack) -> KeyHolder:
    return KeyHolder.of(stack)


@pytest.fixture
def film(stack: Stack) -> str:
    """Return the path of a file that is not in the cache."""
    path = f"Films/film {next(_names)}.mp4"
    write(stack.media, path, DATA)
    return path


def get(stack: Stack, target: str, **headers: str) -> Answer:
    return ask(stack.base, target, RANGE | headers)


def warm(stack: Stack, keys: KeyHolder, path: str) -> str:
    """Bring the first block of a file into the cache by a link; return the file's revision."""
    answer = get(stack, media(keys.link(f"v{path}"), path))
    assert (answer.status, answer.body) == (206, DATA[:BLOCK])
    return answer.headers["ETag"].strip('"')


def assert_block(answer: Answer, cache: str) -> None:
    assert (answer.status, answer.body) == (206, DATA[:BLOCK])
    assert answer.headers["X-Cache"] == cache
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"


def assert_refused(answer: Answer, status: int) -> None:
    """Check a response that holds nothing of the library, and that no cache may keep."""
    assert (answer.status, answer.headers["X-Cache"]) == (status, "BYPASS")
    assert re.search(r"no-store|private", answer.headers["Cache-Control"])
    assert DATA[:64] not in answer.body
    assert b"film" not in answer.body


def test_a_block_in_the_cache_costs_the_service_nothing(
    stack: Stack, keys: KeyHolder, film: str
) -> None:
    first, second = keys.link(f"v{film}"), keys.link("fFilms")
    assert_block(get(stack, media(first, film, warm(stack, keys, film))), "HIT")
    fetched, revision = Fetched(stack), warm(stack, keys, film)
    for prefix in (first, second, keys.link(f"v{film}")):
        assert_block(get(stack, media(prefix, film, revision)), "HIT")
    assert_block(get(stack, media("", film, revision), **keys.cookie()), "HIT")
    # Every other response of a file, which the internal servers cut out of the block.
    for part in ("bytes=5-9", "bytes=-5", "bytes=0-4"):
        answer = ask(stack.base, media(second, film, revision), {"Range": part})
        assert answer.status == 206
    assert fetched.sent_bytes == 5  # a suffix range is for the service


def test_two_links_and_a_session_share_one_block(stack: Stack, keys: KeyHolder, film: str) -> None:
    fetched = Fetched(stack)
    warm(stack, keys, film)
    for prefix, headers in (
        (keys.link("fFilms"), {}),
        (keys.link("f"), {}),
        ("", keys.cookie()),
    ):
        answer = get(stack, media(prefix, film), **headers)
        assert (answer.status, answer.headers["X-Cache"]) == (206, "HIT")
        assert answer.headers["Cache-Control"] == "private, no-cache"
        whole = ask(stack.base, media(prefix, film, route="download"), headers)
        assert (whole.status, whole.body) == (200, DATA)
    assert fetched.sent_bytes == len(DATA)


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_nobody_gets_nothing(stack: Stack, keys: KeyHolder, film: str, cache: str) -> None:
    revision = warm(stack, keys, film) if cache == "warm" else "200000-1"
    link = keys.link(f"v{film}")
    cookie = keys.cookie()["Cookie"]
    for headers in (
        {},
        {"Cookie": f"{cookie[:-1]}{'A' if cookie[-1] != 'A' else 'B'}"},
        {"Cookie": f"__Host-reelay={link.removeprefix('/s/')}"},
        keys.cookie(generation=1),
        keys.cookie(seconds=-5),
        {"Cookie": cookie.replace("__Host-", "")},
        {"Cookie": cookie.replace("__Host-", "__HOST-")},
        {"Cookie": cookie.replace("__Host-", "x__Host-")},
        {"X-Reelay-User": "anna", "Remote-User": "anna"},
        {"X-Reelay-Edge": "0" * 64},
        {"Authorization": "Bearer x"},
    ):
        for target in (
            media("", film, revision),
            media("", film),
            media("", film, route="download"),
        ):
            assert_refused(get(stack, target, **headers), 401)


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_the_credential_of_an_edge_is_nothing_from_a_viewer(
    stack: Stack, keys: KeyHolder, film: str, cache: str
) -> None:
    revision = warm(stack, keys, film) if cache == "warm" else "200000-1"
    headers = {"X-Reelay-Edge": keys.credential}
    assert_refused(get(stack, media("", film, revision), **headers), 401)
    assert get(stack, "/api/videos", **headers).status == 401
    assert get(stack, "/_access", **headers).status == 404
    for service_route in ("/_revision?path=/media/a.mp4", "/metrics", "/_access"):
        link = keys.link("f")
        assert get(stack, f"{link}{service_route}", **headers).status == 404


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_a_link_that_is_not_valid_says_why(
    stack: Stack, keys: KeyHolder, film: str, cache: str
) -> None:
    revision = warm(stack, keys, film) if cache == "warm" else "200000-1"
    link, foreign = keys.link(f"v{film}"), KeyHolder(b"\0" * 32)
    head, _, mac = link.rpartition(".")
    other = keys.link("f").split(".")[4]
    for prefix, status in (
        (keys.link(f"v{film}", seconds=-5), 410),
        (foreign.link(f"v{film}"), 403),
        (f"{head}.{'A' if mac[0] != 'A' else 'B'}{mac[1:]}", 403),
        (link[:-1], 403),
        (link.replace(head.rpartition(".")[2], other), 403),
        ("/s/x", 403),
        (f"/s/{keys.cookie()['Cookie'].rpartition('=')[2]}", 403),
    ):
        for route in ("media", "download"):
            assert_refused(get(stack, media(prefix, film, revision, route)), status)
        assert_refused(get(stack, media(prefix, film), **keys.cookie()), status)


def test_a_link_opens_what_it_names_and_nothing_else(stack: Stack, keys: KeyHolder) -> None:
    names = ["film/a.mp4", "film 2/a.mp4", "film.mp4", "Filme/Müller 🎬.mp4", "Filme/100%25.mp4"]
    for name in names:
        write(stack.media, name, DATA)
    revisions = {name: warm(stack, keys, name) for name in names}
    for subject, opened in {
        "ffilm": {"film/a.mp4"},
        "ffilm 2": {"film 2/a.mp4"},
        "vfilm.mp4": {"film.mp4"},
        "vFilme/Müller 🎬.mp4": {"Filme/Müller 🎬.mp4"},
        "vFilme/100%25.mp4": {"Filme/100%25.mp4"},
        "fFilme": {"Filme/Müller 🎬.mp4", "Filme/100%25.mp4"},
        "f": set(names),
        "vfilm": set(),
    }.items():
        link = keys.link(subject)
        for name in names:
            answer = get(stack, media(link, name, revisions[name]))
            if name in opened:
                assert_block(answer, "HIT")
            else:
                assert answer.status == 404
                assert DATA[:64] not in answer.body


def test_no_spelling_of_a_path_leaves_the_scope(stack: Stack, keys: KeyHolder) -> None:
    for name in ("film/a.mp4", "film 2/a.mp4"):
        write(stack.media, name, DATA)
        revision = warm(stack, keys, name)
    link = keys.link("ffilm")
    for path in (
        "/media/film/../film%202/a.mp4",
        "/media/film/%2e%2e/film%202/a.mp4",
        "/media/film%2f..%2ffilm%202%2fa.mp4",
        "/media/film/..%2ffilm%202/a.mp4",
        "/media/film/%252e%252e/film%202/a.mp4",
        "/media/film%202/a.mp4",
        "/media/film%202/./a.mp4",
        "/media/film+2/a.mp4",
        "/media//film%202/a.mp4",
        "/media/film/..%5cfilm%202%5ca.mp4",
        "/../media/film%202/a.mp4",
        "/x/../media/film%202/a.mp4",
        "/watch/../media/film%202/a.mp4",
        "/../../media/film%202/a.mp4",
        "/../../media/film/a.mp4",
        "%2f..%2f..%2fmedia/film%202/a.mp4",
        "/%2e%2e/%2e%2e/media/film%202/a.mp4",
    ):
        answer = get(stack, f"{link}{path}?v={revision}")
        assert answer.status in {400, 401, 403, 404}, path
        assert DATA[:64] not in answer.body, path


def test_a_link_without_downloads_plays_and_does_not_download(
    stack: Stack, keys: KeyHolder, film: str
) -> None:
    revision = warm(stack, keys, film)
    link = keys.link(f"v{film}", downloads=False)
    assert_block(get(stack, media(link, film, revision)), "HIT")
    for target in (media(link, film, revision, "download"), media(link, film, route="download")):
        assert_refused(get(stack, target), 403)


def test_a_link_that_is_taken_back_opens_nothing(stack: Stack, keys: KeyHolder, film: str) -> None:
    revision = warm(stack, keys, film)
    link = keys.link(f"v{film}", identity="taken-back-sixte")
    target = media(link, film, revision)
    assert_block(get(stack, target), "HIT")
    stack.run("service", "mkdir", "-p", "/var/lib/reelay/revoked")
    stack.run("service", "sh", "-c", "echo 0 >/var/lib/reelay/revoked/taken-back-sixte")
    until(lambda: get(stack, target).status == 410, "the link is taken back")
    assert_refused(get(stack, target), 410)


def test_each_request_of_a_connection_is_judged_by_its_own_token(
    stack: Stack, keys: KeyHolder, film: str
) -> None:
    """The edge keeps what the last token of a connection says."""
    revision = warm(stack, keys, film)
    link = keys.link(f"v{film}", identity="of-a-connection_")
    head, _, mac = link.rpartition(".")
    forged = f"{head}.{mac[:-1]}{'A' if mac[-1] != 'A' else 'E'}"
    cookie = keys.cookie()
    connection = connect(stack.base)
    sockets = []

    def status(prefix: str, headers: dict[str, str]) -> int:
        connection.request("GET", media(prefix, film, revision), headers=RANGE | headers)
        response = connection.getresponse()
        response.read()
        sockets.append(connection.sock)
        return response.status

    try:
        for prefix, headers, expected in (
            (link, {}, 206),
            (link, {}, 206),
            (forged, {}, 403),
            (link, {}, 206),
            (link[:-1], {}, 403),
            (keys.link("vanother.mp4"), {}, 404),
            (keys.link(f"v{film}", seconds=-5), {}, 410),
            ("", {}, 401),
            ("", cookie, 206),
            ("", {"Cookie": f"__Host-reelay={link.removeprefix('/s/')}"}, 401),
            (f"/s/{cookie['Cookie'].rpartition('=')[2]}", {}, 403),
            ("", cookie, 206),
            ("", keys.cookie(generation=1), 401),
            (link, {}, 206),
        ):
            assert status(prefix, headers) == expected, (prefix, headers)
        stack.run("service", "mkdir", "-p", "/var/lib/reelay/revoked")
        stack.run("service", "sh", "-c", "echo 0 >/var/lib/reelay/revoked/of-a-connection_")
        until(lambda: status(link, {}) == 410, "the link is taken back")
        assert len(set(map(id, sockets))) == 1
    finally:
        connection.close()


def test_no_text_is_taken_for_a_token_that_it_continues(
    stack: Stack, keys: KeyHolder, film: str
) -> None:
    """What the edge keeps begins with the token; what the token says follows after a line feed."""
    revision = warm(stack, keys, film)
    subject = f"fshared\n{'0' * 11}{'A' * 16}-f"  # after the line feed: a link to the library
    link = keys.link(subject)
    token = Token.verify(link.removeprefix("/s/"), derived_key(keys.master, "links"))
    assert token
    continued = f"{link}%0A{token.expiry:011}{token.id}-fshared"
    connection = connect(stack.base)
    try:
        for prefix, expected in ((link, 404), (continued, 403), (keys.link(f"v{film}"), 206)):
            connection.request("GET", media(prefix, film, revision), headers=RANGE)
            response = connection.getresponse()
            assert (response.status, DATA[:64] in response.read()) == (expected, expected == 206)
    finally:
        connection.close()


def test_a_form_signs_in_and_its_cookie_is_checked_at_the_edge(
    stack: Stack, keys: KeyHolder, film: str
) -> None:
    revision = warm(stack, keys, film)
    answer = sign_in(stack.base)
    assert answer.status == 303
    cookie = cookie_of(answer)
    assert cookie.startswith("__Host-reelay=1.")
    fetched = Fetched(stack)
    assert_block(get(stack, media("", film, revision), Cookie=cookie), "HIT")
    assert fetched.sent_bytes == 0


def post(stack: Stack, target: str, body: str, **headers: str) -> Answer:
    """Send a form."""
    form = {"Content-Type": "application/x-www-form-urlencoded"} | headers
    return ask(stack.base, target, form, "POST", body.encode())


def test_only_forms_have_a_body_and_it_is_small(stack: Stack) -> None:
    assert post(stack, "/sign-in", "password=" + "x" * 16_000).status == 403
    assert post(stack, "/sign-in", "password=" + "x" * 16_384).status == 413
    assert post(stack, "/sign-input", "x" * 1025).status == 413
    assert post(stack, "/watch/sign-in", "x" * 1025).status == 413
    # A short one is not passed on, so it cannot be read as a request.
    assert post(stack, "/api/videos", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").status == 401


def test_pages_differ_by_viewer(stack: Stack, keys: KeyHolder) -> None:
    answer = ask(stack.base, "/", {"Accept": "text/html", **keys.cookie()})
    assert answer.status == 200
    assert "private" in answer.headers["Cache-Control"]
    assert "Cookie" in {
        word for line in answer.headers.get_all("Vary", []) for word in line.split(", ")
    }
    assert ask(stack.base, "/", {"Accept": "text/html"}).status == 401
