"""Edge and service answer invalid requests immediately and alike."""

import contextlib
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from support.http_contract import FAST_START, ORIGINAL, Origin
from support.raw_http import Answer, ask, connect, open_socket
from support.server import BLOCK, content, write
from support.stack import Stack

from service.protocol.conditions import STABLE_AFTER
from service.protocol.revisions import file_revision
from service.representations.fast_start import fast_start_revision

pytestmark = pytest.mark.stack

# Seconds; the edge waits ten for a replica that does not answer.
TIMEOUT = 60

# Bytes that are control characters, invalid in UTF-8, or special in a URL.
BYTES = [*range(0x21), *b'"#%&+/:;<=>?@[\\]^`{|}', 0x7F, 0x80, 0x9F, 0xA0, 0xC3, 0xFE, 0xFF]
ESCAPED = [f"%{byte:02x}" for byte in BYTES]
PATHS = [
    *ESCAPED,
    *(f"{escaped}file.mp4" for escaped in ESCAPED),
    *(f"file{escaped}.mp4" for escaped in ESCAPED),
    *(f"file.mp4{escaped}" for escaped in ESCAPED),
    *("file.mp4%0d%0aX:%20y", "file.mp4%0a%0a", "%0a%0a%0a", "%0d%0a", "sub/%0a", "%0a/file.mp4"),
    *("%c3%28.mp4", "%ed%a0%80.mp4", "%f4%90%80%80.mp4", "%c0%ae.mp4", "%e2%80%a8.mp4"),
    *("", "/", "//", ".", "..", "./missing.mp4", "%2e%2e/file.mp4", "..%2ffile.mp4"),
    *("%", "%4", "%zz.mp4", "%u0041.mp4", "%25", "%2525.mp4", "%252e%252e%252ffile.mp4"),
    *(
        "x" * length + ".mp4"
        for length in (251, 252, 300, 4092, 4093, 8000, 12_284, 12_285, 16_000)
    ),
    *("%c3%a9" * count + ".mp4" for count in (125, 126, 1000, 2040, 2600)),
    *("a/" * count + "file.mp4" for count in (500, 2043, 6000)),
]

# Header fields that differ between edge and service by design.
OWN_HEADERS = {"Alt-Svc", "Connection", "Date", "Server", "Transfer-Encoding", "X-Cache",
               "X-Request-Id"}  # fmt: skip


@dataclass
class Client:
    """A client with one connection, which it reopens when the server closes it."""

    base: str

    def __post_init__(self) -> None:
        self.connection = connect(self.base, TIMEOUT)

    def ask(self, target: str, headers: dict[str, str] | None = None) -> Answer:
        self.connection.request("GET", target, headers=headers or {})
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())


@dataclass
class Both:
    """Clients of the edge and of the service that send the same requests."""

    edge: Client
    service: Client
    differences: list[object] = field(default_factory=list)

    def compare(self, target: str, headers: dict[str, str] | None = None) -> tuple[Answer, Answer]:
        """Send a request to both; record differences between their answers."""
        edge, own = self.edge.ask(target, headers), self.service.ask(target, headers)
        if (edge.status, edge.body, fields(edge)) != (own.status, own.body, fields(own)):
            more, less = fields(edge) - fields(own), fields(own) - fields(edge)
            self.differences.append((target, headers, edge.status, own.status, more, less))
        return edge, own


def fields(answer: Answer) -> Counter[tuple[str, str]]:
    """Return the header fields that both should send."""
    named = Counter((name.title(), value) for name, value in answer.headers.items())
    return Counter({one: count for one, count in named.items() if one[0] not in OWN_HEADERS})


@pytest.fixture
def both(stack: Stack) -> Iterator[Both]:
    clients = Client(stack.base), Client(f"http://{stack.address('service')}:8000")
    with contextlib.ExitStack() as closing:
        for client in clients:
            closing.callback(client.connection.close)
        yield Both(*clients)


def new(origin: Origin, data: bytes, extension: str = "mp4", modified: int = 10**18) -> str:
    """Write an uncached file with a modification time in nanoseconds; return its name."""
    name = f"{secrets.token_hex(4)}.{extension}"
    file = write(origin.media, name, data)
    os.utime(file, ns=(modified, modified))
    return name


# Pages have no revision.
@pytest.mark.parametrize(
    ("route", "pin"),
    [
        ("media", ""),
        ("download", ""),
        ("watch", ""),
        ("media", "?v=5-5"),
        ("download", "?v=5-5%0d%0aX:y"),
    ],
)
def test_invalid_paths_are_answered_immediately(both: Both, route: str, pin: str) -> None:
    wrong = []
    for path in PATHS:
        edge, own = (
            both.edge.ask(f"/{route}/{path}{pin}"),
            both.service.ask(f"/{route}/{path}{pin}"),
        )
        # nginx itself refuses invalid URLs and those above the root: RFC 9110 §15.5.1.
        if edge.status not in {400, own.status}:
            wrong.append((path, edge.status, own.status))
    assert wrong == []


def test_an_overlong_request_line_is_414(origin: Origin) -> None:
    for route in ("media", "download", "watch"):
        assert ask(origin.base, f"/{route}/{'x' * 17_000}.mp4").status == 414


