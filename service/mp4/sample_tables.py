"""How an MP4's rewritten index (moov) is made of the one in the file, a piece at a time.
Law: no I/O. What is remembered of an index is where its tables are, and no byte of it."""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from service.protocol.ranges import Span

# Entries of a table that are looked at in one go: no other thread of Python runs for their maximum.
BATCH_SIZE = 16_384


class OffsetTable(NamedTuple):
    """The entries of a table of chunk offsets (stco, co64). Positions are in the file's index."""

    start: int
    end: int
    width: int
    """Bytes of an entry: 4 or 8."""
    new_width: int


class HeaderPatch(NamedTuple):
    """Bytes of a box's header that are other ones in the rewritten index, as many as before."""

    start: int
    width: int
    value: int
    """A big-endian number of `width` bytes."""


@dataclass(frozen=True, slots=True)
class MoovRelocation:
    """What an index has to have changed when it is moved in front of the media data."""

    media: int
    """Where the first media data begin in the file: the index is to stand there."""
    old: Span
    """The index in the file, behind some or all of the media data."""
    length: int
    """Bytes of the rewritten index, at least as many as before."""
    tables: tuple[OffsetTable, ...]
    """In their order."""
    headers: tuple[HeaderPatch, ...]
    """In their order; none of them lies in a table."""
    segments: "tuple[Segment, ...]" = field(init=False, repr=False, compare=False)
    """The entries of the tables, and what is between them, in order. They are kept, and searched by
    bisection, because a request may ask for 200 short spans."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self._segments()))

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes, about."""
        return 300 + 250 * (len(self.tables) + len(self.headers) + len(self.segments))

    def source(self, span: Span) -> Span:
        """Return the span of the file from which `MoovRewriter` makes a span of the new moov."""
        start = self.segments[self.segment_at(span.start)].old_position(span.start)
        last = self.segments[self.segment_at(span.end - 1)]
        return Span(self.old.start + start, last.old_position(span.end, up=True) - start)

    def segment_at(self, position: int) -> int:
        """Return the number of the segment that holds a position of the rewritten index."""
        return bisect_right(self.segments, position, key=_new_start) - 1

    def _segments(self) -> Iterator["Segment"]:
        position = new_position = 0
        for table in (*self.tables, None):
            end = self.old.length if table is None else table.start
            if end > position:
                new_end = new_position + end - position
                yield Segment(position, end, new_position, new_end, None)
                position, new_position = end, new_end
            if table is not None and table.end > table.start:
                grown = (table.end - table.start) // table.width * table.new_width
                yield Segment(table.start, table.end, new_position, new_position + grown, table)
                position, new_position = table.end, new_position + grown


class Segment(NamedTuple):
    """A run of the index, and where it is in the rewritten one."""

    start: int
    end: int
    new_start: int
    new_end: int
    table: OffsetTable | None

    def old_position(self, new: int, *, up: bool = False) -> int:
        """Give where a position of the rewritten index is in the file's: of an entry the beginning,
        or with `up` the end.
        """
        within = new - self.new_start
        if self.table is None:
            return self.start + within
        number = -(-within // self.table.new_width) if up else within // self.table.new_width
        return self.start + number * self.table.width

    def new_position(self, old: int) -> int:
        """Give where a position of the file's index is in the rewritten one; of an entry the
        beginning.
        """
        within = old - self.start
        if self.table is None:
            return self.new_start + within
        return self.new_start + within // self.table.width * self.table.new_width


def _new_start(segment: Segment) -> int:
    return segment.new_start


def _header_end(header: HeaderPatch) -> int:
    return header.start + header.width


class MoovRewriter:
    """Makes a span of the relocated moov from the bytes of `MoovRelocation.source`, in order."""

    def __init__(self, relocation: MoovRelocation, span: Span) -> None:
        self._relocation = relocation
        self._number = relocation.segment_at(span.start)
        first = relocation.segments[self._number]
        self._position = first.old_position(span.start)
        self._skip = span.start - first.new_position(self._position)
        self._left = span.length
        self._pending = b""
        self._header = bisect_right(relocation.headers, self._position, key=_header_end)

    def feed(self, data: bytes) -> bytes:
        """Give what comes of the next bytes. Raises ValueError where they are another index's."""
        data, position = self._pending + data, 0
        made = []
        segments = self._relocation.segments
        while self._number < len(segments) and position < len(data):
            segment = segments[self._number]
            length = min(len(data) - position, segment.end - self._position)
            if segment.table is not None:
                length -= length % segment.table.width
                if not length:
                    break  # an entry is cut in two
                made.append(self._moved(data[position : position + length], segment.table))
            else:
                made.append(self._with_headers(data[position : position + length]))
            position += length
            self._position += length
            if self._position == segment.end:
                self._number += 1
        self._pending = data[position:]
        new = b"".join(made)
        skipped = min(self._skip, len(new))
        new = new[skipped : skipped + self._left]
        self._skip -= skipped
        self._left -= len(new)
        return new

    def _with_headers(self, data: bytes) -> bytes:
        """Give bytes that lie between tables with what boxes' headers say anew."""
        start, end = self._position, self._position + len(data)
        headers = self._relocation.headers
        if self._header == len(headers) or headers[self._header].start >= end:
            return data
        patched = bytearray(data)
        while self._header < len(headers) and headers[self._header].start < end:
            header = headers[self._header]
            first, last = max(header.start, start), min(header.start + header.width, end)
            value = header.value.to_bytes(header.width, "big")
            patched[first - start : last - start] = value[
                first - header.start : last - header.start
            ]
            if header.start + header.width > end:
                break  # cut in two: the rest comes with the next bytes
            self._header += 1
        return bytes(patched)

    def _moved(self, data: bytes, table: OffsetTable) -> bytes:
        """Give entries with the places that the media data have behind the index."""
        media, old = self._relocation.media, self._relocation.old.start
        between = self._relocation.length
        behind = between - self._relocation.old.length
        made = []
        for offsets in entries(data, table.width):
            try:
                relocated = array(
                    _CODES[table.new_width],
                    [
                        offset if offset < media else offset + (between if offset < old else behind)
                        for offset in offsets
                    ],
                )
            except OverflowError as error:
                raise ValueError("an offset that no table of this file had") from error
            if sys.byteorder == "little":
                relocated.byteswap()
            made.append(relocated.tobytes())
        return b"".join(made)


_CODES = {4: "I", 8: "Q"}


def entries(data: bytes | memoryview, width: int) -> Iterator["array[int]"]:
    """Give a table's entries of `width` bytes, some at a time."""
    view = memoryview(data)
    for position in range(0, len(view), BATCH_SIZE * width):
        offsets = array(_CODES[width])
        offsets.frombytes(view[position : position + BATCH_SIZE * width])
        if sys.byteorder == "little":
            offsets.byteswap()
        yield offsets
