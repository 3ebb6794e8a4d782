"""How many samples the frames of each codec have."""

import struct

import pytest

from service.sound.frames import sound_frame


def bits(*fields: tuple[int, int]) -> bytes:
    """Return bytes of numbers with their lengths in bits, filled up with zeros."""
    text = "".join(f"{value:0{length}b}" for value, length in fields)
    text = text.ljust(-(-len(text) // 8) * 8 + 16, "0")
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


STREAMINFO = struct.pack(">HH", 4096, 4096) + bytes(30)


@pytest.mark.parametrize(
    ("codec", "extradata", "frame", "expected"),
    [
        # ISO/IEC 14496-3 §1.6.2.1: type 2 is LC, index 3 is 48 kHz, 4 is 44.1 kHz.
        ("aac", bits((2, 5), (3, 4), (2, 4), (0, 1)), b"", (48000, 1024)),
        ("aac", bits((2, 5), (4, 4), (2, 4), (1, 1)), b"", (44100, 960)),
        ("aac", bits((2, 5), (15, 4), (12345, 24), (2, 4), (0, 1)), b"", (12345, 1024)),
        # HE-AAC: the core has half of the rate.
        ("aac", bits((5, 5), (6, 4), (2, 4), (3, 4), (2, 5), (0, 1)), b"", (24000, 1024)),
        # RFC 6716 §3.1: configuration, stereo, code
        ("opus", b"", bytes([0b11111_0_00]), (48000, 960)),  # CELT, 20 ms
        ("opus", b"", bytes([0b11110_1_01]), (48000, 960)),  # two of 10 ms
        ("opus", b"", bytes([0b10000_0_11, 6]), (48000, 720)),  # six of 2.5 ms
        ("opus", b"", bytes([0b00011_0_00]), (48000, 2880)),  # SILK, 60 ms
        ("opus", b"", bytes([0b01101_0_00]), (48000, 960)),  # hybrid, 20 ms
        ("mp3", b"", b"", (48000, 1152)),
        ("ac3", b"", b"", (48000, 1536)),
        ("eac3", b"", bytes([0x0B, 0x77, 0, 0, 0b00_11_0000]), (48000, 1536)),
        ("eac3", b"", bytes([0x0B, 0x77, 0, 0, 0b00_00_0000]), (48000, 256)),
        ("eac3", b"", bytes([0x0B, 0x77, 0, 0, 0b11_00_0000]), (48000, 1536)),
        ("flac", STREAMINFO, b"", (48000, 4096)),
        ("flac", b"fLaC\0\0\0\x22" + STREAMINFO, b"", (48000, 4096)),
        ("flac", struct.pack(">HH", 16, 4096) + bytes(30), b"", (48000, 0)),  # they vary
    ],
)
def test_the_length_of_a_frame_is_what_its_codec_says(
    codec: str, extradata: bytes, frame: bytes, expected: tuple[int, int]
) -> None:
    assert sound_frame(codec, 48000, extradata, frame) == expected


def test_frames_of_mp3_below_32_khz_are_half_as_long() -> None:
    assert sound_frame("mp3", 22050, b"", b"") == (22050, 576)


@pytest.mark.parametrize(
    ("codec", "extradata", "frame"),
    [
        ("aac", b"", b""),
        ("aac", bits((23, 5), (3, 4), (2, 4)), b""),  # low delay
        ("aac", bits((2, 5), (13, 4), (2, 4)), b""),  # a reserved rate
        ("opus", b"", b""),
        ("opus", b"", bytes([0b11111_0_11])),
        ("opus", b"", bytes([0b11111_0_11, 0])),
        ("mp3", b"", b"\xff\xfd\x90\x00"),  # layer II
        ("eac3", b"", b"\x0b\x77"),
        ("flac", b"fLaC", b""),
        ("vorbis", b"", b""),
    ],
)
def test_damaged_and_unknown_headers_are_errors(codec: str, extradata: bytes, frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        sound_frame(codec, 48000, extradata, frame)
