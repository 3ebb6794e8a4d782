"""Frames of silence that decoders take in the middle of a sound, by the codec's own headers."""

# ruff: noqa: PLR2004 - the numbers are the specifications', each cited beside its branch

from service.sound.frames import AacCore, aac_core, opus_samples

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
    11: (_ID_SCE, _ID_CPE, _ID_CPE, _ID_SCE, _ID_LFE),
    12: (_ID_SCE, _ID_CPE, _ID_CPE, _ID_CPE, _ID_LFE),
    14: (_ID_SCE, _ID_CPE, _ID_CPE, _ID_LFE, _ID_CPE),
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
                return _aac(aac_core(extradata))
            case "mp3":
                return _mp3(first_frame)
            case "opus":
                return _opus(extradata, first_frame)
            case "flac":
                return _flac(extradata, first_frame)
    except ValueError:  # damaged
        pass
    return b""


def _aac(core: AacCore) -> bytes:
    """Return a raw_data_block (ISO/IEC 14496-3 table 4.3) with all elements of a configuration."""
    elements = core.elements
    if core.channels:
        elements, tags = (), dict[int, int]()
        for kind in _ELEMENTS.get(core.channels, ()):
            elements = (*elements, (kind, tags.setdefault(kind, 0)))
            tags[kind] += 1
    if not elements:
        return b""
    bits = ""
    for element, tag in elements:
        bits += f"{element:03b}{tag:04b}"
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
    length, streams, coupled = opus_samples(first), 1, first[0] >> 2 & 1
    if len(extradata) > 20 and extradata[18]:  # RFC 7845 §5.1.1: a packet has several streams
        streams, coupled = extradata[19:21]
    # RFC 6716 table 2: of the full band, by their samples
    frame = next(samples for samples in (960, 480, 240, 120) if length % samples == 0)
    count, config = length // frame, {960: 31, 480: 30, 240: 29, 120: 28}[frame]
    packet = b""
    for number in range(streams):
        # §3.2.5: several frames of the same size; RFC 7845 §3 and RFC 6716 appendix B: all streams
        # but the last one say which
        size = bytes([len(_OPUS_SILENCE)]) if number < streams - 1 else b""
        packet += bytes([config << 3 | (number < coupled) << 2 | 3, count]) + size
        packet += _OPUS_SILENCE * count
    return packet


def _flac(extradata: bytes, first: bytes) -> bytes:
    """Return a frame whose samples are constant (RFC 9639 §9), with the header of the first one."""
    info = extradata[8:] if extradata.startswith(b"fLaC") else extradata
    if len(info) < 34 or len(first) < 5 or first[:2] != b"\xff\xf8" or first[4] & 0x80:
        raise ValueError("no first frame of a fixed length")
    # §8.2: after the sizes of blocks and frames, 20 bits of the rate, 3 of channels, 5 of a sample
    channels = (info[12] >> 1 & 7) + 1
    depth = ((info[12] & 1) << 4 | info[13] >> 4) + 1
    # §9.1.1 and §9.1.2: which codes of block size and sample rate have bytes of their own
    extra = {6: 1, 7: 2}.get(first[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(first[2] & 15, 0)
    header = first[:3] + bytes([channels - 1 << 4 | first[3] & 0x0F]) + first[4 : 5 + extra]
    header += _crc(header, 0x07, 8)
    # §9.2: a bit of padding, six of the type (constant), one of no wasted bits, and the sample
    subframes = "0" * channels * (8 + depth)
    frame = header + bytes((len(subframes) + 7) // 8)
    return frame + _crc(frame, 0x8005, 16)


def _crc(data: bytes, polynomial: int, bits: int) -> bytes:
    """Return a cyclic redundancy check without reflection that begins with 0 (§9.1.8, §9.3)."""
    value = 0
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
    return value.to_bytes(bits // 8, "big")