def spans_of(size: int) -> list[str]:
    """Return ranges around the block boundaries of a file of `size` bytes and beyond its end."""
    last = size // BLOCK * BLOCK  # offset of the last block
    after = last + BLOCK
    within = [(0, 0), (5, 99), (BLOCK - 5, BLOCK + 5), (last, size + 9), (last + 5, size + 9)]
    at_the_end = [(size - 1, size - 1), (size - 1, size), (size, size), (size, size + 9)]
    behind = [(size + 1, size + 9), (size, after - 1), (after, after + BLOCK - 1),
              (10**15 - 2, 10**15 - 1)]  # fmt: skip
    closed = [f"{first}-{end}" for first, end in (*within, *at_the_end, *behind)]
    starts = [0, 7, last, size - 1, size, after, after + 9 * BLOCK + 1, 10**15 - 1, 10**15]
    return [*closed, *(f"{start}-" for start in starts), "-5", "-0", "5-4", "0-0,9-9"]


def few_spans_of(size: int) -> list[str]:
    """Return ranges for a revision that is not the current one: the status is the same for all."""
    return ["0-0", f"{BLOCK - 5}-{BLOCK + 5}", f"{size - 1}-", f"{size}-", "-5"]


@pytest.mark.parametrize("file", ["index in front", "index at the end"])
@pytest.mark.parametrize("route", ["media", "download"])
def test_edge_and_service_send_the_same_header_fields(
    both: Both, origin: Origin, route: str, file: str
) -> None:
    data, extension = (FAST_START, "mp4") if file == "index in front" else (ORIGINAL, "mov")
    size = len(data)
    own = file_revision(size, 10**18)
    current = ["", f"?v={own}", f"?v={fast_start_revision(own)}"]
    other = ["?v=5-5", "?v=5-5-f3", f"?v={own}0", "?v=no-revision", "?v="]
    requests = [(query, span) for query in current for span in (None, *spans_of(size))]
    requests += [(query, span) for query in other for span in (None, *few_spans_of(size))]
    for temperature in ("cold", "warm"):
        target = f"/{route}/{new(origin, data, extension)}"
        if temperature == "warm":
            for first in range(0, size, BLOCK):
                both.edge.ask(target, {"Range": f"bytes={first}-"})
        for query, span in requests:
            headers = {} if span is None else {"Range": f"bytes={span}"}
            edge, _ = both.compare(target + query, headers)
            states = edge.headers.get_all("X-Cache") or []
            assert len(states) == 1, (query, span)
            assert edge.status < 400 or states == ["BYPASS"], (query, span)
    assert both.differences == []


@pytest.mark.parametrize("modified", [-(2**31), -3600, -1, 0, 1, 2**32])
def test_blocks_are_cached_for_files_of_any_date(origin: Origin, modified: int) -> None:
    data = content(BLOCK + 99, abs(modified) % 1000)
    name = new(origin, data, modified=modified * 10**9)
    revision = file_revision(len(data), modified * 10**9)
    # With a date in the future, nothing is cached until the file is unchanged for two seconds.
    if modified > time.time():
        time.sleep(STABLE_AFTER + 0.5)
    for target in (f"/media/{name}?v={revision}", f"/media/{name}", f"/download/{name}"):
        answers = [origin.get(target, Range=f"bytes={BLOCK}-") for _ in range(2)]
        assert [answer.body for answer in answers] == [data[BLOCK:]] * 2
        assert answers[0].headers["ETag"] == f'"{revision}"'
        assert answers[1].headers["X-Cache"] == "HIT"


def status_and_allow(base: str, request: bytes) -> tuple[int, list[str]]:
    """Send a request exactly as given; return the status and the Allow fields."""
    with open_socket(base) as client:
        client.settimeout(TIMEOUT)
        client.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head and (chunk := client.recv(65_536)):
            head += chunk
    lines = head.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    allowed = [
        line.partition(":")[2].strip() for line in lines if line.lower().startswith("allow:")
    ]
    return int(lines[0].split()[1]), allowed


@pytest.mark.parametrize("target", ["/media/file.mp4", "/download/file.mp4", "/", "/missing"])
@pytest.mark.parametrize(
    "method", ["get", "Get", "gET", "head", "GETS", "FOO", "PRI", "POST", "PUT", "DELETE", "TRACE"]
)
def test_unsupported_methods_are_refused(origin: Origin, method: str, target: str) -> None:
    """Methods are case-sensitive (RFC 9110 §9.1), and a 405 lists the allowed ones (§15.5.6)."""
    request = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    status, allowed = status_and_allow(origin.base, request.encode())
    if status == 405:
        assert allowed == ["GET, HEAD, OPTIONS"]
    else:
        assert status in ({400, 501} if method.upper() != method else {404, 501})


def test_the_acme_challenge_route_lists_its_allowed_methods(origin: Origin) -> None:
    challenge = "/.well-known/acme-challenge/token"
    request = f"PUT {challenge} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert status_and_allow(origin.base, request.encode()) == (405, ["GET, HEAD"])


@pytest.mark.parametrize("target", ["/media/file.mp4", "/"])
@pytest.mark.parametrize(
    "host",
    [b"a b", b"a\tb", b"a\x01b", b"a\x0bb", b"a\x1fb", b"a\x7fb", b"a/b", b"a\\b", b"a@b", b"a?b",
     b"a#b", b"a\x00b", b"[::1", b"a:b", b""],
)  # fmt: skip
def test_an_invalid_host_is_400(origin: Origin, host: bytes, target: str) -> None:
    """RFC 9112 §3.2."""
    request = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (target.encode(), host)
    assert status_and_allow(origin.base, request)[0] == 400
