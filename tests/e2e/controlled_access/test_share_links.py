"""Links that people and commands make, through the edge."""

import json
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser
from support.access import cookie_of, sign_in
from support.chromium import flawless, until_true
from support.ffmpeg_fixtures import mp4
from support.raw_http import Answer, ask
from support.server import until, write
from support.stack import Stack

pytestmark = pytest.mark.stack

FILM = "Shared/by hand.mp4"
HTML = {"Accept": "text/html"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def owner(stack: Stack) -> dict[str, str]:
    """Return the header of somebody who signed in, once the film is listed."""
    write(stack.media, FILM, mp4(stack.media.parent / "short.mp4").read_bytes())
    cookie = {"Cookie": cookie_of(sign_in(stack.base))}
    target = f"/api/videos/{FILM.replace(' ', '%20')}"
    until(lambda: ask(stack.base, target, cookie).status == 200 or None, "the film is listed")
    return cookie


def post(stack: Stack, target: str, headers: dict[str, str], **form: str) -> Answer:
    return ask(stack.base, target, {**FORM, **headers}, "POST", urlencode(form).encode())


def test_a_link_made_by_the_form_plays_through_the_edge_until_it_is_taken_back(
    stack: Stack, owner: dict[str, str], browser: Browser
) -> None:
    made = post(stack, "/links", owner, path=FILM, downloads="on", **{"for": "1d"})
    assert made.status == 201, made.body
    link = json.loads(made.body)
    assert link["url"].startswith(f"{stack.base}/s/1.")
    with flawless(browser, stack.base) as page:
        page.goto(link["url"])
        page.evaluate("document.querySelector('[data-player]').play()")
        until_true(page, "document.querySelector('[data-player]').currentTime > 0.5")
        page.goto("/robots.txt")  # the player reports when it is left
        counted = b"\nreelay_viewing_reports_total 1.0\n"
        until(lambda: counted in ask(stack.operator, "/metrics").body or None, "it is counted")
    prefix = link["url"].removeprefix(stack.base)
    media = f"{prefix}/media/{FILM.replace(' ', '%20')}"
    assert ask(stack.base, media).status == 200
    assert ask(stack.base, media).headers["X-Cache"] == "HIT"
    assert post(stack, f"/links/{link['id']}/revoke", owner).status == 303
    for target in (media, prefix):
        until(
            lambda target=target: ask(stack.base, target, HTML).status == 410 or None,
            f"{target} is gone",
        )


def test_a_form_without_a_session_or_from_elsewhere_is_refused(
    stack: Stack, owner: dict[str, str]
) -> None:
    assert post(stack, "/links", {}, path=FILM).status == 401
    foreign = {"Origin": "https://elsewhere.example"}
    assert post(stack, "/links", owner | foreign, path=FILM).status == 403


def test_a_command_in_the_container_prints_the_url_of_the_edge(
    stack: Stack, owner: dict[str, str]
) -> None:
    url = stack.run("service", "python", "-m", "service", "share", FILM, "--no-downloads")
    assert url.startswith("https://localhost")
    prefix = f"/s/{url.partition('/s/')[2]}"
    name = FILM.replace(" ", "%20")
    assert ask(stack.base, f"{prefix}/media/{name}").status == 200
    assert ask(stack.base, f"{prefix}/download/{name}").status == 403
    listed = stack.run("service", "python", "-m", "service", "share", "list", "--json")
    (link,) = [one for one in map(json.loads, listed.splitlines()) if one["url"] == url]
    stack.run("service", "python", "-m", "service", "share", "revoke", link["id"])
    until(
        lambda: ask(stack.base, f"{prefix}/media/{name}").status == 410 or None,
        "the link is gone",
    )


def test_everybody_is_signed_out_by_a_command(stack: Stack, owner: dict[str, str]) -> None:
    targets = (f"/media/{FILM.replace(' ', '%20')}", "/")

    def wait_for(status: int) -> None:
        for target in targets:
            until(
                lambda target=target: ask(stack.base, target, owner).status == status or None,
                f"{target} is answered with {status}",
            )

    wait_for(200)
    stack.run("service", "python", "-m", "service", "sign-out-everywhere")
    wait_for(401)  # and for good: the last test of this stack that needs the session
