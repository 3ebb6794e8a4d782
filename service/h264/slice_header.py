"""Slice headers of H.264 (ITU-T H.264 §7.3.3), and how marking commands are left out of one."""

# ruff: noqa: PLR2004 - the numbers are the specification's, each cited beside its branch

import struct
from collections.abc import Container, Iterator
from typing import NamedTuple

from service.h264.bits import BitReader, bit_string, escaped_length, with_escapes, without_escapes
from service.h264.parameter_sets import (
    IDR,
    MAX_ACTIVE_MINUS1,
    ParameterSets,
    PictureSet,
    SequenceSet,
    unit_type,
)

MAX_BYTES = 512
"""Bytes of a unit that are parsed: more than a header takes, also with all weights."""

P, B, INTRA = 0, 1, 2  # slice_type modulo 5: table 7-6
_SWITCHING = frozenset({3, 4})
_LISTS = {P: 1, B: 2}
_MAX_COMMANDS = 66

UNMARK = 1
"""memory_management_control_operation of a short-term picture that is unused from now on."""


class Command(NamedTuple):
    """A marking command (§7.4.3.3)."""

    operation: int
    difference: int
    """difference_of_pic_nums_minus1 plus 1, for UNMARK."""
    start: int
    """Bits of the header before it."""
    end: int


class SliceHeader(NamedTuple):
    """What the header of a slice says."""

    is_idr: bool
    is_reference: bool
    type: int
    sequence: SequenceSet
    is_cabac: bool
    frame_num: int
    is_field: bool
    lsb: int
    """pic_order_cnt_lsb"""
    active: tuple[int, int]
    """The number of references in both lists."""
    modifications: tuple[tuple[int, ...], ...]
    """Of each list: the differences between the numbers of pictures (§8.2.4.3.1)."""
    commands: tuple[Command, ...] | None
    """None: the oldest picture is unmarked if there are too many (§8.2.5.3)."""
    marking: int
    """Bits before adaptive_ref_pic_marking_mode_flag."""
    end_of_marking: int
    end: int
    """Bits of the whole header, with that of the unit (§7.3.1)."""


def read_slice_header(unit: bytes, sets: ParameterSets) -> SliceHeader:
    """Return the header of a slice by its first MAX_BYTES. Raises ValueError."""
    bits = BitReader(without_escapes(unit[:MAX_BYTES]))
    bits.take(8)
    is_idr, is_reference = unit_type(unit) == IDR, bool(unit[0] & 0x60)
    bits.unsigned()  # first_mb_in_slice
    type_ = bits.unsigned() % 5
    if type_ in _SWITCHING:
        raise ValueError("a slice of the Extended profile")
    sequence, picture = sets.of(bits.unsigned())
    if sequence.separate_planes:
        bits.take(2)
    frame_num = bits.take(sequence.frame_num_bits)
    is_field = not sequence.frames_only and bits.flag()
    if is_field:
        bits.take(1)
    if is_idr:
        bits.unsigned()
    lsb = 0
    if sequence.order_type == 0:
        lsb = bits.take(sequence.lsb_bits)
        if picture.has_frame_order and not is_field:
            bits.signed()
    if picture.has_redundant:
        bits.unsigned()
    active, modifications = _read_lists(bits, type_, sequence, picture)
    marking = bits.position
    commands = _read_marking(bits, is_idr=is_idr) if is_reference else None
    end_of_marking = bits.position
    if picture.is_cabac and type_ != INTRA:
        bits.unsigned()
    bits.signed()
    if picture.has_deblocking and bits.unsigned() != 1:
        bits.signed()
        bits.signed()
    return SliceHeader(
        is_idr, is_reference, type_, sequence, picture.is_cabac, frame_num, is_field, lsb,
        active, modifications, commands, marking, end_of_marking, bits.position,
    )  # fmt: skip


def _read_lists(
    bits: BitReader, type_: int, sequence: SequenceSet, picture: PictureSet
) -> tuple[tuple[int, int], tuple[tuple[int, ...], ...]]:
    """Read what concerns the lists of references: how many they have, and how they are modified."""
    if type_ == B:
        bits.take(1)  # direct_spatial_mv_pred_flag
    lists = _LISTS.get(type_, 0)
    counts = list(picture.references)
    if lists and bits.flag():
        for number in range(lists):
            counts[number] = bits.unsigned(MAX_ACTIVE_MINUS1) + 1
    modifications = tuple(tuple(_read_modification(bits)) for _ in range(lists))
    if (type_ == P and picture.is_weighted) or (type_ == B and picture.weights == 1):
        _skip_weights(bits, counts[:lists], has_chroma=sequence.chroma != 0)
    return (counts[0], counts[1]), modifications


def _read_modification(bits: BitReader) -> Iterator[int]:
    """Read ref_pic_list_modification() of one list (§7.3.3.1). Raises ValueError."""
    if not bits.flag():
        return
    while (operation := bits.unsigned()) != 3:
        if operation > 1:
            raise ValueError("a long-term picture")
        difference = bits.unsigned() + 1
        yield difference if operation else -difference


def _skip_weights(bits: BitReader, counts: list[int], *, has_chroma: bool) -> None:
    """Skip pred_weight_table() (§7.3.3.2)."""
    bits.unsigned()
    if has_chroma:
        bits.unsigned()
    for count in counts:
        for _ in range(count):
            for numbers in (2, 4) if has_chroma else (2,):
                if bits.flag():
                    for _ in range(numbers):
                        bits.signed()


def _read_marking(bits: BitReader, *, is_idr: bool) -> tuple[Command, ...] | None:
    """Read dec_ref_pic_marking() (§7.3.3.3)."""
    if is_idr:
        bits.take(2)
        return None
    if not bits.flag():
        return None
    commands: list[Command] = []
    while len(commands) < _MAX_COMMANDS:
        start = bits.position
        operation = bits.unsigned()
        if operation == 0:
            return tuple(commands)
        difference = bits.unsigned() + 1 if operation in {1, 3} else 0
        if operation in {2, 4}:
            bits.unsigned()
        if operation in {3, 6}:
            bits.unsigned()
        commands.append(Command(operation, difference, start, bits.position))
    raise ValueError("too many commands")


def without_commands(
    unit: bytes, header: SliceHeader, left_out: Container[int]
) -> tuple[bytes, int]:
    """Return the header of a slice without some of its commands, and how many bytes of the unit it
    replaces.

    The slice data begin on a whole byte with CABAC, so they do not change. Raises ValueError
    otherwise.
    """
    if not header.is_cabac or header.commands is None:
        raise ValueError("a slice that cannot be changed")
    bits = bit_string(without_escapes(unit[:MAX_BYTES]))
    kept = [c for number, c in enumerate(header.commands) if number not in left_out]
    marking = "0"
    if kept:  # the code of operation 0, which ends them, is 1
        marking = "1" + "".join(bits[c.start : c.end] for c in kept) + "1"
    made = bits[: header.marking] + marking + bits[header.end_of_marking : header.end]
    made += "1" * (-len(made) % 8)  # cabac_alignment_one_bit: §7.3.4
    data = int(made, 2).to_bytes(len(made) // 8, "big")
    if data[-1] == 0:
        raise ValueError("a header after which there may be an escape")
    return with_escapes(data), escaped_length(unit, -(-header.end // 8))


def with_length(prefix: bytes, length: int, width: int) -> bytes:
    """Return the start of a unit of `length` bytes, after a length of `width` bytes.

    Raises ValueError if these are too few.
    """
    if length >> 8 * width:
        raise ValueError("a unit that is too long")
    return struct.pack(">Q", length)[-width:] + prefix
