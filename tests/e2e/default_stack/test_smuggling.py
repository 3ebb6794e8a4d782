"""Requests that are hidden in other requests are never processed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from support import http2_frames as http2
from support.http_contract import Origin
from support.raw_http import answers_to, ask, open_socket
from support.server import until
from support.smuggling_cases import Shape, shapes
from support.stack import Stack

pytestmark = pytest.mark.stack

SHAPES = shapes()
TARGETS = ["/api/videos", "/media/file.mp4"]
REQUEST = "GET {hidden} HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hidden(target: str, name: str) -> str:
    """Return a unique target for a hidden request."""
    return f"{target.rpartition('/')[0]}/hidden-{name.replace(' ', '-').replace('/', '-')}.mp4"


def arrived(stack: Stack, after: str) -> set[str]:
    """Return the targets that the edge and the service logged as requests.

    Wait until `after`, which is sent last, is logged.
    """
    ask(stack.base, after)

    def logged_targets() -> set[str] | None:
        inner = {line["path"] for line in stack.events("service")}
        outer = {line["uri"] for line in stack.events("nginx")}
        return inner | outer if after in inner & outer else None

    targets: set[str] = until(logged_targets, f"{after} is logged")
    return targets


@dataclass
class Seen:
    """The results of all shapes."""

    answers: dict[tuple[str, str], list[int]]
    targets: set[str]


@pytest.fixture(scope="module")
def seen(stack: Stack, origin: Origin) -> Seen:
    """Send every shape to every target."""
    cases = [(target, shape) for target in TARGETS for shape in SHAPES]

    def send(case: tuple[str, Shape]) -> list[int]:
        target, shape = case
        with open_socket(stack.base) as client:
            return answers_to(client, shape.request(target, hidden(target, shape.name)))

    with ThreadPoolExecutor(len(cases)) as pool:
        answers = list(pool.map(send, cases))
    names = [(target, shape.name) for target, shape in cases]
    targets = arrived(stack, "/api/videos/after-the-shapes.mp4")
    return Seen(dict(zip(names, answers, strict=True)), targets)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_hidden_request_is_not_answered(seen: Seen, target: str, shape: Shape) -> None:
    statuses = seen.answers[target, shape.name]
    assert hidden(target, shape.name) not in seen.targets
    assert len(statuses) <= 1
    if shape.refused:  # or the connection was reset without an answer
        assert not statuses or statuses[0] >= 400


def test_two_requests_in_one_write_get_two_responses(stack: Stack) -> None:
    """RFC 9112 §9.3.2. This also shows that the tests detect a hidden request."""
    first, second = "/api/videos/pipelined-1.mp4", "/api/videos/pipelined-2.mp4"
    with open_socket(stack.base) as client:
        data = (REQUEST.format(hidden=first) + REQUEST.format(hidden=second)).encode()
        assert answers_to(client, data, 2) == [404, 404]
    assert {first, second} <= arrived(stack, "/api/videos/after-two.mp4")


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.test/metrics",
        "https://localhost:9145/metrics",
        "http://127.0.0.1:9145/edge/metrics",
        "http://evil.test/_revision?path=/file.mp4",
        "http://evil.test/static/../metrics",
        "http://evil.test/static/%2e%2e/metrics",
        "http://service:8000/metrics",
        "HTTP://evil.test//metrics",
        "http:///metrics",
        "http://evil.test/_fetch",
        "http://evil.test/stub_status",
    ],
)
def test_an_absolute_target_reaches_no_other_host(origin: Origin, target: str) -> None:
    """RFC 9112 §3.2.2: the host in the target counts; the edge has one host of any name."""
    answer = origin.get(target)
    assert answer.status in {400, 404}
    assert b"reelay_" not in answer.body
    assert origin.get("http://evil.test/api/videos").status == 200


CRLF = "\r\n"
INJECTED = f" HTTP/1.1{CRLF}Host: localhost{CRLF}{CRLF}{REQUEST}"
CHUNK = f"0{CRLF}{CRLF}{REQUEST}"  # in HTTP/2 only bytes of a body
COMMON = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "/api/videos"}


MALFORMED: list[tuple[str, dict[str, str], str | None]] = [
    ("path", {":path": f"/api/videos{INJECTED}"}, None),
    ("path with a line feed", {":path": INJECTED.replace(CRLF, "\n")}, None),
    ("method", {":method": f"GET /api/videos{INJECTED}"}, None),
    ("authority", {":authority": f"localhost{CRLF}{CRLF}{REQUEST}"}, None),
    ("scheme", {":scheme": f"https://localhost/{INJECTED}"}, None),
    ("value", {"x-a": f"b{CRLF}{CRLF}{REQUEST}"}, None),
    ("value with a line feed", {"x-a": "b\nTransfer-Encoding: chunked\n\n"}, CHUNK),
    ("value of the range", {"range": f"bytes=0-{CRLF}{CRLF}{REQUEST}"}, None),
    ("name", {f"x-a: b{CRLF}{CRLF}{REQUEST}": "c"}, None),
    ("name with a colon", {"transfer-encoding: chunked": "x"}, CHUNK),
    ("coding", {"transfer-encoding": "chunked"}, CHUNK),
    ("connection", {"connection": "keep-alive", "content-length": "0"}, REQUEST),
    ("length of zero", {"content-length": "0"}, REQUEST),
    ("length that is too small", {"content-length": "4"}, REQUEST),
    ("length that is too large", {"content-length": "400"}, REQUEST),
    ("body", {}, REQUEST),
]  # fmt: skip


def within_http_2(name: str) -> str:
    return f"/api/videos/hidden-in-http-2-{name.replace(' ', '-')}.mp4"


@dataclass
class SeenInHttp2:
    """The results of all HTTP/2 requests."""

    statuses: dict[str, int | None]
    targets: set[str]


@pytest.fixture(scope="module")
def seen_in_http_2(stack: Stack) -> SeenInHttp2:
    """Send each request on its own connection."""
    statuses = {}
    for name, fields, body in MALFORMED:
        target = within_http_2(name)
        with http2.connection(stack.base) as client:
            headers = {key.format(hidden=target): value.format(hidden=target)
                       for key, value in (COMMON | fields).items()}  # fmt: skip
            data = None if body is None else body.format(hidden=target).encode()
            (statuses[name],) = client.wait(client.ask(headers.items(), data))
    return SeenInHttp2(statuses, arrived(stack, "/api/videos/after-http-2.mp4"))


@pytest.mark.parametrize("name", [name for name, _, _ in MALFORMED])
def test_http_2_requests_cannot_smuggle_another_request(
    seen_in_http_2: SeenInHttp2, name: str
) -> None:
    """Malformed (RFC 9113 §8.2.1, §8.1.1): reset, refused, or one request and no more."""
    legitimate = {200} if name in {"body", "coding", "name with a colon"} else set()
    assert seen_in_http_2.statuses[name] in {None, 400} | legitimate
    assert within_http_2(name) not in seen_in_http_2.targets
