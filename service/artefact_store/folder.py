"""Stores artefacts in a folder, which replicas may share.

It is a cache: what is missing, damaged or cannot be written is built again. Files are replaced
atomically.
"""

import fcntl
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from service.artefact_store.keys import KINDS, LARGE_KINDS, Key
from service.artefact_store.quota import (
    TEMPORARY,
    Inventory,
    LargeFile,
    Quota,
    Stored,
    is_abandoned,
    new_large_file,
    temporary_path,
)
from service.records.blobs import FileBlob, OpenArtefact, OpenBlob
from service.records.record import (
    Blob,
    RecordHeader,
    encode,
    encode_large,
    read_header,
    read_large_header,
)
from service.storage.local.beneath import READ_FLAGS

_log = structlog.get_logger()

# Bytes of the first read: enough for most metadata. With 64 KiB, most of a poster's pictures were
# read with them, and a load took three times as long.
_FIRST_READ = 4 * 1024

# Seconds between updates of a file's time of use, so that not every page of posters writes.
_TOUCH_INTERVAL = 3600.0

_Result = TypeVar("_Result")

# The last characters of a name, which names of one lock file differ in.
_UNIQUE = 30

# Age in seconds of a temporary file whose process must have ended.
_TEMPORARY_FILE_TTL = 3600.0


