"""Opens regular files beneath a root folder, for the service and its workers.

Each component of a path is opened relative to the one before it, and no symbolic link is followed
(openat(2), O_NOFOLLOW). If a folder is replaced by a link meanwhile, the open fails and does not
leave the root. FIFOs and devices are not opened: that may block or have effects."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

# O_NONBLOCK and O_NOCTTY matter if a FIFO or a terminal replaces the file at the last moment.
READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
"""The flags of open(2) for an untrusted file."""

_FOLDER_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY

# The errors of open(2) for a component that is a symbolic link.
_LINK_ERRNOS = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}
_INVALID_COMPONENTS = {"", ".", ".."}


class RootError(OSError):
    """The root folder itself cannot be opened."""


class NotRegularError(OSError):
    """A folder, a FIFO, a socket or a device."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.ENXIO, "not a regular file", name)


def open_file(root: Path, path: str, *, through_links: bool = True) -> tuple[int, str]:
    """Open a regular file for reading; return its descriptor and its real path beneath the root.

    The real path differs from `path` if symbolic links lead to the file. Links that stay beneath
    the root are followed; those to folders only with `through_links`. Raises FileNotFoundError if
    `path` leads to no file beneath the root; other OSErrors with `path` as their file name;
    RootError; NotRegularError.
    """
    try:
        components = _components(path)
        try:
            return _open_regular(root, components), path
        except OSError as error:
            if error.errno not in _LINK_ERRNOS or isinstance(error, RootError):
                raise
        if not through_links:
            os.close(_descend(_open_root(root), components[:-1]))
        components = _resolved(root, components)
        return _open_regular(root, components), "/".join(components)
    except RootError:
        raise
    except OSError as error:
        if error.errno in _LINK_ERRNOS:  # a file as a folder, a loop of links, a swap
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        error.filename = path
        raise


def open_folder(root: Path, path: str = "") -> int:
    """Open a folder beneath the root, or the root; return its descriptor. Raises OSError."""
    return _descend(_open_root(root), _components(path) if path else ())


def status_of(root: Path, path: str) -> os.stat_result:
    """Return the stat result of the target of `path` beneath the root. Raises OSError."""
    *folders, name = _resolved(root, _components(path))
    parent = _descend(_open_root(root), folders)
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)


def _open_root(root: Path) -> int:
    return os.open(root, _FOLDER_FLAGS & ~os.O_NOFOLLOW)


def _descend(parent: int, folders: Sequence[str]) -> int:
    """Open folder after folder and close all but the last. Raises OSError."""
    for folder in folders:
        try:
            inner = os.open(folder, _FOLDER_FLAGS, dir_fd=parent)
        finally:
            os.close(parent)
        parent = inner
    return parent


def _components(path: str) -> tuple[str, ...]:
    components = tuple(path.split("/"))
    if not _INVALID_COMPONENTS.isdisjoint(components):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return components


def _resolved(root: Path, components: Sequence[str]) -> tuple[str, ...]:
    """Resolve symbolic links by name. Raises OSError, also if they lead out of the root.

    A component that is swapped for a link afterwards is refused when it is opened.
    """
    path = root.joinpath(*components)
    try:
        target = path.resolve(strict=True)
    except RuntimeError as error:  # a loop of links, before Python 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if target == root or not target.is_relative_to(root):
        raise FileNotFoundError(errno.ENOENT, "the link leaves the library", str(path))
    return target.relative_to(root).parts


def _open_regular(root: Path, components: Sequence[str]) -> int:
    *folders, name = components
    try:
        top = _open_root(root)
    except OSError as error:
        raise RootError(error.errno, error.strerror) from error
    parent = _descend(top, folders)
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        _require_regular(status, name)
        descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        _require_regular(os.fstat(descriptor), name)  # it may have been swapped in between
    except NotRegularError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(name)
