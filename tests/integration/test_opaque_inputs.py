"""No malformed parameter, path, header or cursor causes a 5xx, except 501. Inputs are seeded."""

import base64
import http.client
import random
import re
import socket
import string
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_from_bytes, urlsplit

import pytest
from support.raw_http import ask
from support.server import Server, content, serve, until, write

pytestmark = pytest.mark.slow

CLIP = (Path(__file__).parents[2] / "media/sample.mp4").read_bytes()

DIGITS = "9" * 5000  # more digits than int() accepts
NUMBERS = [
    "0",
    "-0",
    "-1",
    "+1",
    "1.5",
    "1e3",
    "1e400",
    "-1e400",
    "1e-400",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "0x10",
    "1_000",
    "\u0661\u0662",
    "\xb2",
    " 1",
    "1 ",
    "00012",
    "2147483648",
    "9223372036854775808",
    DIGITS,
    f"-{DIGITS}",
    f"0.{DIGITS}",
    f"1e{DIGITS}",
    "1" + "0" * 400,
    "true",
    "null",
    "None",
]
TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "\r\n",
    "\x01\x1f\x7f",
    "\u0085\u2028",
    "\ufeff",
    "\ufffe\uffff",
    "\u202e",
    "a" + "\u0301" * 3000,
    "\U0001f468\u200d\U0001f469" * 50,
    "\u00df\u0130\u1e9e",
    "x" * 20_000,
    "\u1100" * 2000,
    "/" * 5000,
    "../" * 50,
    "..",
    ".",
    "//",
    "\\..\\",
    "[" * 9000,
    '{"a":' * 3000,
    "'",
    '"',
    "<script>",
    "{{7*7}}",
    "%",
    "%zz",
    "%u0041",
    "*",
    "?",
    "#",
    "&",
    "=",
    "+",
    ";",
    "javascript:x",
    "http://[",
    "http://[::1",
    "http://a:b/",
    "http://\u2100/",
    "//",
    "file:///etc/passwd",
    "W/",
    'W/"',
]
BYTES = [
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xae",
    bytes(range(256)),
]
VALUES = [quote(text, safe="") for text in [*NUMBERS, *TEXTS]] + [
    quote_from_bytes(b) for b in BYTES
]

