"""The format in which the metadata and the blobs of an artefact are stored together.

Damage and truncation are detected in each part that is read.
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


def encode(metadata: bytes, blobs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the record, in pieces."""
    table = b"".join(_BLOB.pack(len(blob), _digest(blob)) for blob in blobs)
    head = _COUNTS.pack(len(metadata), len(blobs)) + table + metadata
    return _digest(head) + head, *blobs


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
