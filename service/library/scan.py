"""Scans the storage: which files there are, which are new, and which have stored probe results.

A file is left out until it has not changed for a while, because it may still be copied.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.artefacts.probe_cache import ProbeCache
from service.library.files import Files, match_files
from service.models import Metadata
from service.probing.prober import ProbeFailure
from service.storage.base import Entry, Storage

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


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a scan."""

    files: Files
    loaded: dict[Key, ProbeRecord] = field(default_factory=dict)
    """Stored results that were not in memory."""
    missing: list[Entry] = field(default_factory=list)
    """Files without a result."""
    gone: set[Key] = field(default_factory=set)
    """Results of files that no longer exist."""
    unsettled: float | None = None
    """Seconds until a file that was left out may have settled."""
    observations: dict[str, Observation] = field(default_factory=dict)
    """By path, of all files, settled or not."""


def scan(  # noqa: PLR0913, PLR0917 # what earlier scans found is three things
    storage: Storage,
    probe_cache: ProbeCache,
    settle_time: float,
    previous_files: Files,
    probe_records: Mapping[Key, ProbeRecord],
    previous_observations: Mapping[str, Observation] | None = None,
) -> Scan:
    """Scan the storage. Unchanged files, or all of them, are the objects of `previous_files`.

    `settle_time` is in seconds. Blocks. Raises OSError.
    """
    settled, waits, observations = [], [], {}
    for entry in storage.list_entries():
        wait, observations[entry.path] = _observe(entry, settle_time, previous_observations)
        if wait > 0:
            waits.append(wait)
        else:
            settled.append(entry)
    unknown: dict[Key, Entry] = {}
    retried = False
    files = match_files(settled)
    result = Scan(
        files,
        gone=set(probe_records),
        unsettled=min(waits, default=None),
        observations=observations,
    )
    for file in files.by_path.values():
        entry = file.entry
        previous = previous_files.by_path.get(entry.path)
        if previous == file:
            files.by_path[entry.path] = previous
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
            retried = retried or key in probe_records
    if files == previous_files and not result.loaded and not retried:
        return Scan(
            previous_files, gone=result.gone, unsettled=result.unsettled, observations=observations
        )
    return result


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
