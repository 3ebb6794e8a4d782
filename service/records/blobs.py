"""Blobs of stored artefacts. They are checked when they are opened, and read in chunks."""

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple, Protocol, Self

from service.records.record import Blob, Digest
from service.storage.local import nonblocking

# Bytes that are hashed at a time.
_CHECKED_AT_A_TIME = 64 * 1024

# Bytes that are requested of a large file at a time, at most.
_MAX_READ_AHEAD = 4 * 1024 * 1024


class OpenBlob(Protocol):
    """An open blob. It is closed with the last reference to it."""

    @property
    def length(self) -> int:
        """Its size in bytes."""
        ...

    def get_cached(self, start: int, length: int) -> bytes | None:
        """Return bytes, perhaps fewer, if they can be read without blocking. Raises OSError."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """Return bytes, perhaps fewer. Blocks. Raises OSError."""
        ...


class FileBlob:
    """A blob in a file."""

    def __init__(self, descriptor: int, blob: Blob) -> None:
        """Own a descriptor."""
        self._descriptor = descriptor
        self._start = blob.start
        self.length = blob.length
        self._nowait = nonblocking.supports_nowait(descriptor)

    @classmethod
    def open_checked(cls, descriptor: int, blob: Blob) -> Self:
        """Open a blob of the caller's file. Raises OSError, and ValueError if it is damaged."""
        digest, left, position = Digest(), blob.length, blob.start
        while left:
            data = os.pread(descriptor, min(left, _CHECKED_AT_A_TIME), position)
            if not data:
                raise ValueError("cut off")
            digest.update(data)
            left -= len(data)
            position += len(data)
        if digest.digest() != blob.digest:
            raise ValueError("damaged")
        return cls(os.dup(descriptor), blob)

    def get_cached(self, start: int, length: int) -> bytes | None:
        if not self._nowait:
            return None
        length = min(length, self.length - start)  # what follows is another blob
        return nonblocking.read_cached(self._descriptor, self._start + start, length)

    def read(self, start: int, length: int) -> bytes:
        length = min(length, self.length - start)
        data = os.pread(self._descriptor, length, self._start + start)
        if not data:
            raise OSError(errno.EIO, "the file was cut off")
        return data

    def __del__(self) -> None:
        os.close(self._descriptor)


class RemoteBlob:
    """A blob in an object store, which may be cached in memory."""

    def __init__(
        self, length: int, cached: Callable[[], bytes | None], fetch: Callable[[int, int], bytes]
    ) -> None:
        """Take `cached`, which returns the blob if it is in memory, and `fetch`, which returns its
        bytes from a start to an end and raises OSError.
        """
        self.length = length
        self._cached = cached
        self._fetch = fetch

    def get_cached(self, start: int, length: int) -> bytes | None:
        data = self._cached()
        return None if data is None else data[start : start + length]

    def read(self, start: int, length: int) -> bytes:
        return self._fetch(start, min(start + length, self.length))


class RemoteLargeBlob:
    """A large file in an object store. Reads in sequence fetch more than was asked for."""

    def __init__(self, length: int, fetch: Callable[[int, int], bytes]) -> None:
        """Take `fetch`, which returns the bytes from a start to an end and raises OSError."""
        self.length = length
        self._fetch = fetch
        self._window = 0, b""
        """The position and the bytes of the last request."""

    def get_cached(self, start: int, length: int) -> bytes | None:
        position, data = self._window
        return (
            data[start - position : start - position + length] or None
            if start >= position
            else None
        )

    def read(self, start: int, length: int) -> bytes:
        position, data = self._window
        wanted = length
        if data and start == position + len(data):
            wanted = max(length, min(4 * len(data), _MAX_READ_AHEAD))
        fetched = self._fetch(start, min(start + wanted, self.length))
        self._window = start, fetched
        return fetched[:length]


class OpenArtefact(NamedTuple):
    """An open artefact of a large kind, all of one version."""

    metadata: bytes
    blobs: tuple[OpenBlob, ...]
    large: OpenBlob


class MemoryBlob:
    """A blob in memory, if it could not be stored."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def get_cached(self, start: int, length: int) -> bytes:
        return self._data[start : start + length]

    read = get_cached


class AsyncBlob:
    """A blob for the event loop."""

    def __init__(self, blob: OpenBlob, threads: Executor) -> None:
        """Read `blob` with `threads` where reading blocks."""
        self._blob = blob
        self._threads = threads

    @property
    def length(self) -> int:
        """Its size in bytes."""
        return self._blob.length

    async def read(self, start: int, length: int) -> bytes:
        """Return bytes, perhaps fewer. Raises OSError."""
        data = self._blob.get_cached(start, length)
        if data is None:
            read = self._threads.submit(self._blob.read, start, length)
            data = await asyncio.wrap_future(read)
        return data
