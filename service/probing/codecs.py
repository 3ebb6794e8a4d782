"""The RFC 6381 codecs parameter of a stream, which browsers accept in canPlayType."""

# ruff: noqa: PLR2004 - the numbers are the specifications', each cited beside its branch

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """Facts about a stream besides its codec and its extradata."""

    tag: str = ""
    """The container's code for the codec, such as hvc1; empty if it has none."""
    bit_depth: int | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None


_UNKNOWN: Final = SampleEntry()

# Names that need no parameters. The WebM project's "vp8" and "vorbis"; RFC 9559's Opus as "opus";
# "flac" from the FLAC in ISOBMFF mapping; sample entries of ETSI TS 102 366 Annex F for AC-3.
_WITHOUT_PARAMETERS: Final = {
    "vp8": "vp8",
    "opus": "opus",
    "vorbis": "vorbis",
    "flac": "flac",
    "ac3": "ac-3",
    "eac3": "ec-3",
}


def codec_string(
    codec: str,
    extradata: bytes = b"",
    profile: int | None = None,
    level: int | None = None,
    entry: SampleEntry = _UNKNOWN,
) -> str | None:
    """Return the codecs parameter of a stream, or None if it is unknown or `extradata` is damaged.

    `codec` is FFmpeg's name. `profile` and `level` are FFmpeg's numbers, used only if `extradata`
    has none (VP9, and AAC without an AudioSpecificConfig).
    """
    match codec:
        case "h264":
            return _avc(extradata, entry.tag)
        case "hevc":
            return _hevc(extradata, entry.tag)
        case "av1":
            return _av1(extradata)
        case "vp9":
            return _vp9(extradata, profile, level, entry)
        case "aac":
            return _aac(extradata, profile)
        case "mp3":
            # RFC 6381 §3.3: mp4a and the ObjectTypeIndication, 6B being MPEG-1 layer III.
            return "mp4a.6B" if entry.tag == "mp4a" else "mp3"
        case _:
            return _WITHOUT_PARAMETERS.get(codec)


def _avc(extradata: bytes, tag: str) -> str | None:
    # RFC 6381 §3.3: profile_idc, the constraint flags and level_idc, two hexadecimal digits each.
    if extradata[:1] == b"\x01":
        profile_bytes = extradata[1:4]  # ISO/IEC 14496-15 §5.3.3.1: AVCDecoderConfigurationRecord
    else:
        # ITU-T H.264 §7.3.2.1.1: the sequence parameter set (type 7) begins with the same 3 bytes.
        profile_bytes = next(
            (unit[1:4] for unit in _nal_units(extradata) if unit[:1] and unit[0] & 0x1F == 7), b""
        )
    if len(profile_bytes) < 3 or profile_bytes[0] == 0:
        return None
    # avc3 (parameter sets in the samples) has its own name: ISO/IEC 14496-15 §5.4.2.1.
    return f"{'avc3' if tag == 'avc3' else 'avc1'}.{profile_bytes.hex().upper()}"


def _hevc(extradata: bytes, tag: str) -> str | None:
    if tag in {"dvh1", "dvhe"}:
        return None  # Dolby Vision, whose record (dvcC) is not in extradata
    if extradata[:1] == b"\x01":
        profile_bytes = extradata[1:13]  # ISO/IEC 14496-15 §8.3.3.1: HEVCDecoderConfigurationRecord
    else:
        # ITU-T H.265 §7.3.2.2: two bytes of header, one of identifiers, profile_tier_level().
        profile_bytes = next(
            (
                unit[3:15]
                for unit in _nal_units(extradata)
                if unit[:1] and unit[0] >> 1 & 0x3F == 33
            ),
            b"",
        )
    if len(profile_bytes) < 12:
        return None
    # ISO/IEC 14496-15 Annex E.3: profile, compatibility flags in reverse bit order without
    # leading zeros, tier and level, then the constraint bytes without trailing zero bytes.
    space = ("", "A", "B", "C")[profile_bytes[0] >> 6]
    tier = "H" if profile_bytes[0] & 0x20 else "L"
    compatibility = int(f"{int.from_bytes(profile_bytes[1:5], 'big'):032b}"[::-1], 2)
    constraints = profile_bytes[5:11].rstrip(b"\x00")
    return ".".join(
        (
            # Safari does not play hev1, so keep the difference.
            "hev1" if tag == "hev1" else "hvc1",
            f"{space}{profile_bytes[0] & 0x1F}",
            f"{compatibility:X}",
            f"{tier}{profile_bytes[11]}",
            *(f"{byte:X}" for byte in constraints),
        )
    )


