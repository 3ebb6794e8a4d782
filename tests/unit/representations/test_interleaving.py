"""Every range of a header, a file and the sound between: the bytes by construction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.ranges import Span
from service.representations.interleaving import WHOLE, Interleaving, Source, map_span


def construct(header: bytes, file: bytes, sound: bytes, layout: Interleaving) -> bytes:
    """Join the parts, as the definition of the layout says."""
    parts, position, heard = [header], 0, 0
    for cut, end in zip(layout.cuts, layout.ends, strict=True):
        parts += [file[position:cut], sound[heard:end]]
        position, heard = cut, end
    return b"".join([*parts, file[position:]])


@st.composite
def layouts(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, Interleaving]:
    header, file, sound = (draw(st.binary(max_size=40)) for _ in range(3))
    count = draw(st.integers(0, 6))
    positions = st.lists(st.integers(0, len(file)), min_size=0, max_size=count, unique=True)
    cuts = sorted(draw(positions))
    ends = sorted(
        draw(st.lists(st.integers(0, len(sound)), min_size=len(cuts), max_size=len(cuts)))
    )
    return header, file, sound, Interleaving(cuts, ends)


def read(parts: tuple[bytes, bytes, bytes, Interleaving], span: Span) -> bytes:
    header, file, sound, layout = parts
    sources = {Source.HEADER: header, Source.FILE: file, Source.INSERTED: sound}
    return b"".join(
        sources[source][part.start : part.end]
        for source, part in map_span(layout, len(header), len(file), span)
    )


@given(layouts())
def test_every_range_is_the_bytes_by_construction(
    parts: tuple[bytes, bytes, bytes, Interleaving],
) -> None:
    whole = construct(*parts)
    for start in range(len(whole)):
        for length in (1, 2, 7, len(whole) - start):
            end = min(start + length, len(whole))
            assert read(parts, Span(start, end - start)) == whole[start:end]


@given(layouts())
def test_a_part_has_no_empty_spans(parts: tuple[bytes, bytes, bytes, Interleaving]) -> None:
    header, file, _, layout = parts
    total = len(header) + len(file) + layout.inserted
    for _, part in map_span(layout, len(header), len(file), Span(0, total)):
        assert part.length > 0


@given(layouts())
def test_a_byte_of_the_file_is_where_its_shift_says(
    parts: tuple[bytes, bytes, bytes, Interleaving],
) -> None:
    header, file, _, layout = parts
    whole = construct(*parts)
    for offset in range(len(file)):
        at = len(header) + offset + layout.shift(offset)
        assert whole[at] == file[offset]


@given(layouts())
def test_a_layout_is_what_it_was_when_it_is_stored(
    parts: tuple[bytes, bytes, bytes, Interleaving],
) -> None:
    layout = parts[3]
    again = Interleaving.from_bytes(layout.to_bytes())
    assert (list(again.cuts), list(again.ends)) == (list(layout.cuts), list(layout.ends))


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 7 + b"\1", b"\0" * 9])
def test_a_damaged_layout_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        Interleaving.from_bytes(data)


def test_without_sound_the_file_follows_the_header() -> None:
    assert list(map_span(WHOLE, 3, 10, Span(1, 7))) == [
        (Source.HEADER, Span(1, 2)),
        (Source.FILE, Span(0, 5)),
    ]
