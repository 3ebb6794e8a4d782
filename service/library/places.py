"""Where the library's files are, for processes that open them by themselves: in a folder, by their
names there; or in a bucket, by its URL, their keys and their revisions."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Located(NamedTuple):
    """A version of an object."""

    store: str
    """The URL of the bucket and of what all keys begin with."""
    path: str
    """The rest of the key."""
    revision: str


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or a bucket, whichever there is."""

    root: Path | None = None
    """The folder, which can be watched."""
    store: str | None = None
    """The bucket's URL. Its objects are whole when they are listed."""

    def find(self, path: str, revision: str) -> Path | Located:
        """Say where a file of the library is, by its path there.

        In a folder there may be another version by that name by now.
        """
        if self.store is not None:
            return Located(self.store, path, revision)
        return Path(self.root or "", path)
