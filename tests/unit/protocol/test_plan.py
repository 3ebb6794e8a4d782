import email
import email.message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.conditions import Validators
from service.protocol.plan import Plan, Policy, RangeKind, Representation, plan
from service.protocol.range_cases import (
    UNSATISFIABLE,
    WHOLE,
    CapCase,
    RangeCase,
    cap_cases,
    range_cases,
)
from service.protocol.ranges import Span

SIZE, BLOCK = 100_000, 30_000
DATA = bytes(i * 7 % 251 for i in range(SIZE))
FILE = Representation(SIZE, "video/mp4", Validators("1f-a", 784111777, is_stable=True))
CAPPED = Policy(block=BLOCK)


def get(headers: dict[str, str] | None = None, policy: Policy = CAPPED) -> Plan:
    return plan("GET", headers or {}, FILE, policy)


def body(response: Plan) -> bytes:
    return b"".join(
        DATA[part.start : part.end] if isinstance(part, Span) else part for part in response.parts
    )


def payload(response: Plan) -> list[tuple[int, int]]:
    return [(part.start, part.end - 1) for part in response.parts if isinstance(part, Span)]


def test_without_range_the_whole_file_is_sent() -> None:
    response = get()
    assert response.status == 200
    assert response.headers == {
        "Content-Type": "video/mp4",
        "ETag": '"1f-a"',
        "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Content-Length": str(SIZE),
    }
    assert body(response) == DATA


@pytest.mark.parametrize("case", range_cases(SIZE), ids=lambda case: case.name)
def test_a_download_gets_the_complete_requested_ranges(case: RangeCase) -> None:
    response = get({"range": case.header}, Policy(filename="a.mp4"))
    if case.expected == WHOLE:
        assert response.status == 200
        assert response.range_kind is RangeKind.NONE
    elif case.expected == UNSATISFIABLE:
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{SIZE}"
        assert response.range_kind is RangeKind.UNSATISFIABLE
        assert not response.parts
    else:
        assert response.status == 206
        assert payload(response) == case.expected
        assert response.headers["Content-Length"] == str(len(body(response)))
        several = len(case.expected) > 1
        assert response.range_kind is (RangeKind.MULTIPLE if several else RangeKind.SINGLE)


@pytest.mark.parametrize("case", cap_cases(SIZE, BLOCK), ids=lambda case: case.name)
def test_a_player_gets_no_more_than_the_block(case: CapCase) -> None:
    response = get({"range": case.header})
    assert response.status == 206
    assert payload(response) == case.expected
    if len(case.expected) == 1:
        first, last = case.expected[0]
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.capped == (payload(get({"range": case.header}, Policy())) != case.expected)


def test_several_ranges_are_a_multipart_message() -> None:
    response = get({"range": "bytes=50-59,0-9"})
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body(response))
    assert message.get_content_type() == "multipart/byteranges"
    parts = message.get_payload()
    assert isinstance(parts, list)
    expected = [("bytes 50-59/100000", DATA[50:60]), ("bytes 0-9/100000", DATA[:10])]
    for part, (content_range, data) in zip(parts, expected, strict=True):
        assert isinstance(part, email.message.Message)
        assert part["Content-Type"] == "video/mp4"
        assert part["Content-Range"] == content_range
        assert data in body(response)
    assert response.headers["Content-Length"] == str(len(body(response)))
    assert "Content-Range" not in response.headers  # RFC 9110 §15.3.7.2


def test_head_has_the_headers_of_get_without_range_and_no_body() -> None:
    response = plan("HEAD", {"range": "bytes=0-9"}, FILE, CAPPED)
    assert (response.status, response.headers) == (200, get().headers)
    assert not response.parts


def test_not_modified_wins_over_range_and_carries_the_validators() -> None:
    response = get({"range": "bytes=0-9", "if-none-match": '"1f-a"'})
    assert response.status == 304
    assert not response.parts
    assert response.headers["ETag"] == '"1f-a"'
    assert response.headers["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert "Content-Length" not in response.headers


def test_a_failed_if_match_is_412() -> None:
    assert get({"if-match": '"x"'}).status == 412


def test_a_response_with_the_current_pin_is_immutable() -> None:
    response = get({"range": "bytes=0-9"}, Policy(block=BLOCK, pin="1f-a"))
    assert response.status == 206
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-"}, {"if-match": '"x"'}])
def test_an_outdated_pin_is_410_with_any_other_headers(headers: dict[str, str]) -> None:
    response = get(headers, Policy(block=BLOCK, pin="1e-a"))
    assert response.status == 410
    assert response.headers["Cache-Control"] == "no-store"
    assert not response.parts
    assert response.problem


def test_the_edge_does_not_cache_a_file_that_was_just_written() -> None:
    fresh = Representation(SIZE, "video/mp4", Validators("1f-a", 784111777, is_stable=False))
    response = plan("GET", {}, fresh, Policy(pin="1f-a"))
    assert response.headers["X-Accel-Expires"] == "0"
    assert response.headers["Cache-Control"] == "no-cache"


def test_an_empty_file_is_sent_whole() -> None:
    empty = Representation(0, "video/mp4", Validators("0-a", 784111777, is_stable=True))
    response = plan("GET", {}, empty, CAPPED)
    assert (response.status, response.headers["Content-Length"], response.parts) == (200, "0", ())
    response = plan("GET", {"range": "bytes=0-"}, empty, CAPPED)
    assert (response.status, response.headers["Content-Range"]) == (416, "bytes */0")


@given(st.text("bytes=0123456789-, "), st.integers(0, 2 * SIZE), st.none() | st.integers(1, SIZE))
def test_a_body_is_as_long_as_its_content_length(header: str, size: int, block: int | None) -> None:
    file = Representation(size, "video/mp4", Validators("1f-a", 784111777, is_stable=True))
    response = plan("GET", {"range": f"bytes={header}"}, file, Policy(block=block))
    assert response.status in {200, 206, 416}
    length = sum(part.length if isinstance(part, Span) else len(part) for part in response.parts)
    if response.status != 416:
        assert int(response.headers["Content-Length"]) == length
