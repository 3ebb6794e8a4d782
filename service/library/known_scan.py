"""Scans the storage, and finds out which files have a result and which are to be probed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service.artefacts.probe_cache import ProbeCache
from service.library.known import KnownLibrary
from service.library.results import Key, ProbeRecord
from service.library.scan import Scan
from service.storage.base import Entry


@dataclass(slots=True)
class ScanResult:
    """What a scan has found, and what is known of it."""

    scan: Scan
    is_changed: bool
    """Whether the library is not what it was: files, or results that are known of them."""
    loaded: dict[Key, ProbeRecord] = field(default_factory=dict)
    """Stored results that were not known."""
    missing: list[Entry] = field(default_factory=list)
    """Files without a result."""
    gone: set[Key] = field(default_factory=set)
    """Results of files that no longer exist."""


def scan_known(
    known: KnownLibrary,
    do_scan: Callable[[], Scan],
    probe_cache: ProbeCache,
    records: Mapping[Key, ProbeRecord],
) -> ScanResult:
    """Scan the storage, and load the results that are stored. Blocks.

    `records` are results that the database does not have. Raises OSError, sqlite3.Error.
    """
    scan = do_scan()
    result = ScanResult(scan, bool(scan.changed), gone=set(records))
    unknown: dict[Key, Entry] = {}
    for entry in known.without_result(scan):
        key = (entry.path, entry.revision)
        if key in records and records[key].is_current(entry):
            result.gone.discard(key)
        else:
            unknown[key] = entry
    for key, loaded in probe_cache.load_all(list(unknown)):
        entry = unknown[key]
        if loaded is not None:
            result.loaded[key] = ProbeRecord(loaded, entry.changed_at, time.monotonic())
        else:
            result.missing.append(entry)
            # It is probed again.
            result.is_changed = result.is_changed or key in records
    result.is_changed = result.is_changed or bool(result.loaded)
    return result
