"""Share links by the pages of the real service: made, opened, listed and taken back."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from support.access import PASSWORD, cookie_of, library_with_password, make_library, sign_in
from support.html_validate import html_faults
from support.page_html import attributes_of
from support.raw_http import Answer, ask
from support.server import Server, serve

from service.access.grants import Scope
from service.access.links import make_link, revoke
from service.access.state import FolderState
from service.pages.share_links import MAX_LISTED

HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FILM = "Animals/quokka.mp4"
NAMES = re.compile(r"narwhal|dodo|pangolin|Secrets")


@dataclass(frozen=True)
class Owner:
    """Somebody who signed in."""

    base: str
    headers: dict[str, str]

    def ask(self, target: str, **headers: str) -> Answer:
        return ask(self.base, target, {**self.headers, **HTML, **headers})

    def post(self, target: str, form: dict[str, str], **headers: str) -> Answer:
        fields = {**self.headers, **FORM, **JSON, **headers}
        return ask(self.base, target, fields, "POST", urlencode(form).encode())

    def share(self, **form: str) -> dict[str, Any]:
        """Make a link; return the answer for scripts."""
        answer = self.post("/links", {"downloads": "on", **form})
        assert answer.status == 201, answer.body
        link: dict[str, Any] = json.loads(answer.body)
        return link

    def path(self, **form: str) -> str:
        """Make a link; return its path."""
        return str(self.share(**form)["url"]).removeprefix(self.base)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[Server]:
    with library_with_password(tmp_path_factory.mktemp("links"), state) as server:
        yield server


@pytest.fixture
def owner(server: Server) -> Owner:
    return Owner(server.base, {"Cookie": cookie_of(sign_in(server.base))})


def text_of(answer: Answer) -> str:
    return answer.body.decode()


def targets_in(page: str, prefix: str) -> set[str]:
    """Return the targets on this site that a page names, without static files."""
    found = set()
    for attributes in attributes_of(page):
        for name in ("href", "src", "action", "poster"):
            target = attributes.get(name, "").partition("#")[0]
            if target.startswith("/") and not target.startswith(("/static/", "/favicon")):
                found.add(target)
            elif target.startswith("?"):
                found.add(f"{prefix}{target}")
    return found


def test_a_link_is_made_opens_the_film_and_is_taken_back(server: Server, owner: Owner) -> None:
    link = owner.share(path=FILM, t="1:10", **{"for": "7d"})
    assert link["url"].endswith("?t=70")
    assert link["expires"] == pytest.approx(time.time() + 7 * 86400, abs=60)
    target = link["url"].removeprefix(server.base)
    redirect = ask(server.base, target, HTML)
    assert redirect.status == 303
    prefix = target.partition("?")[0]
    assert redirect.headers["Location"] == f"{prefix}/watch/{FILM}?t=70"
    assert ask(server.base, redirect.headers["Location"], HTML).status == 200
    done = owner.post(f"/links/{link['id']}/revoke", {})
    assert (done.status, done.headers["Location"]) == (303, "/links")
    assert ask(server.base, target, HTML).status == 410
    assert "Taken back" in text_of(owner.ask("/links"))


def test_a_state_that_fails_is_said_in_a_sentence(owner: Owner, state: Path) -> None:
    link = owner.share(path=FILM)
    away = state.with_name("away")
    state.rename(away)
    state.write_bytes(b"")  # no folder
    try:
        answers = [
            owner.ask("/links"),
            owner.post("/links", {"path": FILM}),
            owner.post(f"/links/{link['id']}/revoke", {}, Accept="text/html"),
            owner.post("/sign-out", {}),
        ]
    finally:
        state.unlink()
        away.rename(state)
    for answer in answers:
        assert answer.status == 503
        assert "Share links and sessions cannot be read or changed right now." in text_of(answer)
    assert owner.ask("/links").status == 200  # nobody was signed out


def test_a_link_by_a_command_says_so(owner: Owner, state: Path) -> None:
    make_link(FolderState(state), Scope("video", FILM), 0, made_by="the command line")
    assert re.search(r"</time>\s+by <bdi>the command line</bdi>", text_of(owner.ask("/links")))


def test_without_scripts_the_form_leads_to_a_page_with_the_link(owner: Owner) -> None:
    form = {"path": FILM, "for": "forever", "t": "5"}
    done = owner.post("/links", form, Accept="text/html")
    assert done.status == 303
    page = text_of(owner.ask(done.headers["Location"]))
    fields = {attributes.get("id"): attributes for attributes in attributes_of(page)}
    url = fields["made-url"]["value"]
    assert url.startswith(f"{owner.base}/s/")
    assert url.endswith("?t=5")
    assert "Works until it is taken back" in page
    assert "downloads switched off" in page  # the box was not ticked
    assert ask(owner.base, url.removeprefix(owner.base), HTML).status == 303


def test_a_link_made_earlier_is_listed_with_its_url(owner: Owner) -> None:
    link = owner.share(folder="Animals", **{"for": "1d"})
    assert link["embed"] is None
    answer = owner.ask("/links")
    assert answer.headers["Cache-Control"] == "no-store"
    page = text_of(answer)
    assert f'value="{link["url"]}"' in page
    assert "a folder" in page


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"path": FILM, "for": "soon"}, 400),
        ({"path": FILM, "for": ""}, 400),
        ({"path": "none.mp4"}, 404),
        ({"path": "Animals"}, 404),
        ({"path": f"Animals/../{FILM}"}, 404),
        ({"folder": FILM}, 404),
        ({"folder": "Nowhere"}, 404),
        ({}, 404),
    ],
)
def test_a_form_that_names_nothing_makes_no_link(
    owner: Owner, form: dict[str, str], status: int
) -> None:
    before = text_of(owner.ask("/links"))
    answer = owner.post("/links", form)
    assert answer.status == status
    assert "detail" in json.loads(answer.body)
    assert text_of(owner.ask("/links")) == before


@pytest.mark.parametrize("target", ["/links", "/links/AAAAAAAAAAAAAAAA/revoke"])
def test_only_this_sites_pages_of_who_signed_in_change_links(owner: Owner, target: str) -> None:
    form = {"path": FILM}
    stranger = Owner(owner.base, {})
    assert stranger.post(target, form).status == 401
    assert owner.post(target, form, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert owner.post(target, form, Origin="https://elsewhere.example").status == 403
    by_link = owner.path(path=FILM)
    assert stranger.post(by_link + target, form).status == 404
    assert owner.post(by_link + target, form).status == 404
    assert stranger.ask("/links").status == 401


def test_an_unknown_link_cannot_be_taken_back(owner: Owner) -> None:
    assert owner.post(f"/links/{'A' * 16}/revoke", {}).status == 404


def test_pages_by_a_link_name_only_what_it_opens(owner: Owner) -> None:
    """Follow every target of every page of a link: none leads to an error or out of the link."""
    for form in ({"path": FILM}, {"folder": "Animals"}, {"folder": "Animals/Sea"}, {"folder": ""}):
        prefix = owner.path(**form)
        seen: set[str] = set()
        waiting = [f"{prefix}/", f"{prefix}/watch/{FILM}", f"{prefix}/videos"]
        if form.get("folder") == "Animals/Sea":
            del waiting[1]
        while waiting:
            target = waiting.pop()
            if target in seen:
                continue
            seen.add(target)
            answer = ask(owner.base, target, HTML)
            if answer.status == 303:
                waiting.append(answer.headers["Location"])
                continue
            if "/copies/" in target:
                assert answer.status == 405
                continue
            assert answer.status in {200, 206}, target
            if not answer.headers["Content-Type"].startswith("text/html"):
                continue
            page = text_of(answer)
            for word in ("For the owner", "Share…", "Sign out", "Being made", "Embed in a page"):
                assert word not in page, (target, word)
            found = targets_in(page, target.partition("?")[0])
            assert {one for one in found if not one.startswith(f"{prefix}/")} == set(), target
            waiting += found
        assert len(seen) > 5


def test_breadcrumbs_end_at_what_is_shared(owner: Owner) -> None:
    def crumbs(target: str) -> list[str]:
        page = text_of(ask(owner.base, target, HTML))
        navigation = re.search(r'<nav class="crumbs?".*?</nav>', page, re.DOTALL)
        links = re.findall(r"<a .*?</a>", navigation[0], re.DOTALL) if navigation else []
        return [re.sub(r"<.*?>", "", link, flags=re.DOTALL) for link in links]

    film = "Animals/Sea/narwhal.mp4"
    assert crumbs(f"{owner.path(folder='Animals')}/watch/{film}") == ["Animals", "Sea"]
    assert crumbs(f"{owner.path(folder='Animals/Sea')}/watch/{film}") == ["Sea"]
    assert crumbs(f"{owner.path(path=film)}/watch/{film}") == []
    assert crumbs(owner.path(folder="Animals")) == []
    whole = owner.path(folder="")
    assert crumbs(f"{whole}/?folder=Animals") == ["Library", "Animals"]


def test_without_downloads_a_page_offers_none_and_says_so(owner: Owner) -> None:
    prefix = owner.path(path=FILM, downloads="")
    page = text_of(ask(owner.base, f"{prefix}/watch/{FILM}", HTML))
    assert "Downloads are switched off for this link" in page
    assert "its bytes reach your browser all the same" in page
    for target in targets_in(page, ""):
        assert not re.search(r"/(download|playlists)/", target)
    for words in ("Open in a player", ">Download<", "download the file", "/download/"):
        assert words not in page
    video = json.loads(ask(owner.base, f"{prefix}/api/videos/{FILM}").body)
    assert video["download_url"] is None
    refused = ask(owner.base, f"{prefix}/download/{FILM}", HTML)
    assert refused.status == 403
    assert "Downloads are switched off" in text_of(refused)
    assert f'href="{prefix}/"' in text_of(refused)
    # Those of other links, and of who signed in, stay as they are.
    film = f"/watch/{FILM}"
    for target, headers in ((owner.path(path=FILM) + film, {}), (film, owner.headers)):
        assert ">Download<" in text_of(ask(owner.base, target, {**HTML, **headers}))


def test_a_shared_page_unfurls_with_what_the_link_opens(owner: Owner) -> None:
    for form in ({"path": FILM}, {"folder": "Animals"}, {"path": FILM, "downloads": ""}):
        prefix = owner.path(**form)
        page = text_of(ask(owner.base, f"{prefix}/watch/{FILM}", HTML))
        assert not NAMES.search(page) or form.get("folder")
        metadata = {
            attributes.get("property") or attributes.get("name"): attributes["content"]
            for attributes in attributes_of(page, "meta")
            if "content" in attributes
        }
        beginning = f"{owner.base}{prefix}/"
        assert metadata["og:url"] == f"{beginning}watch/{FILM}"
        for name in ("og:url", "og:image", "og:video"):
            assert metadata[name].startswith(beginning), name
            assert ask(owner.base, metadata[name].removeprefix(owner.base)).status in {200, 206}
        (oembed,) = [
            attributes["href"]
            for attributes in attributes_of(page, "link")
            if attributes.get("type") == "application/json+oembed"
        ]
        embedded = json.loads(ask(owner.base, oembed.removeprefix(owner.base)).body)
        assert f'src="{beginning}embed/{FILM}"' in embedded["html"]
        assert embedded["thumbnail_url"].startswith(beginning)
        # Of a page that is not shared, and of the same page without the link, there is nothing.
        for other in (f"{owner.base}/watch/{FILM}", f"{beginning}watch/Secrets/pangolin.mp4"):
            target = f"{prefix}/oembed?url={quote(other, safe='')}"
            assert ask(owner.base, target).status == 404


def test_the_folder_of_a_shared_film_is_not_in_its_description(owner: Owner) -> None:
    film = "Animals/Sea/narwhal.mp4"

    def description(prefix: str) -> str:
        page = text_of(ask(owner.base, f"{prefix}/watch/{film}", {**HTML, **owner.headers}))
        return page.partition('name="description"')[2].partition(">")[0]

    assert "Animals / Sea" in description("")
    assert "Sea" in description(owner.path(folder="Animals/Sea"))
    for prefix in (owner.path(path=film), owner.path(folder="Animals/Sea")):
        assert "Animals" not in description(prefix)


def test_search_engines_are_never_led_to_shared_pages(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    make_library(media)
    state = str(tmp_path / "state")
    with serve(media, PASSWORD=PASSWORD, STATE=state, SEARCH_ENGINES="on") as server:
        owner = Owner(server.base, {"Cookie": cookie_of(sign_in(server.base))})
        for route in ("watch", "api/videos"):
            target = f"{owner.path(path=FILM)}/{route}/{FILM}"
            assert "noindex" in ask(server.base, target, HTML).headers["X-Robots-Tag"]


def test_without_access_control_pages_offer_no_links(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    make_library(media)
    with serve(media) as server:
        for target in (f"/watch/{FILM}", "/?folder=Animals", "/"):
            page = text_of(ask(server.base, target, HTML))
            for words in ("Share…", "Sign out", "/links", "share.css", "data-shared"):
                assert words not in page, (target, words)
        assert "Embed in a page of yours" in text_of(ask(server.base, f"/watch/{FILM}", HTML))
        assert ask(server.base, "/links", HTML).status == 404


def test_the_sign_in_form_is_made_for_password_managers(server: Server) -> None:
    target = "/?folder=Animals&q=a%20b"
    page = text_of(ask(server.base, target, HTML))
    fields = {one["name"]: one for one in attributes_of(page, "input")}
    assert fields["username"]["autocomplete"] == "username"
    assert fields["password"]["autocomplete"] == "current-password"
    assert "autofocus" in fields["password"]
    assert fields["next"]["value"] == target
    wrong = text_of(sign_in(server.base, "wrong", target))
    fields = {one["name"]: one for one in attributes_of(wrong, "input")}
    assert fields["next"]["value"] == target
    assert fields["password"]["aria-invalid"] == "true"
    assert 'role="alert"' in wrong


def test_the_page_of_many_links_says_how_many_it_does_not_show(owner: Owner, state: Path) -> None:
    store = FolderState(state)
    oldest = owner.share(path=FILM, **{"for": "1h"})["id"]
    for path in state.joinpath("links").iterdir():
        if path.stem != oldest:
            revoke(store, path.stem)
    made = {make_link(store, Scope("folder", ""), 0).id for _ in range(MAX_LISTED)}
    link = json.loads((state / "links" / f"{oldest}.json").read_bytes())
    store.write(f"links/{oldest}.json", json.dumps(link | {"created": 1}).encode())
    page = text_of(owner.ask("/links"))
    fields = {one["id"].removeprefix("url-") for one in attributes_of(page, "input")}
    assert fields == made
    assert "1 older link is not shown" in page
    for link_id in made:
        revoke(store, link_id)


def test_the_pages_of_access_control_are_valid_html(
    owner: Owner, state: Path, tmp_path: Path
) -> None:
    film, folder = owner.path(path=FILM, downloads=""), owner.path(folder="Animals")
    revoke(FolderState(state), owner.share(path=FILM)["id"])
    nobody = Owner(owner.base, {})
    pages = {
        "sign-in": nobody.ask("/sign-in"),
        "refused": nobody.ask("/"),
        "forged": nobody.ask("/s/1.0"),
        "downloads": nobody.ask(f"{film}/download/{FILM}"),
        "film-by-link": nobody.ask(f"{film}/watch/{FILM}"),
        "folder-by-link": nobody.ask(f"{folder}/"),
        "film": owner.ask(f"/watch/{FILM}?t=3"),
        "folder": owner.ask("/?folder=Animals"),
        "links": owner.ask("/links"),
        "made": owner.ask(f"/links?made={owner.share(path=FILM)['id']}&t=3"),
    }
    assert html_faults({name: text_of(page) for name, page in pages.items()}, tmp_path) == set()
