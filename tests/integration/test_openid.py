"""Signing in by a real OpenID provider, which runs on this machine."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from support.access import cookie_of
from support.raw_http import Answer, ask
from support.server import Server, free_port, serve, until

USERS: list[dict[str, Any]] = [
    {"sub": "ada", "email": "Ada@Example.org", "email_verified": True},
    {"sub": "bob", "email": "bob@family.example", "email_verified": True},
    {"sub": "cleo", "preferred_username": "Cleo", "groups": ["Cinema", "other"]},
    {"sub": "dan", "email": "ada@example.org", "email_verified": False},
    {"sub": "eve", "email": "eve@evil.example", "email_verified": True, "groups": "Cinema"},
    {"sub": "fay", "email": "x@family.example.evil.example", "email_verified": True},
]
ALLOWED = "ada@example.org, @family.example, group:Cinema"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    port = free_port()
    users = [part for user in USERS for part in ("--user-claims", json.dumps(user))]
    provider = subprocess.Popen(
        [Path(sys.executable).with_name("oidc-provider-mock"), "--port", str(port),
         "--require-nonce", "true", *users],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    base = f"http://localhost:{port}"

    def answers() -> bool:
        try:
            return ask(base, "/.well-known/openid-configuration").status == 200
        except OSError:
            return False

    try:
        until(answers, "the provider answers")
        yield base
    finally:
        provider.terminate()
        provider.wait(300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openid")
    (folder / "media").mkdir()
    with serve(
        folder / "media",
        STATE=str(folder / "state"),
        OIDC_ISSUER=issuer,
        OIDC_CLIENT_ID="reelay",
        OIDC_CLIENT_SECRET="a secret",  # noqa: S106
        OIDC_ALLOWED=ALLOWED,
    ) as server:
        yield server


def begin(server: Server, target: str = "/videos?sort=date") -> tuple[str, dict[str, str]]:
    """Return the provider's URL and the browser's cookie after the first step."""
    answer = ask(server.base, f"/sign-in/oidc?{urlencode({'next': target})}")
    assert answer.status == 303
    return answer.headers["Location"], {"Cookie": cookie_of(answer)}


def consent(url: str, body: dict[str, str]) -> str:
    """Answer the provider's form; return the target that it leads back to."""
    parts = urlsplit(url)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(
        f"{parts.scheme}://{parts.netloc}", f"{parts.path}?{parts.query}", form, "POST",
        urlencode(body).encode(),
    )  # fmt: skip
    assert answer.status == 302
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def sign_in_as(server: Server, user: str) -> Answer:
    url, cookie = begin(server)
    return ask(server.base, consent(url, {"sub": user}), {**cookie, "Accept": "text/html"})


def session_of(answer: Answer) -> dict[str, str]:
    fields = answer.headers.get_all("Set-Cookie", [])
    (session,) = [field.partition(";")[0] for field in fields if field.startswith("reelay=1.")]
    return {"Cookie": session}


@pytest.mark.parametrize("user", ["ada", "bob", "cleo"])
def test_who_is_allowed_comes_to_the_page_that_was_asked_for(server: Server, user: str) -> None:
    answer = sign_in_as(server, user)
    assert answer.status == 303
    assert answer.headers["Location"] == "/videos?sort=date"
    assert ask(server.base, "/", session_of(answer)).status == 200


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("dan", "ada@example.org may not open this library. Its provider does not say"),
        ("eve", "eve@evil.example may not open this library."),
        ("fay", "x@family.example.evil.example may not"),
        ("guest", "guest may not"),
    ],
)
def test_who_is_not_reads_why(server: Server, user: str, shown: str) -> None:
    answer = sign_in_as(server, user)
    assert answer.status == 403
    assert shown in answer.body.decode()
    assert "reelay=1." not in str(answer.headers)


