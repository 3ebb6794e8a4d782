"""An MP4 or MOV laid out anew: its index (moov) before its media data (mdat), all else in order.
Law: no I/O. What is to be read is asked for, so that files and object stores are read alike."""

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from service.mp4.boxes import LEADING_TYPES, MAX_BOXES, MAX_HEADER_LENGTH, Box, box_at
from service.mp4.moov import MAX_INDEX_BYTES, MoovPosition, UnsupportedMoovError, relocate
from service.mp4.sample_tables import HeaderPatch, MoovRelocation, OffsetTable
from service.protocol.ranges import Span

SUFFIX = "-f1"
"""What the layout's revision has more than the file's: the first of its kind. Whatever changes the
bytes that are made of a file, or of which files they are made, has to change this, too, on all
replicas: layouts are kept under it."""

# At the top level: fragments and their tables (§8.8, §8.16), items, which are found by places in
# the file (§8.11), and movies without an index of their own.
_UNSUPPORTED_BOXES = frozenset(
    {b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"meta", b"cmov", b"rmra"}
)


class MoovSpan(NamedTuple):
    """A part of a layout that lies in the rewritten index."""

    span: Span
    """From the index's beginning."""


@dataclass(frozen=True, slots=True)
class FastStartLayout:
    """How the bytes that players get are made of a file's. Small, however long the index is."""

    relocation: MoovRelocation
    file_size: int

    segments: tuple[tuple[int, int, int | None], ...] = field(init=False, repr=False)
    """Where each begins and ends in the layout, and where in the file: None: the index."""

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
        """The bytes of the file that stay in front of the index."""
        return self.relocation.media

    @property
    def old(self) -> Span:
        """The index in the file."""
        return self.relocation.old

    @property
    def size(self) -> int:
        """The bytes of the whole."""
        return self.file_size - self.old.length + self.relocation.length

    def map_span(self, span: Span) -> list[Span | MoovSpan]:
        """Give a span's bytes in order: spans of the file, and those of the rewritten index."""
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
        """Give what `layout_from_json` reads."""
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
    """Read what `FastStartLayout.to_json` wrote. Raises ValueError for anything else."""
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
"""Asks for spans of a file, is given their bytes, and returns in the end."""


def plan_fast_start(size: int) -> ReadRequests:
    """Work out the layout of a file of `size` bytes; None where it is served as it is.

    That is every file that is no MP4, has its index in front, is fragmented, refers to others, or
    is damaged. Takes time and memory in proportion to the index, LARGEST_INDEX at most.
    """
    try:
        moov_position = yield from _scan_top_level_boxes(size)
        old = Span(moov_position.index.start, moov_position.length)
        if old.length > MAX_INDEX_BYTES:
            return None
        moov = yield old
        if len(moov) != old.length:
            return None
        return FastStartLayout(relocate(moov, moov_position), size)
    except UnsupportedMoovError:
        return None


def _scan_top_level_boxes(size: int) -> Generator[Span, bytes, MoovPosition]:
    """Read the headers of the file's boxes, to its end. Raises LeftAloneError."""
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
            if media is None or index is not None:
                raise UnsupportedMoovError  # in front already, or one of several
            index = box
        if box.type == b"mdat" and media is None:
            media = position
        position = box.end
        if position == size and media is not None and index is not None:
            return MoovPosition(size, media, index)
    raise UnsupportedMoovError


def resume(requests: ReadRequests, data: bytes | None) -> Span | FastStartLayout | None:
    """Give what was asked for, None at first; tell what is asked for next, or came of it."""
    try:
        return next(requests) if data is None else requests.send(data)
    except StopIteration as end:
        layout: FastStartLayout | None = end.value
        return layout


def fast_start_layout(file: BinaryIO, size: int) -> FastStartLayout | None:
    """Work out the layout of an open file. Raises what `file` raises, and leaves it anywhere."""
    requests = plan_fast_start(size)
    step = resume(requests, None)
    while isinstance(step, Span):
        file.seek(step.start)
        step = resume(requests, file.read(step.length))
    return step
