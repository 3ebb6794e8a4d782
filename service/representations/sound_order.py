"""Plans an MP4 in which another of its sounds comes first and is the only enabled one.

Chromium plays the first enabled sound, Firefox the first one. Only the order of the tracks in the
index (moov) and a flag of each track change; lengths and positions stay. There is no I/O here: the
planner yields the spans to read."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from service.mp4.boxes import LEADING_TYPES, MAX_BOXES, MAX_HEADER_LENGTH, Box, box_at
from service.protocol.ranges import Span

_MAX_CHILDREN = 10_000  # of the index, its tracks and their media, that are read
_ENABLED = 1  # ISO/IEC 14496-12 §8.3.2: track_enabled, the lowest bit of the flags of tkhd

_Reads = Generator[Span, bytes, Box | None]


@dataclass(frozen=True, slots=True)
class SoundOrder:
    """The changes to the bytes of an MP4. Their number stays the same."""

    first: int
    """Where the track of the first sound begins."""
    chosen: Span
    """The track of the sound that is to be the first one: it moves there."""
    flags: tuple[tuple[int, int], ...]
    """Positions of bytes before the move, in order, and their new values."""

    @property
    def end(self) -> int:
        """The first byte after all that is changed."""
        return max(self.chosen.end, *(at + 1 for at, _ in self.flags))

    def map_span(self, span: Span) -> Iterator[Span]:
        """Yield where the bytes of a span come from, in order."""
        moved = self.first + self.chosen.length
        parts = (
            (0, self.first, 0),
            (self.first, moved, self.chosen.start - self.first),
            (moved, self.chosen.end, -self.chosen.length),
            (self.chosen.end, span.end, 0),
        )
        for start, end, shift in parts:
            begin, stop = max(span.start, start), min(span.end, end)
            if begin < stop:
                yield Span(begin + shift, stop - begin)

    def patch(self, start: int, data: bytes) -> bytes:
        """Return bytes that begin at a position before the move, with their new values."""
        inside = [(at - start, value) for at, value in self.flags if 0 <= at - start < len(data)]
        if not inside:
            return data
        changed = bytearray(data)
        for at, value in inside:
            changed[at] = value
        return bytes(changed)


@dataclass(slots=True)
class _Track:
    box: Box
    kind: bytes = b""
    """The type of its handler (§8.4.3): soun, vide or another."""
    flags: tuple[int, int] | None = None
    """The position of the byte with the flag, and the byte."""


def plan_sound_order(size: int, place: int) -> Generator[Span, bytes, SoundOrder | None]:
    """Plan the order for an MP4 of `size` bytes. Its sound at `place`, from 1, becomes the first.

    Yield spans to read and receive their bytes. Return None if it has no such sound, or is no MP4
    or damaged.
    """
    moov = yield from _find_moov(size)
    if moov is None or moov.end > size:
        return None
    tracks = yield from _tracks(moov)
    sounds = [track for track in tracks if track.kind == b"soun"]
    if place > len(sounds) or any(track.flags is None for track in tracks):
        return None
    chosen = sounds[place - 1]
    enabled = [chosen]
    pictures = [track for track in tracks if track.kind == b"vide"]
    # Where no track is enabled, Chromium plays the first ones; now one is.
    if pictures and not any(map(_is_enabled, pictures)):
        enabled.append(pictures[0])
    changes = [
        (at, value | _ENABLED if track in enabled else value & ~_ENABLED)
        for track in (*sounds, *enabled[1:])
        if track.flags is not None
        for at, value in (track.flags,)
    ]
    span = Span(chosen.box.start, chosen.box.end - chosen.box.start)
    return SoundOrder(sounds[0].box.start, span, tuple(sorted(changes)))


def _is_enabled(track: _Track) -> bool:
    return track.flags is not None and bool(track.flags[1] & _ENABLED)


def _find_moov(size: int) -> _Reads:
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > size:
            return None
        header = yield Span(position, min(MAX_HEADER_LENGTH, size - position))
        box = box_at(header, position, size)
        if box is None or (position == 0 and box.type not in LEADING_TYPES):
            return None
        if box.type == b"moov":
            return box
        position = box.end
    return None


def _tracks(moov: Box) -> Generator[Span, bytes, list[_Track]]:
    tracks: list[_Track] = []
    # Boxes whose children are read, the next one last.
    position, ends = moov.payload_offset, [moov.end]
    for _ in range(_MAX_CHILDREN):
        while ends and position + 8 > ends[-1]:
            position = ends.pop()
        if not ends:
            break
        header = yield Span(position, min(MAX_HEADER_LENGTH, ends[-1] - position))
        box = box_at(header, position, ends[-1])
        if box is None or box.end > ends[-1]:
            break
        if box.type == b"trak":
            tracks.append(_Track(box))
        elif tracks and box.type in {b"tkhd", b"hdlr"} and box.end <= tracks[-1].box.end:
            content = yield Span(box.payload_offset, min(12, box.end - box.payload_offset))
            _note(tracks[-1], box, content)
        is_parent = box.type in {b"trak", b"mdia"}
        if is_parent:
            ends.append(box.end)
        position = box.payload_offset if is_parent else box.end
    return tracks


def _note(track: _Track, box: Box, content: bytes) -> None:
    """Take what the beginning of the content of tkhd or hdlr says of a track."""
    if box.type == b"tkhd" and len(content) >= 4:  # noqa: PLR2004 # version and flags
        track.flags = box.payload_offset + 3, content[3]
    elif box.type == b"hdlr" and not track.kind:
        track.kind = content[8:12]
