"""Makes a fragmented MP4 of a film (ISO/IEC 14496-12 §8.8): a short header with an index of its
segments, and a header in front of every part of the file. So players need no index of all frames
to begin.

    ftyp moov sidx free: | file[0, c1) | moof mdat: | file[c1, c2) | moof mdat: | file[c2, c3) | …

The bytes between the parts of the file are those of an `Interleaving`."""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.remux.fragment_headers import TrackFrames, fragment_header, initial_boxes
from service.remux.movie import MovieTrack, movie_start
from service.remux.segments import MAX_SEGMENTS, Bound, find_bounds, segment_index
from service.remux.track_choice import plays_everywhere
from service.representations.interleaving import Interleaving

# Seconds that the picture or the sound may wait for the other. Chromium 156 waits for data without
# end if those at the beginning are further away.
_MAX_WAIT = 0.9

# Seconds that sound may be stored before its picture. A player that seeks loads the segment before,
# too, if the sound of the position is not in the one of the picture (static/stream.js).
_MAX_LEAD = 1.0

_MAX_UINT32 = 2**32 - 1
# Bytes of the file in a segment, and so after a header: both have 31 bits (§8.16.3.3, §8.8.8.1).
_MAX_SPAN = 1 << 30

MAX_INSERTED = 1 << 26
"""Bytes of all headers between parts of the file. `nginx/njs/cache_lookup.js` counts on it."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """What is made for the fragmented form of a file."""

    head: bytes
    """What precedes the file."""
    index_end: int
    """Where the index of the segments ends in it: players need no more of it."""
    interleaving: Interleaving
    """Where the headers are."""
    headers: bytes
    """All of them."""


def make_fragments(tracks: Sequence[MovieTrack], size: int) -> Fragments | None:
    """Return the fragmented form of a file of `size` bytes, with a picture and the first sound.

    Return None for a film that players get better otherwise: one without a picture or whose sound
    not all browsers play, or with frames too far apart or too many.
    """
    chosen = _chosen(tracks)
    bounds = find_bounds(chosen) if chosen else []
    if not chosen or not bounds:
        return None
    starts = [bound.place for bound in bounds if bound.is_segment]
    if any(b - a > _MAX_SPAN for a, b in pairwise([*starts, bounds[-1].place])):
        return None
    headers, ends = bytearray(), array("Q")
    for lead, header in _headers(chosen, bounds):
        if lead > _MAX_LEAD or len(headers) + len(header) > MAX_INSERTED:
            return None
        headers += header
        ends.append(len(headers))
    cuts = array("Q", (bound.place for bound in bounds))
    rest, before = size - cuts[-1], cuts[0]
    headers += _free(rest)
    ends.append(len(headers))
    if max(rest, before) > _MAX_UINT32 - 8 or len(starts) > MAX_SEGMENTS:
        return None
    lengths = [header + b.place - a.place for header, (a, b) in _with_lengths(ends, bounds)]
    index = segment_index(chosen, bounds, lengths, before + 8)
    if index is None:
        return None
    start = initial_boxes(chosen) + index
    return Fragments(start + _free(before), len(start), Interleaving(cuts, ends), bytes(headers))


def _with_lengths(
    ends: Sequence[int], bounds: Sequence[Bound]
) -> Iterator[tuple[int, tuple[Bound, Bound]]]:
    """Yield the bytes of each header, and where what follows it in the file begins and ends."""
    lengths = (end - start for start, end in pairwise((0, *ends)))
    return zip(lengths, pairwise(bounds), strict=False)


def _free(length: int) -> bytes:
    """Return the start of a box (§8.1.2) of which players ignore so many bytes that follow."""
    return struct.pack(">I4s", 8 + length, b"free")


def _chosen(tracks: Sequence[MovieTrack]) -> list[MovieTrack] | None:
    pictures = [track for track in tracks if track.table.track.kind == "video"]
    sounds = [track for track in tracks if track.table.track.kind == "audio"]
    chosen = [*pictures[:1], *sounds[:1]]
    if not pictures or not all(plays_everywhere(sound.table.track) for sound in sounds[:1]):
        return None
    start = movie_start(chosen)
    return chosen if all(track.timing.start - start <= _MAX_WAIT for track in chosen) else None


def _headers(
    chosen: Sequence[MovieTrack], bounds: Sequence[Bound]
) -> Iterator[tuple[float, bytes]]:
    """Yield the headers, and by how many seconds the sound after each is later than the picture."""
    start = movie_start(chosen)
    positions = [0 for _ in chosen]
    clocks = [max(0, round((t.timing.start - start) * t.timing.timescale)) for t in chosen]
    for number, (bound, following) in enumerate(pairwise(bounds), 1):
        begun = [clock / t.timing.timescale for clock, t in zip(clocks, chosen, strict=True)]
        parts = []
        for index, track in enumerate(chosen):
            first = positions[index]
            end = bisect_left(track.table.offsets, following.place, first)
            if end > first:
                parts.append(TrackFrames(index + 1, track, first, end, clocks[index]))
                clocks[index] += sum(track.timing.durations[first:end])
                positions[index] = end
        header = fragment_header(number, parts, bound.place, following.place)
        yield begun[-1] - begun[0] if len(parts) > 1 else 0.0, header
