"""The units of H.264 and HEVC: in byte streams, as transport streams have them (Annex B of ITU-T
H.264 and of H.265), and with their lengths in front, as MP4 has them (ISO/IEC 14496-15 §4.3)."""

import struct
from collections.abc import Iterator
from typing import Literal

PictureCodec = Literal["h264", "hevc"]

_START = b"\0\0\1"
_LENGTH = 4
"""Bytes of the lengths in the MP4."""

# Types of units that are coded slices (H.264 table 7-1, H.265 table 7-1)
_H264_SLICES = frozenset({1, 5})
_H264_IDR, _H264_SPS, _H264_PPS = 5, 7, 8
_HEVC_SLICES = range(32)
_HEVC_IDR = frozenset({19, 20})
_HEVC_SPS = 33


def picture_codec(name: str) -> PictureCodec | None:
    """Return a codec with units by FFmpeg's name of it; None for another."""
    match name:
        case "h264" | "hevc":
            return name
    return None


def units_of_stream(data: bytes) -> Iterator[bytes]:
    """Yield the units of a byte stream, without the zeros between them."""
    start = data.find(_START)
    while start >= 0:
        start += len(_START)
        end = data.find(_START, start)
        unit = data[start : end if end >= 0 else len(data)].rstrip(b"\0")
        if unit:
            yield unit
        start = end


def units_with_lengths(data: bytes, length: int) -> Iterator[bytes]:
    """Yield the units of a sample whose lengths have `length` bytes. Raises ValueError."""
    position = 0
    while position < len(data):
        start = position + length
        position = start + int.from_bytes(data[position:start], "big")
        if position > len(data):
            raise ValueError("a unit that is cut off")
        if position > start:
            yield data[start:position]


def with_lengths(units: list[bytes]) -> bytes:
    """Return a sample as MP4 has it."""
    return b"".join(part for unit in units for part in (struct.pack(">I", len(unit)), unit))


def length_size(codec: PictureCodec, configuration: bytes) -> int:
    """Return the bytes of the lengths by the decoder configuration; 0 for byte streams."""
    if configuration[:1] != b"\1":
        return 0
    # ISO/IEC 14496-15 §5.3.3.1.2 and §8.3.3.1.2: lengthSizeMinusOne
    place = 4 if codec == "h264" else 21
    return (configuration[place] & 3) + 1 if len(configuration) > place else _LENGTH


def unit_type(codec: PictureCodec, unit: bytes) -> int:
    """Return nal_unit_type."""
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63


def is_slice(codec: PictureCodec, unit: bytes) -> bool:
    """Return whether a unit has a part of a picture."""
    return unit_type(codec, unit) in (_H264_SLICES if codec == "h264" else _HEVC_SLICES)


def is_idr(codec: PictureCodec, unit: bytes) -> bool:
    """Return whether a unit is of a picture that no later one refers beyond."""
    type_ = unit_type(codec, unit)
    return type_ == _H264_IDR if codec == "h264" else type_ in _HEVC_IDR


def is_sequence_set(codec: PictureCodec, unit: bytes) -> bool:
    """Return whether a unit is a sequence parameter set."""
    return unit_type(codec, unit) == (_H264_SPS if codec == "h264" else _HEVC_SPS)


def is_picture_set(unit: bytes) -> bool:
    """Return whether a unit of H.264 is a picture parameter set."""
    return unit[0] & 31 == _H264_PPS
