"""A folder of files.
Law: nothing outside the root is ever opened.
What the kernel has in memory is given at once; whatever else may wait is done in threads."""

import asyncio
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from service.errors import NotFoundError, StorageError
from service.protocol.media_types import is_companion, media_type
from service.storage import at_once
from service.storage.base import Entry
from service.storage.files import LocalSource, OpenFile, revision
from service.storage.turns import Threads

# Seconds for which an open file serves other requests, too, if its name still leads to it. The
# kernel has just had that name in memory, so that to look costs no disk; and an open file hinders
# nobody who wants to unmount its disk for longer than that.
_RECENT = 1.0
_MOST_RECENT = 64  # files: descriptors are few on some systems

# Of folders that files are opened in at once; then all are learned anew.
_MOST_FOLDERS = 10_000

# What open says of names that lead nowhere.
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL,
              errno.ENXIO, errno.EACCES, errno.EPERM}  # fmt: skip
_A_LINK = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}
_REFUSED = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO must not hold us up
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


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
        self._threads = Threads()
        self._at_once: set[str] = set()
        """The folders seen to be on a file system that tells what it has in memory."""
        self._recent: dict[str, OpenFile] = {}
        """What was opened at once less than _RECENT ago."""

    @property
    def root(self) -> Path:
        """The folder, without symbolic links in its name."""
        return self._root

    def close(self) -> None:
        """Let go of the threads without waiting for what they wait for."""
        self._recent.clear()
        self._threads.close()

    async def open(
        self,
        path: str,
        expected: str | None = None,  # noqa: ARG002 # to look costs nothing
    ) -> "LocalSource":
        """Open a media file by its path. Raises NotFoundError, StorageError."""
        content_type = media_type(path)
        if content_type is None:
            raise NotFoundError("There is no such file.")
        components = split_path(path)
        file = self._open_at_once(path)
        turns = partial(self._threads.of, path)
        if file is None:
            file = await asyncio.wrap_future(turns().submit(self._open, components))
        return LocalSource(file, content_type, turns)

    def _open_at_once(self, path: str) -> "OpenFile | None":
        """Open what the kernel has in memory, where it is known to say so."""
        if path.rpartition("/")[0] not in self._at_once:
            return None
        full = f"{self._root}/{path}"
        file = self._recent.get(path)
        if file is not None:
            with suppress(OSError):
                if file.is_the_one_at(full):
                    return file
        descriptor = at_once.open_file(full)
        if descriptor is None:
            return None
        if len(self._recent) >= _MOST_RECENT:
            self._recent.clear()
        if not self._recent:
            asyncio.get_running_loop().call_later(_RECENT, self._recent.clear)
        file = self._recent[path] = OpenFile(descriptor, at_once=True)
        return file

    def _learn(self, folder: str, file: "OpenFile") -> None:
        if not file.at_once:
            self._at_once.discard(folder)
        else:
            if len(self._at_once) >= _MOST_FOLDERS:
                self._at_once.clear()
            self._at_once.add(folder)

    def entries(self) -> Iterator[Entry]:
        """Walk the listed files. Folders reached by a link are left out: they would come twice.

        Raises OSError where the root itself cannot be read: that is not an empty library.
        """
        for folder, names, files in os.walk(self._root, onerror=self._unreadable):
            names[:] = sorted(name for name in names if not name.startswith("."))
            within = Path(folder).relative_to(self._root).as_posix()
            for name in sorted(files):
                if name.startswith(".") or not (media_type(name) or is_companion(name)):
                    continue
                path = name if within == "." else f"{within}/{name}"
                with suppress(NotFoundError, OSError, RuntimeError):
                    split_path(path)
                    # No Path for each file: to make one costs more than to ask the kernel.
                    status = os.lstat(f"{folder}/{name}")
                    if stat.S_ISLNK(status.st_mode):
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

    def _open(self, components: list[str]) -> "OpenFile":
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

    def _walk(self, components: list[str] | tuple[str, ...]) -> "OpenFile":
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
        file = OpenFile(descriptor, at_once=at_once.answers(descriptor))
        self._learn("/".join(folders), file)  # not a link's: it may be on another file system
        return file