class FolderArtefactStore(Quota):
    """Artefacts in a folder of one or several machines."""

    is_remote = False

    def __init__(self, folder: Path, limit: int) -> None:
        super().__init__(limit)
        self._folder = folder

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Do nothing: files are local."""

    def load(self, kind: str, name: str) -> bytes | None:
        # A start looks for all artefacts: this takes a third of the time of a failing `open`.
        if not os.access(self._path(kind, name), os.F_OK):
            return None
        try:
            with self._open(kind, name) as file:
                header = _read_header(file.fileno(), kind)
                self._touch(file.fileno())
        except (OSError, ValueError):
            return None
        return header.metadata

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        return self._with_blob(kind, name, number, _read_blob)

    def open(self, kind: str, name: str, number: int) -> OpenBlob | None:
        return self._with_blob(kind, name, number, FileBlob.open_checked)

    def _with_blob(
        self, kind: str, name: str, number: int, take: Callable[[int, Blob], _Result]
    ) -> _Result | None:
        """Return the result of `take`, called with the open file and the position of the bytes.

        It raises ValueError where they are damaged.
        """
        try:
            with self._open(kind, name) as file:
                taken = take(file.fileno(), _read_header(file.fileno(), kind).blobs[number])
                self._touch(file.fileno())
                return taken
        except (OSError, IndexError):
            return None
        except ValueError:
            self._drop(kind, name)
            return None

    def save(self, kind: str, name: str, metadata: bytes, blobs: Sequence[bytes] = ()) -> bool:
        """Write a temporary file and rename it, so that no reader sees a part."""
        target = self._file(kind, name)
        temporary = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
                temporary = Path(file.name)
                file.writelines(_encode(kind, metadata, blobs))
                size = file.tell()
            os.replace(temporary, target)  # noqa: PTH105 # says what it does
        except OSError as error:
            _log.warning("cannot store an artefact", folder=str(self._folder), error=str(error))
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()
            return False
        self._count(kind, size)
        return True

    def create_large(self, room: int, *, evict: bool) -> LargeFile:
        path = temporary_path(self._folder / TEMPORARY)
        found = Inventory.of(self._find(), LARGE_KINDS) if evict else None
        self._delete(self._reserve(path, room, found))
        return new_large_file(self, path, room)

    def save_large(
        self, kind: str, name: str, file: LargeFile, metadata: bytes, blobs: Sequence[bytes] = ()
    ) -> bool:
        """Append the record and rename the file. What was not written to the disk is not renamed:
        it is never hashed.
        """
        target = self._file(kind, name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.path.open("ab") as written:
                written.writelines(encode_large(written.tell(), metadata, blobs))
                written.flush()
                os.fsync(written.fileno())
                size = written.tell()
            os.replace(file.path, target)  # noqa: PTH105 # says what it does
        except OSError as error:
            _log.warning("cannot store an artefact", folder=str(self._folder), error=str(error))
            return False
        self.release(file)
        self._count(kind, size)
        return True

    def open_large(self, kind: str, name: str) -> OpenArtefact | None:
        try:
            with self._open(kind, name) as file:
                header = _read_header(file.fileno(), kind)
                blobs = tuple(FileBlob.open_checked(file.fileno(), blob) for blob in header.blobs)
                large = FileBlob(os.dup(file.fileno()), Blob(0, header.large, b""))
                self._touch(file.fileno())
        except OSError:
            return None
        except ValueError:
            self._drop(kind, name)
            return None
        self._record_use(name)
        return OpenArtefact(header.metadata, blobs, large)

    def _drop(self, kind: str, name: str) -> None:
        with suppress(OSError):
            self._file(kind, name).unlink()

    def acquire(self, name: str) -> Callable[[], None] | None:
        """Lock a file, which several names share. The kernel releases it when the process ends.

        If files cannot be locked, every process gets the lease: both write the same.
        """
        folder = self._folder / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(folder / name[:-_UNIQUE], flags, 0o644)
        except OSError:
            return _noop_release
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            pass
        return partial(os.close, descriptor)

    def evict(self, live_keys: Iterable[Key] = ()) -> None:
        found = Inventory.of(self._find(), LARGE_KINDS)
        if self._is_over(found):
            for kind, name in live_keys:
                with suppress(OSError), self._open(kind, name) as used:
                    self._touch(used.fileno())
            found = Inventory.of(self._find(), KINDS)
        self._delete(self._recount(found))

    def _find(self) -> Iterator[Stored]:
        """Yield what is stored. Temporary files whose process must have ended are deleted."""
        now = time.time()
        for kind in (*KINDS, TEMPORARY):
            for entry in _files(f"{self._folder}/{kind}"):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    size, used = status.st_blocks * 512, status.st_mtime
                    if not entry.name.startswith(tempfile.gettempprefix()):
                        yield Stored(kind, entry.name, size, used, entry.path)
                    elif (file := Path(entry.path)) in self._reserved:
                        continue
                    elif now - used > _TEMPORARY_FILE_TTL or (
                        kind == TEMPORARY and is_abandoned(file)
                    ):
                        file.unlink()
                    else:
                        yield Stored(TEMPORARY, entry.name, size, used, entry.path)

    def _delete(self, going: Iterable[Stored]) -> None:
        for each in going:
            with suppress(OSError):
                Path(each.where).unlink()

    def _touch(self, descriptor: int) -> None:
        """Set the modification time, which is the time of the last use."""
        if time.time() - os.fstat(descriptor).st_mtime > _TOUCH_INTERVAL:
            with suppress(OSError):
                os.utime(descriptor)

    def _open(self, kind: str, name: str) -> io.FileIO:
        """Open for reading, without following links or waiting for FIFOs."""
        descriptor = os.open(self._path(kind, name), READ_FLAGS)
        try:
            return io.FileIO(descriptor)
        except BaseException:  # a folder: who raises does not close what it was given
            os.close(descriptor)
            raise

    def _path(self, kind: str, name: str) -> str:
        # A text: a Path would take a third of the time of a load.
        return f"{self._folder}/{kind}/{name[:2]}/{name}"

    def _file(self, kind: str, name: str) -> Path:
        return Path(self._path(kind, name))


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder and in those below, but for folders."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry


def _encode(kind: str, metadata: bytes, blobs: Sequence[bytes]) -> tuple[bytes, ...]:
    if kind in LARGE_KINDS:  # without a large file
        return encode_large(0, metadata, blobs)
    return encode(metadata, blobs)


def _read_header(descriptor: int, kind: str) -> RecordHeader:
    """Read the header. Raises OSError, and ValueError if the record is damaged."""
    size = os.fstat(descriptor).st_size

    def read(start: int, end: int) -> bytes:
        return os.pread(descriptor, end - start, start)

    if kind in LARGE_KINDS:
        return read_large_header(size, read, _FIRST_READ)
    return read_header(read(0, min(size, _FIRST_READ)), size, lambda length: read(0, length))


def _read_blob(descriptor: int, blob: Blob) -> bytes:
    data = os.pread(descriptor, blob.length, blob.start)
    if not blob.verify(data):
        raise ValueError("damaged")
    return data


def _noop_release() -> None:
    """Release nothing, if no lease could be acquired."""
