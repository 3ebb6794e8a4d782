"""Playlists, link previews, embedding, icons and error pages."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import pytest
from PIL import Image
from support.ffmpeg_fixtures import ffmpeg
from support.raw_http import Answer, ask
from support.server import Server, serve, until, write

CLIP = Path(__file__).parents[2] / "media/sample.mp4"
SAMPLE = CLIP.read_bytes()
TITLE = """</script><script>alert("1")</script> & 'it' <!-- """
STORY = "A storm. " * 50
NAME = 'Series/it\'s "S1" <1>/ep 1 & ünï.mp4'
FOLDER = NAME.rpartition("/")[0]
PLAYLISTS = [f"/playlists/{quote(NAME)}.m3u", "/playlists", f"/playlists?folder={quote(FOLDER)}"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("sharing") / "media"
    write(media, "broken.mp4", b"no film")
    for name in (NAME, f"{FOLDER}/ep 10.mp4", f"{FOLDER}/ep 2.mp4", "first.mp4"):
        write(media, name, SAMPLE)
    metadata = ("-metadata", f"title={TITLE}", "-metadata", f"description={STORY}")
    odd = ffmpeg(media.parent / "odd.mp4", "-i", CLIP, "-c", "copy", *metadata).read_bytes()
    write(media, "Odd/odd.mp4", odd)
    write(media, "Odd/odd.chapters.vtt", b"WEBVTT\n\n00:02.500 --> 00:05.000\nThe end\n")
    write(media, "Odd/sound.m4a", ffmpeg(media.parent / "a.m4a", "-i", CLIP, "-vn").read_bytes())
    with serve(media, TRUSTED_PROXIES="127.0.0.1") as running:

        def all_settled() -> Any:
            videos = json.loads(ask(running.base, "/api/videos").body)["videos"]
            states = [(v["state"], v["poster"]["state"], v["captions"]["state"]) for v in videos]
            return not {"pending", "waiting"} & {s for state in states for s in state} or None

        until(all_settled, "all artefacts are ready")
        yield running


def get(server: Server, target: str, method: str = "GET", **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(server.base, target, fields, method)


def entries(answer: Answer) -> list[tuple[str, str]]:
    """Return each entry's `#EXTINF:` and URL."""
    first, *lines = answer.body.decode().splitlines()
    assert first == "#EXTM3U"
    names = [line.removeprefix("#EXTINF:") for line in lines if line.startswith("#EXTINF:")]
    return list(zip(names, [line for line in lines if not line.startswith("#")], strict=True))


def test_a_playlist_lists_title_duration_and_url_of_the_video(server: Server) -> None:
    answer = get(server, PLAYLISTS[0])
    assert answer.headers["Content-Type"] == "audio/x-mpegurl; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert answer.headers["Content-Disposition"].endswith(
        "filename*=UTF-8''ep%201%20&%20%C3%BCn%C3%AF.m3u"
    )
    ((name, address),) = entries(answer)
    assert name == "8,Reelay sample"
    item = json.loads(get(server, f"/api/videos/{quote(NAME)}").body)
    assert address == server.base + item["download_url"]
    assert get(server, address.removeprefix(server.base)).body == SAMPLE


def test_a_player_that_asks_from_byte_0_gets_the_whole_film_of_a_playlist(tmp_path: Path) -> None:
    """FFmpeg asks for `bytes=0-` and never for the rest; /media/ ends at the end of the block."""
    write(tmp_path / "media", "film.mp4", SAMPLE)
    with serve(tmp_path / "media", MAX_PARTIAL_SIZE="65536") as running:
        until(lambda: json.loads(ask(running.base, "/api/videos").body)["videos"] or None, "listed")
        ((_, address),) = entries(ask(running.base, "/playlists/film.mp4.m3u"))
        copy = ffmpeg(tmp_path / "copy.mp4", "-i", address, "-c", "copy")
    assert packets(copy) == packets(CLIP) > 0


def packets(film: Path) -> int:
    """Return how many packets the streams of a file have."""
    with av.open(str(film)) as container:
        return sum(1 for packet in container.demux() if packet.size)


