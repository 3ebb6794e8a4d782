"""Divides a film into segments that players can begin with, and these into fragments, and writes
the index of the segments (sidx, ISO/IEC 14496-12 §8.16.3)."""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from service.mp4.box_writer import full_box, packed
from service.remux.movie import MovieTrack

# Seconds of a segment, at least, as it ends before a key frame. A player that seeks loads one: at
# 20 Mbit/s a seek in a film of 4 Mbit/s, with a key frame each 2 s or sooner, took 0.8 s in the
# median with segments of 2 s or more, as the next key frame after 1.9 s was at 3.9 s (2026-11-29).
_SECONDS = 1.0
_EARLIER = 0.05  # seconds: a key frame that is only rounded to be early is taken

# Chromium 156 shows nothing of a fragment before it has all of it: so a segment of many bytes has
# several fragments. One has so many bytes and seconds at least, or there would be too many headers.
_FRAGMENT_BYTES = 1 << 18
_FRAGMENT_SECONDS = 0.5

MAX_SEGMENTS = 2**16 - 1
"""The count has 16 bits."""

_MAX_UINT32 = 2**32 - 1


class Bound(NamedTuple):
    """Where a fragment begins."""

    place: int
    """In the file."""
    frame: int
    """The number of its first picture."""
    is_segment: bool
    """Whether a segment begins, too. Its first picture is a key frame."""


def find_bounds(chosen: Sequence[MovieTrack]) -> list[Bound]:
    """Return where the fragments begin, and where the last one ends, of a picture and perhaps a
    sound; nothing if the first picture is no key frame.
    """
    picture = chosen[0]
    table, timescale = picture.table, picture.timing.timescale
    if not table.keys[0]:
        return []
    bounds = [Bound(min(track.table.offsets[0] for track in chosen), 0, is_segment=True)]
    segment = fragment = 0  # when they began
    for number, time in enumerate(accumulate(picture.timing.durations[:-1]), 1):
        place = table.offsets[number]
        is_segment = (
            bool(table.keys[number]) and time - segment >= (_SECONDS - _EARLIER) * timescale
        )
        is_long = (
            place - bounds[-1].place >= _FRAGMENT_BYTES
            and time - fragment >= _FRAGMENT_SECONDS * timescale
        )
        if is_segment or is_long:
            bounds.append(Bound(_with_sound_before(chosen, place), number, is_segment))
            fragment = time
            segment = time if is_segment else segment
    end = max(track.table.offsets[-1] + track.table.sizes[-1] for track in chosen)
    return [*bounds, Bound(end, len(table.offsets), is_segment=False)]


def _with_sound_before(chosen: Sequence[MovieTrack], place: int) -> int:
    """Return where the sound begins that directly precedes a place, as it does if it was made."""
    if len(chosen) > 1:
        table = chosen[1].table
        number = bisect_left(table.offsets, place) - 1
        while number >= 0 and table.offsets[number] + table.sizes[number] == place:
            place, number = table.offsets[number], number - 1
    return place


def segment_index(
    chosen: Sequence[MovieTrack],
    bounds: Sequence[Bound],
    lengths: Sequence[int],
    offset: int,
    start: float,
) -> bytes | None:
    """Return the box sidx; None if its fields are too short for the times.

    `lengths` are the bytes of the fragments with their headers; `offset` are those between the box
    and the first fragment; `start` is when the movie begins on the file's clock, in seconds.
    """
    picture = chosen[0]
    timescale = picture.timing.timescale
    starts = [bound.frame for bound in bounds[:-1] if bound.is_segment]
    times = _presented(picture, start)
    ends = [*starts[1:], len(times)]
    earliest = [min(times[first:end]) for first, end in zip(starts, ends, strict=True)]
    last = max(max(times[starts[-1] :]) + picture.timing.durations[-1], earliest[-1])
    references: list[int] = []
    for size, first, early, following in zip(
        _sizes(bounds, lengths), starts, earliest, [*earliest[1:], last], strict=True
    ):
        # Type 3: pictures that are shown before the key frame and decoded after it may need others.
        delta = times[first] - early
        if following - early > _MAX_UINT32 or delta >= 1 << 28:
            return None
        access = 1 << 31 | (3 if delta else 1) << 28 | delta
        references += (size, max(0, following - early), access)
    return full_box(
        b"sidx",
        struct.pack(">IIQQHH", 1, timescale, max(0, earliest[0]), offset, 0, len(starts)),
        packed(references),
        version=1,
    )


def _sizes(bounds: Sequence[Bound], lengths: Sequence[int]) -> list[int]:
    """Return the bytes of the segments."""
    sizes: list[int] = []
    for bound, length in zip(bounds, lengths, strict=False):
        if bound.is_segment:
            sizes.append(length)
        else:
            sizes[-1] += length
    return sizes


def _presented(track: MovieTrack, start: float) -> "array[int]":
    """Return when each picture is shown, in units of its track from the start of the movie."""
    timing = track.timing
    first = round((timing.start - start) * timing.timescale) - timing.skip
    decoded = accumulate(timing.durations[:-1], initial=first)
    if timing.offsets is None:
        return array("q", decoded)
    return array("q", map(int.__add__, decoded, timing.offsets))
