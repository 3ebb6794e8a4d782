"""How facts, and the bytes that belong to them, are kept together: in one file, or in one object.
Law: what is damaged or cut off is seen to be so, whichever part of it is read."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

# The digest of all up to the first blob, the length of the facts and the number of blobs, for each
# blob its length and digest, the facts, the blobs. Whoever changes this changes `_FORMAT` of
# derived.py.
_DIGEST = 16
_COUNTS = struct.Struct(">QI")
_BLOB = struct.Struct(f">Q{_DIGEST}s")


class Digest:
    """The digest of bytes that come one after the other."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=_DIGEST)
        self.update = self._hash.update
        self.digest = self._hash.digest


class Blob(NamedTuple):
    """Where bytes are, and what they were."""

    start: int
    length: int
    digest: bytes

    def verify(self, data: bytes) -> bool:
        """Whether these are the bytes that were kept."""
        return _digest(data) == self.digest


class RecordHeader(NamedTuple):
    """What is kept, and where its parts are."""

    metadata: bytes
    blobs: tuple[Blob, ...]


def encode(metadata: bytes, blobs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Give what is to be kept, in pieces."""
    table = b"".join(_BLOB.pack(len(blob), _digest(blob)) for blob in blobs)
    head = _COUNTS.pack(len(metadata), len(blobs)) + table + metadata
    return _digest(head) + head, *blobs


def read_header(first: bytes, size: int, read: Callable[[int], bytes]) -> RecordHeader:
    """Read where everything is.

    `first` are the first of `size` bytes; where they do not suffice, `read` is asked for more of
    them. Raises ValueError for what is not as it was kept, and what `read` raises.
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
