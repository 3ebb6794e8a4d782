"""Bytes that are kept of something derived, open to be read a piece at a time.
Their digest is checked when they are opened."""

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol, Self

from service.artefact_store.record import Blob, Digest
from service.storage.local import nonblocking

# Bytes that are checked at a time.
_CHECKED_AT_A_TIME = 64 * 1024


class OpenBlob(Protocol):
    """Bytes, open. They are closed with the last reference to them."""

    @property
    def length(self) -> int:
        """How many they are."""
        ...

    def get_cached(self, start: int, length: int) -> bytes | None:
        """Return a span, or its beginning, if it can be read without waiting. Raises OSError."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """Do so, and wait: for a thread. Raises OSError."""
        ...


class FileBlob:
    """Bytes in a file."""

    def __init__(self, descriptor: int, blob: Blob) -> None:
        """Take charge of a descriptor."""
        self._descriptor = descriptor
        self._start = blob.start
        self.length = blob.length
        self._nowait = nonblocking.supports_nowait(descriptor)

    @classmethod
    def open_checked(cls, descriptor: int, blob: Blob) -> Self:
        """Take a file that stays the caller's. Raises OSError, and ValueError for damaged bytes."""
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
        length = min(length, self.length - start)  # what follows is another one's
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
    """Bytes that are far away, and may be in memory."""

    def __init__(
        self,
        length: int,
        cached: Callable[[], bytes | None],
        fetch: Callable[[int, int], bytes],
    ) -> None:
        """Take what gives all of them if they are in memory, and what gets those from a start to an
        end; it raises OSError.
        """
        self.length = length
        self._cached = cached
        self._fetch = fetch

    def get_cached(self, start: int, length: int) -> bytes | None:
        data = self._cached()
        return None if data is None else data[start : start + length]

    def read(self, start: int, length: int) -> bytes:
        return self._fetch(start, min(start + length, self.length))


class MemoryBlob:
    """Bytes in memory, where they can be kept nowhere else."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def get_cached(self, start: int, length: int) -> bytes:
        return self._data[start : start + length]

    read = get_cached


class AsyncBlob:
    """Bytes that an answer is made of, for the event loop."""

    def __init__(self, blob: OpenBlob, threads: Executor) -> None:
        """Take them, and the threads that wait where one has to wait for them."""
        self._blob = blob
        self._threads = threads

    @property
    def length(self) -> int:
        """How many they are."""
        return self._blob.length

    async def read(self, start: int, length: int) -> bytes:
        """Return a span, or its beginning. Raises OSError."""
        data = self._blob.get_cached(start, length)
        if data is None:
            read = self._threads.submit(self._blob.read, start, length)
            data = await asyncio.wrap_future(read)
        return data
