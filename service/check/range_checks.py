"""Checks of ranges: the whole, closed, open, suffix, several, and none satisfiable."""

import re
from http import HTTPStatus

from service.check.results import FailedError, NotTriedError, Problem, RemarkError
from service.check.session import SAMPLE, Session
from service.check.ways.http1 import Answer, parse_content_range
from service.protocol.range_cases import UNSATISFIABLE, RangeCase, range_cases

_REFUSALS = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
_BOUNDARY = re.compile(r'multipart/byteranges;.*boundary="?([^";]{1,70})"?', re.IGNORECASE)


def check_whole(session: Session) -> str:
    """Check that a request without a range gets 200 and all bytes."""
    answer = session.whole
    if answer.status != HTTPStatus.OK:
        raise FailedError(
            Problem.PARTIAL_CACHED,
            f"A request without a range gets 206, {answer.get('content-range')}.",
        )
    if answer.length is None:
        raise FailedError(
            Problem.LENGTH_MISSING,
            "The response to a request without a range has no Content-Length.",
        )
    if answer.is_cut:
        raise FailedError(
            Problem.TRUNCATED,
            f"The connection ended after {len(answer.body)} of {answer.length} bytes.",
        )
    if (answer.get("accept-ranges") or "").lower() != "bytes":
        raise RemarkError("The response lacks Accept-Ranges: bytes, which some players need.")
    return f"200, {answer.length:,} bytes, {answer.get('content-type')}"


def check_head(session: Session) -> str:
    """Check that HEAD gets the header fields of GET."""
    answer = session.ask(method="HEAD")
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        raise FailedError(Problem.PARTIAL_CACHED, "HEAD without a range gets 206.")
    if answer.status != HTTPStatus.OK:
        raise FailedError(Problem.HEAD_REFUSED, f"HEAD gets {answer.status} instead of 200.")
    # RFC 9110 §9.3.2: the response to HEAD may omit what is only known with the content, but not
    # have another value.
    if answer.length is None or answer.length != session.size:
        raise FailedError(
            Problem.HEAD_REFUSED,
            f"HEAD has Content-Length: {answer.get('content-length')} instead of {session.size}.",
        )
    if answer.get("etag") != session.whole.get("etag"):
        raise FailedError(
            Problem.VALIDATORS_DIFFER,
            f"HEAD has ETag: {answer.get('etag')}, GET {session.whole.get('etag')}.",
        )
    return "200, the length and the entity tag of GET"


def check_closed(session: Session) -> str:
    """Check that closed ranges get their bytes, in any order."""
    middle = session.size // 2
    for first, last in ((0, 499), (middle, middle + 99), (500, 999), (0, 0)):
        session.partial(f"bytes={first}-{last}", first, last)
    return "206, with the right Content-Range and Content-Length"


def check_open(session: Session) -> str:
    """Check that an open range ends at the end of the film, or at a cap after which it goes on."""
    last = session.size - 1
    answer = session.partial("bytes=0-", 0, last)
    found = answer.content_range
    if found is None or found.last == last:
        return "206, to the end of the film"
    session.partial(f"bytes={found.last + 1}-", found.last + 1, last)
    return f"206, capped at {found.length:,} bytes; the next range begins there"


def check_suffix(session: Session) -> str:
    """Check that a suffix range gets the last bytes."""
    session.partial("bytes=-500", session.size - 500, session.size - 1)
    return "206, the last 500 bytes"


def check_case_table(session: Session) -> str:
    """Check the satisfiable rows of the table that hold everywhere."""
    cases = [
        case
        for case in range_cases(session.size)
        if case.everywhere and case.expected != UNSATISFIABLE
    ]
    for case in cases:
        _check_case(session, case)
    return f"{len(cases)} kinds of ranges are answered as RFC 9110 says"


def _check_case(session: Session, case: RangeCase) -> None:
    if isinstance(case.expected, str):
        answer = session.ask({"Range": case.header})
        # §14.2; no player sends such a range, so that nobody notices another answer.
        if answer.status != HTTPStatus.OK:
            raise RemarkError(
                f"Range: {case.header} ({case.name}) gets {answer.status} instead of 200."
            )
    else:
        ((first, last),) = case.expected
        session.partial(case.header, first, last)


def check_unsatisfiable(session: Session) -> str:
    """Check that a range after the end gets 416."""
    for case in range_cases(session.size):
        if not case.everywhere or case.expected != UNSATISFIABLE:
            continue
        answer = session.ask({"Range": case.header}, limit=SAMPLE)
        if answer.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise FailedError(
                Problem.UNSATISFIABLE_HIDDEN,
                f"A range after the end gets {answer.status} instead of 416.",
            )
        if answer.get("content-range") != f"bytes */{session.size}":
            raise RemarkError("The 416 lacks Content-Range with the length of the film.")
    return "416, with the length of the film"


def check_several(session: Session) -> str:
    """Check that several ranges get their parts, or are ignored."""
    answer = session.ask({"Range": "bytes=0-99,300-399"}, limit=SAMPLE)
    if answer.status == HTTPStatus.OK:
        raise RemarkError("Several ranges get the whole film, which RFC 9110 §14.2 allows.")
    if answer.status in _REFUSALS:
        raise RemarkError(f"Several ranges get {answer.status}, which RFC 9110 §14.2 allows.")
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        raise FailedError(Problem.RANGE_REFUSED, f"Several ranges get {answer.status}.")
    if (found := answer.content_range) is not None:
        if found.first == 0 and found.total == session.size:
            raise RemarkError("Several ranges get one, which RFC 9110 §15.3.7.2 allows.")
        raise FailedError(
            Problem.CONTENT_RANGE_WRONG,
            f"The ranges 0-99 and 300-399 get {answer.get('content-range')}.",
        )
    if answer.is_cut:
        raise FailedError(Problem.TRUNCATED, "The response to several ranges is cut.")
    parts = _parts(answer)
    expected = {
        (0, 99): session.read(session.way, session.target, 0, 100),
        (300, 399): session.read(session.way, session.target, 300, 100),
    }
    for span, data in parts.items():
        if expected.get(span) != data:
            raise FailedError(
                Problem.BYTES_DIFFER,
                f"The part {span[0]}-{span[1]} of several ranges has other bytes.",
            )
    return f"206, {len(parts)} parts with the right bytes"


def _parts(answer: Answer) -> dict[tuple[int, int], bytes]:
    """Return the parts of multipart/byteranges (RFC 9110 §14.6) by their inclusive spans."""
    match = _BOUNDARY.match(answer.get("content-type") or "")
    if match is None:
        raise FailedError(
            Problem.CONTENT_RANGE_WRONG,
            "A 206 to several ranges has neither parts nor a Content-Range.",
        )
    parts = {}
    for part in answer.body.split(b"--" + match[1].encode("latin-1"))[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        fields = dict(
            line.lower().partition(": ")[::2] for line in head.decode("latin-1").split("\r\n")
        )
        found = parse_content_range(fields.get("content-range"))
        if found is None:
            raise FailedError(Problem.CONTENT_RANGE_WRONG, "A part has no valid Content-Range.")
        parts[found.first, found.last] = data.removesuffix(b"\r\n")
    if not parts:
        raise NotTriedError("The response to several ranges has no part.")
    return parts
