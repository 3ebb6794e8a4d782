"""The order in which the pictures of H.264 are shown (ITU-T H.264 §8.2.1), for files that do not
say when each is shown: AVI, and program streams."""

# ruff: noqa: PLR2004 - the numbers are the specification's, each cited beside its branch

from dataclasses import dataclass
from typing import NamedTuple

_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_MAX_PARSED = 64
"""Bytes of a unit that are parsed: more than a slice header takes up to its order count."""
_MAX_SET = 1024
_EPOCH = 1 << 40
"""Between the order counts of two sequences."""


class Place(NamedTuple):
    """Where a picture is in the order."""

    order: int
    """Ascending in the order in which pictures are shown."""
    is_second_field: bool
    """Whether it completes the picture before it."""


@dataclass(frozen=True, slots=True)
class _SequenceSet:
    separate_planes: bool
    frame_num_bits: int
    type: int
    lsb_bits: int
    frames_only: bool


class PictureOrder:
    """Finds the order from the units of one picture after the other."""

    def __init__(self) -> None:
        self._sets: dict[int, _SequenceSet] = {}
        self._set_of_pictures: dict[int, int] = {}
        self._epoch = 0
        self._decoded = 0
        self._reference = 0, 0
        """prevPicOrderCntMsb and prevPicOrderCntLsb"""
        self._field: tuple[int, bool] | None = None
        """The frame number and the parity of a first field."""

    def add_sequence_set(self, unit: bytes) -> None:
        """Take a sequence parameter set (§7.3.2.1.1). Raises ValueError."""
        bits = _Bits(_without_escapes(unit[1:_MAX_SET]))
        profile = bits.take(8)
        bits.take(16)
        number = bits.unsigned()
        chroma, separate = 1, False
        if profile in _HIGH_PROFILES:
            chroma = bits.unsigned()
            separate = chroma == 3 and bool(bits.take(1))
            bits.unsigned()
            bits.unsigned()
            bits.take(1)
            if bits.take(1):  # seq_scaling_matrix_present_flag
                for index in range(8 if chroma != 3 else 12):
                    if bits.take(1):
                        _skip_scaling_list(bits, 16 if index < 6 else 64)
        frame_num_bits = bits.unsigned() + 4
        type_ = bits.unsigned()
        lsb_bits = 0
        if type_ == 0:
            lsb_bits = bits.unsigned() + 4
        elif type_ == 1:
            raise ValueError("a rare way to count pictures")
        bits.unsigned()  # max_num_ref_frames
        bits.take(1)
        bits.unsigned()
        bits.unsigned()
        self._sets[number] = _SequenceSet(
            separate, frame_num_bits, type_, lsb_bits, bool(bits.take(1))
        )

    def add_picture_set(self, unit: bytes) -> None:
        """Take a picture parameter set (§7.3.2.2). Raises ValueError."""
        bits = _Bits(_without_escapes(unit[1:_MAX_PARSED]))
        number = bits.unsigned()
        self._set_of_pictures[number] = bits.unsigned()

    def place(self, unit: bytes) -> Place:
        """Return the place of a picture by its first slice (§7.3.3). Raises ValueError."""
        is_idr, is_reference = unit[0] & 31 == 5, bool(unit[0] & 0x60)
        bits = _Bits(_without_escapes(unit[1:_MAX_PARSED]))
        bits.unsigned()  # first_mb_in_slice
        bits.unsigned()  # slice_type
        sequence = self._sets.get(self._set_of_pictures.get(bits.unsigned(), -1))
        if sequence is None:
            raise ValueError("a picture without its parameters")
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
        if sequence.type == 2:  # §8.2.1.3: in the order of decoding
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


def _skip_scaling_list(bits: "_Bits", size: int) -> None:
    """Skip scaling_list() (§7.3.2.1.1.1)."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _without_escapes(data: bytes) -> bytes:
    """Remove emulation_prevention_three_byte (§7.3.1)."""
    return data.replace(b"\0\0\3", b"\0\0")


class _Bits:
    """Reads bits, and codes of §9.1. Raises ValueError at the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("it is cut off")
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise ValueError("a code that is too long")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
