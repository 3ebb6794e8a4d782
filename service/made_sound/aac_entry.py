"""The sample entry of AAC (ISO/IEC 14496-14 §5.6)."""

import struct

from service.mp4.box_writer import box, full_box
from service.remux.movie import SampleEntry

# ISO/IEC 14496-1 §7.2.2.1: tags of the descriptors
_ES, _DECODER_CONFIG, _DECODER_SPECIFIC, _SL_CONFIG = 3, 4, 5, 6
_AAC, _AUDIO_STREAM = 0x40, 0x15  # objectTypeIndication; streamType 5, not upstream
_MAX_RATE = 65_535  # of the field's 16 bits


def aac_entry(configuration: bytes, rate: int, channels: int) -> SampleEntry:
    """Return the entry of AAC by its AudioSpecificConfig."""
    specific = _descriptor(_DECODER_SPECIFIC, configuration)
    decoder = _descriptor(
        _DECODER_CONFIG, struct.pack(">BBBHII", _AAC, _AUDIO_STREAM, 0, 0, 0, 0), specific
    )
    # Nothing is synchronised by the streams' own headers: predefined 2, for MP4.
    stream = _descriptor(_ES, bytes(3), decoder, _descriptor(_SL_CONFIG, b"\2"))
    entry = box(
        b"mp4a",
        bytes(6),
        struct.pack(">H", 1),
        bytes(8),
        struct.pack(">HHII", channels, 16, 0, (rate if rate <= _MAX_RATE else 0) << 16),
        full_box(b"esds", stream),
    )
    return SampleEntry(
        stsd=full_box(b"stsd", struct.pack(">I", 1), entry),
        codec=f"mp4a.40.{configuration[0] >> 3}",
    )


def _descriptor(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content
