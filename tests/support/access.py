"""Visitors of a library with access control, and what each may see."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus, urlencode

from hypothesis import strategies as st

from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.raw_http import Answer, ask
from support.server import Server, serve, until, write
from support.shared_links import KeyHolder

PASSWORD = "open sesame, please"  # noqa: S105

FILES = (
    "Animals/quokka.mp4",
    "Animals/quokka 2.mp4",
    "Animals/Sea/narwhal.mp4",
    "Animals Old/dodo.mp4",
    "Secrets/pangolin.mp4",
    "Secrets/Täler & Höhen.mp4",
)
WORDS = {
    "quokka": (FILES[0], FILES[1]),
    "quokka 2": (FILES[1],),
    "narwhal": (FILES[2],),
    "Sea": (FILES[2],),
    "Animals Old": (FILES[3],),
    "dodo": (FILES[3],),
    "Secrets": FILES[4:],
    "pangolin": (FILES[4],),
    "Täler": (FILES[5],),
}
"""Words that only files have in their paths: a response with one shows one of these files."""


def make_library(folder: Path) -> None:
    """Write FILES, with captions beside each."""
    source = ffmpeg(
        folder.parent / "source.mp4",
        "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=6",
        "-f", "lavfi", "-i", "sine=duration=6", *H264, *AAC,
    )  # fmt: skip
    for path in FILES:
        write(folder, path, source.read_bytes())
        text = f"1\n00:00:01,000 --> 00:00:02,000\nIn {path}\n"
        write(folder, path.removesuffix("mp4") + "en.srt", text.encode())


@dataclass(frozen=True)
class Visitor:
    """Somebody with a cookie, with a link, or with neither."""

    name: str
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    visible: tuple[str, ...] = ()
    """The files that may be seen."""
    refused_with: int = 401
    """The status of everything if nothing may be seen."""
    downloads: bool = True

    def ask(self, base: str, target: str, **headers: str) -> Answer:
        """Send a request below the visitor's link, or with the cookie."""
        return ask(base, self.prefix + target, {**self.headers, **headers})

    def leaks(self, answer: Answer, target: str) -> list[str]:
        """Return the words in a response that the visitor may not read.

        Errors repeat the request's target, which tells nothing.
        """
        fields = [value for name, value in answer.headers.items() if name != "set-cookie"]
        text = "\n".join([*fields, answer.body.decode("utf-8", "replace")])
        text += unquote_plus(text) + json.dumps(text)
        forbidden = [
            word
            for word, files in WORDS.items()
            if not set(files) & set(self.visible) and word not in unquote_plus(target)
        ]
        # Most words are not in it at all, which takes a tenth of the time of a regular expression.
        return [
            word for word in forbidden if word in text and re.search(rf"(?<!\w){word}(?!\w)", text)
        ]


def cookie_of(answer: Answer) -> str:
    """Return the Cookie field that a response's Set-Cookie asks for."""
    return answer.headers["Set-Cookie"].partition(";")[0]


