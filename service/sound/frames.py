"""How many samples a frame of sound has, by the codec's own headers."""

# ruff: noqa: PLR2004 - the numbers are the specifications', each cited beside its branch

import struct
from typing import Final, NamedTuple

# ISO/IEC 14496-3 §1.6.3.4, by samplingFrequencyIndex
AAC_RATES: Final = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350),
)


def sound_frame(
    codec: str, sample_rate: int, extradata: bytes, first_frame: bytes
) -> tuple[int, int]:
    """Return the samples per second, and the samples in a frame; 0 if they vary.

    `codec` is FFmpeg's name. Raises ValueError if the headers are damaged or unknown.
    """
    match codec:
        case "aac":
            core = aac_core(extradata)
            return core.rate, core.frame
        case "opus":
            return 48000, opus_samples(first_frame)  # RFC 7845 §4: always counted at 48 kHz
        case "mp3":
            if first_frame[1:2] and first_frame[1] >> 1 & 3 != 1:  # §2.4.2.3, the field `layer`
                raise ValueError("no frame of layer III")
            # ISO/IEC 11172-3 §2.4.2.1; 13818-3 halves it below 32 kHz.
            return sample_rate, 1152 if sample_rate >= 32000 else 576
        case "ac3":
            return sample_rate, 1536  # ETSI TS 102 366 §4.1: six blocks of 256
        case "eac3":
            return sample_rate, _eac3(first_frame)
        case "flac":
            return sample_rate, _flac(extradata)
        case _:
            raise ValueError("a codec whose frames are unknown")


class AacCore(NamedTuple):
    """What an AudioSpecificConfig says of the core: samples per second and in a frame."""

    rate: int
    frame: int
    channels: int
    """The channelConfiguration (ISO/IEC 14496-3 table 1.19)."""
    elements: tuple[tuple[int, int], ...] = ()
    """The elements of a frame if it is 0: their types (table 4.85) and tags."""


def aac_core(config: bytes) -> AacCore:
    """Read an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). Raises ValueError as above."""
    if len(config) < 2:
        raise ValueError("no AudioSpecificConfig")
    bits = _Bits(config[:64].ljust(64, b"\0"))
    type_, rate = _object_type(bits), _aac_rate(bits)
    channels = bits.take(4)
    if type_ in {5, 29}:  # SBR, PS: the type of the core follows
        _aac_rate(bits)
        type_ = _object_type(bits)
    if type_ not in {1, 2, 3, 4}:  # Main, LC, SSR, LTP
        raise ValueError("another kind of AAC")
    # §4.4.1, GASpecificConfig: frameLengthFlag, dependsOnCoreCoder, extensionFlag
    frame = 960 if bits.take(1) else 1024
    if bits.take(1):
        bits.take(14)
    bits.take(1)
    return AacCore(rate, frame, channels, () if channels else _aac_elements(bits))


def _aac_elements(bits: "_Bits") -> tuple[tuple[int, int], ...]:
    """Read a program_config_element (§4.4.1.1)."""
    bits.take(4 + 2 + 4)
    pairs = bits.take(4) + bits.take(4) + bits.take(4)  # in front, at the side, at the back
    low, _ = bits.take(2), bits.take(3 + 4)
    for length in (4, 4, 3):  # mixdowns
        if bits.take(1):
            bits.take(length)
    elements = [(bits.take(1), bits.take(4)) for _ in range(pairs)]  # ID_SCE is 0, ID_CPE 1
    return (*elements, *((3, bits.take(4)) for _ in range(low)))  # ID_LFE


def _object_type(bits: "_Bits") -> int:
    type_ = bits.take(5)
    return 32 + bits.take(6) if type_ == 31 else type_


def _aac_rate(bits: "_Bits") -> int:
    index = bits.take(4)
    rate = bits.take(24) if index == 15 else dict(enumerate(AAC_RATES)).get(index, 0)
    if not rate:
        raise ValueError("no sample rate")
    return rate


def opus_samples(packet: bytes) -> int:
    """Return the length of a packet (RFC 6716 §3.1) at 48 kHz. Raises ValueError."""
    if not packet:
        raise ValueError("an empty packet")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:  # SILK: 10, 20, 40 or 60 ms
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:  # hybrid: 10 or 20 ms
        frame = (480, 960)[config & 1]
    else:  # CELT: 2.5, 5, 10 or 20 ms
        frame = (120, 240, 480, 960)[config & 3]
    if code < 3:
        return frame * (1 if code == 0 else 2)
    if len(packet) < 2 or not packet[1] & 0x3F:
        raise ValueError("a packet without frames")
    return frame * (packet[1] & 0x3F)


def _eac3(frame: bytes) -> int:
    """Read numblkscod (ETSI TS 102 366 §E.1.2.2), or fscod2, with which there are six blocks."""
    if len(frame) < 5:
        raise ValueError("a short frame")
    return 1536 if frame[4] >> 6 == 3 else 256 * (1, 2, 3, 6)[frame[4] >> 4 & 3]


def _flac(extradata: bytes) -> int:
    """Read STREAMINFO (RFC 9639 §8.2), which FFmpeg has without its header."""
    info = extradata[8:] if extradata.startswith(b"fLaC") else extradata
    if len(info) < 34:
        raise ValueError("no STREAMINFO")
    shortest, longest = struct.unpack_from(">HH", info)
    return int(longest) if shortest == longest else 0


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)
