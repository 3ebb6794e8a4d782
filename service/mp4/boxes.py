"""Parses the headers of MP4 and MOV boxes (ISO/IEC 14496-12 §4.2) and finds the moov.

The length of a box comes from the file and is never trusted."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

MAX_BOXES = 1000
"""At the top level of a file. Fragmented files have two a fragment, but their moov is first."""

MAX_HEADER_LENGTH = 16
"""Bytes: length, type and 64-bit length."""

LEADING_TYPES = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"}
)
"""Types that a file may begin with. ISO/IEC 14496-12 §4.3 requires ftyp as early as possible.
QuickTime files from before 2001 have none and begin with one of the others."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box. Positions are in bytes from the start of the file or buffer."""

    type: bytes
    start: int
    payload_offset: int
    """The end of its header."""
    end: int
    """The start of the next box by the claimed length, which may be past the end of the file."""


def box_at(header: bytes, start: int, limit: int) -> Box | None:
    """Parse the header of the box at `start`; return None if there is no box.

    `header` has MAX_HEADER_LENGTH bytes, or as many as there are. `limit` is the end of a box
    without a length.
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
    # A box shorter than its own header would cause an endless loop.
    return (
        Box(box_type, start, start + header_length, start + length)
        if length >= header_length
        else None
    )


def moov_precedes_mdat(file: BinaryIO, size: int) -> bool | None:
    """Return whether the index (moov) of an MP4 is before its media data (mdat).

    `size` is the file's length in bytes. False also if there is media data but no index; None if
    this is no ISO base media file, or too damaged to tell. Raises what `file` raises. The file's
    position is undefined afterwards.
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
            return False  # even if it is truncated
        position = box.end
    return None
