"""The order in which the pictures of H.264 are shown (ITU-T H.264 §8.2.1), for files that do not
say when each is shown: AVI, and program streams."""

# ruff: noqa: PLR2004 - the numbers are the specification's, each cited beside its branch

from typing import NamedTuple

from service.h264.bits import BitReader, without_escapes
from service.h264.parameter_sets import ParameterSets

_MAX_PARSED = 64
"""Bytes of a unit that are parsed: more than a slice header takes up to its order count."""
_EPOCH = 1 << 40
"""Between the order counts of two sequences."""


class Place(NamedTuple):
    """Where a picture is in the order."""

    order: int
    """Ascending in the order in which pictures are shown."""
    is_second_field: bool
    """Whether it completes the picture before it."""


class PictureOrder:
    """Finds the order from the units of one picture after the other."""

    def __init__(self) -> None:
        self._sets = ParameterSets()
        self._epoch = 0
        self._decoded = 0
        self._reference = 0, 0
        """prevPicOrderCntMsb and prevPicOrderCntLsb"""
        self._field: tuple[int, bool] | None = None
        """The frame number and the parity of a first field."""

    def add_set(self, unit: bytes) -> None:
        """Take a parameter set (§7.3.2). Raises ValueError."""
        self._sets.add(unit)

    def place(self, unit: bytes) -> Place:
        """Return the place of a picture by its first slice (§7.3.3). Raises ValueError."""
        is_idr, is_reference = unit[0] & 31 == 5, bool(unit[0] & 0x60)
        bits = BitReader(without_escapes(unit[1:_MAX_PARSED]))
        bits.unsigned()  # first_mb_in_slice
        bits.unsigned()  # slice_type
        sequence, _ = self._sets.of(bits.unsigned())
        if sequence.separate_planes:
            bits.take(2)
        frame_num = bits.take(sequence.frame_num_bits)
        is_field = not sequence.frames_only and bool(bits.take(1))
        is_bottom = is_field and bool(bits.take(1))
        second = self._is_second(frame_num, is_field=is_field, is_bottom=is_bottom)
        if is_idr:
            bits.unsigned()
            if not second:
                self._epoch += 1
                self._reference = 0, 0
        self._decoded += 1
        if sequence.order_type == 2:  # §8.2.1.3: in the order of decoding
            return Place(self._epoch * _EPOCH + self._decoded, second)
        lsb = bits.take(sequence.lsb_bits)
        msb = self._msb(lsb, 1 << sequence.lsb_bits)
        if is_reference:
            self._reference = msb, lsb
        return Place(self._epoch * _EPOCH + msb + lsb, second)

    def _msb(self, lsb: int, maximum: int) -> int:
        """Return PicOrderCntMsb (§8.2.1.1)."""
        msb, last = self._reference
        if lsb < last and last - lsb >= maximum // 2:
            return msb + maximum
        if lsb > last and lsb - last > maximum // 2:
            return msb - maximum
        return msb

    def _is_second(self, frame_num: int, *, is_field: bool, is_bottom: bool) -> bool:
        """Return whether this is the second field of a frame (§7.4.1.2.4)."""
        second = is_field and self._field == (frame_num, not is_bottom)
        self._field = (frame_num, is_bottom) if is_field and not second else None
        return second
