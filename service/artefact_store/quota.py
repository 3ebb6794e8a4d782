"""The size of a store, its limit, and the room that is reserved for large files."""

import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from service.artefact_store.keys import LARGE_KINDS
from service.storage.local.beneath import READ_FLAGS

# Parts of the quota: above the first, only requested artefacts are built; the second ends eviction,
# and large files fill the store up to it.
_HIGH_WATERMARK, _LOW_WATERMARK = 0.95, 0.9

# Seconds after it was last opened for which a large file makes no room for another one. Otherwise
# two that are played and do not fit together would be made again and again. A block of 4 MiB lasts
# so long at 0.5 Mbit/s.
_IN_USE_SECONDS = 60.0

# Openings of large files that are remembered.
_MAX_OPENED = 10_000

# Age in seconds of a large file that no process has locked: it was killed. A new one is not locked
# yet.
_UNLOCKED_FILE_TTL = 60.0

_KILO = 1000

TEMPORARY = "unfinished"
"""The folder of large files that are being written, and the kind of all files that are."""


class NoRoomError(Exception):
    """A large file does not fit. Its text is a sentence."""


class Stored(NamedTuple):
    """A stored artefact, as eviction sees it."""

    kind: str
    """TEMPORARY if another process writes it, so that it cannot go."""
    name: str
    size: int
    used: float
    """The time of its last use, in seconds since the epoch."""
    where: str
    """The path of its file, or the key of its object."""


class Inventory(NamedTuple):
    """How much a store has, and what may go."""

    total: int
    """Bytes."""
    large: int
    """Those of large kinds."""
    artefacts: list[Stored]
    """Of the kinds that may go: all of 100,000 videos would take 100 MB."""

    @classmethod
    def of(cls, found: Iterable[Stored], kinds: Collection[str]) -> "Inventory":
        """Count what was found, and keep what is of some kinds."""
        total, large, artefacts = 0, 0, []
        for each in found:
            total += each.size
            if each.kind in LARGE_KINDS:
                large += each.size
            if each.kind in kinds:
                artefacts.append(each)
        return cls(total, large, artefacts)


