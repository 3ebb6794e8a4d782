"""Segments of a film, and their index (sidx, ISO/IEC 14496-12 §8.16.3)."""

import struct
from array import array
from dataclasses import replace
from itertools import accumulate

import pytest
from support.mp4_boxes import boxes

from service.fragments import segments
from service.fragments.segments import Bound, find_bounds, segment_index
from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.remux.movie import MovieTrack, SampleEntry
from service.remux.picture_timing import TrackTiming

RATE = 10  # pictures per second
SIZE = 1000  # bytes of a picture, and 10 of its block


def film(keys: str, offsets: list[int] | None = None) -> MovieTrack:
    """Return a picture. In `keys` K is a key frame and - is none."""
    count = len(keys)
    track = MediaTrack(number=1, kind="video", codec_id="V_VP9")
    table = FrameTable(track)
    for number, key in enumerate(keys):
        table.add_block(100 + (SIZE + 10) * number, [SIZE], 0, is_key=key == "K")
    timing = TrackTiming(
        timescale=RATE,
        durations=array("q", [1]) * count,
        offsets=array("q", offsets) if offsets else None,
        skip=2 if offsets else 0,
        length=count,
        start=0.0,
    )
    return MovieTrack(table, timing, SampleEntry(b"", None), is_enabled=True)


def test_a_segment_begins_at_the_first_key_frame_after_a_second() -> None:
    picture = film(("K" + 5 * "-") * 4)  # a key frame each 0.6 s
    bounds = find_bounds([picture])
    assert bounds == [
        Bound(100, 0, is_segment=True),
        Bound(100 + 12 * 1010, 12, is_segment=True),
        Bound(100 + 24 * 1010 - 10, 24, is_segment=False),
    ]


def test_a_segment_begins_with_the_sound_that_directly_precedes_its_key_frame() -> None:
    picture = film(("K" + 9 * "-") * 2)
    place = picture.table.offsets[10]
    sound = FrameTable(MediaTrack(number=2, kind="audio", codec_id="A_AAC"))
    sound.add_block(20, [80], 0, is_key=True)
    sound.add_block(picture.table.offsets[9] + SIZE, [3, 4, 3], 0, is_key=True)
    assert sound.offsets[-1] + 3 == place
    timing = replace(picture.timing, durations=array("q", [4]) * 4)
    heard = MovieTrack(sound, timing, SampleEntry(b"", None), is_enabled=True)
    assert find_bounds([picture, heard])[1] == Bound(place - 10, 10, is_segment=True)


def test_a_segment_of_many_bytes_has_several_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_FRAGMENT_BYTES", 7 * 1010)
    bounds = find_bounds([film("K" + 29 * "-")])
    assert [(bound.frame, bound.is_segment) for bound in bounds] == [
        (0, True), (7, False), (14, False), (21, False), (28, False), (30, False),
    ]  # fmt: skip


def test_fragments_are_not_shorter_than_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_FRAGMENT_BYTES", 1)
    assert [bound.frame for bound in find_bounds([film("K" + 19 * "-")])] == [0, 5, 10, 15, 20]


def test_a_film_that_does_not_begin_with_a_key_frame_has_no_segments() -> None:
    assert find_bounds([film("-K--")]) == []


def test_the_index_has_bytes_times_and_key_frames() -> None:
    # From the second key frame on, two pictures are shown before it that are decoded after it.
    offsets = [2] * 20 + [4, 1, 1] + [2] * 27
    picture = film("K" + 19 * "-" + "K" + 29 * "-", offsets)
    bounds = find_bounds([picture])
    index = segment_index([picture], bounds, [500, 700], 42, picture.timing.start)
    assert index
    ((kind, content),) = boxes(index)
    assert kind == b"sidx"
    version, track, timescale, earliest, first_offset, _, count = struct.unpack_from(
        ">IIIQQHH", content
    )
    assert (version >> 24, track, timescale, earliest, first_offset, count) == (
        1, 1, RATE, 0, 42, 2,
    )  # fmt: skip
    references = list(struct.iter_unpack(">III", content[32:]))
    assert [size for size, _, _ in references] == [500, 700]
    # The second segment begins with the picture that is shown at 2.0 s; its key frame is at 2.2 s.
    assert list(accumulate(length for _, length, _ in references)) == [20, 50]
    assert [access >> 31 for _, _, access in references] == [1, 1]
    assert [access >> 28 & 7 for _, _, access in references] == [1, 3]
    assert [access & 0xFFFFFFF for _, _, access in references] == [0, 2]
