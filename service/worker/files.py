"""Opens what a request names: a file in a folder, or an object in a store."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.probing.metadata import UnreadableError
from service.protocol.revisions import file_revision
from service.storage.local import beneath
from service.workers.bucket import open_bucket
from service.workers.large_output import LargeOutput

FileRef = tuple[str, str]  # path and revision
MediaRoot = str | tuple[str, float]  # a folder, or the URL and the timeout of a `StoreRef`


@contextmanager
def open_file(
    root: MediaRoot, path: str, revision_wanted: str | None = None
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file and return it with its size in bytes. FFmpeg sees neither its name nor extension.

    Raises FileNotFoundError, also at the end, if its revision is not the one wanted. In a store,
    `path` is a key.
    """
    if isinstance(root, str):
        with _open_in_folder(Path(root), path, revision_wanted) as opened:
            yield opened
        return
    # Needs an extra.
    from service.storage.object_store.object_file import open_object  # noqa: PLC0415

    stored, size = open_object(open_bucket(*root), path, revision_wanted)
    with stored:
        yield stored, size


@contextmanager
def _open_in_folder(
    root: Path, path: str, revision_wanted: str | None
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file in a folder. Raises UnreadableError and OSError, also at the end."""
    try:
        descriptor, _ = beneath.open_file(root, path)
    except beneath.NotRegularError as error:
        if revision_wanted is not None:
            raise _replaced(path) from error
        raise UnreadableError("This is not a regular file.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if revision_wanted is not None and _revision(status) != revision_wanted:
            raise _replaced(path)
        if status.st_size == 0:
            raise UnreadableError("The file is empty.")
        try:
            yield file, status.st_size
        finally:
            # A file that was replaced meanwhile may seem damaged.
            if revision_wanted is not None and _revision(os.fstat(descriptor)) != revision_wanted:
                raise _replaced(path)


@contextmanager
def open_both(
    root: MediaRoot, path: str, revision: str, output: str, room: int
) -> Iterator[tuple[BinaryIO, int, LargeOutput]]:
    """Open a file and what is made of it. Writing that ends with OSError once another file has the
    path: in a folder, what was replaced stays open.
    """

    def check() -> None:
        if isinstance(root, str):
            with _open_in_folder(Path(root), path, revision):
                pass

    with open_file(root, path, revision) as (file, size), LargeOutput(output, room, check) as made:
        yield file, size, made


def _revision(status: os.stat_result) -> str:
    return file_revision(status.st_size, status.st_mtime_ns)


def _replaced(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "the file was replaced", path)


@contextmanager
def open_optional(root: MediaRoot, ref: FileRef | None) -> Iterator[BinaryIO | None]:
    """Open a sidecar; None if there is none."""
    if ref is None:
        yield None
    else:
        with open_file(root, *ref) as (file, _):
            yield file
