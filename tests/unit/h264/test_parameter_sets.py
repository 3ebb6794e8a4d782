"""Parameter sets and slice headers of H.264: their numbers are bounded as in the standard."""

import pytest

from service.h264.bits import with_escapes
from service.h264.parameter_sets import ParameterSets
from service.h264.slice_header import SliceHeader, read_slice_header

# The largest numbers that ITU-T H.264 allows: §7.4.2.1.1, §A.3.1, §7.4.2.2, §7.4.3.
LARGEST = {
    "log2_max_frame_num_minus4": 12,
    "log2_max_pic_order_cnt_lsb_minus4": 12,
    "max_num_ref_frames": 16,
    "num_ref_idx_l0_default_active_minus1": 31,
    "num_ref_idx_l1_default_active_minus1": 31,
    "num_ref_idx_l0_active_minus1": 31,
}


def ue(number: int) -> str:
    """Return the code of an unsigned number: §9.1."""
    return f"{number + 1:b}".rjust(2 * (number + 1).bit_length() - 1, "0")


def unit(header: int, *fields: str) -> bytes:
    bits = "".join(fields) + "1"
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    return bytes([header]) + with_escapes(data)


def units(numbers: dict[str, int]) -> tuple[bytes, bytes, bytes]:
    """Return a sequence set of the Baseline profile, a picture set and a slice P, by §7.3."""
    frame_num, lsb, references, first, second, active = numbers.values()
    sequence = unit(0x67, f"{66:08b}", "0" * 16, ue(0), ue(frame_num), ue(0), ue(lsb),
                    ue(references), "0", ue(0), ue(0), "1")  # fmt: skip
    picture = unit(0x68, ue(0), ue(0), "00", ue(0), ue(first), ue(second), "000", "111", "000")
    # A reference with number 0 that has its own number of active references
    part = unit(0x61, ue(0), ue(0), ue(0), "0" * (frame_num + 4), "0" * (lsb + 4), "1", ue(active),
                "0", "0", "1")  # fmt: skip
    return sequence, picture, part


def read(numbers: dict[str, int]) -> tuple[ParameterSets, SliceHeader]:
    sets = ParameterSets()
    sequence, picture, part = units(numbers)
    sets.add(sequence)
    sets.add(picture)
    return sets, read_slice_header(part, sets)


def test_the_largest_numbers_are_read() -> None:
    sets, header = read(LARGEST)
    assert header.sequence.frame_num_bits == header.sequence.lsb_bits == 4 + 12
    assert header.sequence.references == 16
    assert sets.of(0)[1].references == (32, 32)
    assert header.active == (32, 32)


@pytest.mark.parametrize("name", LARGEST)
def test_larger_numbers_are_refused(name: str) -> None:
    """They would be the lengths of lists: some bytes of a file could have all memory allocated."""
    with pytest.raises(ValueError, match="out of range"):
        read(LARGEST | {name: LARGEST[name] + 1})
