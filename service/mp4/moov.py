"""An MP4's index (moov), moved: how its tables of chunk offsets (stco, co64) are rewritten.
Law: what is not known to stay right elsewhere is left alone, and so is what is damaged."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from service.mp4.boxes import LONGEST_HEADER, Box, box_at
from service.mp4.sample_tables import Header, Rewriting, Table, entries
from service.protocol.ranges import Span

LARGEST_INDEX = 64 * 1024**2
"""Bytes. Ten hours of 60 pictures a second with sound have some 35 MB: 4 or 12 for each sample."""

_MOST_BOXES = 10_000  # of an index; a track has about 25
_MOST_TABLES = 1000  # of chunk offsets; a track has one
_LAST_OF_32_BITS = 2**32 - 1

# What each box is looked into for. Whatever else it has says nothing of places in the file.
_LOOKED_FOR = {
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
# Elsewhere than where they belong, players may heed these or not.
_HAVE_ONE_PLACE = (_LOOKED_FOR.keys() | _TABLES.keys()) - {b"udta", b"meta"}

# Compressed, fragmented (§8.8), made of other files (QuickTime File Format, "Movie Profile and
# Reference Movie"), and places of something else in the file: auxiliary information (§8.7.9), items
# (§8.11.3), dash cameras' positions.
_LEFT_ALONE = frozenset({b"cmov", b"mvex", b"rmra", b"saio", b"iloc", b"gps "})


class LeftAloneError(Exception):
    """The file is damaged, or of a kind that is served as it is."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand in the file: bytes from its start."""

    size: int
    """Of the file."""
    media: int
    """Where the first media data (mdat) begin: the index is to stand there."""
    index: Box
    """The index, behind some or all of the media data."""

    @property
    def length(self) -> int:
        """The bytes of the index."""
        return self.index.end - self.index.start

    def moved(self, offset: int, length: int) -> int:
        """Give the place of what stands at `offset` once the index of `length` bytes is in front.

        That index is at least as long as the old one. What stands later comes later then, too.
        """
        if offset < self.media:
            return offset
        return offset + (length if offset < self.index.start else length - self.length)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of chunk offsets. Its box's places are those in the index."""

    box: Box
    parents: tuple[Box, ...]
    entries: int
    """Where they begin."""
    count: int
    width: int
    highest: int

    @property
    def growth(self) -> int:
        """Bytes that it takes more with entries of 64 bits."""
        return 4 * self.count


def rewrite(moov: bytes, places: Places) -> Rewriting:
    """Give how the index has to be in front of the media data.

    `moov` is the whole box. Offsets that do not fit 32 bits any more get 64, and all boxes around
    them their lengths. Raises LeftAloneError.
    """
    root = replace(places.index, start=0, content=_header_length(places.index), end=len(moov))
    tables = list(_tables(moov, root, (), iter(range(_MOST_BOXES)), places))
    if len(tables) > _MOST_TABLES:
        raise LeftAloneError
    wide, length = _widened(tables, places)
    if length > LARGEST_INDEX:
        raise LeftAloneError
    headers = []
    growth = {root: 0}  # it may have claimed no length
    for table in wide:
        headers.append(Header(table.box.start + 4, 4, int.from_bytes(b"co64", "big")))
        for box in (*table.parents, table.box):
            growth[box] = growth.get(box, 0) + table.growth
    headers += [_length(box, more) for box, more in growth.items()]
    return Rewriting(
        media=places.media,
        old=Span(places.index.start, places.length),
        length=length,
        tables=tuple(
            Table(table.entries, table.box.end, table.width, 8 if table in wide else table.width)
            for table in tables
        ),
        headers=tuple(sorted(headers)),
    )


def _header_length(box: Box) -> int:
    return box.content - box.start


def _tables(
    moov: bytes, box: Box, parents: tuple[Box, ...], budget: Iterator[int], places: Places
) -> Iterator[_Table]:
    """Look for the tables in a box, in their order. No deeper than `_LOOKED_FOR` has it."""
    parents = (*parents, box)
    for child in _children(moov, box):
        if next(budget, None) is None or child.kind in _LEFT_ALONE:
            raise LeftAloneError
        if child.kind not in _LOOKED_FOR[box.kind]:
            if child.kind in _HAVE_ONE_PLACE:
                raise LeftAloneError
            if box.kind == b"dref":
                _require_self_contained(moov, child)
        elif child.kind in _TABLES:
            yield _table(moov, child, parents, places)
        else:
            yield from _tables(moov, child, parents, budget, places)


def _children(moov: bytes, box: Box) -> Iterator[Box]:
    position = box.content
    if box.kind == b"dref":
        position += 8  # version, flags and count: §8.7.2
    elif box.kind == b"meta" and moov[position + 4 : position + 8] != b"hdlr":
        position += 4  # version and flags: §8.11.1; QuickTime's has none
    while position != box.end:
        if box.kind == b"udta" and moov[position : box.end].startswith(bytes(4)):
            return  # QuickTime File Format, "User Data Atoms": a zero may end them
        header = moov[position : min(position + LONGEST_HEADER, box.end)]
        child = box_at(header, position, 0)  # in a box none may lack its length: it ends too early
        if child is None or not child.content <= child.end <= box.end:
            raise LeftAloneError
        yield child
        position = child.end


def _require_self_contained(moov: bytes, entry: Box) -> None:
    """Raise LeftAloneError for media data of another file (§8.7.2)."""
    if entry.end - entry.content < 4 or not moov[entry.content + 3] & 1:  # noqa: PLR2004 # flags
        raise LeftAloneError


def _table(moov: bytes, box: Box, parents: tuple[Box, ...], places: Places) -> _Table:
    """Read a table of chunk offsets (§8.7.5)."""
    start, width = box.content + 8, _TABLES[box.kind]
    if start > box.end:
        raise LeftAloneError
    (count,) = struct.unpack_from(">I", moov, box.content + 4)
    if start + count * width != box.end:
        raise LeftAloneError
    highest, old = 0, places.index
    for offsets in entries(memoryview(moov)[start : box.end], width):
        highest = max(highest, max(offsets))  # noqa: PLW3301 # nested: no tuple of them all
        if any(old.start <= offset < old.end for offset in offsets):
            raise LeftAloneError
    if highest >= places.size:
        raise LeftAloneError
    return _Table(box, parents, start, count, width, highest)


def _widened(tables: list[_Table], places: Places) -> tuple[set[_Table], int]:
    """Say which tables need entries of 64 bits, and the length of the index then.

    Each one that grows moves all media data, and so may make another one grow: the next is always
    that with the highest offset.
    """
    wide, length = set(), places.length
    narrow = sorted((t for t in tables if t.width == 4), key=lambda table: table.highest)  # noqa: PLR2004 # bytes
    while narrow and places.moved(narrow[-1].highest, length) > _LAST_OF_32_BITS:
        table = narrow.pop()
        wide.add(table)
        length += table.growth
    return wide, length


def _length(box: Box, more: int) -> Header:
    """Give a box's length anew, in the place where it has said it before."""
    length = box.end - box.start + more
    if _header_length(box) == LONGEST_HEADER:
        return Header(box.start + 8, 8, length)
    return Header(box.start, 4, length)
