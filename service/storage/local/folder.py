"""A folder of files.
Law: nothing outside the root is ever opened.
What the kernel has in memory is given at once; whatever else may wait is done in threads."""

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path

from service.errors import NotFoundError, StorageError
from service.protocol.media_types import is_companion, media_type
from service.storage.base import Entry
from service.storage.local import beneath, nonblocking
from service.storage.local.executors import Threads
from service.storage.local.files import LocalSource, OpenFile, modified, revision
from service.storage.paths import validate_path

# Seconds for which an open file serves other requests, too, if its name still leads to it. The
# kernel has just had that name in memory, so that to look costs no disk; and an open file hinders
# nobody who wants to unmount its disk for longer than that.
_RECENT = 1.0
_MOST_RECENT = 64  # files: descriptors are few on some systems

# Of folders that files are opened in at once; then all are learned anew.
_MOST_FOLDERS = 10_000

# Characters of a folder's path that is still listed: as many bytes as a path may have (PATH_MAX).
# To open a folder takes as many steps as it lies deep.
_LONGEST_PATH = 4096

# What open says of names that lead nowhere.
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL,
              errno.ENXIO, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EMLINK}  # fmt: skip


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
        validate_path(path)
        file = self._open_at_once(path)
        turns = partial(self._threads.of, path)
        if file is None:
            file = await asyncio.wrap_future(turns().submit(self._open, path))
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
        descriptor = nonblocking.open_file(full)
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
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                at = beneath.open_folder(self._root, folder)
            except OSError:
                if not folder:
                    raise
                continue
            prefix = f"{folder}/" if folder else ""
            try:
                folders, files = _listed(at, strict=not folder)
                for file in files:
                    with suppress(NotFoundError, OSError):
                        path = prefix + file.name
                        validate_path(path)
                        status = file.stat(follow_symlinks=False)
                        if stat.S_ISLNK(status.st_mode):
                            status = beneath.status_of(self._root, path)
                        if stat.S_ISREG(status.st_mode) and status.st_size:
                            yield _entry(path, status)
            finally:
                os.close(at)
            inner = [prefix + name for name in reversed(folders)]
            waiting += [path for path in inner if len(path) < _LONGEST_PATH]

    def _open(self, path: str) -> "OpenFile":
        try:
            descriptor, real = beneath.open_file(self._root, path)
        except beneath.RootError as error:
            raise StorageError("The library cannot be reached now.") from error
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise NotFoundError("There is no such file.") from error
            raise StorageError(f"The file cannot be opened now: {error.strerror}.") from error
        file = OpenFile(descriptor, at_once=nonblocking.answers(descriptor))
        # Of the folder that holds it: that of a link may be on another file system.
        self._learn(real.rpartition("/")[0], file)
        return file


def _listed(folder: int, *, strict: bool) -> tuple[list[str], list[os.DirEntry[str]]]:
    """Give the names of the folders in a folder, and the files that may be listed, in order.

    Raises OSError where it cannot be read and `strict` says so; else there is nothing in it.
    """
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except OSError:
        if strict:
            raise
        return [], []
    entries.sort(key=attrgetter("name"))
    folders = [entry.name for entry in entries if _is_folder(entry)]
    return folders, [e for e in entries if media_type(e.name) or is_companion(e.name)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _entry(path: str, status: os.stat_result) -> Entry:
    touched = max(status.st_mtime, status.st_ctime)
    return Entry(path, status.st_size, revision(status), modified(status), touched)
