"""Plans a fast-start layout of an MP4 or MOV: its index (moov) before its media data (mdat), and
its clock from 0.

There is no I/O here: the planner yields the spans to read, so that files and object stores are
read alike."""

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from service.mp4.boxes import LEADING_TYPES, MAX_BOXES, MAX_HEADER_LENGTH, Box, box_at
from service.mp4.edit_lists import plan_clock
from service.mp4.moov import MAX_INDEX_BYTES, MoovPosition, UnsupportedMoovError, relocate
from service.mp4.sample_tables import HeaderPatch, MoovRelocation, OffsetTable
from service.protocol.ranges import Span

SUFFIX = "-f3"
"""The suffix of the layout's revision. Layouts are stored under it, so it must change on all
replicas with any change of the bytes that are made, or of the files that they are made of."""

# At the top level: fragments and their tables (§8.8, §8.16), items, which have positions in the
# file (§8.11), and movies without an index of their own.
_UNSUPPORTED_BOXES = frozenset(
    {b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"meta", b"cmov", b"rmra"}
)


class MoovSpan(NamedTuple):
    """A span of the rewritten index."""

    span: Span
    """Relative to the start of the index."""


@dataclass(frozen=True, slots=True)
class FastStartLayout:
    """How to make the fast-start bytes from a file. It is small, however long the index is."""

    relocation: MoovRelocation
    file_size: int

    segments: tuple[tuple[int, int, int | None], ...] = field(init=False, repr=False)
    """Start and end of each segment in the layout, and its start in the file; None: the index."""

    def __post_init__(self) -> None:
        length = self.relocation.length
        front, back = self.before + length, self.old.start + length
        segments = (
            (0, self.before, 0),
            (self.before, front, None),
            (front, back, self.before),
            (back, self.size, self.old.end),
        )
        object.__setattr__(self, "segments", segments)

    @property
    def before(self) -> int:
        """The number of bytes of the file that stay before the index."""
        return self.relocation.media

    @property
    def displacement(self) -> int:
        """By how many bytes the media data after the start of the new index are moved."""
        return self.relocation.length if self.before < self.old.start else 0

    @property
    def old(self) -> Span:
        """The span of the index in the file."""
        return self.relocation.old

    @property
    def size(self) -> int:
        """The length of the layout in bytes."""
        return self.file_size - self.old.length + self.relocation.length

    def map_span(self, span: Span) -> list[Span | MoovSpan]:
        """Map a span of the layout to spans of the file and of the rewritten index, in order."""
        result: list[Span | MoovSpan] = []
        for start, end, file_offset in self.segments:
            first, last = max(span.start, start), min(span.end, end)
            if first >= last:
                continue
            if file_offset is None:
                result.append(MoovSpan(Span(first - start, last - first)))
            else:
                result.append(Span(file_offset + first - start, last - first))
        return result

    def to_json(self) -> bytes:
        """Serialize the layout for `layout_from_json`."""
        relocation = self.relocation
        fields = {
            "file_size": self.file_size,
            "media": relocation.media,
            "old": [relocation.old.start, relocation.old.length],
            "length": relocation.length,
            "tables": relocation.tables,
            "headers": relocation.headers,
        }
        return json.dumps(fields, separators=(",", ":")).encode()


def layout_from_json(data: bytes) -> FastStartLayout:
    """Parse the output of `FastStartLayout.to_json`. Raises ValueError."""
    try:
        fields = json.loads(data)
        relocation = MoovRelocation(
            media=fields["media"],
            old=Span(*fields["old"]),
            length=fields["length"],
            tables=tuple(OffsetTable(*table) for table in fields["tables"]),
            headers=tuple(HeaderPatch(*header) for header in fields["headers"]),
        )
        return FastStartLayout(relocation, fields["file_size"])
    except (KeyError, TypeError) as error:
        raise ValueError("this is no layout") from error


ReadRequests = Generator[Span, bytes, FastStartLayout | None]
"""Yields spans of a file to read, receives their bytes, and returns the layout or None."""


def plan_fast_start(size: int) -> ReadRequests:
    """Plan the layout of a file of `size` bytes; None if it is served unchanged.

    That is the case if it is no MP4, or is damaged. If its index is in front, only numbers in it
    are changed, and only if its clock does not begin at 0. An index that is not in front is not
    moved if the file is fragmented or refers to other files. Time and memory are then proportional
    to the index, at most MAX_INDEX_BYTES.
    """
    try:
        moov_position = yield from _scan_top_level_boxes(size)
        old = Span(moov_position.index.start, moov_position.length)
        clock = yield from plan_clock(moov_position.index)
        if moov_position.is_in_front:
            relocation = MoovRelocation(old.start, old, old.length, (), clock)
            return FastStartLayout(relocation, size) if clock else None
        if old.length > MAX_INDEX_BYTES:
            return None
        moov = yield old
        if len(moov) != old.length:
            return None
        return FastStartLayout(relocate(moov, moov_position, clock), size)
    except UnsupportedMoovError:
        return None


def _scan_top_level_boxes(size: int) -> Generator[Span, bytes, MoovPosition]:
    """Read the headers of the top-level boxes, of all if the index is not in front.

    Raises UnsupportedMoovError.
    """
    media: int | None = None
    index: Box | None = None
    position = 0
    for _ in range(MAX_BOXES):
        header = yield Span(position, min(MAX_HEADER_LENGTH, size - position))
        box = box_at(header, position, size)
        if box is None or box.end > size or box.type in _UNSUPPORTED_BOXES:
            raise UnsupportedMoovError
        if position == 0 and box.type not in LEADING_TYPES:
            raise UnsupportedMoovError
        if box.type == b"moov":
            if media is None:
                return MoovPosition(size, position, box)
            if index is not None:
                raise UnsupportedMoovError  # one of several
            index = box
        if box.type == b"mdat" and media is None:
            media = position
        position = box.end
        if position == size and media is not None and index is not None:
            return MoovPosition(size, media, index)
    raise UnsupportedMoovError


def resume(requests: ReadRequests, data: bytes | None) -> Span | FastStartLayout | None:
    """Send the bytes of the last span, None at first; return the next span or the result."""
    try:
        return next(requests) if data is None else requests.send(data)
    except StopIteration as end:
        layout: FastStartLayout | None = end.value
        return layout


def fast_start_layout(file: BinaryIO, size: int) -> FastStartLayout | None:
    """Return the layout of an open file, or None. Raises what `file` raises."""
    requests = plan_fast_start(size)
    step = resume(requests, None)
    while isinstance(step, Span):
        file.seek(step.start)
        step = resume(requests, file.read(step.length))
    return step
