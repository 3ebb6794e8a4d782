"""Stores artefacts in a folder, which replicas may share.

It is a cache: what is missing, damaged or cannot be written is built again. Files are replaced
atomically.
"""

import fcntl
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from service.artefact_store.blobs import FileBlob, OpenBlob
from service.artefact_store.keys import KINDS, Key
from service.artefact_store.record import Blob, RecordHeader, encode, read_header
from service.storage.local.beneath import READ_FLAGS

_log = structlog.get_logger()

# Bytes of the first read: enough for most metadata and for all captions.
_FIRST_READ = 64 * 1024

# Seconds between updates of a file's time of use, so that not every page of posters writes.
_TOUCH_INTERVAL = 3600.0

# Parts of the quota: above the first, only requested artefacts are built; the second ends eviction.
_HIGH_WATERMARK, _LOW_WATERMARK = 0.95, 0.9

# Artefacts that are prefetched at a time; they stay in memory until they are loaded.
_BATCH = 500

_Result = TypeVar("_Result")

# Age in seconds of a temporary file whose process must have ended.
_TEMPORARY_FILE_TTL = 3600.0


class ArtefactStore(Protocol):
    """Metadata and blobs by kind and name. Every method blocks."""

    size: int
    """Bytes at the last eviction, and those added since."""

    @property
    def above_high_watermark(self) -> bool:
        """Whether the quota is nearly used up."""
        ...

    @property
    def over_quota(self) -> bool:
        """Whether an eviction is due."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether other replicas may add artefacts, and each access costs a request."""
        ...

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Prepare to `load` these next; a remote store requests them concurrently."""
        ...

    def load(self, kind: str, name: str) -> bytes | None:
        """Return the metadata; None if the artefact is missing or damaged.

        Raises OSError if a retry may succeed.
        """
        ...

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        """Return the blob with this index; None if it is missing or damaged.

        A damaged artefact is deleted. Raises OSError if a retry may succeed.
        """
        ...

    def open(self, kind: str, name: str, number: int) -> OpenBlob | None:
        """Open the same blob without keeping it in memory."""
        ...

    def save(self, kind: str, name: str, metadata: bytes, blobs: Sequence[bytes] = ()) -> bool:
        """Store an artefact atomically. Return whether it was stored."""
        ...

    def acquire(self, name: str) -> Callable[[], None] | None:
        """Acquire the lease for building an artefact and return its release.

        None if another process has it. Raises OSError if the store cannot be written.
        """
        ...

    def evict(self, live_keys: Sequence[Key] = ()) -> None:
        """Delete the least recently used artefacts if the quota is exceeded.

        `live_keys` count as used now.
        """
        ...


def iter_prefetched(store: ArtefactStore, wanted: Sequence[Key]) -> Iterator[Key]:
    """Yield the keys, each after it was prefetched. Blocks."""
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        store.prefetch(batch)
        yield from batch


class Quota:
    """The size of a store and its limit."""

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes, not counting what was added since the last eviction."""
        self._limit = limit
        self._evict_to = _LOW_WATERMARK * limit
        self.size = 0

    @property
    def above_high_watermark(self) -> bool:
        return self.size > _HIGH_WATERMARK * self._limit

    @property
    def over_quota(self) -> bool:
        return self.size > self._limit


class FolderArtefactStore(Quota):
    """Artefacts in a folder of one or several machines."""

    is_remote = False

    def __init__(self, folder: Path, limit: int) -> None:
        super().__init__(limit)
        self._folder = folder

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Do nothing: files are local."""

    def load(self, kind: str, name: str) -> bytes | None:
        try:
            with self._open(kind, name) as file:
                header = _read_header(file.fileno())
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
                taken = take(file.fileno(), _read_header(file.fileno()).blobs[number])
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
                file.writelines(encode(metadata, blobs))
                self.size += file.tell()
            os.replace(temporary, target)  # noqa: PTH105 # says what it does
        except OSError as error:
            _log.warning("cannot store an artefact", folder=str(self._folder), error=str(error))
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()
            return False
        return True

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
            descriptor = os.open(folder / name[:2], flags, 0o644)
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

    def evict(self, live_keys: Sequence[Key] = ()) -> None:
        for kind, name in live_keys:
            with suppress(OSError), self._open(kind, name) as used:
                self._touch(used.fileno())
        found: list[tuple[float, int, Path]] = []
        now = time.time()
        for kind in KINDS:
            for folder, _, names in os.walk(self._folder / kind):
                for name in names:
                    file = Path(folder, name)
                    with suppress(OSError):
                        status = file.lstat()
                        if name.startswith("tmp") and now - status.st_mtime > _TEMPORARY_FILE_TTL:
                            file.unlink()
                        else:
                            found.append((status.st_mtime, status.st_blocks * 512, file))
        total = sum(size for _, size, _ in found)
        if total > self._limit:
            for _, size, file in sorted(found):
                if total <= self._evict_to:
                    break
                with suppress(OSError):
                    file.unlink()
                total -= size
        self.size = total

    def _touch(self, descriptor: int) -> None:
        """Set the modification time, which is the time of the last use."""
        if time.time() - os.fstat(descriptor).st_mtime > _TOUCH_INTERVAL:
            with suppress(OSError):
                os.utime(descriptor)

    def _open(self, kind: str, name: str) -> io.FileIO:
        """Open for reading, without following links or waiting for FIFOs."""
        descriptor = os.open(self._file(kind, name), READ_FLAGS)
        try:
            return io.FileIO(descriptor)
        except BaseException:  # a folder: who raises does not close what it was given
            os.close(descriptor)
            raise

    def _file(self, kind: str, name: str) -> Path:
        return self._folder / kind / name[:2] / name


def _read_header(descriptor: int) -> RecordHeader:
    """Read the header. Raises OSError, and ValueError if the record is damaged."""
    first = os.pread(descriptor, _FIRST_READ, 0)
    size = os.fstat(descriptor).st_size
    return read_header(first, size, lambda length: os.pread(descriptor, length, 0))


def _read_blob(descriptor: int, blob: Blob) -> bytes:
    data = os.pread(descriptor, blob.length, blob.start)
    if not blob.verify(data):
        raise ValueError("damaged")
    return data


def _noop_release() -> None:
    """Release nothing, if no lease could be acquired."""
