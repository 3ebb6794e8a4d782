"""Whether the key frames of an MP4 of H.264 are IDR pictures, at which any decoder can begin."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import av

from service.probing.read_limited_file import ReadLimitedFile

_MAX_BYTES = 1 << 22  # for all key frames that are looked at
_PLACES = (0.1, 0.5, 0.9)  # of the film: encoders make the same key frames throughout
_MIN_CONFIGURATION = 5  # bytes of an avcC up to lengthSizeMinusOne (ISO/IEC 14496-15 §5.3.3.1)
_SLICES, _IDR = range(1, 6), 5  # ITU-T H.264 table 7-1


def has_open_gops(
    container: Any, stream: Any, keys: Sequence[int], file: ReadLimitedFile
) -> bool | None:
    """Return whether a key frame is no IDR picture. `keys` are the times of key frames.

    Three are looked at. Return None for other codecs and containers, and if none can be read.
    """
    configuration = bytes(stream.codec_context.extradata or b"")
    is_mp4 = "mp4" in container.format.name.split(",")
    if stream.codec_context.codec.canonical_name != "h264" or not is_mp4:
        return None
    if len(configuration) < _MIN_CONFIGURATION or configuration[0] != 1 or not keys:
        return None
    file.set_budget(_MAX_BYTES)
    found: list[bool] = []
    with suppress(av.FFmpegError, IndexError):  # IndexError: as in frame_timing.py
        for key in dict.fromkeys(keys[int(place * len(keys))] for place in _PLACES):
            container.seek(key, stream=stream)
            packet = next(container.demux(stream), None)
            if packet is not None and packet.is_keyframe and packet.size:
                found.append(_is_open(bytes(packet), (configuration[4] & 3) + 1))
    return any(found) if found else None


def _is_open(picture: bytes, length_size: int) -> bool:
    """Return whether the first slice of a picture is of no IDR picture."""
    position = 0
    while position + length_size < len(picture):
        end = position + length_size
        kind = picture[end] & 31
        if kind in _SLICES:
            return kind != _IDR
        position = end + int.from_bytes(picture[position:end], "big")
    return False
