import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.range_cases import (
    UNSATISFIABLE,
    WHOLE,
    CapCase,
    RangeCase,
    cap_cases,
    range_cases,
)
from service.protocol.ranges import MAX_RANGES, Span, cap, merge, parse_range

SIZE, BLOCK = 100_000, 30_000


def spans(pairs: list[tuple[int, int]]) -> tuple[Span, ...]:
    """Convert inclusive pairs, as in headers, to spans."""
    return tuple(Span(first, last - first + 1) for first, last in pairs)


@pytest.mark.parametrize("case", range_cases(SIZE), ids=lambda case: case.name)
def test_a_range_header_is_parsed_as_in_the_rfc(case: RangeCase) -> None:
    ranges = parse_range(case.header, SIZE)
    if case.expected == WHOLE:
        assert ranges is None
    elif case.expected == UNSATISFIABLE:
        assert ranges == ()
    else:
        assert isinstance(case.expected, list)
        assert ranges == spans(case.expected)


@pytest.mark.parametrize("case", cap_cases(SIZE, BLOCK), ids=lambda case: case.name)
def test_the_cap_ends_spans_at_block_ends(case: CapCase) -> None:
    ranges = parse_range(case.header, SIZE)
    assert ranges
    assert cap(ranges, BLOCK) == spans(case.expected)


@pytest.mark.parametrize("digit", ["٣", "３", "²", "①", "𝟛"])  # noqa: RUF001
def test_only_ascii_digits_are_digits(digit: str) -> None:
    assert parse_range(f"bytes={digit}-", SIZE) is None
    assert parse_range(f"bytes=0-{digit}", SIZE) is None
    assert parse_range(f"bytes=-{digit}", SIZE) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [("bytes=0-", ()), ("bytes=0-0", ()), ("bytes=-0", ()), ("bytes=-5", None), ("bytes=1-", ())],
)
def test_ranges_of_an_empty_file_are_unsatisfiable(
    header: str, expected: tuple[Span, ...] | None
) -> None:
    assert parse_range(header, 0) == expected


ends = st.integers(0, 2 * SIZE) | st.integers(0, 10**30)
int_ranges = st.builds(lambda a, b: f"{a}-{b}", ends, ends) | ends.map("{}-".format)
range_specs = int_ranges | ends.map("-{}".format) | st.text("0123456789-, ", max_size=8)
headers = st.lists(range_specs, max_size=250).map(lambda specs: "bytes=" + ",".join(specs))
sizes = st.integers(0, 3 * SIZE)


@given(headers | st.text(), sizes)
def test_no_span_of_an_arbitrary_header_is_outside_the_file(header: str, size: int) -> None:
    ranges = parse_range(header, size)
    for span in ranges or ():
        assert span.start >= 0
        assert span.length > 0
        assert span.end <= size


@given(headers, sizes)
def test_spans_neither_overlap_nor_touch(header: str, size: int) -> None:
    ranges = sorted(parse_range(header, size) or (), key=lambda span: span.start)
    assert all(left.end < right.start for left, right in pairwise(ranges))
    assert len(ranges) <= MAX_RANGES


small = st.builds(Span, st.integers(0, 60), st.integers(1, 30))


@given(st.lists(small, max_size=12))
def test_merging_keeps_exactly_the_requested_bytes(requested: list[Span]) -> None:
    def covered(group: tuple[Span, ...] | list[Span]) -> set[int]:
        return {byte for span in group for byte in range(span.start, span.end)}

    merged = merge(requested)
    assert covered(merged) == covered(requested)
    assert sum(span.length for span in merged) == len(covered(requested))


@given(headers, sizes, st.integers(1, SIZE))
def test_a_capped_span_never_crosses_the_end_of_a_block(header: str, size: int, block: int) -> None:
    requested = parse_range(header, size) or ()
    capped = cap(requested, block)
    assert sum(span.length for span in capped) <= block
    assert bool(capped) == bool(requested)
    for span in capped:
        assert span.start // block == (span.end - 1) // block
        assert any(
            uncapped.start == span.start and span.end <= uncapped.end for uncapped in requested
        )


@given(st.integers(1, 100_000), st.integers(500, 40_000), st.integers(0, 100_000))
def test_consecutive_capped_requests_read_every_byte_once(
    size: int, block: int, start: int
) -> None:
    position = start = min(start, size - 1)
    responses = 0
    while position < size:
        (span,) = cap(parse_range(f"bytes={position}-", size) or (), block)
        assert span.start == position
        position = span.end
        responses += 1
        assert position % block == 0 or position == size
    assert position == size
    assert responses == -(-size // block) - start // block


@given(st.from_regex(re.compile(r"bytes=[0-9]{0,30}-[0-9]{0,30}"), fullmatch=True))
def test_a_single_well_formed_range_gives_at_most_one_span(header: str) -> None:
    assert len(parse_range(header, SIZE) or ()) <= 1
