"""A folder of files.
Law: nothing outside the root is ever opened, and a response sees one version of a file or ends.
The kernel's page cache is asked first, without waiting; the disk is waited for in threads."""

import asyncio
import errno
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from io import FileIO
from pathlib import Path

from service.errors import ChangedError, NotFoundError, StorageError
from service.protocol.conditions import Validators
from service.protocol.media_types import media_type
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.base import Entry
from service.storage.pieces import LARGE, Pieces

# What is read at once is read here and copied: one buffer for all, as nothing happens in between.
_BUFFER = memoryview(bytearray(LARGE))

# Readers of cold disks: each waits for one read or one open; more only lengthen the disk's queue.
THREADS = 32

# Seconds after which a change of a file can no longer share its time stamp with another: HTTP dates
# count whole seconds, and kernels stamp files by a clock that ticks every few milliseconds.
SETTLED_AFTER = 2.0

# What preadv answers where there is nothing in the page cache, or no such question can be asked.
_NOT_AT_ONCE = {errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)  # Linux alone

# What open says of names that lead nowhere.
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL,
              errno.ENXIO, errno.EACCES, errno.EPERM}  # fmt: skip
_A_LINK = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}
_REFUSED = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO must not hold us up
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


def revision(status: os.stat_result) -> str:
    """Name a version by its size and the nanosecond of its last change.

    The same on every replica that sees the same file or a copy that kept its times. An empty file's
    begins with "0-": the edge relies on that.
    """
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def split_path(path: str) -> list[str]:
    """Give a path's components. Raises NotFoundError for what can name no file of the library.

    Backslashes and control characters are refused in names: the former are separators elsewhere,
    the latter have no place in a header or a log. So are names that are not UTF-8.
    """
    components = path.split("/")
    if _REFUSED.search(path) or any(name in ("", ".", "..") for name in components):
        raise NotFoundError("There is no such file.")
    return components


class LocalStorage:
    """The media files below a root folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve(strict=True)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="disk")

    @property
    def root(self) -> Path:
        """The folder, without symbolic links in its name."""
        return self._root

    def close(self) -> None:
        """Let go of the threads without waiting for what they wait for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def open(self, path: str) -> "LocalSource":
        """Open a media file by its path. Raises NotFoundError, StorageError."""
        content_type = media_type(path)
        if content_type is None:
            raise NotFoundError("There is no such file.")
        components = split_path(path)
        # The result owns its descriptor, so that one that nobody waits for any more is closed.
        file = await asyncio.wrap_future(self._threads.submit(self._open, components))
        return LocalSource(file, content_type, self._threads.submit)

    def entries(self) -> Iterator[Entry]:
        """Walk the listed files. Folders reached by a link are left out: they would come twice.

        Raises OSError where the root itself cannot be read: that is not an empty library.
        """
        for folder, names, files in os.walk(self._root, onerror=self._unreadable):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                path = Path(folder, name).relative_to(self._root).as_posix()
                if name.startswith(".") or media_type(name) is None:
                    continue
                with suppress(NotFoundError, OSError, RuntimeError):
                    split_path(path)
                    status = self._status(Path(folder, name))
                    if stat.S_ISREG(status.st_mode) and status.st_size:
                        touched = max(status.st_mtime, status.st_ctime)
                        yield Entry(
                            path, status.st_size, revision(status), status.st_mtime, touched
                        )

    def _unreadable(self, error: OSError) -> None:
        if Path(error.filename) == self._root:
            raise error

    def _status(self, file: Path) -> os.stat_result:
        status = file.lstat()
        if stat.S_ISLNK(status.st_mode):
            target = file.resolve(strict=True)
            if not target.is_relative_to(self._root):
                raise NotFoundError("The link leaves the library.")
            status = target.lstat()
        return status

    def _open(self, components: list[str]) -> FileIO:
        try:
            try:
                return self._walk(components)
            except OSError as error:
                if error.errno not in _A_LINK:
                    raise
            # Some component is a symbolic link, or no folder. Links that stay inside are followed.
            target = self._root.joinpath(*components).resolve(strict=True)
            if not target.is_relative_to(self._root):
                raise NotFoundError("There is no such file.")
            return self._walk(target.relative_to(self._root).parts)
        except (OSError, RuntimeError) as error:
            # RuntimeError is what Path.resolve says of links in a circle, before Python 3.13.
            if isinstance(error, RuntimeError) or error.errno in _NOT_THERE | _A_LINK:
                raise NotFoundError("There is no such file.") from error
            raise StorageError(f"The file cannot be opened now: {error.strerror}.") from error

    def _walk(self, components: list[str] | tuple[str, ...]) -> FileIO:
        """Open step by step from the root, following no link: there is no way out, and no race."""
        *folders, name = components
        try:
            at = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise StorageError("The library cannot be reached now.") from error
        try:
            for folder in folders:
                inner = os.open(folder, _FOLDER, dir_fd=at)
                os.close(at)
                at = inner
            descriptor = os.open(name, _FILE, dir_fd=at)
        finally:
            os.close(at)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFoundError("There is no such file.")
        return FileIO(descriptor, "rb")


