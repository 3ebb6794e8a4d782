"""Reads from a Matroska file's headers what FFmpeg does not report (RFC 9559, RFC 8794)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from service.matroska.elements import MAX_HEADER_LENGTH, contents, element_header, number

MAX_ELEMENTS = 1000
"""Elements read before the first cluster. Files have fewer than 20."""

MAX_TRACKS_BYTES = 1 << 22
"""Bytes read of Tracks. A track has some hundred."""

_MAX_SEEK_HEADS = 4  # RFC 9559 §5.1.1: one, or a second one that the first one names

# RFC 9559 §5.1. Their highest bits are the length of the identifier.
_EBML, _SEGMENT, _CLUSTER, _CUES = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1C53BB6B
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_TRACKS, _TRACK_ENTRY, _TRACK_TYPE = 0x1654AE6B, 0xAE, 0x83
_ENCODINGS, _ENCODING, _ENCODING_SCOPE, _ENCODING_TYPE = 0x6D80, 0x6240, 0x5032, 0x5033
_COMPRESSION, _COMPRESSION_ALGORITHM = 0x5034, 0x4254

# RFC 9559 §5.1.4.1.31.6
_ALGORITHMS = {0: "zlib", 1: "bzlib", 2: "lzo1x", 3: "header stripping"}
_FRAMES = 1  # the bit of ContentEncodingScope (§5.1.4.1.31.3) that is about all frames

TRACK_TYPES = {1: "video", 2: "audio", 17: "subtitle", 33: "data"}
"""Types of tracks (§5.1.4.1.3) of which FFmpeg makes streams, in the order of the tracks."""


class MatroskaTrack(NamedTuple):
    """How the frames of a track are stored."""

    kind: str
    encrypted: bool
    compression: str | None
    """The algorithm, or None."""


@dataclass(slots=True)
class Segment:
    """What the elements before the first cluster say."""

    end: int | None = None
    """Where the segment ends in bytes; None if it does not say."""
    has_cues: bool = False
    """Whether there is an index (Cues) that players find."""
    tracks: tuple[MatroskaTrack, ...] = ()


class _Element(NamedTuple):
    id: int
    start: int
    payload: int
    end: int | None


def read_segment(file: BinaryIO, size: int) -> Segment:
    """Read the headers of a file of `size` bytes. Damaged elements end it without an error.

    Raises what `file` raises. The file's position is undefined afterwards.
    """
    segment = Segment()
    top = next((e for e in _elements(file, 0, size) if e.id != _EBML), None)
    if top is None or top.id != _SEGMENT:
        return segment
    segment.end = top.end
    named: dict[int, int] = {}
    for element in _elements(file, top.payload, min(top.end or size, size)):
        if element.id == _CUES:
            segment.has_cues = True
        elif element.id == _SEEK_HEAD:
            found = _finds_cues(file, element, top.payload, size, _MAX_SEEK_HEADS)
            segment.has_cues = segment.has_cues or found
            named |= seek_positions(_read(file, element, MAX_TRACKS_BYTES))
        elif element.id == _TRACKS:
            segment.tracks = _tracks(file, element)
        elif element.id == _CLUSTER:
            break
    if not segment.tracks and _TRACKS in named:  # a program such as mkvpropedit moved them
        moved = next(_elements(file, top.payload + named[_TRACKS], size), None)
        if moved is not None and moved.id == _TRACKS:
            segment.tracks = _tracks(file, moved)
    return segment


def _tracks(file: BinaryIO, element: _Element) -> tuple[MatroskaTrack, ...]:
    body = _read(file, element, MAX_TRACKS_BYTES)
    tracks = (track_storage(entry) for entry in contents(body, _TRACK_ENTRY))
    return tuple(track for track in tracks if track is not None)


def _elements(file: BinaryIO, position: int, end: int) -> Iterator[_Element]:
    """Yield the elements of a parent. One of unknown size (RFC 8794 §6.2) is the last."""
    for _ in range(MAX_ELEMENTS):
        if position >= end:
            return
        file.seek(position)
        header = element_header(file.read(MAX_HEADER_LENGTH))
        if header is None:
            return
        id_, length, size = header
        payload = position + length
        last = None if size is None else payload + size
        yield _Element(id_, position, payload, last)
        if last is None:
            return
        position = last


def _read(file: BinaryIO, element: _Element, limit: int) -> bytes:
    file.seek(element.payload)
    length = limit if element.end is None else min(limit, element.end - element.payload)
    return file.read(length)


def _finds_cues(file: BinaryIO, head: _Element, base: int, size: int, left: int) -> bool:
    """Return whether a SeekHead (§5.1.1), or one that it names, names Cues that are in the file."""
    if left == 0:
        return False
    for seek in contents(_read(file, head, MAX_TRACKS_BYTES), _SEEK):
        named = number(seek, _SEEK_ID, 0)
        if named not in {_CUES, _SEEK_HEAD}:
            continue
        position = base + number(seek, _SEEK_POSITION, 0)
        target = next(_elements(file, position, size), None)
        if target is None or target.id != named or target.start == head.start:
            continue
        if named == _CUES or _finds_cues(file, target, base, size, left - 1):
            return True
    return False


def seek_positions(body: bytes) -> dict[int, int]:
    """Return the positions in the segment that the content of a SeekHead names, by identifier."""
    seeks = list(contents(body, _SEEK))
    return {number(seek, _SEEK_ID, 0): number(seek, _SEEK_POSITION, 0) for seek in seeks}


def track_storage(entry: bytes) -> MatroskaTrack | None:
    """Return how a track is stored; None if FFmpeg makes no stream of it."""
    kind = TRACK_TYPES.get(number(entry, _TRACK_TYPE, 0))
    if kind is None:
        return None
    encrypted, compression = False, None
    for encodings in contents(entry, _ENCODINGS):
        for encoding in contents(encodings, _ENCODING):
            if not number(encoding, _ENCODING_SCOPE, _FRAMES) & _FRAMES:
                continue
            if number(encoding, _ENCODING_TYPE, 0) == 1:
                encrypted = True
                continue
            parameters = next(contents(encoding, _COMPRESSION), None)
            if parameters is None:  # mkvmerge's, when it finds no header to strip
                compression = "none"
                continue
            algorithm = number(parameters, _COMPRESSION_ALGORITHM, 0)
            compression = _ALGORITHMS.get(algorithm, f"algorithm {algorithm}")
    return MatroskaTrack(kind, encrypted, compression)
