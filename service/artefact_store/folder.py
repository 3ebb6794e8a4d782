"""What was derived from a version of a file, kept in a folder: a cache, nothing more.
Law: whatever is missing, damaged or cannot be written is made again; it never stops the service.
Several replicas may share the folder: files are replaced whole, and who makes one says so first."""

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

# Bytes that are read at once: what is known of most videos, and all of their captions.
_FIRST_READ = 64 * 1024

# Seconds between two notes that a file is in use. Every page of posters would else write as well.
_TOUCH_INTERVAL = 3600.0

# Of the bound: above, only what is asked for is made; room is made down to there.
_HIGH_WATERMARK, _LOW_WATERMARK = 0.95, 0.9

# As many are fetched at once: they are in memory until they are loaded.
_BATCH = 500

_Result = TypeVar("_Result")

# Seconds after which a file half written was left by a process that has ended.
_TEMPORARY_FILE_TTL = 3600.0


class ArtefactStore(Protocol):
    """Facts and bytes by kind and name. Every method blocks: for a thread."""

    size: int
    """Bytes that were kept when last looked at, and what was added since."""

    @property
    def above_high_watermark(self) -> bool:
        """Whether more would soon push out what is in use."""
        ...

    @property
    def over_quota(self) -> bool:
        """Whether room has to be made."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether others may have added something, and each look costs a request."""
        ...

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Get ready to `load` these next, kinds and names: all at once where each is far away."""
        ...

    def load(self, kind: str, name: str) -> bytes | None:
        """Give the facts, if they and all that belongs to them are there.

        Raises OSError where that may be otherwise in a moment.
        """
        ...

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        """Give the bytes of this number, counted from 0, if they are there and as they were.

        What turns out to be damaged is dropped; what only cannot be read now is not. Raises
        OSError where that may be otherwise in a moment.
        """
        ...

    def open(self, kind: str, name: str, number: int) -> OpenBlob | None:
        """Open the bytes that `blob` would give, and check them, without holding them in memory."""
        ...

    def save(self, kind: str, name: str, metadata: bytes, blobs: Sequence[bytes] = ()) -> bool:
        """Keep all of it at once, so that nobody ever sees a part.

        Gives whether that could be done.
        """
        ...

    def acquire(self, name: str) -> Callable[[], None] | None:
        """Say that something is being made: gives what is to be called when it is done.

        None where another makes it. Raises OSError where it could not be kept now.
        """
        ...

    def evict(self, live_keys: Sequence[Key] = ()) -> None:
        """Make room: those that were not used for longest go first.

        `in_use`, kinds and names, count as used now.
        """
        ...


def iter_prefetched(derived: ArtefactStore, wanted: Sequence[Key]) -> Iterator[Key]:
    """Give what is wanted one by one, each ready to `load`. Blocks: for a thread."""
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        derived.prefetch(batch)
        yield from batch


class Quota:
    """How much is kept, and how much may be."""

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes, but for what was added since the last `sweep`."""
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
    """What is derived, in a folder of this machine or of several."""

    is_remote = False

    def __init__(self, folder: Path, limit: int) -> None:
        super().__init__(limit)
        self._folder = folder

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Do nothing: a file is near."""

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
        """Write atomically, so that a reader or a second writer never sees half a file."""
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
            _log.warning("cannot keep what was derived", folder=str(self._folder), error=str(error))
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()
            return False
        return True

    def _drop(self, kind: str, name: str) -> None:
        with suppress(OSError):
            self._file(kind, name).unlink()

    def acquire(self, name: str) -> Callable[[], None] | None:
        """Lock a file, which something else may share. The kernel lets go of what the dead held.

        Where files cannot be locked everyone may: what is written twice is the same.
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
        """Have a file be dropped later. Its time of change is when it was last used."""
        if time.time() - os.fstat(descriptor).st_mtime > _TOUCH_INTERVAL:
            with suppress(OSError):
                os.utime(descriptor)

    def _open(self, kind: str, name: str) -> io.FileIO:
        """Open for reading. Replicas share the folder: no link is followed, no FIFO waited for."""
        descriptor = os.open(self._file(kind, name), READ_FLAGS)
        try:
            return io.FileIO(descriptor)
        except BaseException:  # a folder: who raises does not close what it was given
            os.close(descriptor)
            raise

    def _file(self, kind: str, name: str) -> Path:
        return self._folder / kind / name[:2] / name


def _read_header(descriptor: int) -> RecordHeader:
    """Read where everything is. Raises OSError, and ValueError for what is not as it was kept."""
    first = os.pread(descriptor, _FIRST_READ, 0)
    size = os.fstat(descriptor).st_size
    return read_header(first, size, lambda length: os.pread(descriptor, length, 0))


def _read_blob(descriptor: int, blob: Blob) -> bytes:
    data = os.pread(descriptor, blob.length, blob.start)
    if not blob.verify(data):
        raise ValueError("damaged")
    return data


def _noop_release() -> None:
    """Stand for a claim where nothing can be claimed."""
