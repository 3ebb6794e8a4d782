"""Lists and opens the media files below a local root folder, and nothing outside of it.

Cached files are opened and read in the event loop; whatever may block runs in threads."""

import asyncio
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path

from service.errors import NotFoundError, StorageError
from service.protocol.media_types import is_sidecar, media_type
from service.storage.base import Entry, FolderListing, digest_of, list_entries
from service.storage.left_out import NOMEDIA, LeftOut, LibraryFilter
from service.storage.left_out_reasons import Reason, is_library_file
from service.storage.local import beneath, nonblocking
from service.storage.local.executors import FairThreadPool
from service.storage.local.files import LocalRepresentation, OpenFile, modified_time, revision
from service.storage.local.links import link_problem, seems_outside
from service.storage.paths import is_valid, is_valid_name, validate_path

# Seconds for which an open file serves other requests, too, if its path still leads to it. The
# path is in the kernel's cache then, so the check needs no disk. It is short as an open file
# prevents unmounting.
_HANDLE_TTL = 1.0
_MAX_HANDLES = 64  # files: descriptors are few on some systems

# Folders whose files are opened without waiting; beyond that, all are forgotten.
_MAX_NOWAIT_FOLDERS = 10_000

# Characters of the path of a folder that is still listed: as many bytes as a path may have
# (PATH_MAX). Opening a folder takes one step per level.
_MAX_PATH_LENGTH = 4096

# Errors of open(2) that mean there is no such file for viewers.
_NOT_FOUND_ERRNOS = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL,
              errno.ENXIO, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EMLINK}  # fmt: skip


