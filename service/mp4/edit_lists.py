"""Plans how the clock of an MP4 is set to begin at 0, by shortening its tracks' empty edits.

An empty edit delays a track (ISO/IEC 14496-12 §8.6.6). The delay that all tracks share is the time
at which the film begins on its own clock. Chromium does not seek beyond the film's length on that
clock, and Firefox delays each track by another time (docs/architecture.md, "Time on the page")."""

import struct
from collections.abc import Generator
from dataclasses import dataclass

from service.mp4.boxes import MAX_HEADER_LENGTH, Box, box_at
from service.mp4.sample_tables import HeaderPatch
from service.protocol.ranges import Span

_MAX_CHILDREN = 1000  # of a box; an index has one for each track
_MAX_FIELDS_LENGTH = 36  # bytes of a box that are read: to the end of the duration in tkhd
_MIN_SHIFT = 0.05  # seconds; less is a frame, or the delay of an audio encoder
_EMPTY = -1  # media_time of an empty edit
_MEDIA_HANDLERS = {b"vide", b"soun"}


@dataclass(frozen=True, slots=True)
class _Number:
    """An unsigned number, and where it is in the file."""

    start: int
    width: int
    value: int

    def less(self, by: int, origin: int) -> HeaderPatch:
        """Return the patch that subtracts `by`; its position is relative to `origin`."""
        is_unknown = self.value == 256**self.width - 1
        value = self.value if is_unknown else max(0, self.value - by)
        return HeaderPatch(self.start - origin, self.width, value)


@dataclass(frozen=True, slots=True)
class _Track:
    is_media: bool
    """Whether it is picture or sound."""
    duration: _Number
    delay: _Number | None
    """The duration of the empty edit that it begins with."""


class _DamagedError(Exception):
    """The boxes of an index are not as they should be."""


def plan_clock(index: Box) -> Generator[Span, bytes, tuple[HeaderPatch, ...]]:
    """Plan the patches of an index (moov) after which the first track begins at 0.

    Yield spans of the file to read, and receive their bytes. Positions in the patches are relative
    to the index. There are none where picture or sound begin at 0, or the index is damaged. Text
    tracks that begin at 0 are not changed: browsers do not read them.
    """
    try:
        return (yield from _patches(index))
    except (_DamagedError, struct.error):
        return ()


def _patches(index: Box) -> Generator[Span, bytes, tuple[HeaderPatch, ...]]:
    movie: tuple[int, _Number] | None = None
    tracks = []
    for child in (yield from _children(index)):
        if child.type == b"mvhd":
            movie = yield from _movie_header(child)
        elif child.type == b"trak":
            track = yield from _track(child)
            if track.is_media and track.delay is None:
                return ()
            tracks.append(track)
    shift = min((t.delay.value for t in tracks if t.delay and t.is_media), default=0)
    if movie is None or not shift or shift < _MIN_SHIFT * movie[0]:
        return ()
    patches = [movie[1].less(shift, index.start)]
    for track in tracks:
        if track.delay:
            by = min(shift, track.delay.value)
            patches += [number.less(by, index.start) for number in (track.delay, track.duration)]
    return tuple(sorted(patches))


def _movie_header(box: Box) -> Generator[Span, bytes, tuple[int, _Number]]:
    """Read mvhd (§8.2.2): the time units in a second, and the duration."""
    fields = yield from _fields(box)
    if fields[0]:
        scale, duration = struct.unpack_from(">IQ", fields, 20)
        return scale, _Number(box.payload_offset + 24, 8, duration)
    scale, duration = struct.unpack_from(">II", fields, 12)
    return scale, _Number(box.payload_offset + 16, 4, duration)


def _track(box: Box) -> Generator[Span, bytes, _Track]:
    is_media, duration, delay = False, None, None
    for child in (yield from _children(box)):
        if child.type == b"tkhd":
            duration = yield from _track_duration(child)
        elif child.type == b"edts":
            for edits in (yield from _children(child)):
                if edits.type == b"elst":
                    delay = yield from _delay(edits)
        elif child.type == b"mdia":
            for part in (yield from _children(child)):
                if part.type == b"hdlr":  # §8.4.3
                    is_media = (yield from _fields(part))[8:12] in _MEDIA_HANDLERS
    if duration is None:
        raise _DamagedError
    return _Track(is_media, duration, delay)


def _track_duration(box: Box) -> Generator[Span, bytes, _Number]:
    """Read the duration in tkhd (§8.3.2)."""
    fields = yield from _fields(box)
    offset, width = (28, 8) if fields[0] else (20, 4)
    (value,) = struct.unpack_from(">Q" if width == 8 else ">I", fields, offset)  # noqa: PLR2004 # bytes
    return _Number(box.payload_offset + offset, width, value)


def _delay(box: Box) -> Generator[Span, bytes, _Number | None]:
    """Read the first entry of elst (§8.6.6): its duration if it is empty."""
    fields = yield from _fields(box)
    version, count = fields[0], int.from_bytes(fields[4:8], "big")
    if not count:
        return None
    duration, media_time = struct.unpack_from(">Qq" if version else ">Ii", fields, 8)
    width = 8 if version else 4
    return _Number(box.payload_offset + 8, width, duration) if media_time == _EMPTY else None


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
