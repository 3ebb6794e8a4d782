"""What must outlive restarts: share links, what was taken back, and the key. In small files.

Each file is replaced atomically. A folder may be shared by replicas; so may an object store.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

KEY = "key"
GENERATION = "generation"
LINKS = "links"
REVOKED = "revoked"
USED = "used"

# The folder's group may read: the edge has the folder, and needs the key.
_FILE_MODE = 0o640


class State(Protocol):
    """Named values. All methods block, and raise OSError if the store fails."""

    def read(self, name: str) -> bytes | None:
        """Return a value; None if there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Store a value, replacing any other."""

    def create(self, name: str, data: bytes) -> bool:
        """Store a value if there is none yet. Return whether it was stored."""

    def delete(self, name: str) -> None:
        """Remove a value, if there is one."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the values directly in a folder, without the folder's own."""


class FolderState:
    """The state in a folder: each value is a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        with self._temporary(name, data) as temporary:
            temporary.replace(self._folder / name)

    def create(self, name: str, data: bytes) -> bool:
        with self._temporary(name, data) as temporary:
            try:
                (self._folder / name).hardlink_to(temporary)
            except FileExistsError:
                return False
        return True

    def delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            found = [file.name for file in (self._folder / folder).iterdir()]
        except FileNotFoundError:
            return []
        return [name for name in found if not name.startswith(".")]

    @contextmanager
    def _temporary(self, name: str, data: bytes) -> Iterator[Path]:
        """Write a file beside the one of that name; it is removed if it is still there."""
        target = self._folder / name
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        temporary = target.parent / f".{secrets.token_hex(8)}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
