"""Another sound of an MP4 comes first: the order of tracks changes, and a flag of each."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mp4_boxes import box

from service.protocol.ranges import Span
from service.representations.sound_order import SoundOrder, plan_sound_order

ENABLED, IN_MOVIE = 1, 2


def track(kind: bytes, number: int, *, enabled: bool, more: int = 0) -> bytes:
    """Return a track whose length differs by `more` bytes."""
    flags = IN_MOVIE | (ENABLED if enabled else 0)
    tkhd = box(b"tkhd", struct.pack(">I", flags) + struct.pack(">III", 0, 0, number) + bytes(64))
    hdlr = box(b"hdlr", bytes(8) + kind + bytes(12) + b"name\0")
    mdia = box(b"mdia", box(b"mdhd", bytes(24)) + hdlr + box(b"minf", bytes(more)))
    return box(b"trak", tkhd + box(b"edts") + mdia)


def film(*tracks: bytes, at_end: bool = False) -> bytes:
    moov = box(b"moov", box(b"mvhd", bytes(100)) + b"".join(tracks) + box(b"udta", b"title"))
    media = box(b"mdat", bytes(range(256)) * 4)
    return box(b"ftyp", b"isom" + bytes(4)) + (media + moov if at_end else moov + media)


def plan(data: bytes, place: int) -> SoundOrder | None:
    requests = plan_sound_order(len(data), place)
    try:
        span = next(requests)
        while True:
            assert span.end <= len(data)
            span = requests.send(data[span.start : span.end])
    except StopIteration as end:
        order: SoundOrder | None = end.value
        return order


def read(data: bytes, order: SoundOrder, span: Span) -> bytes:
    parts = order.map_span(span)
    return b"".join(order.patch(part.start, data[part.start : part.end]) for part in parts)


PICTURE = track(b"vide", 1, enabled=True)
TEXT = track(b"text", 9, enabled=True)
FIRST, FIRST_OFF = (track(b"soun", 2, enabled=enabled) for enabled in (True, False))
SECOND, SECOND_OFF = (track(b"soun", 3, enabled=enabled, more=50) for enabled in (True, False))
THIRD, THIRD_OFF = (track(b"soun", 4, enabled=enabled, more=9) for enabled in (True, False))

CASES = [
    ([PICTURE, FIRST, SECOND_OFF], 2, [PICTURE, SECOND, FIRST_OFF]),
    ([PICTURE, FIRST, SECOND], 1, [PICTURE, FIRST, SECOND_OFF]),
    ([PICTURE, FIRST_OFF, SECOND], 1, [PICTURE, FIRST, SECOND_OFF]),
    ([PICTURE, FIRST, SECOND, THIRD], 3, [PICTURE, THIRD, FIRST_OFF, SECOND_OFF]),
    ([PICTURE, FIRST, SECOND, THIRD], 2, [PICTURE, SECOND, FIRST_OFF, THIRD_OFF]),
    # Other tracks move between them, or stay where they are, and are as they were.
    ([FIRST, PICTURE, TEXT, SECOND_OFF], 2, [SECOND, FIRST_OFF, PICTURE, TEXT]),
    ([TEXT, FIRST, SECOND_OFF, PICTURE], 2, [TEXT, SECOND, FIRST_OFF, PICTURE]),
    ([FIRST_OFF], 1, [FIRST]),
    # Chromium shows the first picture if nothing is enabled, and would no more.
    ([track(b"vide", 1, enabled=False), FIRST_OFF, SECOND_OFF], 2, [PICTURE, SECOND, FIRST_OFF]),
]


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(("tracks", "place", "expected"), CASES)
def test_the_chosen_sound_takes_the_place_of_the_first(
    tracks: list[bytes],
    place: int,
    expected: list[bytes],
    at_end: bool,  # noqa: FBT001 # a column of the table
) -> None:
    data = film(*tracks, at_end=at_end)
    order = plan(data, place)
    assert order is not None
    assert read(data, order, Span(0, len(data))) == film(*expected, at_end=at_end)


@given(st.data())
def test_a_span_is_a_slice_of_the_whole(data: st.DataObject) -> None:
    tracks, place, _ = data.draw(st.sampled_from(CASES))
    file = film(*tracks)
    order = plan(file, place)
    assert order is not None
    whole = read(file, order, Span(0, len(file)))
    start = data.draw(st.integers(0, len(file) - 1))
    length = data.draw(st.integers(1, len(file) - start))
    assert read(file, order, Span(start, length)) == whole[start : start + length]
    if start >= order.end:
        assert whole[start:] == file[start:]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (film(PICTURE, FIRST), 2),
        (film(PICTURE), 1),
        (film(), 1),
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(99)), 1),
        (b"\x1a\x45\xdf\xa3" + bytes(99), 1),
        (film(PICTURE, FIRST)[:-1200], 1),  # cut off within the index
        (film(PICTURE, box(b"trak", b""), FIRST), 1),
        (b"", 1),
    ],
)
def test_a_file_without_such_a_sound_is_as_it_is(data: bytes, place: int) -> None:
    assert plan(data, place) is None


@given(st.binary(max_size=300), st.integers(0, 600), st.integers(1, 4))
def test_a_damaged_index_is_no_error(damage: bytes, at: int, place: int) -> None:
    data = bytearray(film(PICTURE, FIRST, SECOND))
    data[at : at + len(damage)] = damage
    file = bytes(data)
    order = plan(file, place)
    if order is not None:
        assert len(read(file, order, Span(0, len(file)))) == len(file)
