"""The same answers over HTTP/2 and HTTP/3 as over HTTP/1.1, with the curl of the edge's image.

The table of ranges over HTTP/1.1 is that of test_contract.py.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from support.curl import VERSIONS, Curl, curl_container
from support.http_contract import DATA, REVISION, TAG
from support.server import BLOCK, SIZE
from support.stack import Stack

pytestmark = pytest.mark.stack

LAST = SIZE - 1
MULTIPLEXED = ["2", "3"]
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"  # contract.MODIFIED, RFC 9110 §5.6.7


@dataclass(frozen=True)
class Case:
    """A request and the expected span on each route; None means the whole file."""

    name: str
    headers: dict[str, str]
    media: tuple[int, int] | None
    download: tuple[int, int] | None = field(default=None)


def case(name: str, value: str, media: tuple[int, int], download: tuple[int, int]) -> Case:
    return Case(name, {"Range": value}, media, download)


B = BLOCK
CASES = [
    case("a whole block", f"bytes={B}-{2 * B - 1}", (B, 2 * B - 1), (B, 2 * B - 1)),
    case("from the start", "bytes=0-", (0, B - 1), (0, LAST)),
    case("from within a block", f"bytes={B + 7}-", (B + 7, 2 * B - 1), (B + 7, LAST)),
    case("within a block", "bytes=200-999", (200, 999), (200, 999)),
    case("across blocks", f"bytes={B - 5}-{2 * B + 5}", (B - 5, B - 1), (B - 5, 2 * B + 5)),
    case("the last, short block", f"bytes={3 * B}-", (3 * B, LAST), (3 * B, LAST)),
    case("a suffix", "bytes=-500", (SIZE - 500, LAST), (SIZE - 500, LAST)),
    Case("no range", {}, None),
    # RFC 9110 §13.1.5: if the condition fails, Range is ignored.
    Case("If-Range holds", {"Range": "bytes=5-9", "If-Range": TAG}, (5, 9), (5, 9)),
    Case("If-Range by date holds", {"Range": "bytes=5-9", "If-Range": DATE}, (5, 9), (5, 9)),
    Case("If-Range fails", {"Range": "bytes=5-9", "If-Range": '"other"'}, None),
]


@pytest.fixture(scope="module")
def curl(stack: Stack) -> Iterator[Curl]:
    with curl_container(stack) as client:
        yield client


@pytest.mark.parametrize("version", MULTIPLEXED)
@pytest.mark.parametrize("route", ["media", "download"])
@pytest.mark.parametrize("request_case", CASES, ids=lambda case: case.name)
def test_every_http_version_returns_the_same_bytes(
    curl: Curl, request_case: Case, route: str, version: str
) -> None:
    span = request_case.media if route == "media" else request_case.download
    answer = curl.get(version, f"/{route}/file.mp4?v={REVISION}", request_case.headers)
    assert answer.version == f"HTTP/{version}"
    first, last = span or (0, LAST)
    assert answer.status == (206 if span else 200)
    content_range = f"bytes {first}-{last}/{SIZE}" if span else None
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["etag"] == TAG
    assert answer.headers["last-modified"] == DATE
    assert answer.body == DATA[first : last + 1]


@pytest.mark.parametrize("version", MULTIPLEXED)
@pytest.mark.parametrize("route", ["media", "download"])
def test_an_unsatisfiable_range_is_416(curl: Curl, route: str, version: str) -> None:
    answer = curl.get(version, f"/{route}/file.mp4", {"Range": f"bytes={SIZE}-"})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_answer_advertises_http3_on_the_published_port(
    curl: Curl, stack: Stack, version: str
) -> None:
    for target in ("/", "/media/file.mp4", "/media/missing.mp4", "/metrics"):
        answer = curl.get(version, target, {"Range": "bytes=0-9"})
        assert answer.headers["alt-svc"] == f'h3=":{stack.ports["HTTPS"]}"; ma=86400'


def test_the_published_port_speaks_http3(stack: Stack, curl: Curl) -> None:
    """Connect from the machine's own network, as a browser on it does."""
    outside = Curl(stack, "host", stack.base)
    try:
        answer = outside.get("3", "/media/file.mp4", {"Range": "bytes=5-9"})
        assert (answer.version, answer.body) == ("HTTP/3", DATA[5:10])
    finally:
        outside.remove()


def test_more_requests_than_the_stream_limit_are_all_answered(curl: Curl) -> None:
    number = 100  # a connection allows 32; further requests wait or open another one
    url = f"{curl.base}/media/file.mp4?v={REVISION}"
    each = [word for i in range(number) for word in ("--output", f"part-{i}", url)]
    output = curl("--silent", "--insecure", "--http3-only", "--parallel", "--parallel-max", "100",
                "--write-out", "%{http_version} %{http_code} %{num_connects}\\n",
                "--range", f"{B}-", *each)  # fmt: skip
    answers = [line.split() for line in output.decode().splitlines()]
    assert [(version, code) for version, code, _ in answers] == [("3", "206")] * number
    assert sum(int(connects) for *_, connects in answers) < 10  # requests share connections
    sums = curl.shell("cat part-* | wc -c; sha256sum part-*").split()
    assert int(sums[0]) == number * B
    assert set(sums[1::2]) == {hashlib.sha256(DATA[B : 2 * B]).hexdigest()}