def test_the_playlist_of_a_folder_lists_its_own_videos_in_order(server: Server) -> None:
    addresses = [address for _, address in entries(get(server, PLAYLISTS[2]))]
    items = [
        json.loads(get(server, f"/api/videos/{quote(name)}").body)["download_url"]
        for name in (NAME, f"{FOLDER}/ep 10.mp4", f"{FOLDER}/ep 2.mp4")
    ]
    assert sorted(addresses) == sorted(server.base + item for item in items)
    root = dict(entries(get(server, "/playlists?sort=-size")))
    assert list(root) == ["8,Reelay sample", "-1,broken"]
    assert get(server, "/playlists?folder=nowhere").status == 404
    assert get(server, "/playlists?sort=colour").status == 400
    assert get(server, "/playlists/nothing.mp4.m3u").status == 404


def test_playlist_urls_have_the_requested_host(server: Server) -> None:
    for host, proto, origin in (
        ("video.example.org", "https", "https://video.example.org"),
        ("video.example.org:8443", "javascript", "http://video.example.org:8443"),
        ("video!.example", "https", ""),
    ):
        answer = get(server, PLAYLISTS[0], Host=host, X_Forwarded_Proto=proto)
        ((_, address),) = entries(answer)
        assert address.partition("/download/")[0] == origin


def test_links_behind_a_proxy_have_the_host_that_the_viewer_used(
    server: Server,
) -> None:
    origin = "https://video.example.org"
    forwarded = {"Host": "origin.internal", "X_Forwarded_Host": "video.example.org"}
    secure = forwarded | {"X_Forwarded_Proto": "https"}
    page = head(server, NAME, **secure)
    assert page.links["canonical"] == page.properties["og:url"] == f"{origin}/watch/{quote(NAME)}"
    assert page.properties["og:video"].startswith(f"{origin}/media/")
    response = get(server, f"/oembed?url={quote(page.properties['og:url'], safe='')}", **secure)
    assert json.loads(response.body)["provider_url"] == f"{origin}/"
    ((_, address),) = entries(get(server, PLAYLISTS[0], **secure))
    assert address.startswith(f"{origin}/download/")


@pytest.mark.parametrize("host", ["a" * 64, "video..example"])
def test_an_invalid_host_name_is_refused(server: Server, host: str) -> None:
    """RFC 9112 §3.2; a label has 1 to 63 characters (RFC 1034 §3.1)."""
    for target in ("/", PLAYLISTS[0], "/nothing", "/oembed?url=x", f"/media/{quote(NAME)}"):
        answer = get(server, target, Host=host)
        assert answer.status == 400
        assert json.loads(answer.body)["detail"] == "The Host header names no host."
    assert not server.logged("unexpected error")


def test_forwarded_headers_of_untrusted_clients_are_ignored(tmp_path: Path) -> None:
    write(tmp_path / "media", "film.mp4", SAMPLE)
    lie = {"Host": "a.example", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "b.example"}
    for trusted in ("", "10.0.0.0/8, ::1"):
        with serve(tmp_path / "media", TRUSTED_PROXIES=trusted) as running:
            until(
                lambda: json.loads(ask(running.base, "/api/videos").body)["videos"] or None,
                "listed",
            )
            page = f"/oembed?url={quote('http://a.example/watch/film.mp4', safe='')}"
            assert ask(running.base, page, lie).status == 200  # the origin is this service's
            ((_, address),) = entries(ask(running.base, "/playlists/film.mp4.m3u", lie))
            assert address.startswith("http://a.example/download/film.mp4")


def test_the_playlist_url_of_a_folder_is_not_redirected(server: Server) -> None:
    target = f"/playlists?folder={quote(FOLDER)}"
    answer = get(server, target, Host="video.example.org", X_Forwarded_Proto="https")
    assert answer.status == 200
    assert answer.headers["Location"] is None
    assert len(entries(answer)) == 3


@pytest.mark.parametrize("target", [*PLAYLISTS, "/robots.txt", "/favicon.ico"])
def test_program_routes_support_conditional_requests(server: Server, target: str) -> None:
    answer = get(server, target)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    head = get(server, target, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.body))
    response = get(server, target, If_None_Match=answer.headers["ETag"])
    assert (response.status, response.body) == (304, b"")
    assert get(server, target, If_Match='"another"').status == 412
    options = get(server, target, "OPTIONS")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert get(server, target, "POST").status == 405


