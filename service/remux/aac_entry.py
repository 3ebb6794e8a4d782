"""The sample entry of AAC in an MP4 (ISO/IEC 14496-14 §5.6)."""

import struct

from service.remux.boxes import box, full_box
from service.remux.movie import SampleEntry

# ISO/IEC 14496-1 §7.2.6: tags of descriptors, and values of their fields
_ES, _DECODER_CONFIG, _DECODER_SPECIFIC, _SL_CONFIG = 3, 4, 5, 6
_AUDIO_14496_3, _AUDIO_STREAM = 0x40, 0x05 << 2 | 1  # objectTypeIndication, streamType
_PREDEFINED_MP4 = 2


def aac_entry(configuration: bytes, codec: str, channels: int, sample_rate: int) -> SampleEntry:
    """Return the entry of a track with this AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1)."""
    decoder = _descriptor(
        _DECODER_CONFIG,
        # The size of the buffer and the bit rates are 0: unknown.
        struct.pack(">BB3xII", _AUDIO_14496_3, _AUDIO_STREAM, 0, 0)
        + _descriptor(_DECODER_SPECIFIC, configuration),
    )
    sync = _descriptor(_SL_CONFIG, bytes([_PREDEFINED_MP4]))
    esds = full_box(b"esds", _descriptor(_ES, struct.pack(">HB", 0, 0) + decoder + sync))
    entry = box(
        b"mp4a",
        struct.pack(">6xH8xHH4xI", 1, channels, 16, sample_rate << 16),  # ISO/IEC 14496-12 §12.2.3
        esds,
    )
    return SampleEntry(full_box(b"stsd", struct.pack(">I", 1), entry), codec)


def _descriptor(tag: int, content: bytes) -> bytes:
    """Return a descriptor of less than 128 bytes (ISO/IEC 14496-1 §8.3.3)."""
    return bytes([tag, len(content)]) + content
