"""Scans the storage: which files there are, and which folders are not what they were.

A file is left out until it has not changed for a while, because it may still be copied.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from service.library.files import FolderFiles, match_files
from service.storage.base import Entry, FolderListing, Storage


class Observation(NamedTuple):
    """A version of a file that a scan has seen."""

    revision: str
    since: float
    """When it was first seen, in seconds on the monotonic clock."""
    settled: bool


class ScannedFolder(NamedTuple):
    """A folder as a scan has seen it."""

    digest: bytes
    """Of the listing; empty if a file is unsettled, so that the folder is looked at again."""
    settled: tuple[Entry, ...]
    """The files that are settled: media and possible sidecars."""
    unsettled: Mapping[str, Observation]
    """By path, the others."""

    @property
    def observations(self) -> dict[str, Observation]:
        """By path, of all files."""
        known = {e.path: Observation(e.revision, 0.0, settled=True) for e in self.settled}
        return known | dict(self.unsettled)


class KnownFolders(Protocol):
    """The folders that earlier scans have seen."""

    @property
    def digests(self) -> Mapping[str, bytes]:
        """Those of their listings, by path."""
        ...

    def get(self, path: str) -> ScannedFolder | None:
        """Return a folder; None if it is not known."""
        ...


@dataclass(slots=True)
class Scan:
    """The result of a scan."""

    looked_at: dict[str, ScannedFolder] = field(default_factory=dict)
    """By path: those whose digest was not known."""
    changed: dict[str, FolderFiles] = field(default_factory=dict)
    """By path: those of them in which other files are found than before."""
    gone: list[str] = field(default_factory=list)
    """Folders that are no longer there."""
    unsettled: float | None = None
    """Seconds until a file that was left out may have settled."""


NO_FOLDER = ScannedFolder(b"", (), {})


def scan(storage: Storage, settle_time: float, known: KnownFolders, *, is_first: bool) -> Scan:
    """Scan the storage. `settle_time` is in seconds. Blocks. Raises OSError.

    In the first scan of a process, files are settled by their time of change alone.
    """
    result = Scan()
    waits: list[float] = []
    seen: set[str] = set()
    for listing in storage.list_folders(known.digests):
        seen.add(listing.path)
        if listing.entries is None:
            continue
        before = known.get(listing.path) or NO_FOLDER
        observations = None if is_first else before.observations
        folder = _folder(listing, settle_time, observations, waits)
        result.looked_at[listing.path] = folder
        found = match_files(listing.path, folder.settled)
        if found != match_files(listing.path, before.settled):
            result.changed[listing.path] = found
    result.gone = [path for path in known.digests if path not in seen]
    for path in result.gone:
        if any(match_files(path, (known.get(path) or NO_FOLDER).settled)):
            result.changed[path] = FolderFiles()
    result.unsettled = min(waits, default=None)
    return result


def _folder(
    listing: FolderListing,
    settle_time: float,
    previous: Mapping[str, Observation] | None,
    waits: list[float],
) -> ScannedFolder:
    """Return what is found in a folder; add the seconds until unsettled files may have settled."""
    settled, unsettled = [], {}
    for entry in listing.entries or ():
        wait, observation = _observe(entry, settle_time, previous)
        if wait > 0:
            waits.append(wait)
            unsettled[entry.path] = observation
        else:
            settled.append(entry)
    return ScannedFolder(b"" if unsettled else listing.digest, tuple(settled), unsettled)


def _observe(
    entry: Entry, settle_time: float, previous_observations: Mapping[str, Observation] | None
) -> tuple[float, Observation]:
    """Return the seconds until a file may have settled, 0 if it has, and its observation."""
    clock = time.monotonic()
    previous = (previous_observations or {}).get(entry.path)
    if previous is not None and previous.revision != entry.revision:
        previous = None
    if previous is not None and previous.settled:
        return 0.0, previous  # only its permissions or its name may have changed
    since = previous.since if previous is not None else clock
    age = time.time() - entry.changed_at
    if abs(age) < settle_time:
        wait = settle_time - age
    elif previous_observations is None:
        wait = 0.0  # as most files are at the start
    else:
        # Its time comes from another clock, such as a file server's, or was set. It does not tell
        # when the file was written.
        wait = max(0.0, settle_time - (clock - since))
    return wait, Observation(entry.revision, since, settled=wait <= 0)
