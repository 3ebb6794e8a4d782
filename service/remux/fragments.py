"""Makes a fragmented MP4 of a Matroska file (ISO/IEC 14496-12 §8.8): a header for players, and one
in front of every few seconds of the file. So players need no index of the whole film to begin."""

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from service.mp4.fragment_table import FragmentTable
from service.protocol.revisions import header_digest
from service.remux.fragment_headers import TrackFrames, fragment_header, movie_header
from service.remux.movie import MovieTrack, movie_start
from service.remux.track_choice import plays_everywhere

# Seconds of a fragment, at least, as it ends before a key frame. Chromium 156 loads one whole
# before it shows anything, and two after a seek: of 4 Mbit/s over 20, with key frames every 2 s,
# seeks took 1.8 s with fragments of 2 s, 3.5 s with 4 s and 4.9 s with 6 s (2026-11-29).
_SECONDS = 2
_EARLIER = 0.05  # seconds: a key frame that is only rounded to be early is taken

# Seconds that the picture or the sound may wait for the other. Chromium 156 waits for data without
# end if those at the beginning are further away.
_MAX_WAIT = 0.9

# Bytes of a header: one is decompressed at once. A fragment with 20 minutes has as many.
_MAX_HEADER = 1 << 20

_MAX_SPAN = 1 << 30  # bytes of the file in a fragment

_MAX_HEADERS = 1 << 26
"""Bytes of all headers. `nginx/njs/cache_lookup.js` counts on it."""

_MAX_STORED = 1 << 24
"""Bytes of what is stored, which a worker's answer has besides the header of the MP4."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """The headers, and where they and the spans of the file are."""

    headers: bytes
    """Each compressed by zlib (RFC 1950): they have a third of their bytes."""
    table: bytes
    """A `FragmentTable`."""

    @property
    def digest(self) -> str:
        """Return the digest for the revision."""
        return header_digest([self.headers, self.table])


def make_fragments(tracks: Sequence[MovieTrack]) -> Fragments | None:
    """Return the fragments of the picture and the sound that all browsers play.

    Return None for a film that players get better otherwise: one without a picture or whose sound
    not all browsers play, or whose fragments would be too long.
    """
    chosen = _chosen(tracks)
    if chosen is None:
        return None
    headers, starts, stored = bytearray(), [0], [0]
    bounds = _bounds(chosen)
    places, times = [bounds[0].place], [0, *(bound.time for bound in bounds)]
    for place, header in _headers(chosen, bounds):
        if len(header) > _MAX_HEADER or place - places[-1] > _MAX_SPAN:
            return None
        headers += zlib.compress(header)
        stored.append(len(headers))
        starts.append(starts[-1] + len(header) + place - places[-1])
        places.append(place)
    table = FragmentTable(starts, places, stored, times).to_bytes()
    added = starts[-1] - places[-1] + places[0]
    is_long = added > _MAX_HEADERS or len(headers) + len(table) > _MAX_STORED
    return None if is_long else Fragments(bytes(headers), table)


def _chosen(tracks: Sequence[MovieTrack]) -> list[MovieTrack] | None:
    pictures = [track for track in tracks if track.table.track.kind == "video"]
    sounds = [track for track in tracks if track.table.track.kind == "audio"]
    chosen = [*pictures[:1], *sounds[:1]]
    if not pictures or not all(plays_everywhere(sound.table.track) for sound in sounds[:1]):
        return None
    start = movie_start(chosen)
    return chosen if all(track.timing.start - start <= _MAX_WAIT for track in chosen) else None


class _Bound(NamedTuple):
    """Where a fragment begins."""

    place: int
    """In the file."""
    time: int
    """Microseconds."""


def _bounds(chosen: Sequence[MovieTrack]) -> list[_Bound]:
    """Return where the fragments begin, and where the last one ends."""
    picture, start = chosen[0], movie_start(chosen)
    timescale, offsets = picture.timing.timescale, picture.table.offsets
    wait = picture.timing.start - start
    first = min(track.table.offsets[0] for track in chosen)
    bounds, begun = [_Bound(first, 0)], 0
    decoded = accumulate(picture.timing.durations, initial=0)
    for number, (is_key, time) in enumerate(zip(picture.table.keys, decoded, strict=False)):
        if is_key and time - begun >= (_SECONDS - _EARLIER) * timescale:
            shown = round(1e6 * (wait + time / timescale))
            bounds.append(_Bound(offsets[number], max(0, shown)))
            begun = time
    place = max(t.table.offsets[-1] + t.table.sizes[-1] for t in chosen)
    length = max(t.timing.start - start + t.timing.length / t.timing.timescale for t in chosen)
    return [*bounds, _Bound(place, max(bounds[-1].time, round(1e6 * length)))]


def _headers(chosen: Sequence[MovieTrack], bounds: Sequence[_Bound]) -> Iterator[tuple[int, bytes]]:
    """Yield the headers, and where what follows each in the file ends."""
    yield bounds[0].place, movie_header(chosen)
    start = movie_start(chosen)
    positions = array("Q", bytes(8 * len(chosen)))
    clocks = [max(0, round((t.timing.start - start) * t.timing.timescale)) for t in chosen]
    for number, (bound, following) in enumerate(pairwise(bounds), 1):
        parts = []
        for index, track in enumerate(chosen):
            first = positions[index]
            end = bisect_left(track.table.offsets, following.place, first)
            if end > first:
                parts.append(TrackFrames(index + 1, track, first, end, clocks[index]))
                clocks[index] += sum(track.timing.durations[first:end])
                positions[index] = end
        yield following.place, fragment_header(number, parts, bound.place, following.place)
