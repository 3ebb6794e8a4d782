"""Open local files. A response reads one version of a file only, or fails."""

import asyncio
import os
import stat
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, Future
from contextlib import suppress

from service.errors import ChangedError, NotFoundError, StorageError
from service.protocol.conditions import STABLE_AFTER, Validators, last_modified_of, nearest_date
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.protocol.revisions import file_revision
from service.storage.base import ChunkLength, min_chunk_length
from service.storage.local import nonblocking


def revision(status: os.stat_result) -> str:
    """Return the revision of a file: its size and modification time in nanoseconds.

    It is the same on every replica that has the same file or a copy with the same times. That of
    an empty file begins with "0-", which the edge relies on.
    """
    return file_revision(status.st_size, status.st_mtime_ns)


def modified_time(status: os.stat_result) -> float:
    """Return the modification time, or the nearest valid date, in seconds since 1970."""
    return nearest_date(status.st_mtime)


def _is_stable(status: os.stat_result, now: float) -> bool:
    """Return whether every later change gives the file another revision.

    A change sets mtime and ctime to the current time, so it gets a later mtime than one in the
    past. An mtime in the future was either set by utimensat(2), which sets the ctime to the current
    time, or comes from a clock that is ahead, such as a file server's. Then the ctime is in the
    future, too, and another change in the same tick would have the same times.
    """
    age = now - status.st_mtime
    if age >= 0:
        return age >= STABLE_AFTER
    return age <= -STABLE_AFTER and now - status.st_ctime >= STABLE_AFTER


class OpenFile:
    """An open regular file, which is closed when it is no longer referenced."""

    __slots__ = ("descriptor", "nowait", "status")

    def __init__(self, descriptor: int, *, nowait: bool) -> None:
        """Own a descriptor. Raises NotFoundError if it is not of a regular file."""
        self.descriptor = descriptor
        self.nowait = nowait
        """Whether its file system supports reads that do not wait (RWF_NOWAIT)."""
        self.status = os.fstat(descriptor)
        """Its status when it was opened."""
        if not stat.S_ISREG(self.status.st_mode):
            self.close()
            raise NotFoundError("There is no such file.")

    def still_at(self, path: str) -> bool:
        """Return whether the path still leads to this file, unchanged. Raises OSError."""
        status = os.lstat(path)
        return _identity(status) == _identity(self.status)

    def close(self) -> None:
        """Close it for all its users. May be called more than once."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


class LocalRepresentation:
    """One version of an open local file."""

    def __init__(
        self, file: OpenFile, content_type: str, executor_factory: Callable[[], Executor]
    ) -> None:
        """Take an open file. `executor_factory` returns the threads for what may wait."""
        self._file: OpenFile | None = file
        self._executor_factory = executor_factory
        self._reading: Future[bytes] | None = None
        status = file.status
        now = time.time()
        validators = Validators(
            revision=revision(status),
            # From nanoseconds, as `st_mtime` may be rounded up to the next second.
            last_modified=last_modified_of(status.st_mtime_ns // 1_000_000_000, now),
            is_stable=_is_stable(status, now),
            date_is_validator=now - status.st_mtime >= STABLE_AFTER,
        )
        self._representation = Representation(status.st_size, content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    async def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises ChangedError, StorageError."""
        file, position = self._file, span.start
        while file is not None and position < span.end:
            length = min(chunk_length(), span.end - position)
            try:
                data = (
                    nonblocking.read_cached(file.descriptor, position, length)
                    if file.nowait
                    else None
                )
                if data is None:
                    data = await self._read_in_thread(file, position, length)
                else:
                    _check_unchanged(file, data)
            except OSError as error:
                raise StorageError(f"The file cannot be read: {error.strerror}.") from error
            position += len(data)
            yield data

    def align_blocks(self, origin: int) -> None:
        """Do nothing: the kernel reads by pages."""

    def close(self) -> None:
        file, self._file = self._file, None
        reading = self._reading is not None and not self._reading.cancel()
        if file is None or file.nowait:
            return  # other responses may use it, too
        if reading and self._reading is not None:
            # A thread still reads from the descriptor, so its number must not be reused.
            self._reading.add_done_callback(lambda _: file.close())
        else:
            with suppress(RuntimeError):  # the threads were shut down
                self._executor_factory().submit(file.close)

    async def _read_in_thread(self, file: OpenFile, position: int, length: int) -> bytes:
        self._reading = self._executor_factory().submit(_read, file, position, length)
        try:
            return await asyncio.wrap_future(self._reading)
        finally:
            if self._reading.done():
                self._reading = None


def _read(file: OpenFile, position: int, length: int) -> bytes:
    data = os.pread(file.descriptor, length, position)
    _check_unchanged(file, data)
    return data


def _check_unchanged(file: OpenFile, data: bytes) -> None:
    """Raise ChangedError if the data may be of another version.

    write(2) sets the modification time before it changes bytes, so what was read before this check
    is of the version in the headers. This does not hold for mmap(2): Linux sets the time at the
    first write to a page, but not again until the page was written back (on tmpfs never). Such
    changes are not detected.
    """
    if not data or _version(os.fstat(file.descriptor)) != _version(file.status):
        raise ChangedError("The file changed while it was sent.")


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_mode, *_version(status)