# Link previews


@dataclass
class Head(HTMLParser):
    """The metadata in a page's head."""

    properties: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    data: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "meta" and (name := has.get("property") or has.get("name")):
            assert name == "theme-color" or name not in self.properties
            self.properties[name] = has["content"]
        elif tag == "link":
            self.links[has["rel"]] = has["href"]
        elif tag == "script":
            self.scripts.append(has.get("type", ""))
        elif tag == "iframe":
            self.frames.append(has["src"])

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.data += data.strip()


def head(server: Server, path: str, **headers: str) -> Head:
    result = Head()
    result.feed(get(server, f"/watch/{quote(path)}", **headers).body.decode())
    return result


TLS = {"Host": "video.example.org", "X_Forwarded_Proto": "https"}


def test_a_shared_link_has_a_preview(server: Server) -> None:
    origin = "https://video.example.org"
    page = head(server, NAME, **TLS)
    item = json.loads(get(server, f"/api/videos/{quote(NAME)}").body)
    picture = item["poster"]["pictures"][-1]
    assert page.links["canonical"] == origin + item["watch_url"]
    expected = {
        "og:type": "video.other",
        "og:title": "Reelay sample",
        "og:url": origin + item["watch_url"],
        "og:image": origin + picture["url"].replace("?", ".jpg?"),
        "og:image:width": str(picture["width"]),
        "og:image:height": str(picture["height"]),
        "og:video": origin + item["media_url"],
        "og:video:secure_url": origin + item["media_url"],
        "og:video:type": "video/mp4",
        "og:video:width": "1280",
        "og:video:height": "720",
        "video:duration": "8",
        "twitter:card": "player",
        "twitter:player": f"{origin}/embed/{quote(NAME)}",
        "twitter:player:width": "1280",
        "twitter:player:height": "720",
        "twitter:image": origin + picture["url"].replace("?", ".jpg?"),
    }
    assert expected.items() <= page.properties.items()
    assert "0:08 · 1280\N{MULTIPLICATION SIGN}720" in page.properties["og:description"]
    for address in (page.properties["og:image"], page.properties["og:video"]):
        assert get(server, address.removeprefix(origin)).status == 200
    data = json.loads(page.data)
    assert data["@type"] == "VideoObject"
    assert (data["contentUrl"], data["embedUrl"]) == (
        origin + item["download_url"],
        page.properties["twitter:player"],
    )
    assert data["thumbnailUrl"] == page.properties["og:image"]
    assert data["duration"] == "PT8S"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", data["uploadDate"])


def test_titles_are_escaped_in_every_context(server: Server) -> None:
    page = head(server, "Odd/odd.mp4", **TLS)
    assert page.properties["og:title"] == page.properties["twitter:title"] == TITLE.strip()
    assert page.scripts == ["module", "application/ld+json"]
    data = json.loads(page.data)
    assert data["name"] == TITLE.strip()
    # The description in the file, shortened.
    assert data["description"] == page.properties["description"]
    assert data["description"].startswith("A storm. A storm.")
    assert 290 <= len(data["description"]) <= 300
    assert data["description"].endswith("…")
    (part,) = data["hasPart"]
    assert (part["name"], part["startOffset"], part["endOffset"]) == ("The end", 2.5, 5)
    assert part["url"] == "https://video.example.org/watch/Odd/odd.mp4?t=2.5"


def test_a_preview_has_only_what_the_video_offers(server: Server) -> None:
    sound = head(server, "Odd/sound.m4a", **TLS)
    assert sound.properties["og:type"] == "music.song"
    assert sound.properties["og:audio:secure_url"].startswith(
        "https://video.example.org/media/Odd/"
    )
    assert json.loads(sound.data)["@type"] == "AudioObject"
    assert not any(name.startswith(("og:video", "og:image", "video:")) for name in sound.properties)
    assert sound.properties["twitter:card"] == "summary"
    # No browser plays it, so there is no player card.
    broken = head(server, "broken.mp4", **TLS)
    assert broken.properties["og:title"] == "broken"
    assert not any(name.startswith(("og:video", "twitter:player")) for name in broken.properties)
    # A player card needs TLS.
    open_page = head(server, NAME)
    assert open_page.properties["og:video"].startswith(f"{server.base}/media/")
    assert "og:video:secure_url" not in open_page.properties
    assert open_page.properties["twitter:card"] == "summary_large_image"
    # Without a known origin there is no preview, but the page works.
    nowhere = head(server, NAME, Host="video!.example")
    assert not any(name.startswith(("og:", "twitter:")) for name in nowhere.properties)
    assert (nowhere.scripts, nowhere.links.get("canonical")) == (["module"], None)


