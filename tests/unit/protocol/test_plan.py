import email
import email.message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.range_cases import UNSATISFIABLE, WHOLE, CapCase, RangeCase, cap_cases, range_cases

from service.protocol.conditions import Validators
from service.protocol.plan import Plan, Policy, RangeKind, Representation, plan
from service.protocol.ranges import Span

SIZE, BLOCK = 100_000, 30_000
DATA = bytes(i * 7 % 251 for i in range(SIZE))
FILE = Representation(SIZE, "video/mp4", Validators("1f-a", 784111777, is_stable=True))
CAPPED = Policy(block=BLOCK)


def get(headers: dict[str, str] | None = None, policy: Policy = CAPPED) -> Plan:
    return plan("GET", headers or {}, FILE, policy)


def body(answer: Plan) -> bytes:
    return b"".join(
        DATA[part.start : part.end] if isinstance(part, Span) else part for part in answer.parts
    )


def payload(answer: Plan) -> list[tuple[int, int]]:
    return [(part.start, part.end - 1) for part in answer.parts if isinstance(part, Span)]


def test_without_range_the_whole_file_is_sent() -> None:
    answer = get()
    assert answer.status == 200
    assert answer.headers == {
        "Content-Type": "video/mp4",
        "ETag": '"1f-a"',
        "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Content-Length": str(SIZE),
    }
    assert body(answer) == DATA


@pytest.mark.parametrize("case", range_cases(SIZE), ids=lambda case: case.name)
def test_a_download_gets_all_it_asks_for(case: RangeCase) -> None:
    answer = get({"range": case.header}, Policy(filename="a.mp4"))
    if case.expected == WHOLE:
        assert answer.status == 200
        assert answer.range_kind is RangeKind.NONE
    elif case.expected == UNSATISFIABLE:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
        assert answer.range_kind is RangeKind.UNSATISFIABLE
        assert not answer.parts
    else:
        assert answer.status == 206
        assert payload(answer) == case.expected
        assert answer.headers["Content-Length"] == str(len(body(answer)))
        several = len(case.expected) > 1
        assert answer.range_kind is (RangeKind.MULTIPLE if several else RangeKind.SINGLE)


@pytest.mark.parametrize("case", cap_cases(SIZE, BLOCK), ids=lambda case: case.name)
def test_a_player_gets_no_more_than_the_block_holds(case: CapCase) -> None:
    answer = get({"range": case.header})
    assert answer.status == 206
    assert payload(answer) == case.expected
    if len(case.expected) == 1:
        first, last = case.expected[0]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.capped == (payload(get({"range": case.header}, Policy())) != case.expected)


def test_several_ranges_are_a_multipart_message() -> None:
    answer = get({"range": "bytes=50-59,0-9"})
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body(answer))
    assert message.get_content_type() == "multipart/byteranges"
    parts = message.get_payload()
    assert isinstance(parts, list)
    expected = [("bytes 50-59/100000", DATA[50:60]), ("bytes 0-9/100000", DATA[:10])]
    for part, (content_range, data) in zip(parts, expected, strict=True):
        assert isinstance(part, email.message.Message)
        assert part["Content-Type"] == "video/mp4"
        assert part["Content-Range"] == content_range
        assert data in body(answer)
    assert answer.headers["Content-Length"] == str(len(body(answer)))
    assert "Content-Range" not in answer.headers  # RFC 9110 §15.3.7.2


def test_head_has_the_headers_of_get_without_range_and_no_body() -> None:
    answer = plan("HEAD", {"range": "bytes=0-9"}, FILE, CAPPED)
    assert (answer.status, answer.headers) == (200, get().headers)
    assert not answer.parts


def test_not_modified_wins_over_range_and_carries_the_validators() -> None:
    answer = get({"range": "bytes=0-9", "if-none-match": '"1f-a"'})
    assert answer.status == 304
    assert not answer.parts
    assert answer.headers["ETag"] == '"1f-a"'
    assert answer.headers["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Length" not in answer.headers


def test_a_failed_if_match_is_412() -> None:
    assert get({"if-match": '"x"'}).status == 412


def test_the_right_pin_is_immutable() -> None:
    answer = get({"range": "bytes=0-9"}, Policy(block=BLOCK, pin="1f-a"))
    assert answer.status == 206
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-"}, {"if-match": '"x"'}])
def test_a_superseded_pin_is_gone_whatever_else_is_asked(headers: dict[str, str]) -> None:
    answer = get(headers, Policy(block=BLOCK, pin="1e-a"))
    assert answer.status == 410
    assert answer.headers["Cache-Control"] == "no-store"
    assert not answer.parts
    assert answer.problem


def test_a_file_written_a_moment_ago_is_not_to_be_kept_by_the_edge() -> None:
    fresh = Representation(SIZE, "video/mp4", Validators("1f-a", 784111777, is_stable=False))
    answer = plan("GET", {}, fresh, Policy(pin="1f-a"))
    assert answer.headers["X-Accel-Expires"] == "0"
    assert answer.headers["Cache-Control"] == "no-cache"


def test_an_empty_file_is_sent_whole() -> None:
    empty = Representation(0, "video/mp4", Validators("0-a", 784111777, is_stable=True))
    answer = plan("GET", {}, empty, CAPPED)
    assert (answer.status, answer.headers["Content-Length"], answer.parts) == (200, "0", ())
    answer = plan("GET", {"range": "bytes=0-"}, empty, CAPPED)
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */0")


@given(st.text("bytes=0123456789-, "), st.integers(0, 2 * SIZE), st.none() | st.integers(1, SIZE))
def test_a_body_is_as_long_as_its_content_length(header: str, size: int, block: int | None) -> None:
    file = Representation(size, "video/mp4", Validators("1f-a", 784111777, is_stable=True))
    answer = plan("GET", {"range": f"bytes={header}"}, file, Policy(block=block))
    assert answer.status in {200, 206, 416}
    length = sum(part.length if isinstance(part, Span) else len(part) for part in answer.parts)
    if answer.status != 416:
        assert int(answer.headers["Content-Length"]) == length
