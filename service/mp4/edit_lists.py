"""Plans how the clock of an MP4 is set to begin at 0, by shortening its tracks' empty edits.

An empty edit delays a track (ISO/IEC 14496-12 §8.6.6). The delay that all tracks share is the time
at which the film begins on its own clock. Chromium does not seek beyond the film's length on that
clock. Firefox reads a delay in units of the track, not of the movie (docs/architecture.md, "Time on
the page"): where picture or sound still waits for the other, the movie gets the track's units."""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from service.mp4.boxes import MAX_HEADER_LENGTH, Box, box_at
from service.mp4.sample_tables import HeaderPatch
from service.protocol.ranges import Span

_MAX_CHILDREN = 1000  # of a box; an index has one for each track
_MAX_FIELDS_LENGTH = 36  # bytes of a box that are read: to the end of the duration in tkhd
_MIN_SHIFT = 0.05  # seconds; less is a frame, or the delay of an audio encoder
_EMPTY = -1  # media_time of an empty edit
_MAX_EDITS = 100  # of a track; a film that was cut together has some dozens
_MEDIA_HANDLERS = {b"vide", b"soun"}


@dataclass(frozen=True, slots=True)
class _Number:
    """An unsigned number, and where it is in the file."""

    start: int
    width: int
    value: int

    @property
    def unknown(self) -> int:
        """The number that says that it is not known."""
        return (1 << 8 * self.width) - 1

    def less(self, by: int) -> "_Number":
        """Return the number less `by`, or an unknown one as it is."""
        value = self.value if self.value == self.unknown else max(0, self.value - by)
        return replace(self, value=value)

    def scaled(self, old: int, new: int) -> "_Number":
        """Return the number in `new` units a second instead of `old`, or an unknown one as it is.

        Raises OverflowError.
        """
        if self.value == self.unknown:
            return self
        value = (self.value * new + old // 2) // old
        if value >= self.unknown:
            raise OverflowError
        return replace(self, value=value)


@dataclass(frozen=True, slots=True)
class _Track:
    is_media: bool
    """Whether it is picture or sound."""
    duration: _Number
    delay: _Number | None
    """The duration of the empty edit that it begins with."""
    edits: tuple[_Number, ...]
    """The durations of the other edits."""
    scale: int
    """Units of its own clock in a second; 0 if it is damaged."""


class _Movie(NamedTuple):
    scale: _Number
    """Units of its clock in a second."""
    duration: _Number


class _DamagedError(Exception):
    """The boxes of an index are not as they should be."""


def plan_clock(index: Box) -> Generator[Span, bytes, tuple[HeaderPatch, ...]]:
    """Plan the patches of an index (moov) after which the first track begins at 0.

    Yield spans of the file to read, and receive their bytes. Positions in the patches are relative
    to the index. There are none where picture and sound begin at 0, or the index is damaged. Text
    tracks that begin at 0 are not shifted: browsers do not read them.
    """
    try:
        return (yield from _patches(index))
    except (_DamagedError, struct.error):
        return ()


def _patches(index: Box) -> Generator[Span, bytes, tuple[HeaderPatch, ...]]:
    movie: _Movie | None = None
    tracks = []
    for child in (yield from _children(index)):
        if child.type == b"mvhd":
            movie = yield from _movie_header(child)
        elif child.type == b"trak":
            tracks.append((yield from _track(child)))
        elif child.type == b"mvex":  # its fragments have the movie's units, too
            return ()
    if movie is None or not movie.scale.value:
        return ()
    old = movie.scale.value
    media = [track for track in tracks if track.is_media]
    delays = [track.delay.value if track.delay else 0 for track in media]
    shift = min(delays, default=0)
    shift = shift if shift >= _MIN_SHIFT * old else 0
    new = _common_scale(media, [delay - shift for delay in delays], old)
    numbers = [movie.duration.less(shift)] if shift or new != old else []
    for track in tracks if shift or new != old else ():
        by = min(shift, track.delay.value) if track.delay else 0
        numbers += [track.duration.less(by), *([track.delay.less(by)] if track.delay else [])]
        numbers += track.edits
    try:
        changed = [
            replace(movie.scale, value=new),
            *(number.scaled(old, new) for number in numbers),
        ]
    except OverflowError:
        changed = numbers
    values = {number.start: number.value for number in _numbers(movie, tracks)}
    return tuple(
        HeaderPatch(number.start - index.start, number.width, number.value)
        for number in sorted(changed, key=lambda number: number.start)
        if number.value != values[number.start]
    )


def _common_scale(media: list[_Track], delays: list[int], old: int) -> int:
    """Return the units of the tracks that wait for others; `old` if they differ or none waits."""
    scales = {
        track.scale for track, delay in zip(media, delays, strict=True) if delay >= _MIN_SHIFT * old
    }
    return scales.pop() or old if len(scales) == 1 else old


def _numbers(movie: _Movie, tracks: list[_Track]) -> Iterator[_Number]:
    yield from movie
    for track in tracks:
        yield from (track.duration, *track.edits, *([track.delay] if track.delay else []))


def _movie_header(box: Box) -> Generator[Span, bytes, _Movie]:
    """Read mvhd (§8.2.2): the time units in a second, and the duration."""
    fields = yield from _fields(box)
    start, width = (20, 8) if fields[0] else (12, 4)
    scale, duration = struct.unpack_from(">IQ" if fields[0] else ">II", fields, start)
    at = box.payload_offset + start
    return _Movie(_Number(at, 4, scale), _Number(at + 4, width, duration))


def _track(box: Box) -> Generator[Span, bytes, _Track]:
    is_media, duration, scale = False, None, 0
    edits: tuple[_Number | None, tuple[_Number, ...]] = (None, ())
    for child in (yield from _children(box)):
        if child.type == b"tkhd":
            duration = yield from _track_duration(child)
        elif child.type == b"edts":
            for part in (yield from _children(child)):
                if part.type == b"elst":
                    edits = yield from _edits(part)
        elif child.type == b"mdia":
            is_media, scale = yield from _media(child)
    if duration is None:
        raise _DamagedError
    return _Track(is_media, duration, *edits, scale)


def _media(box: Box) -> Generator[Span, bytes, tuple[bool, int]]:
    """Return whether a track is picture or sound, and its time units in a second."""
    is_media, scale = False, 0
    for child in (yield from _children(box)):
        if child.type == b"hdlr":  # §8.4.3
            is_media = (yield from _fields(child))[8:12] in _MEDIA_HANDLERS
        elif child.type == b"mdhd":  # §8.4.2
            fields = yield from _fields(child)
            (scale,) = struct.unpack_from(">I", fields, 20 if fields[0] else 12)
    return is_media, scale


def _track_duration(box: Box) -> Generator[Span, bytes, _Number]:
    """Read the duration in tkhd (§8.3.2)."""
    fields = yield from _fields(box)
    offset, width = (28, 8) if fields[0] else (20, 4)
    (value,) = struct.unpack_from(">Q" if width == 8 else ">I", fields, offset)  # noqa: PLR2004 # bytes
    return _Number(box.payload_offset + offset, width, value)


def _edits(box: Box) -> Generator[Span, bytes, tuple[_Number | None, tuple[_Number, ...]]]:
    """Read elst (§8.6.6): the duration of an empty first entry, and those of the others."""
    fields = yield from _fields(box)
    entry, width = (">QqI", 8) if fields[0] else (">IiI", 4)
    length = struct.calcsize(entry)
    count = int.from_bytes(fields[4:8], "big")
    start = box.payload_offset + 8
    if count > _MAX_EDITS or start + count * length > box.end:
        raise _DamagedError
    data = (yield Span(start, count * length)) if count else b""
    entries = list(struct.iter_unpack(entry, data))
    numbers = [_Number(start + at * length, width, one[0]) for at, one in enumerate(entries)]
    if entries and entries[0][1] == _EMPTY:
        return numbers[0], tuple(numbers[1:])
    return None, tuple(numbers)


def _children(parent: Box) -> Generator[Span, bytes, list[Box]]:
    """Read the headers of the boxes in a box."""
    children: list[Box] = []
    position = parent.payload_offset
    while position + 8 <= parent.end:
        header = yield Span(position, min(MAX_HEADER_LENGTH, parent.end - position))
        child = box_at(header, position, parent.end)
        if child is None or child.end > parent.end or len(children) == _MAX_CHILDREN:
            raise _DamagedError
        children.append(child)
        position = child.end
    return children


def _fields(box: Box) -> Generator[Span, bytes, bytes]:
    """Read the first fields of a box, at least its version."""
    length = min(_MAX_FIELDS_LENGTH, box.end - box.payload_offset)
    if length <= 0:
        raise _DamagedError
    fields = yield Span(box.payload_offset, length)
    if not fields:
        raise _DamagedError
    return fields
