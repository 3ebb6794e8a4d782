"""MP4s whose tracks all begin with an empty edit (ISO/IEC 14496-12 §8.6.6) get a clock from 0."""

import io
import struct
from typing import NamedTuple

import pytest
from support.mp4_boxes import FTYP, box, table

from service.mp4.fast_start_layout import MoovSpan, fast_start_layout
from service.mp4.sample_tables import MoovRewriter
from service.protocol.ranges import Span

SCALE = 1000  # units of the movie's clock in a second
UNKNOWN = {0: 2**32 - 1, 1: 2**64 - 1}
MEDIA = bytes(range(64))


class Track(NamedTuple):
    """A track, with times in units of the movie's clock. Without a delay it has no empty edit."""

    handler: bytes
    delay: int | None
    duration: int
    scale: int = 0
    """Units of its own clock in a second; 0: it says nothing."""
    edit: int = 5000
    """The duration of the edit that is not empty."""


def full_box(kind: bytes, version: int, *content: bytes) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *content)


def track(values: Track, version: int, offset: int) -> bytes:
    word = ">Q" if version else ">I"
    edit = ">QqI" if version else ">IiI"
    edits = [(values.delay, -1)] if values.delay is not None else []
    edits.append((values.edit, 1024))
    clock = full_box(b"mdhd", version, bytes(16 if version else 8),
                     struct.pack(">I", values.scale), bytes(12))  # fmt: skip
    return box(
        b"trak",
        full_box(b"tkhd", version, bytes(24 if version else 16),
                 struct.pack(word, values.duration), bytes(60)),
        box(b"edts", full_box(b"elst", version, struct.pack(">I", len(edits)),
            *(struct.pack(edit, duration, time, 1 << 16) for duration, time in edits))),
        box(b"mdia", clock if values.scale else b"",
            full_box(b"hdlr", 0, bytes(4), values.handler, bytes(13)),
            box(b"minf", box(b"stbl", table([offset])))),
    )  # fmt: skip


def index(
    tracks: list[Track], duration: int, version: int, offset: int, scale: int = SCALE
) -> bytes:
    word = ">Q" if version else ">I"
    header = full_box(b"mvhd", version, bytes(16 if version else 8), struct.pack(">I", scale),
                      struct.pack(word, duration), bytes(80))  # fmt: skip
    return box(b"moov", header, *(track(values, version, offset) for values in tracks))


def film(
    tracks: list[Track], duration: int, version: int, *, front: bool, scale: int = SCALE
) -> bytes:
    length = len(index(tracks, duration, version, 0))
    offset = len(FTYP) + 8 + (length if front else 0)
    parts = [box(b"mdat", MEDIA), index(tracks, duration, version, offset, scale)]
    return FTYP + b"".join(reversed(parts) if front else parts)


def for_players(data: bytes) -> bytes | None:
    """Return what players get; None if that is the file itself."""
    layout = fast_start_layout(io.BytesIO(data), len(data))
    if layout is None:
        return None
    result = b""
    for part in layout.map_span(Span(0, layout.size)):
        if isinstance(part, MoovSpan):
            source = layout.relocation.source(part.span)
            rewriter = MoovRewriter(layout.relocation, part.span)
            result += rewriter.feed(data[source.start : source.end])
        else:
            result += data[part.start : part.end]
    return result


PICTURE, SOUND = Track(b"vide", 3_600_024, 3_605_024), Track(b"soun", 3_600_000, 3_605_000)
AT_0 = [Track(b"vide", 24, 5024), Track(b"soun", 0, 5000)]


@pytest.mark.parametrize("front", [True, False], ids=["front", "end"])
@pytest.mark.parametrize("version", [0, 1])
def test_the_first_track_begins_at_0_and_the_others_as_much_later(
    version: int, *, front: bool
) -> None:
    data = film([PICTURE, SOUND], 3_605_024, version, front=front)
    assert for_players(data) == film(AT_0, 5024, version, front=True)


@pytest.mark.parametrize("version", [0, 1])
def test_an_unknown_duration_stays_unknown(version: int) -> None:
    unknown = UNKNOWN[version]
    tracks = [Track(b"vide", 2000, unknown)]
    expected = film([Track(b"vide", 0, unknown)], unknown, version, front=True)
    assert for_players(film(tracks, unknown, version, front=True)) == expected


def test_text_that_begins_earlier_is_not_waited_for() -> None:
    text = [Track(b"text", None, 3_605_000), Track(b"sbtl", 1000, 4000)]
    expected = [Track(b"text", None, 3_605_000), Track(b"sbtl", 0, 3000)]
    data = film([PICTURE, SOUND, *text], 3_605_024, 0, front=True)
    assert for_players(data) == film([*AT_0, *expected], 5024, 0, front=True)


@pytest.mark.parametrize(
    "tracks",
    [
        [Track(b"vide", 2000, 7000), Track(b"soun", None, 5000)],
        [Track(b"vide", 2000, 7000), Track(b"soun", 0, 5000)],
        [Track(b"vide", 49, 5049), Track(b"soun", 49, 5049)],  # a frame
        [Track(b"text", 2000, 7000)],
        [],
    ],
)
def test_a_film_whose_picture_or_sound_begins_at_0_is_unchanged(tracks: list[Track]) -> None:
    assert for_players(film(tracks, 7000, 0, front=True)) is None


# Firefox reads the delay of a track in units of the track: the movie gets the same ones.
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("shift", [0, 2000])
def test_a_track_that_waits_for_another_has_the_units_of_the_movie(
    version: int, shift: int
) -> None:
    tracks = [
        Track(b"vide", shift + 3000, shift + 8000, scale=12_800),
        Track(b"soun", shift or None, shift + 5000, scale=48_000),
        Track(b"text", None, 5000),
    ]
    expected = [
        Track(b"vide", 38_400, 102_400, 12_800, edit=64_000),
        Track(b"soun", 0 if shift else None, 64_000, 48_000, edit=64_000),
        Track(b"text", None, 64_000, edit=64_000),
    ]
    data = film(tracks, shift + 8000, version, front=True)
    assert for_players(data) == film(expected, 102_400, version, front=True, scale=12_800)


@pytest.mark.parametrize(
    "tracks",
    [
        [Track(b"vide", 3000, 8000, scale=SCALE), Track(b"soun", None, 5000, scale=48_000)],
        [Track(b"vide", 49, 5049, scale=12_800), Track(b"soun", None, 5000, scale=48_000)],
        # Three tracks of which two wait, in different units.
        [Track(b"vide", None, 5000, 12_800), Track(b"soun", 3000, 8000, 48_000),
         Track(b"soun", 1000, 6000, 44_100)],
        # More than 32 bits.
        [Track(b"vide", 3000, 2**32 - 2, 12_800), Track(b"soun", None, 5000, 48_000)],
    ],
)  # fmt: skip
def test_units_are_kept_that_help_nothing_or_cannot_be_changed(tracks: list[Track]) -> None:
    assert for_players(film(tracks, 8000, 0, front=True)) is None


def test_a_damaged_index_in_front_is_unchanged() -> None:
    data = film([PICTURE, SOUND], 3_605_024, 0, front=True)
    edits = data.index(b"elst") - 4
    for length in (4, 8, 12, 2**31):
        broken = data[:edits] + struct.pack(">I", length) + data[edits + 4 :]
        assert for_players(broken) is None
