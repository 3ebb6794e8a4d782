"""Rewrites an MP4's index (moov) for its new place, chunk by chunk, without I/O.

Only the positions of the tables are kept in memory, and no bytes of the index."""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from service.protocol.ranges import Span

# Entries of a table that are read at once. max() of them blocks all other Python threads.
BATCH_SIZE = 16_384


class OffsetTable(NamedTuple):
    """A table of chunk offsets (stco, co64), without its header. Positions are in the old index."""

    start: int
    end: int
    width: int
    """Bytes of an entry: 4 or 8."""
    new_width: int


class HeaderPatch(NamedTuple):
    """A change of a number in a box's header, of the same width."""

    start: int
    width: int
    value: int
    """A big-endian number of `width` bytes."""


@dataclass(frozen=True, slots=True)
class MoovRelocation:
    """What changes in an index when it is moved before the media data."""

    media: int
    """The start of the first media data in the file, to which the index is moved; of the index
    itself if it is not moved."""
    old: Span
    """The index in the file."""
    length: int
    """The length of the rewritten index in bytes, not less than before."""
    tables: tuple[OffsetTable, ...]
    """In order of their positions."""
    headers: tuple[HeaderPatch, ...]
    """In order of their positions, none of them in a table."""
    segments: "tuple[Segment, ...]" = field(init=False, repr=False, compare=False)
    """The tables and the bytes between them, in order. They are stored for bisection, because a
    request may have 200 short spans."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self._segments()))

    @property
    def weight(self) -> int:
        """The approximate size in memory, in bytes."""
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
    """A run of the old index and its place in the rewritten one."""

    start: int
    end: int
    new_start: int
    new_end: int
    table: OffsetTable | None

    def old_position(self, new: int, *, up: bool = False) -> int:
        """Map a position of the rewritten index to the old one.

        Round to the start of a table's entry, or with `up` to its end.
        """
        within = new - self.new_start
        if self.table is None:
            return self.start + within
        number = -(-within // self.table.new_width) if up else within // self.table.new_width
        return self.start + number * self.table.width

    def new_position(self, old: int) -> int:
        """Map a position of the old index to the rewritten one, rounded to an entry's start."""
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
        """Rewrite the next bytes. Raises ValueError if they are not of this index."""
        data, position = self._pending + data, 0
        made = []
        segments = self._relocation.segments
        while self._number < len(segments) and position < len(data):
            segment = segments[self._number]
            length = min(len(data) - position, segment.end - self._position)
            if segment.table is not None:
                length -= length % segment.table.width
                if not length:
                    break  # an incomplete entry
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
        """Return bytes between tables with the patches applied."""
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
                break  # the rest is in the next bytes
            self._header += 1
        return bytes(patched)

    def _moved(self, data: bytes, table: OffsetTable) -> bytes:
        """Return a table's entries with the new offsets."""
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
    """Yield the entries of a table, BATCH_SIZE at a time. `width` is in bytes."""
    view = memoryview(data)
    for position in range(0, len(view), BATCH_SIZE * width):
        offsets = array(_CODES[width])
        offsets.frombytes(view[position : position + BATCH_SIZE * width])
        if sys.byteorder == "little":
            offsets.byteswap()
        yield offsets
