"""Scans the storage: which files there are, which are new, and which have stored probe results.

A file is left out until it has not changed for a while, because it may still be copied.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from service.artefacts.probe_cache import ProbeCache
from service.library.files import FolderFiles, match_files
from service.models import Metadata
from service.probing.prober import ProbeFailure
from service.storage.base import Entry, FolderListing, Storage

# Seconds until a file is probed again that could not be read; and an object, because no event tells
# that it can be read again.
_RETRY_SECONDS, OBJECT_RETRY_SECONDS = 600.0, 15.0

Key = tuple[str, str]  # path and revision
Result = Metadata | ProbeFailure


class ProbeRecord(NamedTuple):
    """The probe result of a version of a file."""

    result: Result
    changed_at: float
    """From the entry at that time; a change of permissions may let a retry succeed."""
    probed_at: float
    """Seconds on the monotonic clock."""
    retry_after: float = _RETRY_SECONDS
    """Seconds until a retry, unless the failure is lasting."""

    def is_current(self, entry: Entry) -> bool:
        """Return whether the file need not be probed again."""
        if isinstance(self.result, Metadata) or self.result.lasting:
            return True
        return (
            entry.changed_at == self.changed_at
            and time.monotonic() - self.probed_at < self.retry_after
        )


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
    found: FolderFiles
    """Without unsettled files."""
    observations: dict[str, Observation]
    """By path, of all files, settled or not."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a scan."""

    folders: dict[str, ScannedFolder]
    """By path."""
    is_changed: bool
    """Whether the library is not what it was: files, or results that are known of them."""
    loaded: dict[Key, ProbeRecord] = field(default_factory=dict)
    """Stored results that were not in memory."""
    missing: list[Entry] = field(default_factory=list)
    """Files without a result."""
    gone: set[Key] = field(default_factory=set)
    """Results of files that no longer exist."""
    unsettled: float | None = None
    """Seconds until a file that was left out may have settled."""


def scan(
    storage: Storage,
    probe_cache: ProbeCache,
    settle_time: float,
    previous: Mapping[str, ScannedFolder] | None,
    probe_records: Mapping[Key, ProbeRecord],
) -> Scan:
    """Scan the storage. Of `previous`, unchanged folders and files are the same objects.

    `settle_time` is in seconds. Blocks. Raises OSError.
    """
    before = previous or {}
    folders: dict[str, ScannedFolder] = {}
    waits: list[float] = []
    for listing in storage.list_folders({path: one.digest for path, one in before.items()}):
        if listing.entries is None:
            folders[listing.path] = before[listing.path]
        else:
            known = None if previous is None else before.get(listing.path, _NEW_FOLDER)
            folders[listing.path] = _folder(listing, settle_time, known, waits)
    is_changed = previous is None or _found(folders) != _found(previous)
    unknown: dict[Key, Entry] = {}
    result = Scan(folders, is_changed, gone=set(probe_records), unsettled=min(waits, default=None))
    for folder in folders.values():
        for entry, _ in folder.found.files:
            key = (entry.path, entry.revision)
            if key in probe_records and probe_records[key].is_current(entry):
                result.gone.discard(key)
            else:
                unknown[key] = entry
    for key, loaded in probe_cache.load_all(list(unknown)):
        entry = unknown[key]
        if loaded is not None:
            result.loaded[key] = ProbeRecord(loaded, entry.changed_at, time.monotonic())
        else:
            result.missing.append(entry)
            is_changed = is_changed or key in probe_records  # it is probed again
    return replace(result, is_changed=is_changed or bool(result.loaded))


_NEW_FOLDER = ScannedFolder(b"", FolderFiles(), {})


def _found(folders: Mapping[str, ScannedFolder]) -> dict[str, FolderFiles]:
    return {path: folder.found for path, folder in folders.items() if any(folder.found)}


def _folder(
    listing: FolderListing, settle_time: float, previous: ScannedFolder | None, waits: list[float]
) -> ScannedFolder:
    """Return what is found in a folder; add the seconds until unsettled files may have settled.

    `previous` is None in the first scan.
    """
    settled, is_settled = [], True
    observations: dict[str, Observation] = {}
    for entry in listing.entries or ():
        wait, observations[entry.path] = _observe(
            entry, settle_time, None if previous is None else previous.observations
        )
        if wait > 0:
            waits.append(wait)
            is_settled = False
        else:
            settled.append(entry)
    found = match_files(listing.path, settled)
    if previous is not None:
        known = {file.entry.path: file for file in previous.found.files}
        same = (known.get(file.entry.path) for file in found.files)
        found = found._replace(
            files=tuple(
                old if old == new else new for old, new in zip(same, found.files, strict=True)
            )
        )
        found = previous.found if found == previous.found else found
    return ScannedFolder(listing.digest if is_settled else b"", found, observations)


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