def _av1(extradata: bytes) -> str | None:
    # AV1 Codec ISO Media File Format Binding §2.3.3: marker 1 and version 1 in the first byte.
    if len(extradata) < 4 or extradata[0] != 0x81:
        return None
    profile, level = extradata[1] >> 5, extradata[1] & 0x1F
    high_tier, high_depth, twelve = (extradata[2] & bit for bit in (0x80, 0x40, 0x20))
    # AV1 specification §5.5.2, color_config(): twelve_bit applies to profile 2 only.
    depth = (12 if profile == 2 and twelve else 10) if high_depth else 8
    # The same §5, "Codecs Parameter String": the first four fields; the others are optional.
    return f"av01.{profile}.{level:02}{'H' if high_tier else 'M'}.{depth:02}"


def _vp9(
    extradata: bytes, profile: int | None, level: int | None, entry: SampleEntry
) -> str | None:
    depth = entry.bit_depth
    if len(extradata) >= 7 and extradata[:4] == b"\x01\x00\x00\x00":
        # VP Codec ISO Media File Format Binding, VPCodecConfigurationBox (a full box, version 1).
        profile, level, depth = extradata[4], extradata[5], extradata[6] >> 4
    else:
        # WebM Container Guidelines, "VP9 Codec Feature Metadata": identifier, length 1, value.
        features = {
            extradata[at]: extradata[at + 2]
            for at in range(0, len(extradata) - 2, 3)
            if extradata[at + 1] == 1
        }
        profile, level = features.get(1, profile), features.get(2, level)
        depth = features.get(3, depth)
    if profile is None or profile not in range(4):
        return None
    if level not in _VP9_LEVEL_NUMBERS:
        level = _vp9_level(entry)
    # VP9 bitstream specification §7.2: 8 bits in profiles 0 and 1, 10 or 12 in 2 and 3.
    depth = 8 if profile < 2 else 12 if depth == 12 else 10
    # VP Codec ISO Media File Format Binding, "Codecs Parameter String".
    return f"vp09.{profile:02}.{level:02}.{depth:02}"


# VP9 levels, https://www.webmproject.org/vp9/levels/: level times ten, luma samples a second,
# luma samples a picture, longest side.
_VP9_LEVELS: Final = (
    (10, 829440, 36864, 512),
    (11, 2764800, 73728, 768),
    (20, 4608000, 122880, 960),
    (21, 9216000, 245760, 1344),
    (30, 20736000, 552960, 2048),
    (31, 36864000, 983040, 2752),
    (40, 83558400, 2228224, 4160),
    (41, 160432128, 2228224, 4160),
    (50, 311951360, 8912896, 8384),
    (51, 588251136, 8912896, 8384),
    (52, 1176502272, 8912896, 8384),
    (60, 1176502272, 35651584, 16832),
    (61, 2353004544, 35651584, 16832),
    (62, 4706009088, 35651584, 16832),
)
_VP9_LEVEL_NUMBERS: Final = frozenset(row[0] for row in _VP9_LEVELS)


def _vp9_level(entry: SampleEntry) -> int:
    """Return the lowest level for this frame size and rate: WebM rarely contains the level."""
    width, height = entry.width or 0, entry.height or 0
    rate = width * height * (entry.frame_rate or 0.0)
    for level, max_rate, max_picture, max_side in _VP9_LEVELS:
        if rate <= max_rate and width * height <= max_picture and max(width, height) <= max_side:
            return level
    return _VP9_LEVELS[-1][0]


def _aac(extradata: bytes, profile: int | None) -> str | None:
    # RFC 6381 §3.3: 40 is MPEG-4 audio, then the audio object type in decimal.
    # ISO/IEC 14496-3 §1.6.2.1, GetAudioObjectType(): five bits, 31 escapes to 32 + six more.
    bits = int.from_bytes(extradata[:2].ljust(2, b"\x00"), "big")
    object_type = bits >> 11
    if object_type == 31:
        object_type = 32 + (bits >> 5 & 0x3F) if len(extradata) > 1 else 0
    if object_type == 0 and profile is not None and 0 <= profile < 95:
        object_type = profile + 1  # FFmpeg's AAC profile is the object type minus one
    return f"mp4a.40.{object_type}" if object_type else None


def _nal_units(extradata: bytes) -> list[bytes]:
    """Return the NAL units of an Annex B byte stream, without emulation prevention bytes.

    ITU-T H.264 §7.4.1 and Annex B, H.265 the same.
    """
    return [
        unit.replace(b"\x00\x00\x03", b"\x00\x00") for unit in extradata.split(b"\x00\x00\x01")[1:]
    ]
