"""References to library files, in a folder or a bucket, for processes that open them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self


class StoreRef(NamedTuple):
    """A bucket, or the objects below a prefix of it."""

    url: str
    """The URL of the bucket and the prefix, if any."""
    timeout: float
    """Seconds that a request may take."""


class ObjectRef(NamedTuple):
    """A reference to a version of a file in a folder or bucket."""

    root: str | StoreRef
    """The folder that the file must be in, without symbolic links in its path; or the bucket."""
    path: str
    """Relative to the folder, or to the prefix of the bucket."""
    revision: str | None
    """None: the current one."""

    @classmethod
    def at(cls, file: Path) -> Self:
        """Return a reference to a file by its path, which may be a link. Blocks."""
        folder, name = os.path.split(os.path.realpath(file))
        return cls(folder, name, None)


@dataclass(frozen=True, slots=True)
class MediaRoot:
    """The folder or the bucket of the library; one of the two is set."""

    root: Path | None = None
    """The folder, which can be watched."""
    store: StoreRef | None = None
    """The bucket. Its objects are complete when they are listed."""

    @property
    def reference(self) -> str | StoreRef:
        """The folder's path or the bucket, as worker processes get it."""
        return self.store if self.store is not None else str(self.root or Path.cwd())

    def locate(self, path: str, revision: str) -> ObjectRef:
        """Return a reference to a version of a library file, by its path."""
        return ObjectRef(self.reference, path, revision)
