"""The headers of AAC in transport streams (ISO/IEC 14496-3 §1.A.2.2, ADTS)."""

# ruff: noqa: PLR2004 - the numbers are the specification's

import struct
from typing import NamedTuple

from service.sound.frames import AAC_RATES


class AdtsHeader(NamedTuple):
    """What is the same in all frames."""

    object_type: int
    rate_index: int
    channels: int

    @property
    def rate(self) -> int:
        """Samples per second."""
        return AAC_RATES[self.rate_index]

    @property
    def configuration(self) -> bytes:
        """The AudioSpecificConfig (§1.6.2.1)."""
        return struct.pack(">H", self.object_type << 11 | self.rate_index << 7 | self.channels << 3)


def read_adts(frame: bytes) -> tuple[AdtsHeader, bytes]:
    """Return the header of a frame, and the frame without it.

    Raises ValueError if it is no such frame, or has what an MP4 has in another way.
    """
    if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0:
        raise ValueError("no ADTS header")
    header = AdtsHeader(
        object_type=(frame[2] >> 6) + 1,
        rate_index=frame[2] >> 2 & 15,
        channels=(frame[2] & 1) << 2 | frame[3] >> 6,
    )
    length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
    if header.rate_index >= len(AAC_RATES) or not header.channels or frame[6] & 3:
        raise ValueError("channels by a program_config_element, or several blocks")
    if length > len(frame):
        raise ValueError("it is cut off")
    return header, frame[7 if frame[1] & 1 else 9 : length]
