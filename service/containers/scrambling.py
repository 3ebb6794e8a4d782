"""Finds streams that are scrambled, as broadcasts and DVDs are: their headers are legible."""

import re
from typing import BinaryIO, Final

_SAMPLE: Final = 1 << 20
"""Bytes examined: a second of a recording at 8 Mbit/s."""

_SYNC: Final = 0x47  # ISO/IEC 13818-1 §2.4.3.2
_PACKET: Final = 188
_PACKET_LENGTHS: Final = (188, 192, 204)  # with a time stamp (BDAV), or with error correction
_MIN_PACKETS: Final = 5
_TABLES: Final = frozenset({*range(0x20), 0x1FFF})  # PIDs that are no streams

# §2.4.3.6: the start code and the stream of a packet of pictures or sound, its length, and the bits
# 10. DVD-Video has sound in private stream 1 (BD), too.
_PES: Final = re.compile(rb"\x00\x00\x01([\xbd\xc0-\xef])..([\x80-\xbf])", re.DOTALL)
_PES_SCRAMBLING: Final = 0x30


def scrambled_pids(file: BinaryIO) -> frozenset[int]:
    """Return the PIDs of a transport stream whose packets are mostly scrambled.

    That is said by transport_scrambling_control (ISO/IEC 13818-1 §2.4.3.3). Raises what `file`
    raises. The file's position is undefined afterwards.
    """
    file.seek(0)
    data = file.read(_SAMPLE)
    counts: dict[int, list[int]] = {}
    for at in _packets(data):
        pid = int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF
        if pid not in _TABLES:
            count = counts.setdefault(pid, [0, 0])
            count[bool(data[at + 3] & 0xC0)] += 1
    return frozenset(pid for pid, (clear, scrambled) in counts.items() if scrambled > clear)


def _packets(data: bytes) -> range:
    """Return where the packets begin."""
    for length in _PACKET_LENGTHS:
        for start in range(length):
            heads = data[start : start + length * _MIN_PACKETS : length]
            if len(heads) == _MIN_PACKETS and set(heads) == {_SYNC}:
                return range(start, len(data) - _PACKET + 1, length)
    return range(0)


def is_program_scrambled(file: BinaryIO) -> bool:
    """Return whether most packets of a program stream are scrambled, as CSS does on DVDs.

    That is said by PES_scrambling_control (ISO/IEC 13818-1 §2.4.3.7). Raises what `file` raises.
    The file's position is undefined afterwards.
    """
    file.seek(0)
    heads = [match[2][0] for match in _PES.finditer(file.read(_SAMPLE))]
    scrambled = sum(bool(head & _PES_SCRAMBLING) for head in heads)
    return len(heads) >= _MIN_PACKETS and scrambled > len(heads) / 2
