"""Where an MP4 keeps its index. Reads nothing but the headers of top-level boxes, as ISO/IEC
14496-12 §4.2 lays them out; a box's length is a claim of the file's and never trusted."""

import struct
from typing import BinaryIO

MOST_BOXES = 1000
"""Fragmented files have two top-level boxes a fragment, but their moov stands before them all."""

_FIRST_TYPES = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"}
)
"""What a file may begin with. ISO/IEC 14496-12 §4.3 wants ftyp as early as possible; QuickTime
files of before 2001 have none and begin with one of the others."""


def index_at_front(file: BinaryIO, size: int) -> bool | None:
    """Tell whether the index (moov) of an MP4 stands before its media data (mdat).

    `size` is the file's length in bytes. False also when there is media data and no index at all;
    None when this is not an ISO base media file, or one too damaged to tell. Raises what `file`
    raises. Leaves the file's position anywhere.
    """
    position = 0
    for _ in range(MOST_BOXES):
        box = _box(file, position, size)
        if box is None:
            return None
        kind, end = box
        if position == 0 and kind not in _FIRST_TYPES:
            return None
        if kind == b"moov":
            return True if end <= size else None
        if kind == b"mdat":
            return False  # one that is cut off is media data all the same
        position = end
    return None


def _box(file: BinaryIO, position: int, size: int) -> tuple[bytes, int] | None:
    """Give the type of the box at `position` and where the next one begins."""
    if position + 8 > size:
        return None
    file.seek(position)
    header = file.read(16)
    if len(header) < 8:  # noqa: PLR2004 - size and type, four bytes each
        return None
    length, kind = struct.unpack_from(">I4s", header)
    least = 8
    if length == 0:  # §4.2.2: size 0, the box reaches to the end of the file
        return kind, size
    if length == 1:  # §4.2.2: size 1, the length is in the 64 bits of largesize
        least = 16
        if len(header) < least:
            return None
        (length,) = struct.unpack_from(">Q", header, 8)
    # A box shorter than its own header would make the walk stand still.
    return (kind, position + length) if length >= least else None
