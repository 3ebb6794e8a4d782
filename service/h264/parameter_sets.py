"""The parameter sets of H.264 (ITU-T H.264 §7.3.2), as far as slice headers need them."""

# ruff: noqa: PLR2004 - the numbers are the specification's, each cited beside its branch

from dataclasses import dataclass

from service.h264.bits import BitReader, without_escapes

IDR, SEQUENCE_SET, PICTURE_SET = 5, 7, 8  # nal_unit_type: table 7-1
SLICES = frozenset({1, IDR})

_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_MAX_BYTES = 1024

_MAX_LOG2_MINUS4 = 12  # §7.4.2.1.1: of the largest frame number, and of pic_order_cnt_lsb
_MAX_REFERENCES = 16  # §A.3.1: MaxDpbFrames
MAX_ACTIVE_MINUS1 = 31
"""§7.4.2.2, §7.4.3: of num_ref_idx_l0_active_minus1 and the like."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """A sequence parameter set (§7.4.2.1.1)."""

    chroma: int
    """ChromaArrayType: 0 without chroma, also if the planes are coded separately."""
    separate_planes: bool
    frame_num_bits: int
    order_type: int
    """pic_order_cnt_type"""
    lsb_bits: int
    """Of pic_order_cnt_lsb."""
    references: int
    """max_num_ref_frames"""
    frames_only: bool


@dataclass(frozen=True, slots=True)
class PictureSet:
    """A picture parameter set (§7.4.2.2)."""

    sequence: int
    is_cabac: bool
    has_frame_order: bool
    """bottom_field_pic_order_in_frame_present_flag"""
    references: tuple[int, int]
    """Of both lists, if a slice does not say."""
    is_weighted: bool
    weights: int
    """weighted_bipred_idc"""
    has_deblocking: bool
    """deblocking_filter_control_present_flag"""
    has_redundant: bool
    """redundant_pic_cnt_present_flag"""


def unit_type(unit: bytes) -> int:
    """Return nal_unit_type."""
    return unit[0] & 31


class ParameterSets:
    """The parameter sets that have been read, by their numbers."""

    def __init__(self) -> None:
        self._sequences: dict[int, SequenceSet] = {}
        self._pictures: dict[int, PictureSet] = {}

    def add(self, unit: bytes) -> None:
        """Take a unit if it is a set. Raises ValueError."""
        bits = BitReader(without_escapes(unit[1:_MAX_BYTES]))
        if unit_type(unit) == SEQUENCE_SET:
            number, sequence = _sequence_set(bits)
            self._sequences[number] = sequence
        elif unit_type(unit) == PICTURE_SET:
            number = bits.unsigned()
            self._pictures[number] = _picture_set(bits)

    def of(self, number: int) -> tuple[SequenceSet, PictureSet]:
        """Return the sets of a slice. Raises ValueError."""
        picture = self._pictures.get(number)
        sequence = self._sequences.get(picture.sequence) if picture else None
        if picture is None or sequence is None:
            raise ValueError("a picture without its parameters")
        return sequence, picture


def _sequence_set(bits: BitReader) -> tuple[int, SequenceSet]:
    profile = bits.take(8)
    bits.take(16)
    number = bits.unsigned()
    chroma, separate = 1, False
    if profile in _HIGH_PROFILES:
        chroma = bits.unsigned()
        separate = chroma == 3 and bits.flag()
        bits.unsigned()
        bits.unsigned()
        bits.take(1)
        if bits.flag():  # seq_scaling_matrix_present_flag
            for index in range(8 if chroma != 3 else 12):
                if bits.flag():
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    frame_num_bits = bits.unsigned(_MAX_LOG2_MINUS4) + 4
    order_type = bits.unsigned()
    lsb_bits = 0
    if order_type == 0:
        lsb_bits = bits.unsigned(_MAX_LOG2_MINUS4) + 4
    elif order_type == 1:
        raise ValueError("a rare way to count pictures")
    references = bits.unsigned(_MAX_REFERENCES)
    bits.take(1)
    bits.unsigned()
    bits.unsigned()
    return number, SequenceSet(
        0 if separate else chroma, separate, frame_num_bits, order_type, lsb_bits,
        references, bits.flag(),
    )  # fmt: skip


def _picture_set(bits: BitReader) -> PictureSet:
    sequence = bits.unsigned()
    is_cabac, has_frame_order = bits.flag(), bits.flag()
    if bits.unsigned():  # num_slice_groups_minus1: in the Baseline and Extended profiles alone
        raise ValueError("slice groups")
    references = bits.unsigned(MAX_ACTIVE_MINUS1) + 1, bits.unsigned(MAX_ACTIVE_MINUS1) + 1
    is_weighted, weights = bits.flag(), bits.take(2)
    for _ in range(3):
        bits.signed()
    has_deblocking = bits.flag()
    bits.take(1)
    return PictureSet(
        sequence, is_cabac, has_frame_order, references, is_weighted, weights,
        has_deblocking, bits.flag(),
    )  # fmt: skip


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    """Skip scaling_list() (§7.3.2.1.1.1)."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last
