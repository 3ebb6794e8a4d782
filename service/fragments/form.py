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

from service.fragments.headers import TrackFrames, fragment_header, initial_boxes
from service.fragments.segments import MAX_SEGMENTS, Bound, find_bounds, segment_index
from service.matroska.window import DeclinedError
from service.mp4.moov import LONG_INDEX_BYTES
from service.remux.misfits import declines_misfits
from service.remux.movie import MovieTrack, movie_start
from service.remux.track_choice import plays_everywhere
from service.representations.interleaving import Interleaving

# Seconds that the picture or the sound may wait for the other. Chromium 156 waits for data without
# end if those at the beginning are further away.
_MAX_WAIT = 0.9

# Seconds that sound may be stored before its picture. A player that seeks loads the segment before,
# too, if the sound of the position is not in the one of the picture (static/stream.js).
_MAX_LEAD = 1.0
# Seconds that it may be stored after its picture. A player that seeks loads three seconds at once.
_MAX_LAG = 2.0

_MAX_UINT32 = 2**32 - 1
# Bytes of the file in a segment. The page loads a segment as a whole, and browsers keep a limited
# number of bytes: Firefox 100 MB of pictures (media.mediasource.eviction_threshold.video), Chromium
# 150 MB.
_MAX_SPAN = 1 << 26

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
    codecs: tuple[str, ...]
    """The RFC 6381 codecs parameters of its tracks; empty if one is unknown."""


def long_forms(
    header: bytes, tracks: Sequence[MovieTrack], streams: Sequence[int], size: int
) -> Iterator[tuple[int | None, Fragments]]:
    """Yield the forms of a film with this header, as `make_forms` does; none if it is short."""
    return make_forms(tracks, streams, size) if len(header) > LONG_INDEX_BYTES else iter(())


def make_forms(
    tracks: Sequence[MovieTrack], streams: Sequence[int], size: int, start: float | None = None
) -> Iterator[tuple[int | None, Fragments]]:
    """Yield the fragmented forms of a file with each of its sounds, if there is one with the first.

    `streams` are the indexes of FFmpeg's streams of the tracks. Each form comes with the index of
    its sound, which is None if the film has no sound. `size` and `start` are as for
    `make_fragments`.
    """
    pictures = [track for track in tracks if track.table.track.kind == "video"]
    with_index = list(zip(tracks, streams, strict=True))
    sounds = [(track, i) for track, i in with_index if track.table.track.kind == "audio"]
    begin = movie_start(tracks) if start is None else start
    first = make_fragments(tracks, size, begin)
    if first is None:
        return
    yield sounds[0][1] if sounds else None, first
    for track, index in sounds[1:]:
        fragments = make_fragments([*pictures, track], size, begin)
        if fragments is not None:
            yield index, fragments


def make_fragments(
    tracks: Sequence[MovieTrack], size: int, start: float | None = None
) -> Fragments | None:
    """Return the fragmented form of a file of `size` bytes, with the first picture and sound.

    `start` is when the film begins on the file's clock, in seconds; None: when these two begin.

    Return None for a film that is not suitable: without a picture, with sound that some browsers do
    not play, with frames that are too far apart, too many or overlap in the file, with too few key
    frames, or with times that do not fit into its boxes.
    """
    try:
        with declines_misfits():
            return _make_fragments(tracks, size, start)
    except DeclinedError:
        return None


def _make_fragments(
    tracks: Sequence[MovieTrack], size: int, start: float | None
) -> Fragments | None:
    begin = movie_start(tracks) if start is None else start
    chosen = _chosen(tracks, begin)
    bounds = find_bounds(chosen) if chosen else []
    if not chosen or not bounds:
        return None
    starts = [bound.place for bound in bounds if bound.is_segment]
    if any(b - a > _MAX_SPAN for a, b in pairwise([*starts, bounds[-1].place])):
        return None
    if _divides_frames(chosen, bounds):
        return None
    headers, ends = bytearray(), array("Q")
    for lead, header in _headers(chosen, bounds, begin):
        if not -_MAX_LAG <= lead <= _MAX_LEAD or len(headers) + len(header) > MAX_INSERTED:
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
    index = segment_index(chosen, bounds, lengths, before + 8, begin)
    if index is None:
        return None
    head = initial_boxes(chosen, begin) + index
    codecs = [track.entry.codec for track in chosen]
    return Fragments(
        head=head + _free(before),
        index_end=len(head),
        interleaving=Interleaving(cuts, ends),
        headers=bytes(headers),
        codecs=tuple(codec for codec in codecs if codec) if all(codecs) else (),
    )


def _with_lengths(
    ends: Sequence[int], bounds: Sequence[Bound]
) -> Iterator[tuple[int, tuple[Bound, Bound]]]:
    """Yield the bytes of each header, and where what follows it in the file begins and ends."""
    lengths = (end - start for start, end in pairwise((0, *ends)))
    return zip(lengths, pairwise(bounds), strict=False)


def _free(length: int) -> bytes:
    """Return the start of a box (§8.1.2) that makes players ignore the next `length` bytes."""
    return struct.pack(">I4s", 8 + length, b"free")


def _chosen(tracks: Sequence[MovieTrack], start: float) -> list[MovieTrack] | None:
    pictures = [track for track in tracks if track.table.track.kind == "video"]
    sounds = [track for track in tracks if track.table.track.kind == "audio"]
    chosen = [*pictures[:1], *sounds[:1]]
    if not pictures or not all(plays_everywhere(sound.table.track) for sound in sounds[:1]):
        return None
    return chosen if all(track.timing.start - start <= _MAX_WAIT for track in chosen) else None


def _divides_frames(chosen: Sequence[MovieTrack], bounds: Sequence[Bound]) -> bool:
    """Return whether a fragment would begin within a frame."""
    for track in chosen:
        offsets, sizes, last = track.table.offsets, track.table.sizes, 0
        for bound in bounds:
            last = bisect_left(offsets, bound.place, last)
            if last and offsets[last - 1] + sizes[last - 1] > bound.place:
                return True
    return False


def _headers(
    chosen: Sequence[MovieTrack], bounds: Sequence[Bound], start: float
) -> Iterator[tuple[float, bytes]]:
    """Yield the headers, and by how many seconds the sound after each is later than the picture."""
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