def sign_in(
    base: str,
    password: str = PASSWORD,
    next_page: str = "/",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send the form of the sign-in page."""
    form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    body = urlencode({"password": password, "next": next_page}).encode()
    return ask(base, "/sign-in", form, "POST", body)


@contextmanager
def library_with_password(folder: Path, state: Path) -> Iterator[Server]:
    """Run the service on FILES, whose artefacts are made, with PASSWORD."""
    media = folder / "media"
    media.mkdir()
    make_library(media)
    with serve(media, PASSWORD=PASSWORD, STATE=str(state)) as server:
        headers = {"Cookie": cookie_of(sign_in(server.base))}
        until(
            lambda: b'"waiting"' not in ask(server.base, "/api/videos", headers).body or None,
            "artefacts are made",
        )
        yield server


REVOKED = "taken-back-link-"
"""The identity of a link that the caller of `visitors` takes back."""


def visitors(keys: KeyHolder, cookie: str) -> list[Visitor]:
    """Return nobody, somebody with the cookie of a session, and some with links of every kind."""
    film, folder = keys.link(f"v{FILES[0]}"), keys.link("fAnimals")
    forged = KeyHolder(b"f" * 32)
    changed = film[:-1] + ("A" if film[-1] != "A" else "B")
    name, _, session = cookie.partition("=")
    return [
        Visitor("nobody"),
        Visitor("a forged cookie", headers={"Cookie": cookie[:-2]}),
        Visitor("who signed in", headers={"Cookie": cookie}, visible=FILES),
        Visitor("a link to a film", film, visible=FILES[:1]),
        Visitor("a link to a folder", folder, visible=FILES[:3]),
        Visitor("a link to the library", keys.link("f"), visible=FILES),
        Visitor("a link without downloads", keys.link(f"v{FILES[5]}", downloads=False),
                visible=FILES[5:], downloads=False),
        Visitor("an expired link", keys.link("f", -2), refused_with=410),
        Visitor("a revoked link", keys.link("f", identity=REVOKED), refused_with=410),
        Visitor("a forged link", forged.link("f"), refused_with=403),
        Visitor("a changed link", changed, refused_with=403),
        Visitor("a cut link", film[:-7], refused_with=403),
        Visitor("a session as a link", f"/s/{session}", refused_with=403),
        Visitor("a link as a cookie", headers={"Cookie": f"{name}={folder[3:]}"}),
    ]  # fmt: skip


def targets(path: str) -> Iterator[str]:
    """Yield the targets of every route about a file or its folder."""
    name, folder = quote(path), quote(path.rpartition("/")[0])
    yield from (
        f"/watch/{name}", f"/watch/{name}?filmstrip=1", f"/embed/{name}", f"/media/{name}",
        f"/download/{name}", f"/api/videos/{name}", f"/api/next/{name}", f"/posters/{name}",
        f"/posters/{name}.jpg", f"/posters/{folder}/", f"/storyboards/{name}.vtt",
        f"/storyboards/{name}/0.webp", f"/captions/{name}/en.vtt", f"/playlists/{name}.m3u",
        f"/?folder={folder}", f"/videos?folder={folder}", f"/api/videos?folder={folder}",
        f"/playlists?folder={folder}", f"/series/{folder}", f"/_revision?path=/media/{name}",
        f"/oembed?url={quote(f'http://localhost/watch/{path}', safe='')}",
    )  # fmt: skip


GENERAL = (
    "/", "/videos", "/videos?sort=-date", "/?q=quokka", "/?q=pangoln", "/?q=dodo", "/?folder=",
    "/api/videos", "/api/videos?q=narwhal", "/playlists", "/openapi.json", "/metrics", "/_access",
    "/nothing", "/links", "/oembed", "/_revision", "/favicon.ico",
)  # fmt: skip


def check_requests(
    base: str, visitor: Visitor, path: str, expected_of: Callable[[str, Answer], bool]
) -> None:
    """Send a request to every route about a file; check that it shows what it may.

    `expected_of` returns whether a response about a file that may be seen is right.
    """
    for target in targets(path):
        answer = visitor.ask(base, target, Accept="text/html", Range="bytes=0-99")
        asked = visitor.name, target, answer.status
        assert visitor.leaks(answer, target) == [], asked
        if not visitor.visible:
            is_hidden = target.startswith("/_") and answer.status == HTTPStatus.NOT_FOUND
            assert is_hidden or answer.status == visitor.refused_with, asked
        elif path not in visitor.visible:
            # Of a folder with other files the page shows these.
            assert answer.status in {403, 404} or "folder=" in target, asked
        else:
            assert expected_of(target, answer), asked


_words = st.sampled_from([*FILES, *(path.rpartition("/")[0] for path in FILES), "..", ".", "", "s"])
_spellings: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [quote, lambda text: quote(text, safe=""), lambda text: quote(quote(text)), str.upper, str]
)
_routes = st.sampled_from(
    ["watch", "embed", "media", "download", "api/videos", "api/next", "posters", "storyboards",
     "captions", "playlists", "copies", "series", "_revision?path=", "?folder=", "?q=",
     "videos?folder=", "api/videos?folder=", "api/videos?q=", "oembed?url=", "static", "s"]
)  # fmt: skip
_endings = st.sampled_from(["", "/", ".vtt", "/0.webp", ".jpg", ".m3u", "/en.vtt", "?v=1", "%00"])


@st.composite
def odd_targets(draw: st.DrawFn) -> str:
    """Draw a target of some route about some file, in some spelling."""
    route, spell = draw(_routes), draw(_spellings)
    joined = "/".join(spell(word) for word in draw(st.lists(_words, min_size=1, max_size=3)))
    target = f"/{route}{'' if route.endswith('=') else '/'}{joined}{draw(_endings)}"
    return target if target.isascii() and " " not in target else quote(target, safe="/?=%&")


def check_odd_request(base: str, visitor: Visitor, target: str, method: str) -> None:
    """Send a request; check that its response shows nothing but what the visitor may see."""
    answer = ask(base, visitor.prefix + target, visitor.headers, method, b"")
    assert visitor.leaks(answer, unquote(target)) == [], (visitor.name, target)
    listings = ("/static", "/?", "/videos", "/api", "/series")
    if answer.status in {200, 206} and not target.startswith(listings):
        named = unquote(unquote(target))
        assert any(path in named for path in visitor.visible), (visitor.name, target)
