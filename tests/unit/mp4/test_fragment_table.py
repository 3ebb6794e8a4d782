"""Positions in a fragmented MP4, and in the file whose spans it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mp4.fragment_table import FragmentTable
from service.protocol.ranges import Span

FILE = bytes(range(256)) * 4


@st.composite
def tables(draw: st.DrawFn) -> tuple[FragmentTable, list[bytes], bytes]:
    """Return a table, its headers, and the whole that they make with spans of FILE."""
    lengths = draw(
        st.lists(st.tuples(st.integers(1, 20), st.integers(0, 40)), min_size=2, max_size=9)
    )
    place = draw(st.integers(0, 100))
    headers, whole, starts, places = [], b"", [0], [place]
    for number, (length, following) in enumerate(lengths):
        headers.append(bytes([number]) * length)
        end = place + (following if number else 0)
        whole += headers[-1] + FILE[place:end]
        place = end
        starts.append(len(whole))
        places.append(place)
    zeros = [0] * len(starts)
    return FragmentTable(starts, places, zeros, zeros), headers, whole


@given(tables(), st.data())
def test_the_parts_of_any_span_are_its_bytes(
    made: tuple[FragmentTable, list[bytes], bytes], data: st.DataObject
) -> None:
    table, headers, whole = made
    table = FragmentTable.from_bytes(table.to_bytes())
    assert table.size == len(whole)
    start = data.draw(st.integers(0, len(whole)))
    span = Span(start, data.draw(st.integers(0, len(whole) + 5)))
    parts = [
        (FILE if number is None else headers[number])[part.start : part.end]
        for number, part in table.extents(span)
    ]
    assert all(parts)
    assert b"".join(parts) == whole[span.start : span.end]


TABLE = FragmentTable([0, 9, 30, 50], [5, 5, 20, 30], [0, 7, 14, 20], [0, 0, 2, 4]).to_bytes()


@pytest.mark.parametrize(
    "damaged",
    [TABLE[:-1], TABLE[:-8], TABLE[:64], b"", TABLE[32:] + TABLE[:32]],
    ids=["a byte less", "a number less", "too few rows", "empty", "it goes back"],
)
def test_a_damaged_table_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|damaged"):
        FragmentTable.from_bytes(damaged)
