"""The layout of an MP4 that is made of a file: a header, and what is inserted between parts of it.

    header | file[0, c1) | inserted 1 | file[c1, c2) | inserted 2 | … | file[cn, end)

That is sound, of which a player that reads on finds a second before the second of pictures that it
belongs to; or the headers of fragments. Without either the layout is the header and the whole file.
Everything here is pure."""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from service.protocol.ranges import Span

_ENTRY = 16  # bytes: a position in the file, and where what is inserted before it ends
_COUNT = struct.Struct(">Q")


class Source(Enum):
    """Where bytes come from."""

    HEADER = "header"
    FILE = "file"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Interleaving:
    """The positions in a file before which bytes are inserted, and how many."""

    cuts: Sequence[int]
    """Positions in the file, each after the one before."""
    ends: Sequence[int]
    """The end, in all that is inserted, of what precedes each of them."""

    def shift(self, offset: int) -> int:
        """Return the bytes that are inserted in front of a byte of the file."""
        at = bisect_right(self.cuts, offset)
        return self.ends[at - 1] if at else 0

    @property
    def inserted(self) -> int:
        """The bytes of all that is inserted."""
        return self.ends[-1] if self.ends else 0

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` reads."""
        numbers = array("Q", self.cuts)
        numbers.extend(self.ends)
        if sys.byteorder == "little":
            numbers.byteswap()
        return _COUNT.pack(len(self.cuts)) + numbers.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Interleaving":
        """Read it. Raises ValueError if it is damaged."""
        if len(data) < _COUNT.size:
            raise ValueError("cut off")
        (count,) = _COUNT.unpack_from(data)
        if len(data) != _COUNT.size + _ENTRY * count:
            raise ValueError("cut off")
        numbers = array("Q", data[_COUNT.size :])
        if sys.byteorder == "little":
            numbers.byteswap()
        return cls(numbers[:count], numbers[count:])


WHOLE = Interleaving((), ())
"""The layout with nothing inserted."""


def map_span(
    layout: Interleaving, header: int, file: int, span: Span
) -> Iterator[tuple[Source, Span]]:
    """Yield the parts that a span of the MP4 consists of, in order.

    `header` and `file` are bytes. The span ends within all of it.
    """
    position, end = span.start, span.end
    if position < header:
        stop = min(end, header)
        yield Source.HEADER, Span(position, stop - position)
        position = stop
    number = _part_at(layout, position - header)
    while position < end:
        # Part `number` of the file, and what is inserted after it.
        first = layout.cuts[number - 1] if number else 0
        is_last = number == len(layout.cuts)
        last = file if is_last else layout.cuts[number]
        earlier = layout.ends[number - 1] if number else 0
        start = header + first + earlier
        middle = start + last - first
        if position < middle:
            length = min(end, middle) - position
            yield Source.FILE, Span(first + position - start, length)
            position += length
        if position < end and not is_last:
            length = min(end, header + last + layout.ends[number]) - position
            if length > 0:
                yield Source.INSERTED, Span(earlier + position - middle, length)
                position += length
        number += 1


def _part_at(layout: Interleaving, position: int) -> int:
    """Return the number of the part that a position after the header is in, or in what is
    inserted after it.
    """
    low, high = 0, len(layout.cuts)
    while low < high:
        middle = (low + high) // 2
        if layout.cuts[middle] + layout.ends[middle] <= position:
            low = middle + 1
        else:
            high = middle
    return low
