"""Fills gaps in the sound of a file with frames of silence, which are inserted into it.

Chromium 156 plays what follows a gap at once and ignores the times: from there on the sound is
early. The silence of a second is stored before the pictures of that second."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter

from service.protocol.ranges import Span
from service.remux.movie import MovieTrack
from service.remux.picture_timing import picture_moments
from service.remux.sample_entries import TrackEntry
from service.remux.track_choice import codec_of
from service.representations.interleaving import WHOLE, Interleaving, Source, map_span
from service.sound.frames import opus_samples

MAX_EARLY = 0.045
"""Seconds that sound may be early, because of all gaps together: more is noticed (ITU-R BT.1359-1
§3)."""

# Frames of silence in a sound: an hour of AAC. Each has 6 bytes in stereo, and one of MP3 some 100.
_MAX_FRAMES = 170_000
_MAX_INSERTED = 1 << 24  # bytes; `nginx/njs/cache_lookup.js` counts on it

# Frames of Opus beside which there may be a gap, or one in 20: more are no gaps, but other lengths,
# as in service/remux/sound_timing.py.
_MAX_READ = 20

_SECONDS = 0.9  # between two parts of a silence: as in service/made_sound/insertions.py

Moments = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class FilledFilm:
    """A film without gaps. The positions of its frames are in the file with the silence."""

    tracks: list[MovieTrack]
    interleaving: Interleaving = WHOLE
    inserted: bytes = b""

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """What is stored; nothing if there were no gaps."""
        return (self.interleaving.to_bytes(), self.inserted) if self.inserted else ()

    def reader(self, size: int, read: Callable[[Span], bytes]) -> Callable[[Span], bytes]:
        """Return a function that reads a file of `size` bytes, with the silence in it."""

        def read_part(source: Source, part: Span) -> bytes:
            return read(part) if source is Source.FILE else self.inserted[part.start : part.end]

        def read_filled(span: Span) -> bytes:
            length = min(span.length, size + len(self.inserted) - span.start)
            parts = map_span(self.interleaving, 0, size, Span(span.start, max(0, length)))
            return b"".join(read_part(*part) for part in parts)

        return read_filled if self.inserted else read


@dataclass(slots=True)
class _Filled:
    """The frames of a track with those of silence."""

    offsets: "array[int]"
    """In the file; of a frame of silence the byte before which it is inserted."""
    sizes: "array[int]"
    durations: "array[int]"
    silent: list[int]
    """The numbers of the frames of silence."""


def fill_gaps(
    tracks: Sequence[MovieTrack],
    entries: Mapping[int, TrackEntry],
    read: Callable[[Span], bytes],
) -> FilledFilm:
    """Return a film with silence in the gaps of its sounds, unless these are too long.

    `read` reads the file. Raises what it raises.
    """
    pictures = [track for track in tracks if track.table.track.kind == "video"]
    moments = picture_moments(pictures[0].table, pictures[0].timing, _SECONDS) if pictures else []
    made = [entries[track.table.track.number] for track in tracks]
    filled = [_fill(track, entry, moments, read) for track, entry in zip(tracks, made, strict=True)]
    places = sorted(
        (frames.offsets[index], number, index)
        for number, frames in enumerate(filled)
        for index in frames.silent
    )
    length = sum(len(made[number].silence) for _, number, _ in places)
    if not 0 < length <= _MAX_INSERTED:
        return FilledFilm(list(tracks))
    cuts, ends, inserted = array("Q"), array("Q"), bytearray()
    found: list[tuple[int, int, int]] = []
    for cut, number, index in places:
        found.append((number, index, cut + len(inserted)))
        inserted += made[number].silence
        if cuts and cuts[-1] == cut:
            ends.pop()
        else:
            cuts.append(cut)
        ends.append(len(inserted))
    interleaving = Interleaving(cuts, ends)
    for frames in filled:
        frames.offsets = array("Q", (at + interleaving.shift(at) for at in frames.offsets))
    for number, index, offset in found:
        filled[number].offsets[index] = offset
    moved = list(map(_with_frames, tracks, filled))
    return FilledFilm(moved, interleaving, bytes(inserted))


def _with_frames(track: MovieTrack, frames: _Filled) -> MovieTrack:
    keys = track.table.keys + b"\1" * len(frames.silent)  # all frames of sound are
    table = replace(track.table, offsets=frames.offsets, sizes=frames.sizes, keys=keys)
    return replace(track, table=table, timing=replace(track.timing, durations=frames.durations))


def _fill(
    track: MovieTrack, made: TrackEntry, moments: Moments, read: Callable[[Span], bytes]
) -> _Filled:
    """Return the frames of a track, with as much silence as it needs."""
    table, timing, frame = track.table, track.timing, made.frame
    as_it_is = _Filled(table.offsets, table.sizes, timing.durations, [])
    if not made.silence or not frame or max(timing.durations) <= frame:
        return as_it_is
    lengths = _lengths(track, frame, read)
    if lengths is None:
        return as_it_is
    filled = _Filled(array("Q"), array("I"), array("q"), [])
    begin, time, early = timing.start - timing.skip / timing.timescale, 0, 0
    ends = [*table.offsets[1:], 0]
    for offset, size, duration, length, back, end in zip(
        table.offsets,
        table.sizes,
        timing.durations,
        lengths,
        _taken_back(timing.durations, lengths),
        ends,
        strict=True,
    ):
        early += duration - length
        count = 0
        if early - back > MAX_EARLY * timing.timescale:
            count = min(round((early - back) / frame), (duration - length - 1) // frame + 1)
        count = max(0, count)
        early -= count * frame
        if len(filled.silent) + count > _MAX_FRAMES:
            return as_it_is
        cut = offset + size
        filled.offsets.append(offset)
        filled.sizes.append(size)
        filled.durations.extend([frame] * count + [duration - count * frame])
        for number in range(1, count + 1):
            second = begin + (time + number * frame) / timing.timescale
            cut = _place(moments, second, cut, end)
            filled.silent.append(len(filled.offsets))
            filled.offsets.append(cut)
            filled.sizes.append(len(made.silence))
        time += duration
    return filled


def _taken_back(durations: Sequence[int], lengths: Sequence[int]) -> "array[int]":
    """Return by how much the frames that follow each one directly are too short together.

    After a single time stamp that is too late, the times of the next frames make up for the gap.
    """
    taken, back = array("q", bytes(8 * len(durations))), 0
    for number in range(len(durations) - 1, -1, -1):
        taken[number] = back
        short = lengths[number] - durations[number]
        back = back + short if short > 0 else 0
    return taken


def _lengths(track: MovieTrack, frame: int, read: Callable[[Span], bytes]) -> "array[int] | None":
    """Return the samples of each frame; None if they vary too much. Only those of Opus vary."""
    table, durations = track.table, track.timing.durations
    lengths = array("q", [frame]) * len(durations)
    if codec_of(table.track) != "opus":
        return lengths
    others = [number for number, duration in enumerate(durations) if duration != frame]
    if len(others) > max(_MAX_READ, len(durations) // _MAX_READ):
        return None
    for number in others:
        start = read(Span(table.offsets[number], min(table.sizes[number], 2)))
        with suppress(ValueError):  # a damaged frame
            lengths[number] = opus_samples(start)
    return lengths


def _place(moments: Moments, second: float, cut: int, end: int) -> int:
    """Return before which byte silence of a second goes: before the pictures of that second, or
    before `cut` if those are not stored between `cut` and `end`.
    """
    number = bisect_right(moments, second, key=itemgetter(1))
    offset = moments[number - 1][0] if number else 0
    return offset if cut < offset <= end else cut
