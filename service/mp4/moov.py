"""Plans how an MP4's index (moov) is moved: how its chunk offset tables (stco, co64) change.

An index that is damaged, or has a box that may not be valid elsewhere, is not moved."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from service.mp4.boxes import MAX_HEADER_LENGTH, Box, box_at
from service.mp4.sample_tables import HeaderPatch, MoovRelocation, OffsetTable, entries
from service.protocol.ranges import Span

MAX_INDEX_BYTES = 64 * 1024**2
"""Bytes. Ten hours at 60 frames per second with audio have some 35 MB: 4 or 12 a sample."""

LONG_INDEX_BYTES = 1 << 20
"""An index with more bytes, of some 20 minutes, takes longer to load than the start of the
fragmented form (service/fragments/) and a segment: 0.4 s at 20 Mbit/s."""

_MAX_BOXES = 10_000  # of an index; a track has about 25
_MAX_TABLES = 1000  # of chunk offsets; a track has one
_MAX_UINT32 = 2**32 - 1

# The children to parse of each box. No other child has positions in the file.
_BOX_CHILDREN = {
    b"moov": {b"trak", b"udta", b"meta"},
    b"trak": {b"mdia", b"udta", b"meta"},
    b"mdia": {b"minf", b"udta", b"meta"},
    b"minf": {b"stbl", b"dinf", b"udta", b"meta"},
    b"stbl": {b"stco", b"co64"},
    b"dinf": {b"dref"},
    b"udta": {b"meta"},
    b"dref": set[bytes](),
    b"meta": set[bytes](),
}
_TABLES = {b"stco": 4, b"co64": 8}  # bytes of an entry
# In other places, some players use these and some do not.
_POSITION_BOUND_BOXES = (_BOX_CHILDREN.keys() | _TABLES.keys()) - {b"udta", b"meta"}

# Compressed, fragmented (§8.8), made of other files (QuickTime File Format, "Movie Profile and
# Reference Movie"), and other positions in the file: of auxiliary information (§8.7.9), items
# (§8.11.3) and dash cameras' GPS data.
_UNSUPPORTED_BOXES = frozenset({b"cmov", b"mvex", b"rmra", b"saio", b"iloc", b"gps "})


class UnsupportedMoovError(Exception):
    """The file is damaged or unsupported, and is served unchanged."""


@dataclass(frozen=True, slots=True)
class MoovPosition:
    """Positions in the file, in bytes from its start."""

    size: int
    """The length of the file in bytes."""
    media: int
    """The start of the first media data (mdat), to which the index is moved; of the index itself
    if it is in front."""
    index: Box

    @property
    def is_in_front(self) -> bool:
        """Whether the index is before all media data."""
        return self.media == self.index.start

    @property
    def length(self) -> int:
        """The length of the index in bytes."""
        return self.index.end - self.index.start

    def relocated_offset(self, offset: int, length: int) -> int:
        """Return where the byte at `offset` is after an index of `length` bytes was moved.

        That index is at least as long as the old one. The order of other bytes does not change.
        """
        if offset < self.media:
            return offset
        return offset + (length if offset < self.index.start else length - self.length)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of chunk offsets. Positions are relative to the index."""

    box: Box
    parents: tuple[Box, ...]
    entries: int
    """Their start."""
    count: int
    width: int
    highest: int

    @property
    def growth(self) -> int:
        """Additional bytes with entries of 64 bits."""
        return 4 * self.count


def relocate(
    moov: bytes, moov_position: MoovPosition, patches: tuple[HeaderPatch, ...] = ()
) -> MoovRelocation:
    """Plan the index for its place before the media data.

    `moov` is the whole box, and `patches` change other numbers in it. Tables whose offsets no
    longer fit 32 bits get 64, and the boxes around them new lengths. Raises UnsupportedMoovError.
    """
    root = replace(
        moov_position.index,
        start=0,
        payload_offset=_header_length(moov_position.index),
        end=len(moov),
    )
    tables = list(_tables(moov, root, (), iter(range(_MAX_BOXES)), moov_position))
    if len(tables) > _MAX_TABLES:
        raise UnsupportedMoovError
    wide, length = _tables_needing_co64(tables, moov_position)
    if length > MAX_INDEX_BYTES:
        raise UnsupportedMoovError
    headers = [*patches]
    growth = {root: 0}  # it may have had no length
    for table in wide:
        headers.append(HeaderPatch(table.box.start + 4, 4, int.from_bytes(b"co64", "big")))
        for box in (*table.parents, table.box):
            growth[box] = growth.get(box, 0) + table.growth
    headers += [_length(box, more) for box, more in growth.items()]
    return MoovRelocation(
        media=moov_position.media,
        old=Span(moov_position.index.start, moov_position.length),
        length=length,
        tables=tuple(
            OffsetTable(
                table.entries, table.box.end, table.width, 8 if table in wide else table.width
            )
            for table in tables
        ),
        headers=tuple(sorted(headers)),
    )


