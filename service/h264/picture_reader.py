"""Reads the units of the pictures of a film, and makes new starts of pictures."""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

from service.h264.parameter_sets import SLICES, ParameterSets, unit_type
from service.h264.slice_header import (
    MAX_BYTES,
    SliceHeader,
    read_slice_header,
    with_length,
    without_commands,
)
from service.matroska.frame_table import FrameTable
from service.protocol.ranges import Span

_MAX_PICTURE = 1 << 23  # bytes
_RECORD = b"avcC"

Read = Callable[[Span], bytes]


@dataclass(frozen=True, slots=True)
class NewStart:
    """The start of a picture."""

    data: bytes
    replaced: int
    """The bytes of the picture in the file that it replaces. They are not fewer."""


class PictureReader:
    """Reads the pictures of a track."""

    def __init__(self, table: FrameTable, stsd: bytes, read: Read) -> None:
        """`stsd` is the box with the track's sample entry. Raises ValueError, IndexError."""
        self.table = table
        self._read = read
        self._sets = ParameterSets()
        self._width = self._read_record(stsd)

    def _read_record(self, stsd: bytes) -> int:
        """Take the sets of the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1); return
        the bytes of a unit's length.
        """
        at = stsd.index(_RECORD) + len(_RECORD)
        position = at + 5
        for mask in (31, 255):
            count, position = stsd[position] & mask, position + 1
            for _ in range(count):
                length = int.from_bytes(stsd[position : position + 2], "big")
                self._sets.add(stsd[position + 2 : position + 2 + length])
                position += 2 + length
        return (stsd[at + 4] & 3) + 1

    def header(self, number: int) -> SliceHeader:
        """Return the header of a picture's first slice. Raises ValueError."""
        for _, unit in self._units(number, MAX_BYTES):
            if unit_type(unit) in SLICES:
                return read_slice_header(unit, self._sets)
            self._sets.add(unit)
        raise ValueError("no slice")

    def new_start(self, number: int, left_out: Container[int]) -> NewStart:
        """Return the start of a picture without some commands. Raises ValueError."""
        size = self.table.sizes[number]
        if size > _MAX_PICTURE:
            raise ValueError("too large")
        data = self._read(Span(self.table.offsets[number], size))
        made, replaced = bytearray(), 0
        for position, unit in self._units(number, size):
            if unit_type(unit) not in SLICES:
                continue
            header = read_slice_header(unit, self._sets)
            start, length = without_commands(unit, header, left_out)
            made += data[replaced : position - self._width]
            made += with_length(start, len(unit) - length + len(start), self._width)
            replaced = position + length
        if replaced >= size:
            raise ValueError("no slice data")
        if len(made) > replaced:
            raise ValueError("a start that becomes longer")
        return NewStart(bytes(made), replaced)

    def _units(self, number: int, most: int) -> Iterator[tuple[int, bytes]]:
        """Yield the units of a picture, `most` bytes of each, and where in it they begin."""
        start, size = self.table.offsets[number], self.table.sizes[number]
        window, base, position = b"", 0, 0
        while position + self._width < size:
            wanted = min(self._width + most, size - position)
            if position < base or position + wanted > base + len(window):
                window = self._read(
                    Span(start + position, min(2 * MAX_BYTES + most, size - position))
                )
                base = position
            at = position - base + self._width
            length = int.from_bytes(window[at - self._width : at], "big")
            position += self._width
            if not 0 < length <= size - position:
                raise ValueError("a unit that is cut off")
            yield position, window[at : at + min(length, most)]
            position += length
