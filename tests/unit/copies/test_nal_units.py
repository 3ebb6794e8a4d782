"""Units of H.264 and HEVC in byte streams, and with lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.copies.adts import read_adts
from service.copies.nal_units import (
    length_size,
    units_of_stream,
    units_with_lengths,
    with_lengths,
)

# Annex B: a unit has no start code in it, and does not end with a zero byte.
UNITS = st.lists(
    st.binary(min_size=1, max_size=40).filter(
        lambda unit: b"\0\0\1" not in unit and b"\0\0\0" not in unit and unit[-1] != 0
    ),
    min_size=1,
    max_size=8,
)


@given(UNITS, st.sampled_from([b"\0\0\1", b"\0\0\0\1"]), st.integers(0, 3))
def test_a_byte_stream_has_the_units_between_its_start_codes(
    units: list[bytes], start: bytes, zeros: int
) -> None:
    data = b"".join(start + unit + bytes(zeros) for unit in units)
    assert list(units_of_stream(data)) == units
    assert list(units_with_lengths(with_lengths(units), 4)) == units


def test_what_is_before_the_first_start_code_is_no_unit() -> None:
    assert list(units_of_stream(b"junk\0\0\1unit")) == [b"unit"]
    assert list(units_of_stream(b"junk")) == []


@pytest.mark.parametrize("data", [b"\0\0\0\5abcd", b"\xff\xff\xff\xffa"])
def test_a_unit_that_is_cut_off_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        list(units_with_lengths(data, 4))


def test_the_size_of_lengths_is_in_the_configuration() -> None:
    assert length_size("h264", b"\1\x64\0\x28\xff\xe1") == 4
    assert length_size("h264", b"\1\x64\0\x28\xfd\xe1") == 2
    assert length_size("h264", b"\0\0\0\1\x67") == 0
    assert length_size("hevc", b"\1" + bytes(20) + b"\x0f") == 4


def test_a_header_of_adts_becomes_a_configuration() -> None:
    # ISO/IEC 14496-3 §1.A.2.2.1: AAC-LC, 48 kHz, stereo, 12 bytes with the header.
    frame = bytes.fromhex("fff14c80019ffc") + b"sound"
    header, raw = read_adts(frame)
    assert (header.object_type, header.rate, header.channels) == (2, 48_000, 2)
    assert raw == b"sound"
    # §1.6.2.1: five bits of type, four of rate, four of channels
    assert header.configuration == bytes([0b00010_001, 0b1_0010_000])


@pytest.mark.parametrize("frame", [b"", b"\xff\xf1\x4c", bytes(20), b"\xff\xf1\x4c\x00" + bytes(9)])
def test_what_is_no_adts_is_an_error(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_adts(frame)