def _header_length(box: Box) -> int:
    return box.payload_offset - box.start


def _tables(
    moov: bytes,
    box: Box,
    parents: tuple[Box, ...],
    budget: Iterator[int],
    moov_position: MoovPosition,
) -> Iterator[_Table]:
    """Yield the tables in a box in order, as deep as `_BOX_CHILDREN` goes."""
    parents = (*parents, box)
    for child in _children(moov, box):
        if next(budget, None) is None or child.type in _UNSUPPORTED_BOXES:
            raise UnsupportedMoovError
        if child.type not in _BOX_CHILDREN[box.type]:
            if child.type in _POSITION_BOUND_BOXES:
                raise UnsupportedMoovError
            if box.type == b"dref":
                _require_self_contained(moov, child)
        elif child.type in _TABLES:
            yield _table(moov, child, parents, moov_position)
        else:
            yield from _tables(moov, child, parents, budget, moov_position)


def _children(moov: bytes, box: Box) -> Iterator[Box]:
    position = box.payload_offset
    if box.type == b"dref":
        position += 8  # version, flags and count: §8.7.2
    elif box.type == b"meta" and moov[position + 4 : position + 8] != b"hdlr":
        position += 4  # version and flags: §8.11.1; QuickTime's has none
    while position != box.end:
        if box.type == b"udta" and moov[position : box.end].startswith(bytes(4)):
            return  # QuickTime File Format, "User Data Atoms": a zero may end them
        header = moov[position : min(position + MAX_HEADER_LENGTH, box.end)]
        child = box_at(header, position, 0)  # no length: only valid at the top level
        if child is None or not child.payload_offset <= child.end <= box.end:
            raise UnsupportedMoovError
        yield child
        position = child.end


def _require_self_contained(moov: bytes, entry: Box) -> None:
    """Raise UnsupportedMoovError for media data in another file (§8.7.2)."""
    if entry.end - entry.payload_offset < 4 or not moov[entry.payload_offset + 3] & 1:  # noqa: PLR2004 # flags
        raise UnsupportedMoovError


def _table(moov: bytes, box: Box, parents: tuple[Box, ...], moov_position: MoovPosition) -> _Table:
    """Read a table of chunk offsets (§8.7.5)."""
    start, width = box.payload_offset + 8, _TABLES[box.type]
    if start > box.end:
        raise UnsupportedMoovError
    (count,) = struct.unpack_from(">I", moov, box.payload_offset + 4)
    if start + count * width != box.end:
        raise UnsupportedMoovError
    highest, old = 0, moov_position.index
    for offsets in entries(memoryview(moov)[start : box.end], width):
        highest = max(highest, max(offsets))  # noqa: PLW3301 # nested: no tuple of them all
        if any(old.start <= offset < old.end for offset in offsets):
            raise UnsupportedMoovError
    if highest >= moov_position.size:
        raise UnsupportedMoovError
    return _Table(box, parents, start, count, width, highest)


def _tables_needing_co64(
    tables: list[_Table], moov_position: MoovPosition
) -> tuple[set[_Table], int]:
    """Return the tables that need entries of 64 bits, and the length of the index then.

    A table that grows moves all media data, so that another one may have to grow. The next one is
    always that with the highest offset.
    """
    wide, length = set(), moov_position.length
    narrow = sorted((t for t in tables if t.width == 4), key=lambda table: table.highest)  # noqa: PLR2004 # bytes
    while narrow and moov_position.relocated_offset(narrow[-1].highest, length) > _MAX_UINT32:
        table = narrow.pop()
        wide.add(table)
        length += table.growth
    return wide, length


def _length(box: Box, more: int) -> HeaderPatch:
    """Return a patch of a box's length."""
    length = box.end - box.start + more
    if _header_length(box) == MAX_HEADER_LENGTH:
        return HeaderPatch(box.start + 8, 8, length)
    return HeaderPatch(box.start, 4, length)
