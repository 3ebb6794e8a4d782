"""Where the library's files are, for processes that open them by themselves: in a folder, by their
names there; or in a bucket, by its URL, their keys and their revisions."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Store(NamedTuple):
    """A bucket, or what of it is below a prefix."""

    url: str
    """Of the bucket and what all keys begin with."""
    timeout: float
    """Seconds that it may take."""


class Located(NamedTuple):
    """A version of an object."""

    store: Store
    path: str
    """The rest of the key."""
    revision: str


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or a bucket, whichever there is."""

    root: Path | None = None
    """The folder, which can be watched."""
    store: Store | None = None
    """The bucket. Its objects are whole when they are listed."""

    def find(self, path: str, revision: str) -> Path | Located:
        """Say where a file of the library is, by its path there.

        In a folder there may be another version by that name by now.
        """
        if self.store is not None:
            return Located(self.store, path, revision)
        return Path(self.root or "", path)
