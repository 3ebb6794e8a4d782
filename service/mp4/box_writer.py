"""Writes boxes (ISO/IEC 14496-12 §4.2) and tables of numbers."""

import struct
import sys
from array import array
from collections.abc import Iterable
from itertools import groupby


def box(type_: bytes, *parts: bytes) -> bytes:
    """Return a box."""
    return b"".join((struct.pack(">I4s", 8 + sum(map(len, parts)), type_), *parts))


def full_box(type_: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box with a version and flags."""
    return box(type_, struct.pack(">I", version << 24 | flags), *parts)


def packed(values: Iterable[int], code: str = "I") -> bytes:
    """Return big-endian numbers: of 32 bits, or with the code Q of 64."""
    table = array(code, values)
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes()


def counted(values: Iterable[int]) -> bytes:
    """Return the number of entries and the entries of a table of runs: counts and values."""
    runs = [(sum(1 for _ in group), value) for value, group in groupby(values)]
    return struct.pack(">I", len(runs)) + packed(number for run in runs for number in run)
