"""What other sites may read with REELAY_CORS_ORIGINS: cases for the service alone and the edge."""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.raw_http import Answer, ask

SITE = "https://player.example.org"
LISTED = f"{SITE}, https://*.example.net:*"

# Origins as browsers send them (Fetch, "serialize a request origin"), and whether LISTED has them.
ORIGINS = {
    SITE: True,
    "https://a.example.net": True,
    "https://a.b.example.net:8443": True,
    # Another scheme, port or host, or no host at all.
    "http://player.example.org": False,
    "https://player.example.org:8443": False,
    "https://player.example.org.evil.example": False,
    "https://evil.example/?https://player.example.org": False,
    "https://xplayer.example.org": False,
    "https://playerXexample.org": False,
    "https://example.net": False,
    "https://.example.net": False,
    "https://evilexample.net": False,
    "https://a.example.net:": False,
    "null": False,
    "": False,
}

FILM = "film.mp4"

# Targets that other sites may read, with other header fields of the request and the status.
READABLE: dict[str, tuple[str, dict[str, str], int]] = {
    "the library": ("/api/videos", {}, 200),
    "one video": (f"/api/videos/{FILM}", {}, 200),
    "the description": ("/openapi.json", {}, 200),
    "a playlist": (f"/playlists/{FILM}.m3u", {}, 200),
    "a folder's playlist": ("/playlists?folder=", {}, 200),
    "oEmbed": ("/oembed?url=http://nowhere.example/watch/film.mp4", {}, 404),
    "captions": (f"/captions/{FILM}/en.vtt", {}, 200),
    "a poster": (f"/posters/{FILM}", {}, 200),
    "a poster as JPEG": (f"/posters/{FILM}.jpg", {}, 200),
    "a storyboard": (f"/storyboards/{FILM}.vtt", {}, 200),
    "a sheet of a storyboard": (f"/storyboards/{FILM}/0.webp", {}, 200),
    "a whole file": (f"/media/{FILM}", {}, 200),
    "a block": (f"/media/{FILM}", {"Range": "bytes=0-"}, 206),
    "a part of a block": (f"/media/{FILM}", {"Range": "bytes=5-9"}, 206),
    "a suffix": (f"/media/{FILM}", {"Range": "bytes=-9"}, 206),
    "several ranges": (f"/media/{FILM}", {"Range": "bytes=0-1,5-6"}, 206),
    "a download": (f"/download/{FILM}", {}, 200),
    "a part of a download": (f"/download/{FILM}", {"Range": "bytes=5-9"}, 206),
    "404 of media": ("/media/none.mp4", {}, 404),
    "404 of JSON": ("/api/videos/none.mp4", {}, 404),
    "400": ("/api/videos?sort=weight", {}, 400),
    "410": (f"/media/{FILM}?v=0", {}, 410),
    "412": (f"/media/{FILM}", {"If-Match": '"x"'}, 412),
    "416": (f"/media/{FILM}", {"Range": "bytes=999999999-"}, 416),
    "421": ("/api/videos", {"Host": "other.example"}, 421),
}

# Pages, files of pages and operators' routes. A path that only looks like one above is not one.
PRIVATE = [
    "/",
    f"/watch/{FILM}",
    f"/embed/{FILM}",
    "/static/style.css",
    "/robots.txt",
    "/favicon.ico",
    "/healthz",
    "/readyz",
    "/metrics",
    "/_revision?path=/media/film.mp4",
    "/none",
    "/mediathek",
    "/openapi.jsonx",
]

# Fetch, "CORS-safelisted request-header": Range is one only for a single range with a start.
_REQUEST_HEADERS = (
    "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since",
)  # fmt: skip
# Fetch, "CORS-safelisted response-header name" has Content-Length and Last-Modified, not these.
_RESPONSE_HEADERS = (
    "content-range", "accept-ranges", "etag", "content-disposition", "retry-after", "location",
)  # fmt: skip


def fill(media: Path) -> None:
    """Make a film with captions, large enough for several answers, and small enough for a test."""
    media.mkdir(parents=True)
    picture = ("-f", "lavfi", "-i", "color=red:size=320x240:rate=25:duration=4")
    sound = ("-f", "lavfi", "-i", "sine=duration=4")
    ffmpeg(media / FILM, *picture, *sound, *H264, *AAC, "-movflags", "+faststart")
    (media / "film.en.srt").write_text("1\n00:00:00,000 --> 00:00:04,000\nHello\n", "utf-8")


def words(answer: Answer, name: str) -> set[str]:
    """Return the members of a list field, in lower case."""
    return {
        word.strip().lower()
        for line in answer.headers.get_all(name, [])
        for word in line.split(",")
        if word.strip()
    }


def cors_fields(answer: Answer) -> set[str]:
    return {name.lower() for name in answer.headers if name.lower().startswith("access-control-")}


