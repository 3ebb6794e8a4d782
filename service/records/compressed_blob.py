"""Blobs that are stored compressed and read in any part (zlib, RFC 1950)."""

import errno
import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol, Self

# Bytes that are compressed at a time, and decompressed to read any of them.
_PART = 16 * 1024

_HEAD = struct.Struct(">QI")
"""Bytes in all, and the number of parts. The end of each part follows, 4 bytes each."""


class _Blob(Protocol):
    async def read(self, start: int, length: int) -> bytes: ...


def compress(data: bytes) -> bytes:
    """Return what is stored."""
    parts = [zlib.compress(data[at : at + _PART]) for at in range(0, len(data), _PART)]
    ends = array("I", accumulate(map(len, parts)))
    if sys.byteorder == "little":
        ends.byteswap()
    return b"".join([_HEAD.pack(len(data), len(parts)), ends.tobytes(), *parts])


class CompressedBlob:
    """A blob for the event loop. It is stored as `compress` returned it."""

    def __init__(self, blob: _Blob, length: int, ends: Sequence[int]) -> None:
        self._blob = blob
        self._ends = ends
        self._start = _HEAD.size + 4 * len(ends)
        self.length = length
        """Its size in bytes."""

    @classmethod
    def open(cls, blob: _Blob, stored: bytes) -> Self:
        """Open a blob by what is stored, which is not kept. Raises ValueError if it is damaged."""
        if len(stored) < _HEAD.size:
            raise ValueError("cut off")
        length, count = _HEAD.unpack_from(stored)
        ends = array("I", stored[_HEAD.size : _HEAD.size + 4 * count])
        if sys.byteorder == "little":
            ends.byteswap()
        if count != -(-length // _PART) or len(ends) != count:
            raise ValueError("damaged")
        return cls(blob, length, ends)

    async def read(self, start: int, length: int) -> bytes:
        """Return bytes, perhaps fewer. Raises OSError."""
        number = start // _PART
        first, end = self._ends[number - 1] if number else 0, self._ends[number]
        data = b""
        while len(data) < end - first:
            data += await self._blob.read(self._start + first + len(data), end - first - len(data))
        try:
            part = zlib.decompress(data)
        except zlib.error as error:
            raise OSError(errno.EIO, "it is damaged") from error
        within = start - number * _PART
        return part[within : within + length]