class LocalStorage:
    """The media files below a root folder."""

    def __init__(
        self,
        root: Path,
        library_filter: LibraryFilter | None = None,
        *,
        through_links: bool = True,
    ) -> None:
        """With `through_links`, files are opened through links to folders, which are not listed."""
        self._root = root.resolve(strict=True)
        self._through_links = through_links
        self._filter = library_filter or LibraryFilter()
        self._threads = FairThreadPool()
        self._nowait_folders: set[str] = set()
        """Folders on a file system that supports RWF_NOWAIT."""
        self._handles: dict[str, OpenFile] = {}
        """Files opened without waiting less than _HANDLE_TTL ago."""

    @property
    def root(self) -> Path:
        """The folder, without symbolic links in its name."""
        return self._root

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        self._handles.clear()
        self._threads.close()

    async def open(
        self,
        path: str,
        pinned_revision: str | None = None,  # noqa: ARG002 # a local lookup is cheap
    ) -> LocalRepresentation:
        """Open a media file by its path. Raises NotFoundError, StorageError."""
        content_type = media_type(path)
        if content_type is None:
            raise NotFoundError("There is no such file.")
        validate_path(path)
        self._filter.require_included(path)
        file = self._open_cached(path)
        executor_factory = partial(self._threads.executor_for, path)
        if file is None:
            file = await asyncio.wrap_future(executor_factory().submit(self._open, path))
        return LocalRepresentation(file, content_type, executor_factory)

    def _open_cached(self, path: str) -> "OpenFile | None":
        """Open a cached file without waiting, in folders that are known to support it."""
        if path.rpartition("/")[0] not in self._nowait_folders:
            return None
        full = f"{self._root}/{path}"
        file = self._handles.get(path)
        if file is not None:
            with suppress(OSError):
                if file.still_at(full):
                    return file
        descriptor = nonblocking.open_cached(full)
        if descriptor is None:
            return None
        if len(self._handles) >= _MAX_HANDLES:
            self._handles.clear()
        if not self._handles:
            asyncio.get_running_loop().call_later(_HANDLE_TTL, self._handles.clear)
        file = self._handles[path] = OpenFile(descriptor, nowait=True)
        return file

    def _remember_nowait(self, folder: str, file: "OpenFile") -> None:
        if not file.nowait:
            self._nowait_folders.discard(folder)
        else:
            if len(self._nowait_folders) >= _MAX_NOWAIT_FOLDERS:
                self._nowait_folders.clear()
            self._nowait_folders.add(folder)

    def list_entries(self) -> Iterator[Entry]:
        """Yield the listed files, as `list_folders` does."""
        return list_entries(self)

    def list_folders(self, known: Mapping[str, bytes]) -> Iterator[FolderListing]:
        """Yield the listed files. Linked folders are left out, as their files would appear twice.

        `known` are digests by folder. Raises OSError if the root cannot be read, so that it is not
        mistaken for an empty library.
        """
        left_out = LeftOut()
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                at = beneath.open_folder(self._root, folder)
            except OSError as error:
                if not folder:
                    raise
                _add_unreadable(folder, error, left_out)
                continue
            prefix = f"{folder}/" if folder else ""
            try:
                folders, files = self._listed(at, folder, left_out)
                statuses = self._statuses(folder, files, left_out)
            finally:
                os.close(at)
            if statuses:
                yield _listing(folder, prefix, statuses, known)
            for path in (prefix + name for name in reversed(folders)):
                if len(path) < _MAX_PATH_LENGTH:
                    waiting.append(path)
                else:
                    left_out.add_folder(path, Reason.DEEP)
        self._filter.finish(left_out)

    def _statuses(
        self, folder: str, files: Iterable[os.DirEntry[str]], left_out: LeftOut
    ) -> list[tuple[str, os.stat_result]]:
        """Return the names and statuses of the files of a folder that belong to the library."""
        prefix = f"{folder}/" if folder else ""
        has_valid_path = not folder or is_valid(folder)
        statuses = []
        for file in files:
            if not (has_valid_path and is_valid_name(file.name)):
                left_out.add(prefix + file.name, Reason.NAME)
                continue
            try:
                status = file.stat(follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    status = self._target_status(prefix + file.name, left_out)
            except OSError:
                continue
            if status.st_size and stat.S_ISREG(status.st_mode):
                statuses.append((file.name, status))
            elif stat.S_ISREG(status.st_mode):
                left_out.add(prefix + file.name, Reason.EMPTY)
        return statuses

    def _listed(
        self, at: int, folder: str, left_out: LeftOut
    ) -> tuple[list[str], list[os.DirEntry[str]]]:
        """Return the names of the listed folders in a folder, and its files, sorted.

        If the folder cannot be read, raise OSError if it is the root, else return nothing.
        """
        try:
            with os.scandir(at) as scan:
                entries = sorted(scan, key=attrgetter("name"))
        except OSError as error:
            if not folder:
                raise
            _add_unreadable(folder, error, left_out)
            return [], []
        hidden = (entry for entry in entries if entry.name[0] == ".")
        if any(entry.name.lower() == NOMEDIA and not _is_folder(entry) for entry in hidden):
            left_out.nomedia.add(folder)
            left_out.add_folder(folder, Reason.NOMEDIA)
            return [], []
        prefix = f"{folder}/" if folder else ""
        folders, files = [], []
        for entry in entries:
            name, is_folder = entry.name, _is_folder(entry)
            if self._is_included(entry, prefix + name, left_out, is_folder=is_folder):
                if is_folder:
                    folders.append(name)
                elif media_type(name) or is_sidecar(name):
                    files.append(entry)
        return folders, files

    def _is_included(
        self, entry: os.DirEntry[str], path: str, left_out: LeftOut, *, is_folder: bool
    ) -> bool:
        """Return whether an entry of a folder belongs to the library, and record it if not."""
        reason = self._filter.name_reason(path, is_folder=is_folder)
        if reason is None and not entry.is_symlink():
            return True
        is_file = is_library_file(entry.name)
        if reason is None and not is_file:
            # Perhaps to a folder, of which viewers may miss the videos.
            reason = Reason.OUTSIDE if seems_outside(self._root, path) else None
            is_file = reason is not None
        if reason is not None and is_folder:
            left_out.add_folder(path, reason)
        elif reason is not None and is_file:
            left_out.add(path, reason)
        return reason is None

    def _target_status(self, path: str, left_out: LeftOut) -> os.stat_result:
        """Return the status of the target of a link. Raises OSError, and records why if it can."""
        try:
            return beneath.status_of(self._root, path)
        except OSError:
            reason = link_problem(self._root, path)
            if reason is not None:
                left_out.add(path, reason)
            raise

    def _open(self, path: str) -> "OpenFile":
        try:
            descriptor, real = beneath.open_file(
                self._root, path, through_links=self._through_links
            )
        except beneath.RootError as error:
            raise StorageError("The library cannot be reached now.") from error
        except OSError as error:
            if error.errno in _NOT_FOUND_ERRNOS:
                raise NotFoundError("There is no such file.") from error
            raise StorageError(f"The file cannot be opened now: {error.strerror}.") from error
        if real != path and self._leads_through_a_link(path.rpartition("/")[0]):
            # Its own path decides, too: a link to a folder shows nothing that is left out there.
            try:
                self._filter.require_included(real)
            except NotFoundError:
                os.close(descriptor)
                raise
        file = OpenFile(descriptor, nowait=nonblocking.supports_nowait(descriptor))
        # The folder of the real path, as the link may be on another file system.
        self._remember_nowait(real.rpartition("/")[0], file)
        return file

    def _leads_through_a_link(self, folder: str) -> bool:
        try:
            os.close(beneath.open_folder(self._root, folder))
        except OSError:
            return True
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _add_unreadable(folder: str, error: OSError, left_out: LeftOut) -> None:
    """Record a folder, unless it has disappeared or was replaced since it was listed."""
    if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
        left_out.add_folder(folder, Reason.UNREADABLE)


def _listing(
    folder: str,
    prefix: str,
    statuses: list[tuple[str, os.stat_result]],
    known: Mapping[str, bytes],
) -> FolderListing:
    times = [(name, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for name, one in statuses]
    digest = digest_of(times)
    if known.get(folder) == digest:
        return FolderListing(folder, digest, None)
    entries = tuple(_entry(prefix + name, status) for name, status in statuses)
    return FolderListing(folder, digest, entries)


def _entry(path: str, status: os.stat_result) -> Entry:
    changed_at = max(status.st_mtime, status.st_ctime)
    return Entry(path, status.st_size, revision(status), modified_time(status), changed_at)