def assert_readable(answer: Answer, origin: str) -> None:
    """Check the header fields of an answer that the origin may read; `*`: any."""
    assert answer.headers.get_all("Access-Control-Allow-Origin") == [origin]
    assert words(answer, "Access-Control-Expose-Headers") >= set(_RESPONSE_HEADERS)
    assert "Access-Control-Allow-Credentials" not in answer.headers
    # Fetch, "CORS protocol and HTTP caches": an answer that differs by origin says so.
    assert ("origin" in words(answer, "Vary")) == (origin != "*")
    # Fetch, "cross-origin resource policy check": no answer may be blocked by it.
    policy = answer.headers.get_all("Cross-Origin-Resource-Policy", ["cross-origin"])
    assert policy == ["cross-origin"]


def assert_unreadable(answer: Answer) -> None:
    assert cors_fields(answer) == set()


def preflight(base: str, target: str, origin: str, **headers: str) -> Answer:
    """Ask as a browser does before a GET with these conditional headers."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": ",".join(sorted(_REQUEST_HEADERS)),
    }
    return ask(base, target, asked | headers, "OPTIONS")


def assert_permitted(answer: Answer, origin: str) -> None:
    """Check the answer to a preflight by Fetch §4.8, "CORS-preflight fetch"."""
    assert 200 <= answer.status <= 299  # an "ok status"
    assert answer.body == b""
    assert answer.headers.get_all("Access-Control-Allow-Origin") == [origin]
    assert words(answer, "Access-Control-Allow-Methods") >= {"get", "head"}
    assert words(answer, "Access-Control-Allow-Headers") >= set(_REQUEST_HEADERS)
    assert re.fullmatch("[1-9][0-9]*", answer.headers["Access-Control-Max-Age"])
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert ("origin" in words(answer, "Vary")) == (origin != "*")


def ask_from(
    base: str, target: str, origin: str | None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send a GET from a page of an origin."""
    return ask(base, target, {**(headers or {}), **({} if origin is None else {"Origin": origin})})


@contextlib.contextmanager
def other_site() -> Iterator[str]:
    """Run a site with an empty page on a port of its own; yield its origin."""

    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        page: ClassVar[bytes] = b"<!DOCTYPE html><title>Another site</title>"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(self.page)))
            self.end_headers()
            self.wfile.write(self.page)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # as it is there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# What a player of another site does. Returns what it could read; a failure is its error's name.
VISIT = """async (base) => {
    const tried = async (action) => {
        try { return await action(); } catch (error) { return `${error.name}`; }
    };
    const event = (target, name) => new Promise((resolve, reject) => {
        target.addEventListener(name, resolve, { once: true });
        target.addEventListener("error", () => reject(new DOMException("", name)), { once: true });
    });
    const seen = {};
    const link = `${base}/media/film.mp4`;
    seen.json = await tried(async () => {
        const library = await (await fetch(`${base}/api/videos?q=film`)).json();
        return library.videos.map((video) => video.path);
    });
    seen.tag = await tried(async () => (await fetch(link, { method: "HEAD" })).headers.get("ETag"));
    seen.part = await tried(async () => {
        const headers = { Range: "bytes=0-9", "If-Range": seen.tag };
        const answer = await fetch(link, { headers });
        return [answer.status, answer.headers.get("Content-Range").split("/")[0],
            answer.headers.get("Accept-Ranges"), (await answer.arrayBuffer()).byteLength];
    });
    seen.missing = await tried(async () => (await fetch(`${base}/media/none.mp4`)).status);
    seen.late = await tried(async () => {
        const answer = await fetch(link, { headers: { Range: "bytes=99999999-" } });
        return [answer.status, answer.headers.get("Content-Range").split("/")[0]];
    });
    seen.page = await tried(async () => (await fetch(`${base}/`)).status);
    const video = document.createElement("video");
    video.crossOrigin = "anonymous";
    video.muted = true;
    video.src = link;
    const track = document.createElement("track");
    track.src = `${base}/captions/film.mp4/en.vtt`;
    track.default = true;
    video.append(track);
    document.body.append(video);
    seen.pixel = await tried(async () => {
        await event(video, "loadeddata");
        const canvas = document.createElement("canvas");
        canvas.width = 320;
        canvas.height = 240;
        const context = canvas.getContext("2d");
        await video.play();
        let pixel = [0, 0];
        for (let left = 200; left > 0 && pixel[0] <= 200; left -= 1) {
            context.drawImage(video, 0, 0);
            pixel = context.getImageData(160, 120, 1, 1).data; // a SecurityError if tainted
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return pixel[0] > 200 && pixel[1] < 60 ? "red" : `${pixel}`;
    });
    seen.caption = await tried(async () => {
        track.track.mode = "hidden";
        if (track.readyState < 2) await event(track, "load");
        if (track.readyState === 3) throw new DOMException("", "load"); // it failed earlier
        return track.track.cues[0].text;
    });
    video.remove();
    return seen;
}"""

SEEN = {
    "json": [FILM],
    "part": [206, "bytes 0-9", "bytes", 10],
    "missing": 404,
    "late": [416, "bytes *"],
    "page": "TypeError",  # Fetch: a network error
    "pixel": "red",
    "caption": "Hello",
}
SEEN_BY_OTHERS = dict.fromkeys(SEEN, "TypeError") | {
    # The media element and the track only fire `error`.
    "pixel": "loadeddata",
    "caption": "load",
}