class LargeFile:
    """A file that is being written, with its room in the store reserved until `discard`."""

    def __init__(self, quota: "Quota", path: Path, room: int) -> None:
        self._quota = quota
        self.path = path
        self.room = room
        """The most bytes that it may have."""
        self._descriptor: int | None = None

    def create(self) -> None:
        """Create the file, with a lock for as long as this process writes it. Raises OSError."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def written(self) -> int:
        """The bytes that it has now."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def discard(self) -> None:
        """Delete it, unless it was stored, and release its room."""
        self._quota.release(self)
        with suppress(OSError):
            self.path.unlink()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Quota:
    """The size of a store and its limit. It may be used in several threads."""

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes, not counting what was added since the last eviction."""
        self._limit = limit
        self._evict_to = _LOW_WATERMARK * limit
        self._stored = 0
        self._stored_large = 0
        self._reserved: dict[Path, int] = {}
        self._opened: dict[str, float] = {}
        """The monotonic time at which large files were last opened, by name."""
        self._quota_lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes at the last eviction, those added since, and those reserved."""
        return self._stored + sum([*self._reserved.values()])

    @property
    def above_high_watermark(self) -> bool:
        return self.size > _HIGH_WATERMARK * self._limit

    @property
    def over_quota(self) -> bool:
        # Large files are the first to go, so that they do not keep others from being built.
        return self.size > self._limit or (self._stored_large > 0 and self.above_high_watermark)

    def release(self, file: LargeFile) -> None:
        """Release the room of a large file."""
        with self._quota_lock:
            self._reserved.pop(file.path, None)

    def _reserve(self, file: Path, room: int, found: Inventory | None) -> list[Stored]:
        """Reserve room, and return which large files have to go for it: none if `found` is None.

        Raises NoRoomError.
        """
        if room > self._evict_to:
            raise NoRoomError(
                f"It may take {_bytes(room)}, and REELAY_DERIVED_SIZE has room for "
                f"{_bytes(int(self._evict_to))} of it."
            )
        with self._quota_lock:
            wanted = self._evict_to - sum(self._reserved.values()) - room
            idle = filter(self._is_idle, found.artefacts if found else ())
            going, left = _oldest(idle, found.total if found else self._stored, wanted)
            if left > wanted:
                raise NoRoomError(
                    f"There is no room for it now: it may take {_bytes(room)}, and more of "
                    "REELAY_DERIVED_SIZE is in use."
                )
            self._reserved[file] = room
            if found:
                self._set_stored(found, going)
        return going

    def _is_over(self, found: Inventory) -> bool:
        """Return whether these exceed the quota."""
        size = found.total + sum(self._reserved.values())
        return size > (_HIGH_WATERMARK if found.large else 1) * self._limit

    def _recount(self, found: Inventory) -> list[Stored]:
        """Count what was found. Return what has to go to keep the quota: large files first."""
        with self._quota_lock:
            self._set_stored(found)
            if not self._is_over(found):
                return []
            wanted = self._evict_to - sum(self._reserved.values())
            going, left = _oldest(filter(self._is_idle, found.artefacts), found.total, wanted)
            if left > wanted:
                others = [each for each in found.artefacts if not self._is_idle(each)]
                going += _oldest(others, left, wanted)[0]
            self._set_stored(found, going)
        return going

    def _set_stored(self, found: Inventory, going: Iterable[Stored] = ()) -> None:
        gone = Inventory.of(going, ())
        self._stored, self._stored_large = found.total - gone.total, found.large - gone.large

    def _is_idle(self, each: Stored) -> bool:
        """Return whether this is a large file that is not being played."""
        return each.kind in LARGE_KINDS and not self._is_in_use(each.name)

    def _is_in_use(self, name: str) -> bool:
        opened = self._opened.get(name)
        return opened is not None and time.monotonic() - opened < _IN_USE_SECONDS

    def _record_use(self, name: str) -> None:
        """Record that a large file is opened."""
        if len(self._opened) >= _MAX_OPENED:
            self._opened.clear()
        self._opened[name] = time.monotonic()

    def _count(self, kind: str, size: int) -> None:
        """Count what was stored."""
        with self._quota_lock:
            self._stored += size
            if kind in LARGE_KINDS:
                self._stored_large += size


def _oldest(stored: Iterable[Stored], total: int, wanted: float) -> tuple[list[Stored], int]:
    """Return the least recently used until `wanted` bytes of `total` are left, and how many are."""
    going = []
    for each in sorted(stored, key=lambda each: each.used):
        if total <= wanted:
            break
        going.append(each)
        total -= each.size
    return going, total


def new_large_file(quota: Quota, path: Path, room: int) -> LargeFile:
    """Create a file whose room is reserved. Raises NoRoomError, OSError."""
    file = LargeFile(quota, path, room)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_disk(path.parent, room)
        file.create()
    except BaseException:
        file.discard()
        raise
    return file


def _check_disk(folder: Path, room: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < room:
        raise NoRoomError(
            f"There is no room for it: it may take {_bytes(room)}, and the disk for it "
            f"has {_bytes(free)}."
        )


def temporary_path(folder: Path, prefix: str = tempfile.gettempprefix()) -> Path:
    """Return an unused path in a folder."""
    return folder / f"{prefix}{os.urandom(8).hex()}"


def is_abandoned(file: Path) -> bool:
    """Return whether the process that wrote a large file was killed. Raises OSError."""
    if time.time() - file.lstat().st_mtime <= _UNLOCKED_FILE_TTL:
        return False
    descriptor = os.open(file, READ_FLAGS)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is locked, or the file system has no locks
        return False
    finally:
        os.close(descriptor)
    return True


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < _KILO:
            return f"{size:.0f} {unit}"
        size /= _KILO
    return f"{size:.1f} GB"
