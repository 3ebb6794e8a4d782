"""What was derived from a version of a file, kept in a folder: a cache, nothing more.
Law: whatever is missing, damaged or cannot be written is made again; it never stops the service.
Several replicas may share the folder: files are replaced whole, and who makes one says so first."""

import fcntl
import hashlib
import json
import os
import struct
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

_log = structlog.get_logger()

KINDS = ("metadata", "poster", "captions", "storyboard")

# What becomes of a file when it is read, and when it is made, changes its kind's number: what an
# earlier release has made is then not found any more, and dropped when there is need for room.
_FORMAT = "2"

# A file: the digest of all up to the first blob, the length of the facts and the number of blobs,
# for each blob its length and digest, the facts, the blobs.
_DIGEST = 16
_COUNTS = struct.Struct(">QI")
_BLOB = struct.Struct(f">Q{_DIGEST}s")

# Bytes that are read at once: what is known of most videos, and all of their captions.
_FIRST_READ = 64 * 1024

# Seconds between two notes that a file is in use. Every page of posters would else write as well.
_USED_AGAIN = 3600.0

# Of the bound: above, only what is asked for is made; room is made down to there.
_FULL, _ROOMY = 0.95, 0.9

# Seconds after which a file half written was left by a process that has ended.
_ABANDONED = 3600.0


class Layout(NamedTuple):
    """Where the parts of a file are."""

    facts: bytes
    blobs: tuple[tuple[int, int, bytes], ...]
    """Of each: its first byte, its length, its digest."""


def name_of(kind: str, *parts: str) -> str:
    """Name what is derived from something: 32 hexadecimal digits, the same on every replica."""
    text = json.dumps([_FORMAT, kind, *parts])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Derived:
    """Facts and bytes by kind and name. Every method blocks: for a thread."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Keep at most `limit` bytes, but for what was added since the last `sweep`."""
        self._folder = folder
        self._limit = limit
        self.size = 0
        """Bytes that were kept when last looked at, and what was added since."""

    @property
    def is_full(self) -> bool:
        """Whether more would soon push out what is in use."""
        return self.size > _FULL * self._limit

    @property
    def is_over(self) -> bool:
        """Whether room has to be made."""
        return self.size > self._limit

    def load(self, kind: str, name: str) -> bytes | None:
        """Give the facts, if they and all that belongs to them are there."""
        try:
            with self._file(kind, name).open("rb", buffering=0) as file:
                layout = _layout(file.fileno())
                self._note_use(file.fileno())
        except (OSError, ValueError):
            return None
        return layout.facts

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        """Give the bytes of this number, counted from 0, if they are there and as they were.

        What turns out to be damaged is dropped; what only cannot be read now is not.
        """
        try:
            with self._file(kind, name).open("rb", buffering=0) as file:
                start, length, digest = _layout(file.fileno()).blobs[number]
                data = os.pread(file.fileno(), length, start)
                self._note_use(file.fileno())
            if _digest(data) == digest:
                return data
        except (OSError, IndexError):
            return None
        except ValueError:
            pass
        self._drop(kind, name)
        return None

    def save(self, kind: str, name: str, facts: bytes, blobs: Sequence[bytes] = ()) -> bool:
        """Write atomically, so that a reader or a second writer never sees half a file.

        Gives whether that could be done.
        """
        table = b"".join(_BLOB.pack(len(blob), _digest(blob)) for blob in blobs)
        head = _COUNTS.pack(len(facts), len(blobs)) + table + facts
        target = self._file(kind, name)
        temporary = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
                temporary = Path(file.name)
                file.write(_digest(head) + head)
                file.writelines(blobs)
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

    def claim(self, name: str) -> int | None:
        """Say that something is being made: gives a descriptor to be closed when it is done.

        None where another process makes it, or something that shares its lock. The kernel gives
        back what a process held that died. Where files cannot be locked everyone may: what is
        written twice is the same.
        """
        folder = self._folder / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / name[:2], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            pass
        return descriptor

    def sweep(self, in_use: Sequence[tuple[str, str]] = ()) -> None:
        """Make room: those that were not used for longest go first.

        `in_use`, kinds and names, count as used now.
        """
        for kind, name in in_use:
            with suppress(OSError), self._file(kind, name).open("rb") as used:
                self._note_use(used.fileno())
        found: list[tuple[float, int, Path]] = []
        now = time.time()
        for kind in KINDS:
            for folder, _, names in os.walk(self._folder / kind):
                for name in names:
                    file = Path(folder, name)
                    with suppress(OSError):
                        status = file.stat()
                        if name.startswith("tmp") and now - status.st_mtime > _ABANDONED:
                            file.unlink()
                        else:
                            found.append((status.st_mtime, status.st_blocks * 512, file))
        total = sum(size for _, size, _ in found)
        if total > self._limit:
            for _, size, file in sorted(found):
                if total <= _ROOMY * self._limit:
                    break
                with suppress(OSError):
                    file.unlink()
                total -= size
        self.size = total

    def _note_use(self, descriptor: int) -> None:
        """Have a file be dropped later. Its time of change is when it was last used."""
        if time.time() - os.fstat(descriptor).st_mtime > _USED_AGAIN:
            with suppress(OSError):
                os.utime(descriptor)

    def _file(self, kind: str, name: str) -> Path:
        return self._folder / kind / name[:2] / name


def _layout(descriptor: int) -> Layout:
    """Read where everything is. Raises ValueError for what is not as it was written."""
    data = os.pread(descriptor, _FIRST_READ, 0)
    size = os.fstat(descriptor).st_size
    table = _DIGEST + _COUNTS.size
    if len(data) < table:
        raise ValueError("cut off")
    length, count = _COUNTS.unpack_from(data, _DIGEST)
    facts = table + count * _BLOB.size
    end = facts + length
    if end > size:
        raise ValueError("cut off")
    if end > len(data):
        data = os.pread(descriptor, end, 0)
    if _digest(data[_DIGEST:end]) != data[:_DIGEST]:
        raise ValueError("damaged")
    start, blobs = end, []
    for of_blob, digest in _BLOB.iter_unpack(data[table:facts]):
        blobs.append((start, of_blob, digest))
        start += of_blob
    if size != start:
        raise ValueError("cut off, or more than was written")
    return Layout(data[facts:end], tuple(blobs))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()
