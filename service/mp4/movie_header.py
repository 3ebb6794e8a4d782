"""Reads from an MP4's headers what FFmpeg does not report: encryption, compression, lost fragments.

Only the headers of boxes and a few short boxes are read, so a long index costs nothing."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from service.mp4.boxes import MAX_BOXES, MAX_HEADER_LENGTH, Box, box_at

MAX_CHILDREN = 10_000
"""Boxes read within the movie header. A track has about 25."""

_MAX_ENTRY_BYTES = 1 << 16  # a sample entry with its decoder configuration has some hundred
_MAX_SIDX_BYTES = 1 << 20  # 12 a fragment

_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}

# QuickTime's sample entries of FairPlay for sound and picture; Apple publishes no specification.
_FAIRPLAY = {b"drms", b"drmi", b"drmt"}
_AUDIBLE = b"aavd"  # of audiobooks (.aax); libavformat/isom.c
# ISO/IEC 14496-12 §8.12: the sample entry's type is replaced, and `sinf` has the original one.
_PROTECTED = {b"encv", b"enca", b"enct", b"encs", b"encm", b"encf", b"encp", b"enc3", b"encu"}

ENCRYPTED_ENTRIES = frozenset({*_FAIRPLAY, *_PROTECTED, _AUDIBLE})
"""The types of sample entries of encrypted tracks."""


@dataclass(slots=True)
class MovieHeader:
    """What the boxes before the media data say."""

    compressed: bool = False
    """Whether the index is compressed (QuickTime File Format, "Compressed Movie Resources")."""
    fragmented: bool = False
    """Whether fragments follow, with the frames that are not in the index (§8.8.1, mvex)."""
    encryption: dict[int, str] = field(default_factory=dict)
    """The scheme of each encrypted track, by track ID."""
    index_size: int | None = None
    """Bytes of the index (moov)."""
    index_cut: bool = False
    """Whether the end of the index is missing."""
    has_fragment: bool = False
    complete_until: float | None = None
    """Seconds from which on the fragments that `sidx` lists are beyond the end of the file."""


def read_movie_header(file: BinaryIO, size: int) -> MovieHeader:
    """Read the header of a file of `size` bytes. Damaged boxes end it without an error.

    Raises what `file` raises. The file's position is undefined afterwards.
    """
    header = MovieHeader()
    budget = iter(range(MAX_CHILDREN))
    for box in _boxes(file, 0, size, size, iter(range(MAX_BOXES))):
        if box.type == b"moov":
            header.index_size = box.end - box.start
            header.index_cut = box.end > size
            for child in _boxes(file, box.payload_offset, min(box.end, size), size, budget):
                if child.type == b"cmov":
                    header.compressed = True
                elif child.type == b"mvex":
                    header.fragmented = True
                elif child.type == b"trak":
                    _read_track(file, child, size, budget, header)
        elif box.type == b"sidx":
            until = _complete_until(file, box, size)
            if until is not None:
                header.complete_until = min(until, header.complete_until or until)
        elif box.type == b"moof":
            header.has_fragment = True
            break
    return header


def _boxes(
    file: BinaryIO, position: int, end: int, size: int, budget: Iterator[int]
) -> Iterator[Box]:
    while position + 8 <= end and next(budget, None) is not None:
        file.seek(position)
        box = box_at(file.read(MAX_HEADER_LENGTH), position, size)
        if box is None:
            return
        yield box
        position = box.end


def _read_track(
    file: BinaryIO, track: Box, size: int, budget: Iterator[int], header: MovieHeader
) -> None:
    track_id, scheme = 0, None
    parents = [track]
    while parents:
        parent = parents.pop()
        for box in _boxes(file, parent.payload_offset, min(parent.end, size), size, budget):
            if box.type in _PARENTS:
                parents.append(box)
            elif box.type == b"tkhd":
                track_id = _track_id(_read(file, box, 24))
            elif box.type == b"stsd":
                scheme = _encryption(file, box, size, budget)
    if scheme:
        header.encryption[track_id] = scheme


def _read(file: BinaryIO, box: Box, limit: int) -> bytes:
    file.seek(box.payload_offset)
    return file.read(max(0, min(limit, box.end - box.payload_offset)))


def _track_id(tkhd: bytes) -> int:
    """Return track_ID (ISO/IEC 14496-12 §8.3.2), which follows two times of 32 or 64 bits."""
    start = 20 if tkhd[:1] == b"\x01" else 12
    return int.from_bytes(tkhd[start : start + 4], "big")


def _encryption(file: BinaryIO, stsd: Box, size: int, budget: Iterator[int]) -> str | None:
    """Return the scheme of the first encrypted sample entry: a track may begin unencrypted."""
    for entry in _boxes(file, stsd.payload_offset + 8, min(stsd.end, size), size, budget):
        if entry.type in _FAIRPLAY:
            return "fairplay"
        if entry.type == _AUDIBLE:
            return "audible"
        if entry.type in _PROTECTED:
            data = _read(file, entry, _MAX_ENTRY_BYTES)
            # §8.12.6: scheme_type follows the box's type, version and flags. The place of `sinf`
            # depends on the kind of entry.
            at = data.find(b"schm")
            scheme = data[at + 8 : at + 12].decode("ascii", "replace") if at >= 0 else ""
            return "fairplay" if scheme == "itun" else scheme if scheme.isalnum() else "unknown"
    return None


def _complete_until(file: BinaryIO, box: Box, size: int) -> float | None:
    """Return the start in seconds of the first lost fragment of a `sidx` (§8.16.3)."""
    data = _read(file, box, _MAX_SIDX_BYTES)
    wide = data[:1] != b"\x00"
    start = 28 if wide else 20
    if len(data) < start + 4:
        return None
    (timescale,) = struct.unpack_from(">I", data, 8)
    (first_offset,) = struct.unpack_from(">Q" if wide else ">I", data, 20 if wide else 16)
    position, time = box.end + first_offset, 0
    for at in range(start + 4, len(data) - 11, 12):
        length, duration = struct.unpack_from(">II", data, at)
        position += length & 0x7FFFFFFF  # the highest bit is reference_type
        if position > size:
            return time / timescale if timescale else None
        time += duration
    return None