def test_oembed_returns_the_frame_for_a_link(server: Server) -> None:
    page = head(server, "Odd/odd.mp4", **TLS)
    target = page.links["alternate"].removeprefix("https://video.example.org")
    embed = json.loads(get(server, target, **TLS).body)
    assert (embed["version"], embed["type"], embed["title"]) == ("1.0", "video", TITLE.strip())
    assert (embed["width"], embed["height"]) == (1280, 720)
    assert embed["thumbnail_url"] == page.properties["og:image"]
    frame = Head()
    frame.feed(embed["html"])
    assert frame.frames == [page.properties["twitter:player"]]
    assert frame.scripts == []
    narrow = json.loads(get(server, f"{target}&maxwidth=320&maxheight=500", **TLS).body)
    assert (narrow["width"], narrow["height"]) == (320, 180)
    googol = "9" * 400  # too large for a float
    wide = json.loads(get(server, f"{target}&maxwidth={googol}&maxheight={googol}", **TLS).body)
    assert (wide["width"], wide["height"]) == (embed["width"], embed["height"])
    sound = target.replace("odd.mp4", "sound.m4a")
    assert json.loads(get(server, sound, **TLS).body)["type"] == "rich"
    tag = get(server, target, **TLS).headers["ETag"]
    assert get(server, target, If_None_Match=tag, **TLS).status == 304
    assert get(server, target, "OPTIONS", **TLS).status == 204
    for wrong, status in (
        ("/oembed", 400),
        (f"{target}&format=xml", 501),
        (f"{target}&maxwidth=0", 400),
        (target.replace("video.example.org", "other.example"), 404),
        (target.replace("watch", "media"), 404),
        (target.replace("odd.mp4", "none.mp4"), 404),
        ("/oembed?url=https://%5B", 404),
    ):
        assert get(server, wrong, **TLS).status == status, wrong