PARAMETERS = {
    "/": ["q", "sort", "limit", "folder", "page", "cursor", "q[]", "folder[]", ""],
    "/api/videos": ["q", "sort", "limit", "folder", "cursor", "cursor[]", "\0", ""],
    "/watch/film.mp4": ["t"],
    "/embed/film.mp4": ["t", "autoplay"],
    "/oembed": ["url", "maxwidth", "maxheight", "format"],
    "/playlists": ["folder", "sort"],
    "/media/film.mp4": ["v"],
    "/download/film.mp4": ["v"],
    "/posters/film.mp4": ["w", "v"],
    "/posters/film.mp4.jpg": ["w", "v"],
    "/storyboards/film.mp4.vtt": ["v"],
    "/storyboards/film.mp4/0.webp": ["v"],
    "/_revision": ["path"],
}
PATHS = [
    "/media/{}",
    "/media/{}.mp4",
    "/download/{}",
    "/watch/{}",
    "/embed/{}",
    "/api/videos/{}",
    "/posters/{}",
    "/posters/{}.jpg",
    "/storyboards/film.mp4/{}.webp",
    "/storyboards/{}.vtt",
    "/captions/film.mp4/{}.vtt",
    "/captions/{}/a.vtt",
    "/playlists/{}.m3u",
    "/static/{}",
    "/static/{}/watch.js",
    "/{}",
]
HEADERS = [
    "Range",
    "If-Range",
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "Accept",
    "Accept-Language",
    "Accept-Encoding",
    "Accept-Charset",
    "X-Request-ID",
    "Cookie",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-For",
    "Forwarded",
    "Authorization",
    "Origin",
    "Referer",
    "User-Agent",
    "Content-Type",
    "Connection",
    "Upgrade",
    "Expect",
    "TE",
    "Host",
    "Cache-Control",
]
_PLANNED = ("/media/film.mp4", "/api/videos", "/static/watch.js")
TARGETS_OF_HEADERS = {
    **dict.fromkeys(["Range", "If-Range", "If-Match", "If-None-Match"], _PLANNED),
    **dict.fromkeys(["If-Modified-Since", "If-Unmodified-Since"], ("/media/film.mp4",)),
    **dict.fromkeys(
        ["Host", "X-Forwarded-Host", "X-Forwarded-Proto"], ("/playlists/film.mp4.m3u",)
    ),
}
HEADER_VALUES = [
    "bytes=",
    "bytes=-",
    "bytes=0-,",
    f"bytes={DIGITS}-",
    f"bytes=0-{DIGITS}",
    "bytes=" + "0-0," * 1500,
    "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 400, 2)),
    "bytes=\xb2-",
    "bytes=1-0",
    '"',
    'W/"',
    '"",' * 2500,
    "," * 8000,
    "*, *",
    '"a" "b"',
    f'"{"x" * 8000}"',
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 0000 08:49:37 GMT",
    "Sun, 31 Feb 1994 08:49:37 GMT",
    "Sun, 06 Nov 99999 08:49:37 GMT",
    "Sun, 06 Nov 1994 99:99:99 GMT",
    "Sun, 06 Nov 1994 08:49:37 +9999",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "0",
    "1" * 60,
    "(" * 60,
    "(" * 8000,
    "06 Nov 1994",
    "Nov",
    ",,,,,,,,",
    "Sun Nov  6 08:49:37 1994",
    "6 6 6 6 6 6",
    "- - - : :",
    "text/html;q=NaN",
    "text/html;q=1e400",
    f"text/html;q={DIGITS}",
    "text/html;q=-1, a/b;q=2",
    "a/b," * 2000,
    "*/*;q=\xb2",
    "text/html;=;;",
    'text/html;a="',
    "/;q",
    "a" * 8000,
    "\x01\x02",
    "\xff\xfe\x80",
    "\x7f",
    "a=b;" * 2000,
    "\x85",
    "close, upgrade",
    "websocket",
    "h2c",
    "100-continue",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("opaque") / "media"
    write(media, "film.mp4", CLIP)
    write(media, "other/more.mp4", content(3000))
    write(media, "film.en.srt", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    with serve(media, TRUSTED_PROXIES="127.0.0.1") as running:
        for url in ("/posters/film.mp4", "/storyboards/film.mp4.vtt"):
            until(lambda url=url: ask(running.base, url).status == 200 or None, url)
        yield running
        assert not running.logged("unexpected error")
        assert not [line for line in running.lines if "Traceback" in line]


class RawClient:
    """A client that sends raw requests and reconnects if needed."""

    def __init__(self, base: str) -> None:
        self._base = urlsplit(base)
        self._socket: socket.socket | None = None

    def status(self, target: str, headers: str = "", host: str = "Host: x\r\n") -> int:
        head = f"GET {target} HTTP/1.1\r\n{host}{headers}\r\n".encode("latin-1")
        if self._socket is None:
            address = (self._base.hostname, self._base.port)
            self._socket = socket.create_connection(address, timeout=60)
        self._socket.sendall(head)
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        if answer.status != 101:
            answer.read()
        if answer.will_close:
            self.close()
        return answer.status

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    one = RawClient(server.base)
    yield one
    one.close()


def is_no_server_error(status: int) -> bool:
    return 200 <= status < 500 or status == 501


@pytest.mark.parametrize("target", PARAMETERS)
def test_no_parameter_causes_a_server_error(client: RawClient, target: str) -> None:
    for name in map(quote, PARAMETERS[target]):
        alone = [f"{name}={value}" for value in VALUES]
        repeated = [f"{name}=1&{name}={value}" for value in VALUES[::9]]
        for query in (*alone, *repeated):
            status = client.status(f"{target}?{query}")
            assert is_no_server_error(status), (status, query[:200])


@pytest.mark.parametrize("path", PATHS)
def test_no_path_causes_a_server_error(client: RawClient, path: str) -> None:
    page = "Accept: text/html\r\n"
    for value in VALUES:
        for headers in ("", page):
            status = client.status(path.format(value), headers)
            assert is_no_server_error(status), (status, path, value[:200])


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_causes_a_server_error(client: RawClient, name: str) -> None:
    host = "" if name == "Host" else "Host: x\r\n"
    for target in TARGETS_OF_HEADERS.get(name, ["/nothing"]):
        for number, value in enumerate(HEADER_VALUES):
            line = f"{name}: {value}\r\n"
            for headers in (f"{line}Range: bytes=0-9\r\n", line * 2)[: 1 + (number % 9 == 0)]:
                status = client.status(target, headers, host)
                assert is_no_server_error(status), (status, line[:200])


def cursors() -> Iterator[bytes]:
    """Yield cursors: JSON of the right shape with odd values, and other texts."""
    numbers = [number for number in NUMBERS if number.isascii()]
    values = [
        *numbers,
        '"x"',
        r'"\ud800"',
        r'"\u0000"',
        '""',
        "[]",
        '["a"]',
        '[["a"]]',
        "{}",
        "[1]",
        "[[]]",
    ]
    for sort in ("name", "-name", "date", "-date", "-duration", "size"):
        for value in values:
            yield f'["{sort}",{value},"film.mp4"]'.encode()
        for value in ('"film.mp4"', r'"\udfff"', "1", "null", "[]"):
            yield f'["{sort}",1,{value}]'.encode()
            yield f'["{sort}","a",{value}]'.encode()
            yield f'["{sort}",["a"],{value}]'.encode()
    for text in (
        "",
        "null",
        "1",
        "[]",
        "{}",
        '"x"',
        "[1,2,3,4]",
        "[" * 15_000,
        '[{"a":' * 3000,
        "\0",
        "nul",
    ):
        yield text.encode()
    for coding in ("utf-16", "utf-32", "utf-8-sig", "latin-1"):
        yield '["name","\xe4","x"]'.encode(coding)
    yield from BYTES


def test_no_cursor_causes_a_server_error(client: RawClient) -> None:
    for cursor in cursors():
        encoded = quote(base64.urlsafe_b64encode(cursor).decode())
        made_for = re.match(rb'\["(-?[a-z]+)"', cursor)
        sort = made_for[1].decode() if made_for else "size"
        for more in ("", "&folder=", "&folder=other&q=m"):
            status = client.status(f"/api/videos?sort={sort}&cursor={encoded}{more}")
            assert status in {200, 400, 414}, (status, sort, cursor[:200])


def test_no_combination_causes_a_server_error(client: RawClient) -> None:
    chance = random.Random(13)  # noqa: S311 # reproducible
    alphabet = string.ascii_letters + string.digits + "-._~!$'()*+,;=:@/?&%"
    names = sorted({name for names in PARAMETERS.values() for name in names})
    targets = [*PARAMETERS, *(path.format("film.mp4") for path in PATHS)]
    for _ in range(1500):
        target = chance.choice(targets)
        if chance.random() < 0.3:
            target += "".join(chance.choices(alphabet, k=chance.randrange(20)))
        query = "&".join(
            f"{quote(chance.choice(names))}={chance.choice(VALUES)[:3000]}"
            for _ in range(chance.randrange(6))
        )
        headers = "".join(
            f"{name}: {chance.choice(HEADER_VALUES)[:4000]}\r\n"
            for name in chance.sample(HEADERS, chance.randrange(5))
            if name not in {"Host", "Upgrade", "Connection", "Expect"}
        )
        status = client.status(f"{target}?{query}", headers)
        assert is_no_server_error(status), (status, target, query[:500], headers[:500])
