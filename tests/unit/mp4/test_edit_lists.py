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


def full_box(kind: bytes, version: int, *content: bytes) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *content)


def track(values: Track, version: int, offset: int) -> bytes:
    word = ">Q" if version else ">I"
    edit = ">QqI" if version else ">IiI"
    edits = [(values.delay, -1)] if values.delay is not None else []
    edits.append((5000, 1024))
    return box(
        b"trak",
        full_box(b"tkhd", version, bytes(24 if version else 16),
                 struct.pack(word, values.duration), bytes(60)),
        box(b"edts", full_box(b"elst", version, struct.pack(">I", len(edits)),
            *(struct.pack(edit, duration, time, 1 << 16) for duration, time in edits))),
        box(b"mdia", full_box(b"hdlr", 0, bytes(4), values.handler, bytes(13)),
            box(b"minf", box(b"stbl", table([offset])))),
    )  # fmt: skip


def index(tracks: list[Track], duration: int, version: int, offset: int) -> bytes:
    word = ">Q" if version else ">I"
    header = full_box(b"mvhd", version, bytes(16 if version else 8), struct.pack(">I", SCALE),
                      struct.pack(word, duration), bytes(80))  # fmt: skip
    return box(b"moov", header, *(track(values, version, offset) for values in tracks))


def film(tracks: list[Track], duration: int, version: int, *, front: bool) -> bytes:
    length = len(index(tracks, duration, version, 0))
    offset = len(FTYP) + 8 + (length if front else 0)
    parts = [box(b"mdat", MEDIA), index(tracks, duration, version, offset)]
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


def test_a_damaged_index_in_front_is_unchanged() -> None:
    data = film([PICTURE, SOUND], 3_605_024, 0, front=True)
    edits = data.index(b"elst") - 4
    for length in (4, 8, 12, 2**31):
        broken = data[:edits] + struct.pack(">I", length) + data[edits + 4 :]
        assert for_players(broken) is None
