"""Where the library's files are, for processes that open them by themselves: in a folder, by their
paths there; or in a bucket, by its URL and their keys. Of either a certain revision is meant."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self


class Store(NamedTuple):
    """A bucket, or what of it is below a prefix."""

    url: str
    """Of the bucket and what all keys begin with."""
    timeout: float
    """Seconds that it may take."""


class Located(NamedTuple):
    """A version of a file of the library, or of any other file."""

    place: str | Store
    """The folder that the file is not to be outside of, without symbolic links in its name; or the
    bucket."""
    path: str
    """Relative to the folder; or the rest of the key."""
    revision: str | None
    """None: whichever there is."""

    @classmethod
    def at(cls, file: Path) -> Self:
        """Locate a file that somebody named by its path, which may be a link. Blocks."""
        folder, name = os.path.split(os.path.realpath(file))
        return cls(folder, name, None)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or a bucket, whichever there is."""

    root: Path | None = None
    """The folder, which can be watched."""
    store: Store | None = None
    """The bucket. Its objects are whole when they are listed."""

    @property
    def told(self) -> str | Store:
        """What processes are told of it."""
        return self.store if self.store is not None else str(self.root or Path.cwd())

    def find(self, path: str, revision: str) -> Located:
        """Return the location of a version of a library file, by its path."""
        return Located(self.told, path, revision)
