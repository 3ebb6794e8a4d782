"""Frames of silence that decoders take in the middle of a sound, by the codec's own headers."""

# ruff: noqa: PLR2004 - the numbers are the specifications', each cited beside its branch

from service.sound.frames import aac_core, opus_samples

# ISO/IEC 14496-3 table 4.85, id_syn_ele
_ID_SCE, _ID_CPE, _ID_LFE, _ID_END = 0, 1, 3, 7
# The elements of a frame by channelConfiguration (table 1.19)
_ELEMENTS = {
    1: (_ID_SCE,),
    2: (_ID_CPE,),
    3: (_ID_SCE, _ID_CPE),
    4: (_ID_SCE, _ID_CPE, _ID_SCE),
    5: (_ID_SCE, _ID_CPE, _ID_CPE),
    6: (_ID_SCE, _ID_CPE, _ID_CPE, _ID_LFE),
    7: (_ID_SCE, _ID_CPE, _ID_CPE, _ID_CPE, _ID_LFE),
}
_ICS_INFO_BITS = 11
"""Of ics_info (table 4.6) for a long window without scale factor bands: all are 0."""
_CHANNEL_BITS = 11
"""Of a channel (table 4.50) without bands: global_gain, and three flags: no pulses, no temporal
noise shaping, no gain control."""
_OPUS_SILENCE = b"\xff\xfe"
"""A frame of which the first symbol, the silence flag, is 1 (RFC 6716 §4.3, table 56)."""


def silent_frame(codec: str, extradata: bytes, first_frame: bytes) -> bytes:
    """Return a frame of silence as long as the others; empty if there is none for such sound.

    `codec` is FFmpeg's name.
    """
    try:
        match codec:
            case "aac":
                return _aac(aac_core(extradata).channels)
            case "mp3":
                return _mp3(first_frame)
            case "opus":
                return _opus(extradata, first_frame)
    except ValueError:  # damaged
        pass
    return b""


def _aac(channels: int) -> bytes:
    """Return a raw_data_block (ISO/IEC 14496-3 table 4.3) by the channelConfiguration."""
    elements = _ELEMENTS.get(channels)
    if elements is None:
        return b""  # its elements are described elsewhere
    tags = dict.fromkeys(elements, 0)
    bits = ""
    for element in elements:
        bits += f"{element:03b}{tags[element]:04b}"
        tags[element] += 1
        if element == _ID_CPE:  # table 4.5: common_window, ms_mask_present
            bits += "1" + "0" * (_ICS_INFO_BITS + 2 + 2 * _CHANNEL_BITS)
        else:
            bits += "0" * (_ICS_INFO_BITS + _CHANNEL_BITS)
    bits += f"{_ID_END:03b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _mp3(first: bytes) -> bytes:
    """Return a frame of layer III (ISO/IEC 11172-3 §2.4.1) without coefficients, of the lowest bit
    rate, which needs none of the bits of earlier frames.
    """
    if len(first) < 4 or first[0] != 0xFF or first[1] & 0xE6 != 0xE2:
        raise ValueError("no frame of layer III")
    is_mpeg1 = first[1] >> 3 & 3 == 3
    rate = (44_100, 48_000, 32_000)[first[2] >> 2 & 3] if first[2] & 0x0C != 0x0C else 0
    if not rate:
        raise ValueError("no sample rate")
    if is_mpeg1:
        length = 144 * 32_000 // rate
    else:  # ISO/IEC 13818-3 §2.4.2.3: half of these rates, and MPEG 2.5 a quarter
        length = 72 * 8_000 // (rate >> (1 if first[1] >> 3 & 3 == 2 else 2))
    # protection_bit: no CRC; bitrate_index 1; no padding
    header = bytes([first[0], first[1] | 1, 0x10 | first[2] & 0x0C, first[3]])
    return header.ljust(length, b"\0")


def _opus(extradata: bytes, first: bytes) -> bytes:
    """Return a packet that is as long, of frames of CELT that only say that they are silent."""
    if len(extradata) > 18 and extradata[18]:
        return b""  # RFC 7845 §5.1.1: a packet has several streams
    length, stereo = opus_samples(first), first[0] & 0x04
    # RFC 6716 table 2: of the full band, by their samples
    frame = next(samples for samples in (960, 480, 240, 120) if length % samples == 0)
    toc = {960: 31, 480: 30, 240: 29, 120: 28}[frame] << 3 | stereo
    # §3.2.5: several frames of the same size
    return bytes([toc | 3, length // frame]) + _OPUS_SILENCE * (length // frame)
