"""The boxes of an MP4 or MOV: their headers, as ISO/IEC 14496-12 §4.2 lays them out, and where the
index stands. Law: a box's length is a claim of the file's and never trusted."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

MAX_BOXES = 1000
"""Of a file, at its top level. Fragmented ones have two a fragment, but their moov stands first."""

MAX_HEADER_LENGTH = 16
"""Bytes: length, type, and a length of 64 bits."""

LEADING_TYPES = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"}
)
"""What a file may begin with. ISO/IEC 14496-12 §4.3 wants ftyp as early as possible; QuickTime
files of before 2001 have none and begin with one of the others."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box. Positions are in bytes from where the file begins, or what is read of it."""

    type: bytes
    start: int
    payload_offset: int
    """Where its header ends."""
    end: int
    """Where the next one begins, if it is as long as it claims: maybe behind the file's end."""


def box_at(header: bytes, start: int, limit: int) -> Box | None:
    """Read the header of the box at `start`: LONGEST_HEADER bytes, or all there are.

    `limit` is where a box ends that claims no length. None where there is no box.
    """
    if len(header) < 8:  # noqa: PLR2004 - size and type, four bytes each
        return None
    length, box_type = struct.unpack_from(">I4s", header)
    header_length = 8
    if length == 0:  # §4.2.2: size 0, the box reaches to the end of the file
        return Box(box_type, start, start + header_length, limit)
    if length == 1:  # §4.2.2: size 1, the length is in the 64 bits of largesize
        header_length = 16
        if len(header) < header_length:
            return None
        (length,) = struct.unpack_from(">Q", header, 8)
    # A box shorter than its own header would make a walk stand still.
    return (
        Box(box_type, start, start + header_length, start + length)
        if length >= header_length
        else None
    )


def moov_precedes_mdat(file: BinaryIO, size: int) -> bool | None:
    """Tell whether the index (moov) of an MP4 stands before its media data (mdat).

    `size` is the file's length in bytes. False also when there is media data and no index at all;
    None when this is not an ISO base media file, or one too damaged to tell. Raises what `file`
    raises. Leaves the file's position anywhere.
    """
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > size:
            return None
        file.seek(position)
        box = box_at(file.read(MAX_HEADER_LENGTH), position, size)
        if box is None:
            return None
        if position == 0 and box.type not in LEADING_TYPES:
            return None
        if box.type == b"moov":
            return True if box.end <= size else None
        if box.type == b"mdat":
            return False  # one that is cut off is media data all the same
        position = box.end
    return None
