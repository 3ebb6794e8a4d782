"""The format in which the metadata and the blobs of an artefact are stored together.

Damage and truncation are detected in each part that is read. An artefact of a large kind is stored
as its large file, the record, and a footer with the position of the record: so one file or object
has all of it. Of the large file only the length is checked: to hash it would be to read it.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

# The digest of all that follows up to the first blob; the length of the metadata and the number of
# blobs; the length and the digest of each blob; the metadata; the blobs. If this changes, increase
# `_FORMAT` in keys.py.
_DIGEST = 16
_COUNTS = struct.Struct(">QI")
_BLOB = struct.Struct(f">Q{_DIGEST}s")

_FOOTER = struct.Struct(">Q8s")
_FOOTER_MARK = b"largefil"
FOOTER_SIZE = _FOOTER.size


class Digest:
    """An incremental digest."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=_DIGEST)
        self.update = self._hash.update
        self.digest = self._hash.digest


class Blob(NamedTuple):
    """The position and the digest of a blob."""

    start: int
    length: int
    digest: bytes

    def verify(self, data: bytes) -> bool:
        """Return whether these are the stored bytes."""
        return _digest(data) == self.digest


class RecordHeader(NamedTuple):
    """The metadata, and the positions of the blobs."""

    metadata: bytes
    blobs: tuple[Blob, ...]
    large: int = 0
    """The bytes of the large file, which are the first ones."""


def encode(metadata: bytes, blobs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the record, in pieces."""
    table = b"".join(_BLOB.pack(len(blob), _digest(blob)) for blob in blobs)
    head = _COUNTS.pack(len(metadata), len(blobs)) + table + metadata
    return _digest(head) + head, *blobs


def encode_large(large: int, metadata: bytes, blobs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return what follows a large file of this many bytes, in pieces."""
    return *encode(metadata, blobs), _FOOTER.pack(large, _FOOTER_MARK)


def read_large_header(
    size: int, read: Callable[[int, int], bytes], first_read: int
) -> RecordHeader:
    """Parse the header of an artefact of a large kind of `size` bytes.

    `read` returns the bytes from a position to another; the first read is of the last `first_read`
    ones. Raises ValueError if the artefact is damaged, and what `read` raises.
    """
    tail = max(0, size - first_read)
    last = read(tail, size)
    if len(last) < FOOTER_SIZE:
        raise ValueError("cut off")
    large, mark = _FOOTER.unpack(last[-FOOTER_SIZE:])
    end = size - FOOTER_SIZE
    if mark != _FOOTER_MARK or large > end:
        raise ValueError("damaged")
    first = last[large - tail : -FOOTER_SIZE] if large >= tail else read(large, large + first_read)
    header = read_header(first, end - large, lambda length: read(large, large + length))
    blobs = tuple(blob._replace(start=blob.start + large) for blob in header.blobs)
    return RecordHeader(header.metadata, blobs, large)


def read_header(first: bytes, size: int, read: Callable[[int], bytes]) -> RecordHeader:
    """Parse the header of a record of `size` bytes.

    `first` is its beginning; if that is too short, `read` returns as many bytes as it is asked for.
    Raises ValueError if the record is damaged, and what `read` raises.
    """
    table = _DIGEST + _COUNTS.size
    if len(first) < table:
        raise ValueError("cut off")
    length, count = _COUNTS.unpack_from(first, _DIGEST)
    metadata = table + count * _BLOB.size
    end = metadata + length
    if end > size:
        raise ValueError("cut off")
    data = first if end <= len(first) else read(end)
    if _digest(data[_DIGEST:end]) != data[:_DIGEST]:
        raise ValueError("damaged")
    start, blobs = end, []
    for of_blob, digest in _BLOB.iter_unpack(data[table:metadata]):
        blobs.append(Blob(start, of_blob, digest))
        start += of_blob
    if size != start:
        raise ValueError("cut off, or more than was written")
    return RecordHeader(data[metadata:end], tuple(blobs))


def _digest(data: bytes) -> bytes:
    digest = Digest()
    digest.update(data)
    return digest.digest()
