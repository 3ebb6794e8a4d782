"""Every visitor on every route through the edge; media also while its cache is empty."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.access import (
    FILES,
    GENERAL,
    REVOKED,
    Visitor,
    check_odd_request,
    check_requests,
    cookie_of,
    make_library,
    odd_targets,
    sign_in,
    visitors,
)
from support.raw_http import Answer
from support.server import until
from support.shared_links import KeyHolder
from support.stack import Stack

pytestmark = pytest.mark.stack

SHOWN = (FILES[0], FILES[1], FILES[3], FILES[5])
"""A film, those whose names or folders only begin like its, and one with an umlaut."""


@pytest.fixture(scope="module")
def everybody(stack: Stack) -> list[Visitor]:
    """Fill the library, and return its visitors once the edge knows which link is taken back."""
    make_library(stack.media)
    state = "/var/lib/reelay/revoked"
    stack.run("service", "sh", "-c", f"mkdir -p {state} && echo 0 >{state}/{REVOKED}")
    cookie = cookie_of(sign_in(stack.base))
    found = visitors(KeyHolder.of(stack), cookie)
    (owner,) = [visitor for visitor in found if visitor.name == "who signed in"]
    (revoked,) = [visitor for visitor in found if visitor.name == "a revoked link"]
    media = f"/media/{FILES[0]}"
    until(lambda: owner.ask(stack.base, f"/api/videos/{FILES[0]}").status == 200, "it is listed")
    until(lambda: revoked.ask(stack.base, media).status == 410, "the edge knows")
    return found


def check_media(visitor: Visitor, path: str, answer: Answer, route: str) -> None:
    """Check the response to a request for a file, by what its visitor may see."""
    asked = visitor.name, path, route
    if not visitor.visible:
        expected = visitor.refused_with
    elif route == "download" and not visitor.downloads:
        expected = 403
    else:
        expected = 206 if path in visitor.visible else 404
    assert answer.status == expected, asked
    if expected != 206:
        assert b"ftyp" not in answer.body, asked
    assert "public" not in answer.headers["Cache-Control"], asked


def test_media_are_for_those_who_may_see_them_cold_and_warm(
    stack: Stack, everybody: list[Visitor]
) -> None:
    caches: list[set[str]] = []
    for _ in ("cold", "warm"):
        caches.append(set())
        for visitor in sorted(everybody, key=lambda visitor: len(visitor.visible)):
            for path in SHOWN:
                for route in ("media", "download"):
                    target = f"/{route}/{quote(path)}"
                    answer = visitor.ask(stack.base, target, Range="bytes=0-")
                    check_media(visitor, path, answer, route)
                    if answer.status == 206:
                        caches[-1].add(answer.headers["X-Cache"])
                    else:
                        assert answer.headers["X-Cache"] == "BYPASS"
    assert "MISS" in caches[0]
    assert caches[1] == {"HIT"}


def test_everybody_gets_what_is_theirs_on_every_route(
    stack: Stack, everybody: list[Visitor]
) -> None:
    (owner,) = [visitor for visitor in everybody if visitor.name == "who signed in"]
    for path in SHOWN:  # into the cache
        assert owner.ask(stack.base, f"/media/{quote(path)}", Range="bytes=0-").status == 206

    def is_shown(target: str, answer: Answer) -> bool:
        if not target.startswith("/media/"):
            return True
        return answer.status == 206 and answer.headers["X-Cache"] == "HIT"

    for visitor in everybody:
        for path in SHOWN:
            check_requests(stack.base, visitor, path, is_shown)
        for target in GENERAL:
            answer = visitor.ask(stack.base, target, Accept="text/html")
            assert visitor.leaks(answer, target) == [], (visitor.name, target)


@given(data=st.data(), target=odd_targets(), method=st.sampled_from(["GET", "HEAD", "POST"]))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_shows_what_is_not_the_visitors(
    stack: Stack, everybody: list[Visitor], data: st.DataObject, target: str, method: str
) -> None:
    check_odd_request(stack.base, data.draw(st.sampled_from(everybody)), target, method)
