"""Access control of the service alone: who gets what, on every route."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.access import (
    FILES,
    GENERAL,
    PASSWORD,
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
from support.raw_http import Answer, ask
from support.server import Server, serve, start, until
from support.shared_links import KeyHolder

from service.access.control import AccessControl, load_key, sign_out_everywhere
from service.access.grants import Scope, share_prefix
from service.access.links import make_link, revoke
from service.access.state import FolderState

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    media = tmp_path_factory.mktemp("access") / "media"
    media.mkdir()
    make_library(media)
    return media


@pytest.fixture(scope="module")
def server(media: Path, state: Path) -> Iterator[Server]:
    options: dict[str, Any] = {
        "PASSWORD": PASSWORD,
        "STATE": str(state),
        "METRICS_TOKEN": "scrape me",
    }
    with serve(media, **options) as server:
        reader = {"Cookie": cookie_of(sign_in(server.base))}
        for path in FILES:
            for target in (f"/storyboards/{quote(path)}.vtt", f"/captions/{quote(path)}/en.vtt"):
                until(
                    lambda target=target: ask(server.base, target, reader).status == 200 or None,
                    f"{target} is made",
                )
        yield server


@pytest.fixture(scope="module")
def everybody(server: Server, state: Path) -> list[Visitor]:
    store = FolderState(state)
    store.write(f"revoked/{REVOKED}", b"0")
    found = visitors(KeyHolder(load_key(store, None)), cookie_of(sign_in(server.base)))
    (revoked,) = [visitor for visitor in found if visitor.name == "a revoked link"]
    until(lambda: revoked.ask(server.base, "/").status == 410, "it is taken back")
    return found


PLAYED = re.compile("/(?:watch|embed|media|posters/.*mp4|api/videos/|captions)")


def test_everybody_gets_what_is_theirs_on_every_route(
    server: Server, everybody: list[Visitor]
) -> None:
    def is_shown(target: str, answer: Answer) -> bool:
        return not PLAYED.match(target) or answer.status in {200, 206}

    for visitor in everybody:
        for path in FILES:
            check_requests(server.base, visitor, path, is_shown)
        for target in GENERAL:
            for accept in ("*/*", "text/html"):
                answer = visitor.ask(server.base, target, Accept=accept)
                assert visitor.leaks(answer, target) == [], (visitor.name, target)
                if not visitor.visible and (visitor.prefix or target != "/favicon.ico"):
                    assert answer.status == visitor.refused_with, (visitor.name, target)


@given(data=st.data(), target=odd_targets(), method=st.sampled_from(["GET", "HEAD", "POST"]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_shows_what_is_not_the_visitors(
    server: Server, everybody: list[Visitor], data: st.DataObject, target: str, method: str
) -> None:
    check_odd_request(server.base, data.draw(st.sampled_from(everybody)), target, method)


def test_responses_are_for_their_visitor_alone(server: Server, everybody: list[Visitor]) -> None:
    for visitor in everybody:
        if not visitor.visible:
            continue
        path = quote(visitor.visible[0])
        poster = f"/posters/{path}"
        for target in ("/", f"/watch/{path}", f"/media/{path}", poster, f"/api/videos/{path}"):
            headers = visitor.ask(server.base, target).headers
            assert "private" in headers["Cache-Control"] or "no-store" in headers["Cache-Control"]
            assert "public" not in headers["Cache-Control"]
            assert ("Cookie" in headers.get_all("Vary", [])) == (not visitor.prefix)
        referrers = visitor.ask(server.base, f"/watch/{path}").headers["Referrer-Policy"]
        assert referrers == ("no-referrer" if visitor.prefix else "same-origin")
    public = ask(server.base, "/favicon.ico").headers["Cache-Control"]
    assert "private" not in public


def test_pages_by_link_lead_to_what_the_link_opens(
    server: Server, everybody: list[Visitor]
) -> None:
    for visitor in everybody:
        if not visitor.prefix or not visitor.visible or not visitor.downloads:
            continue
        for target in ("/", f"/watch/{quote(visitor.visible[0])}"):
            answer = visitor.ask(server.base, target)
            if answer.status == 303:
                assert answer.headers["Location"].startswith(visitor.prefix)
                continue
            page = answer.body.decode()
            for link in set(re.findall(r'(?:href|src|action|poster)="(/[^"]*)"', page)):
                if not link.startswith(("/static/", "/favicon.ico")):
                    assert link.startswith(f"{visitor.prefix}/"), link
                    assert ask(server.base, link).status in {200, 206, 303}, link


def test_a_link_to_another_folder_is_no_part_of_a_shared_one(
    server: Server, state: Path, media: Path
) -> None:
    (media / "Animals/away").symlink_to("../Secrets")
    keys = KeyHolder(load_key(FolderState(state), None))
    target = "/media/Animals/away/pangolin.mp4"
    assert ask(server.base, keys.link("fAnimals") + target).status == 404
    edge = {"X-Reelay-Edge": keys.credential}
    assert "X-Revision" not in ask(server.base, f"/_revision?path={target}", edge).headers
    assert ask(server.base, target, edge).status == 404


# Signing in and out


def test_the_form_leads_back_to_the_page_that_was_asked_for(server: Server) -> None:
    page = ask(server.base, "/watch/Animals/quokka.mp4?t=3", HTML)
    assert page.status == 401
    assert page.headers["Cache-Control"] == "no-store"
    body = page.body.decode()
    assert 'name="next" value="/watch/Animals/quokka.mp4?t=3"' in body
    for target, expected in [
        ("/watch/Animals/quokka.mp4?t=3", "/watch/Animals/quokka.mp4?t=3"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/a\nb", "/"),
        ("", "/"),
    ]:
        answer = sign_in(server.base, next_page=target)
        assert answer.status == 303
        assert answer.headers["Location"] == expected
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("reelay=1.")  # without Secure, as this is plain HTTP
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


def test_a_session_ends_when_its_owner_signs_out(server: Server) -> None:
    headers = {"Cookie": cookie_of(sign_in(server.base))}
    other = {"Cookie": cookie_of(sign_in(server.base))}
    assert ask(server.base, "/", headers).status == 200
    foreign = {**headers, "Sec-Fetch-Site": "cross-site"}
    assert ask(server.base, "/sign-out", foreign, "POST", b"").status == 403
    assert ask(server.base, "/", headers).status == 200
    answer = ask(server.base, "/sign-out", headers, "POST", b"")
    assert answer.status == 303
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert ask(server.base, "/", headers).status == 401  # a copy of the cookie, too
    assert ask(server.base, "/", other).status == 200


def test_another_site_cannot_sign_somebody_in(server: Server) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another host of this domain
        {"Origin": "https://evil.example"},
    ):
        assert sign_in(server.base, headers=headers).status == 403


def test_metrics_need_the_token(server: Server, everybody: list[Visitor]) -> None:
    for value in ("Bearer scrape me", "bearer scrape me"):
        assert ask(server.base, "/metrics", {"Authorization": value}).status == 200
        for other in ("/", "/api/videos", "/_access"):
            assert ask(server.base, other, {"Authorization": value}).status == 401
    for value in ("Bearer scrape m", "Basic scrape me", "Bearer", ""):
        assert ask(server.base, "/metrics", {"Authorization": value}).status == 401
        assert ask(server.base, "/", {"Authorization": value}).status == 401


def test_an_edge_shows_its_credential(server: Server, state: Path) -> None:
    store = FolderState(state)
    credential = AccessControl(store, load_key(store, None)).edge_credential
    edge = {"X-Reelay-Edge": credential}
    answer = ask(server.base, "/_access", edge)
    document = json.loads(answer.body)
    assert document["access"] is True
    assert document["generation"] == 0
    assert answer.headers["Cache-Control"] == "no-store"
    media = ask(server.base, f"/media/{quote(FILES[4])}", {**edge, "Range": "bytes=0-9"})
    assert media.status == 206
    for wrong in (credential[:-1], credential.upper(), "", "0" * 64):
        assert ask(server.base, "/_access", {"X-Reelay-Edge": wrong}).status == 401


def test_what_is_taken_back_opens_nothing(server: Server, state: Path) -> None:
    store = FolderState(state)
    control = AccessControl(store, load_key(store, None))
    link = make_link(store, Scope("folder", "Animals"), 0)
    prefix = share_prefix(control.sign_link(link.token))
    headers = {"Cookie": cookie_of(sign_in(server.base))}
    assert ask(server.base, f"{prefix}/").status == 200
    assert ask(server.base, "/", headers).status == 200
    assert revoke(store, link.id)
    sign_out_everywhere(store)
    until(lambda: ask(server.base, f"{prefix}/").status == 410, "the link is dead")
    until(lambda: ask(server.base, "/", headers).status == 401, "nobody is in")
    assert ask(server.base, f"{prefix}/media/{quote(FILES[0])}").status == 410


def test_logs_name_links_and_not_their_tokens(server: Server, everybody: list[Visitor]) -> None:
    for visitor in everybody:
        visitor.ask(server.base, f"/media/{quote(FILES[0])}")
    ask(server.base, "/s/anything/watch/logged-last")
    until(lambda: any("logged-last" in line for line in server.lines), "the log is written")
    text = "\n".join(server.lines)
    for visitor in everybody:
        token = visitor.prefix.removeprefix("/s/")
        assert not token or token not in text, visitor.name
    assert PASSWORD not in text
    assert re.search(r"/s/[A-Za-z0-9_-]{16}/media/Animals/quokka", text)


def test_attempts_are_limited(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    with serve(media, PASSWORD=PASSWORD, STATE=str(tmp_path / "state")) as server:
        for _ in range(10):
            answer = sign_in(server.base, "open sesame")
            assert answer.status == 403
            assert "That is not the password." in answer.body.decode()
        answer = sign_in(server.base)
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "600"


def test_sessions_and_links_outlive_a_restart(tmp_path: Path) -> None:
    media, state = tmp_path / "media", tmp_path / "state"
    media.mkdir()
    options: dict[str, Any] = {"PASSWORD": PASSWORD, "STATE": str(state)}
    with serve(media, **options) as server:
        cookie = {"Cookie": cookie_of(sign_in(server.base))}
    store = FolderState(state)
    control = AccessControl(store, load_key(store, None))
    prefix = share_prefix(control.sign_link(make_link(store, Scope("folder", ""), 0).token))
    with serve(media, **options) as server:
        assert ask(server.base, "/", cookie).status == 200
        assert ask(server.base, f"{prefix}/").status == 200
    (state / "key").write_bytes(b"damaged")
    with start(media, **options) as server:
        assert server.process.wait(300) == 2
    assert any("REELAY_STATE" in line and "damaged" in line for line in server.lines)


def test_a_trusted_proxy_names_who_signed_in(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    options: dict[str, Any] = {"AUTH_HEADER": "Remote-User", "STATE": str(tmp_path / "state")}
    user = {"Remote-User": "ada"}
    with serve(media, TRUSTED_PROXIES="127.0.0.1", **options) as server:
        assert ask(server.base, "/", user).status == 200
        assert ask(server.base, "/", {"Remote-User": " "}).status == 401
        assert ask(server.base, "/").status == 401
        form = ask(server.base, "/", HTML).body.decode()
        assert "Password" not in form
    with serve(media, **options) as server:
        assert ask(server.base, "/", user).status == 401


def test_an_open_library_has_no_links_and_no_sign_in(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    with serve(media, STATE=str(tmp_path / "state")) as server:
        assert ask(server.base, "/").status == 200
        for target in ("/sign-in", "/s/1.0.AAECAwQFBgcICQoL/", "/links"):
            assert ask(server.base, target).status == 404
        assert json.loads(ask(server.base, "/_access").body) == {"access": False}
    assert not (tmp_path / "state").exists()
