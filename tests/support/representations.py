"""Checks of what is made of a file for players: RFC 9110 holds for it as for any representation."""

from collections.abc import Sequence

from service.protocol.range_cases import WHOLE, condition_cases, range_cases
from support.raw_http import ask, ask_beginning
from support.server import BLOCK

LARGE = 8 * BLOCK
"""Bytes."""


def check_ranges(base: str, url: str, data: bytes) -> None:
    """Check the table of ranges. A single range ends where a block ends at the latest.

    Of a large file, only the beginning is read for the twenty rows whose response is all of it.
    """
    size = len(data)
    read = size if size <= LARGE else 2 * BLOCK
    for case in range_cases(size):
        if case.expected == WHOLE:
            answer = ask_beginning(base, url, {"Range": case.header}, read)
            assert (answer.status, answer.body) == (200, data[:read]), case.name
            assert answer.headers["Content-Length"] == str(size), case.name
            continue
        answer = ask(base, url, {"Range": case.header})
        if not isinstance(case.expected, list):
            assert answer.status == 416, case.name
            assert answer.headers["Content-Range"] == f"bytes */{size}", case.name
        elif len(case.expected) == 1:
            ((first, last),) = case.expected
            end = min(last + 1, first // BLOCK * BLOCK + BLOCK)
            assert (answer.status, answer.body) == (206, data[first:end]), case.name
            assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}", case.name
        else:
            assert answer.status == 206, case.name
            parts = [((first, last), data[first : last + 1]) for first, last in case.expected]
            assert answer.parts() == parts, case.name


def check_conditions(base: str, url: str, revision: str, dates: Sequence[str]) -> None:
    """Check the table of conditional requests. `dates` are as for `condition_cases`."""
    data = ask(base, url).body
    for case in condition_cases(f'"{revision}"', *dates, dated=False):
        answer = ask(base, url, {"Range": "bytes=0-9", **case.headers})
        assert answer.status == case.status, case.name
        expected = {206: data[:10], 200: data, 304: b""}.get(case.status)
        assert expected is None or answer.body == expected, case.name