def test_the_image_of_a_preview_is_a_jpeg(server: Server) -> None:
    page = head(server, NAME)
    target = page.properties["og:image"].removeprefix(server.base)
    answer = get(server, target)
    assert answer.headers["Content-Type"] == page.properties["og:image:type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    with Image.open(BytesIO(answer.body)) as picture:
        assert picture.format == "JPEG"
        assert [str(side) for side in picture.size] == [
            page.properties["og:image:width"],
            page.properties["og:image:height"],
        ]
        colour = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
    original = get(server, target.replace(".jpg", ""))
    assert original.headers["ETag"] != answer.headers["ETag"]
    with Image.open(BytesIO(original.body)) as picture:
        assert picture.format == "WEBP"
        expected = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert colour == pytest.approx(expected, abs=3)  # the same image
    assert get(server, target, If_None_Match=answer.headers["ETag"]).status == 304
    assert get(server, target, "HEAD").headers["Content-Length"] == str(len(answer.body))
    assert get(server, re.sub(r"v=[^&]*", "v=0", target)).status == 410
    assert get(server, "/posters/none.mp4.jpg").status == 404


# Embedding


def ancestors(answer: Answer) -> str:
    """Return the sites that may embed a page."""
    (policy,) = answer.headers.get_all("Content-Security-Policy") or []
    (sites,) = re.findall(r"frame-ancestors ([^;]*)", policy)
    return str(sites)


def test_only_the_player_may_be_embedded_by_other_sites(server: Server) -> None:
    target = f"/embed/{quote(NAME)}"
    answer = get(server, f"{target}?t=0m5s&autoplay=1")
    assert ancestors(answer) == "*"
    page = answer.body.decode()
    assert "#t=5" in page
    assert re.search(r"<video[^>]*autoplay muted", page)
    assert "autoplay muted" not in get(server, target).body.decode()
    others = get(server, f"/watch/{quote(NAME)}").headers["Content-Security-Policy"]
    policy = answer.headers["Content-Security-Policy"]
    assert policy.replace("frame-ancestors *", "frame-ancestors 'self'") == others
    assert get(server, target, "HEAD").headers["Content-Security-Policy"] == policy
    assert get(server, target, "OPTIONS").headers["Allow"] == "GET, HEAD, OPTIONS"
    assert get(server, target, "POST").status == 405
    # Error pages must not be embedded by other sites.
    assert ancestors(get(server, "/embed/missing.mp4", Accept="text/html")) == "'self'"


def test_settings_control_embedding_and_indexing(
    tmp_path: Path,
) -> None:
    write(tmp_path / "media", "film.mp4", SAMPLE)
    theirs = "https://a.example, https://*.b.example:8443"
    with serve(tmp_path / "media", EMBED_ORIGINS=theirs, SEARCH_ENGINES="on") as server:
        until(lambda: get(server, "/embed/film.mp4").status == 200 or None, "it is listed")
        sites = ancestors(get(server, "/embed/film.mp4"))
        assert sites == "'self' https://a.example https://*.b.example:8443"
        assert "X-Robots-Tag" not in get(server, "/").headers
        assert b"/media/" not in get(server, "/robots.txt").body


def test_search_engines_are_asked_not_to_index(server: Server) -> None:
    for target in ("/", f"/watch/{quote(NAME)}", f"/embed/{quote(NAME)}", "/nothing"):
        assert get(server, target).headers["X-Robots-Tag"] == "noindex, nofollow"
    rules = get(server, "/robots.txt").body.decode().splitlines()
    # Sites that show previews must read the page and its image.
    assert rules[0] == "User-agent: *"
    assert {"Disallow: /media/", "Disallow: /download/"} <= set(rules)
    assert not {"Disallow: /", "Disallow: /watch/", "Disallow: /posters/"} & set(rules)


# Icons


def test_icons_and_manifest_have_their_declared_types_and_sizes(server: Server) -> None:
    page_head = Head()
    page_head.feed(get(server, "/").body.decode())
    for rel in ("icon", "apple-touch-icon", "manifest"):
        assert get(server, page_head.links[rel]).status == 200
    answer = get(server, page_head.links["manifest"])
    assert answer.headers["Content-Type"] == "application/manifest+json"
    manifest = json.loads(answer.body)
    assert (manifest["id"], manifest["start_url"], manifest["scope"]) == ("/", "/", "/")
    for icon in manifest["icons"]:
        picture = get(server, f"/static/{icon['src']}")
        assert picture.headers["Content-Type"] == icon["type"]
        if icon["type"] == "image/png":  # its size: PNG (W3C) §11.2.1, IHDR
            sides = [int.from_bytes(picture.body[at : at + 4], "big") for at in (16, 20)]
            assert icon["sizes"] == "x".join(map(str, sides))
    assert len(get(server, "/favicon.ico").body) < 5000


# Error pages


def shown(server: Server, target: str, status: int) -> str:
    """Request a page as browsers do and return it."""
    answer = get(server, target, Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert answer.status == status
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return re.sub(r"\s+", " ", answer.body.decode())


def test_a_missing_page_offers_a_search(server: Server) -> None:
    page = shown(server, "/watch/Old/The_%3Ci%3EFilm%22.mp4", 404)
    assert "There is no such video in the library." in page
    assert re.search(r'<form [^>]*action="/"[^>]*method="get"', page)
    assert 'name="q" value="The &lt;i&gt;Film&#34;"' in page
    assert "/watch/Old/The_&lt;i&gt;Film&#34;.mp4" in page  # escaped
    assert 'name="q" value=""' in shown(server, "/nothing", 404)
    # A long name is shortened to the limit of a search.
    (part,) = re.findall(r'value="(x+)"', shown(server, f"/watch/{'x' * 240}.mp4", 404))
    assert get(server, f"/?q={part}").status == 200


def test_a_replaced_revision_links_to_the_current_one(server: Server) -> None:
    path = quote(NAME)
    page = shown(server, f"/media/{path}?v=1-1", 410)
    assert "has been replaced" in page
    for target in (f"/watch/{path}", f"/media/{path}"):
        assert f'href="{target.replace("&", "&amp;")}"' in page
        assert get(server, target).status == 200
