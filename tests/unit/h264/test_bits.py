"""Bits of H.264's headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.h264.bits import BitReader, bit_string, escaped_length, with_escapes, without_escapes

CODES = {"1": (0, 0), "010": (1, 1), "011": (2, -1), "00100": (3, 2), "00101": (4, -2)}
"""ITU-T H.264 tables 9-2 and 9-3: ue(v) and se(v) of a code."""

payloads = st.binary(max_size=40) | st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=40).map(
    bytes
)


def packed(bits: str) -> bytes:
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def test_codes_are_read_as_in_the_tables() -> None:
    unsigned, signed = (BitReader(packed("".join(CODES))) for _ in range(2))
    for code, (number, with_sign) in CODES.items():
        assert unsigned.unsigned() == number, code
        assert signed.signed() == with_sign, code
    assert unsigned.position == sum(map(len, CODES))


@pytest.mark.parametrize("data", [b"", b"\0"], ids=["empty", "cut off"])
def test_what_is_no_code_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is cut off"):
        BitReader(data).unsigned()


@given(payloads)
def test_escapes_are_taken_away_again(payload: bytes) -> None:
    escaped = with_escapes(payload)
    # §7.4.1: three bytes that are not in a unit
    assert not any(escaped[n : n + 3] in {b"\0\0\0", b"\0\0\1", b"\0\0\2"}
                   for n in range(len(escaped)))  # fmt: skip
    assert without_escapes(escaped) == payload


@given(payloads, st.data())
def test_the_length_with_escapes_is_that_of_the_start(payload: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(payload)))
    escaped = with_escapes(payload)
    assert without_escapes(escaped[: escaped_length(escaped, length)]) == payload[:length]


@given(st.binary(max_size=20))
def test_a_text_of_bits_has_them_in_order(data: bytes) -> None:
    assert bit_string(data) == "".join(f"{byte:08b}" for byte in data)
