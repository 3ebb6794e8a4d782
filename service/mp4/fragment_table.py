"""Where the parts of a fragmented MP4 are (ISO/IEC 14496-12 §8.8), whose media are spans of a file.

The MP4 consists of headers and of what follows each: nothing after the first one, which initialises
players, and after each other one (moof and the start of mdat) the next span of the file."""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

from service.protocol.ranges import Span

_ROW = 8 * 4  # bytes


class Extent(NamedTuple):
    """A part of the MP4."""

    header: int | None
    """The number of the header that it is in; None if it is in the file."""
    span: Span
    """Of that header, or of the file."""


@dataclass(frozen=True, slots=True)
class FragmentTable:
    """Where the headers and the spans begin. Each sequence ends with where the last one ends."""

    starts: Sequence[int]
    """Of the headers in the MP4."""
    places: Sequence[int]
    """In the file, of what follows each header."""
    stored: Sequence[int]
    """Of the headers where they are stored, compressed."""
    times: Sequence[int]
    """When each fragment begins, in microseconds. The first two are 0."""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a table. Raises ValueError if it is damaged."""
        if len(data) % _ROW or len(data) < 3 * _ROW:
            raise ValueError("cut off")
        numbers = array("Q", data)
        if sys.byteorder == "big":
            numbers.byteswap()
        columns = [numbers[at::4] for at in range(4)]
        if any(a > b for column in columns for a, b in pairwise(column)):
            raise ValueError("damaged")
        return cls(*columns)

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` parses."""
        rows = zip(self.starts, self.places, self.stored, self.times, strict=True)
        numbers = array("Q", (number for row in rows for number in row))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tobytes()

    @property
    def size(self) -> int:
        """The bytes of the MP4."""
        return self.starts[-1]

    @property
    def weight(self) -> int:
        """The bytes of the table."""
        return _ROW * len(self.starts)

    def header_length(self, number: int) -> int:
        """Return the bytes of a header."""
        following = self.places[number + 1] - self.places[number]
        return self.starts[number + 1] - self.starts[number] - following

    def extents(self, span: Span) -> Iterator[Extent]:
        """Yield the parts of which a span of the MP4 consists."""
        position, end = span.start, min(span.end, self.size)
        while position < end:
            number = bisect_right(self.starts, position) - 1
            length = self.header_length(number)
            within = position - self.starts[number]
            if within < length:
                until = min(end, self.starts[number] + length)
                yield Extent(number, Span(within, until - position))
            else:
                until = min(end, self.starts[number + 1])
                place = self.places[number] + within - length
                yield Extent(None, Span(place, until - position))
            position = until