def test_the_provider_is_asked_as_the_standards_require(server: Server, issuer: str) -> None:
    url, _ = begin(server)
    assert url.startswith(f"{issuer}/oauth2/authorize?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query["response_type"] == "code"
    assert query["client_id"] == "reelay"
    assert query["redirect_uri"] == f"{server.base}/sign-in/callback"
    assert query["scope"].split() == ["openid", "email", "profile", "groups"]
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    other, _ = begin(server)
    again = {name: values[0] for name, values in parse_qs(urlsplit(other).query).items()}
    for name in ("state", "nonce", "code_challenge"):
        assert query[name] != again[name]


def test_an_answer_counts_only_in_the_browser_that_asked(server: Server) -> None:
    url, cookie = begin(server)
    _, other = begin(server)
    back = consent(url, {"sub": "ada"})
    state = parse_qs(urlsplit(back).query)["state"][0]
    for headers in ({}, other, {"Cookie": cookie["Cookie"][:-1]}):
        assert ask(server.base, back, headers).status == 400
    assert ask(server.base, back.replace(state, "x"), cookie).status == 400
    session = {"Cookie": cookie["Cookie"].replace("reelay-pending=", "reelay=")}
    assert ask(server.base, "/", session).status == 401
    answer = ask(server.base, back, cookie)
    assert answer.status == 303
    assert ask(server.base, back, cookie).status == 502  # a code is valid once


def test_after_a_cancelled_sign_in_another_may_begin(server: Server) -> None:
    url, cookie = begin(server)
    # This provider leaves out the state, which RFC 6749 §4.1.2.1 requires.
    state = parse_qs(urlsplit(url).query)["state"][0]
    back = f"{consent(url, {'action': 'deny'})}&state={state}"
    answer = ask(server.base, back, {**cookie, "Accept": "text/html"})
    assert answer.status == 403
    page = answer.body.decode()
    assert "The sign-in was cancelled." in page
    assert "/sign-in/oidc?next=/videos%3Fsort%3Ddate" in page


def test_the_page_offers_the_provider_and_no_password(server: Server) -> None:
    page = ask(server.base, "/videos", {"Accept": "text/html"})
    assert page.status == 401
    assert "Sign in with localhost" in page.body.decode()
    assert 'type="password"' not in page.body.decode()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_no_other_site_is_led_to(server: Server, target: str) -> None:
    url, cookie = begin(server, target)
    answer = ask(server.base, consent(url, {"sub": "ada"}), cookie)
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(("length", "is_kept"), [(2500, True), (2501, False), (6000, False)])
def test_a_page_with_a_long_address_is_no_obstacle(
    server: Server,
    length: int,
    is_kept: bool,  # noqa: FBT001
) -> None:
    target = "/watch/".ljust(length, "x")
    url, cookie = begin(server, target)
    assert (
        len(cookie["Cookie"]) + len("; Max-Age=600; Secure; HttpOnly; Path=/; SameSite=Lax") < 4096
    )
    answer = ask(server.base, consent(url, {"sub": "ada"}), cookie)
    assert answer.headers["Location"] == (target if is_kept else "/")


def test_a_provider_that_is_down_or_another_is_reported(tmp_path: Path, issuer: str) -> None:
    (tmp_path / "media").mkdir()
    options: dict[str, Any] = {
        "STATE": str(tmp_path / "state"), "OIDC_CLIENT_ID": "reelay", "OIDC_ALLOWED": "*",
    }  # fmt: skip
    for wrong in (f"http://localhost:{free_port()}", f"{issuer}/"):
        with serve(tmp_path / "media", OIDC_ISSUER=wrong, **options) as server:
            answer = ask(server.base, "/sign-in/oidc", {"Accept": "text/html"})
            assert answer.status == 502
            assert "The sign-in service does not answer as it should." in answer.body.decode()
            until(lambda server=server: any("OpenID provider" in line for line in server.lines),
                  "it is logged")  # fmt: skip
