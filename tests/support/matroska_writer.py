"""Write small Matroska files (RFC 9559) with what other writers rarely use: lacing of each kind,
groups, unknown sizes, large track numbers. Independent of the service."""

import struct
from collections.abc import Sequence
from itertools import pairwise

from support.matroska_elements import CLUSTER, SEGMENT, TRACKS, UNKNOWN_SIZE, element

EBML, INFO, VOID, CRC = 0x1A45DFA3, 0x1549A966, 0xEC, 0xBF
XIPH, FIXED, EBML_LACING = 0x02, 0x04, 0x06
HEAD = element(EBML, element(0x4282, b"matroska"))


def uint(id_: int, value: int) -> bytes:
    """Return an element that is an unsigned integer."""
    return element(id_, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def vint(value: int, length: int = 0) -> bytes:
    """Return a variable-size integer (RFC 8794 §4), of the least length if none is wanted."""
    length = length or next(n for n in range(1, 9) if value < (1 << 7 * n) - 1)
    return (1 << 7 * length | value).to_bytes(length, "big")


def info(tick: int = 1_000_000) -> bytes:
    """Return Info with a TimestampScale in nanoseconds."""
    return element(INFO, uint(0x2AD7B1, tick))


def track(number: int, kind: int, codec: str, private: bytes = b"", *more: bytes) -> bytes:
    """Return a TrackEntry. `kind` is 1 for a picture, 2 for sound."""
    parts = [
        uint(0xD7, number),
        uint(0x73C5, number),
        uint(0x83, kind),
        element(0x86, codec.encode()),
    ]
    return element(0xAE, *parts, *([element(0x63A2, private)] if private else []), *more)


def lacing(frames: Sequence[bytes], kind: int) -> bytes:
    """Return what precedes the frames of a laced block (§10.3)."""
    sizes = [len(frame) for frame in frames]
    count = bytes([len(frames) - 1])
    if kind == FIXED:
        return count
    if kind == XIPH:
        return count + b"".join(b"\xff" * (n // 255) + bytes([n % 255]) for n in sizes[:-1])
    made = [count, vint(sizes[0])] if len(sizes) > 1 else [count]
    for before, size in pairwise(sizes[:-1]):
        more = size - before
        length = next(n for n in range(1, 9) if abs(more) < 1 << (7 * n - 1))
        made.append(vint(more + (1 << (7 * length - 1)) - 1, length))
    return b"".join(made)


def block(number: int, time: int, frames: Sequence[bytes], flags: int, kind: int = 0) -> bytes:
    """Return the content of a block. `time` is relative to the cluster."""
    head = vint(number) + struct.pack(">hB", time, flags | kind)
    return head + (lacing(frames, kind) if kind else b"") + b"".join(frames)


def simple(number: int, time: int, *frames: bytes, key: bool = True, kind: int = 0) -> bytes:
    """Return a SimpleBlock."""
    return element(0xA3, block(number, time, frames, 0x80 if key else 0, kind))


def group(  # noqa: PLR0913 # what differs in the tests
    number: int, time: int, *frames: bytes, key: bool = True, kind: int = 0,
    before: bytes = b"", after: bytes = b"",
) -> bytes:  # fmt: skip
    """Return a BlockGroup, with more elements before and after the block."""
    reference = b"" if key else element(0xFB, struct.pack(">h", -1))
    return element(
        0xA0, before, element(0xA1, block(number, time, frames, 0, kind)), reference, after
    )


def unsized(id_: int, *content: bytes) -> bytes:
    """Return an element of unknown size (RFC 8794 §6.2)."""
    return id_.to_bytes(4, "big") + UNKNOWN_SIZE + b"".join(content)


def cluster(time: int, *blocks: bytes, sized: bool = True) -> bytes:
    """Return a Cluster whose blocks are relative to `time`."""
    content = (uint(0xE7, time), *blocks)
    return element(CLUSTER, *content) if sized else unsized(CLUSTER, *content)


def matroska(
    *content: bytes, tracks: Sequence[bytes], tick: int = 1_000_000, sized: bool = True
) -> bytes:
    """Return a file: its tracks, and then clusters or other elements."""
    parts = (info(tick), element(TRACKS, *tracks), *content)
    return HEAD + (element(SEGMENT, *parts) if sized else unsized(SEGMENT, *parts))