class LocalSource:
    """An open file and its version at that moment."""

    def __init__(
        self, file: FileIO, content_type: str, submit: Callable[..., "Future[bytes]"]
    ) -> None:
        self._file = file
        self._submit = submit
        self._reading: Future[bytes] | None = None
        self._pieces = Pieces()
        status = os.fstat(file.fileno())
        self._version = _version(status)
        now = time.time()
        age = now - status.st_mtime
        validators = Validators(
            revision=revision(status),
            # RFC 9110 §8.8.2.1: never later than the message itself.
            last_modified=min(status.st_mtime_ns // 1_000_000_000, int(now)),
            settled=age >= SETTLED_AFTER or age < -SETTLED_AFTER,
        )
        self._representation = Representation(status.st_size, content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    async def read(self, span: Span) -> AsyncIterator[bytes]:
        """Read a span in pieces that suit the reader. Raises ChangedError, StorageError."""
        position = span.start
        while position < span.end:
            length = min(self._pieces.size, span.end - position)
            data = self._read_now(position, length)
            if data is None:
                data = await self._read_in_thread(position, length)
            # A writer stamps the file before it changes its bytes: what was read before this
            # comparison is of the version that the headers named.
            if not data or _version(os.fstat(self._file.fileno())) != self._version:
                raise ChangedError("The file changed while it was sent.")
            position += len(data)
            given = time.monotonic()
            yield data
            self._pieces.taken(len(data), time.monotonic() - given)

    def close(self) -> None:
        if self._reading is not None and not self._reading.cancel():
            # A thread still reads from the descriptor, whose number must not be given away.
            self._reading.add_done_callback(lambda _: self._file.close())
        else:
            self._file.close()

    def _read_now(self, position: int, length: int) -> bytes | None:
        """Read what the page cache holds; None where the disk would have to be waited for."""
        if _NO_WAIT is None:
            return None
        try:
            count = os.preadv(self._file.fileno(), [_BUFFER[:length]], position, _NO_WAIT)
        except OSError as error:
            if error.errno in _NOT_AT_ONCE:
                return None
            raise StorageError(f"The file cannot be read: {error.strerror}.") from error
        # Zero means the file's end, or on some file systems nothing cached: the thread will tell.
        return bytes(_BUFFER[:count]) if count else None

    async def _read_in_thread(self, position: int, length: int) -> bytes:
        self._reading = self._submit(os.pread, self._file.fileno(), length, position)
        try:
            return await asyncio.wrap_future(self._reading)
        except OSError as error:
            raise StorageError(f"The file cannot be read: {error.strerror}.") from error
        finally:
            if self._reading.done():
                self._reading = None


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
