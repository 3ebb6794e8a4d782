"""One look at the storage: what is there, what of it is new, and what is kept of that.
Law: only what has settled is told; a file that is still being copied is left for later."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.artefacts.probe_cache import ProbeCache
from service.models import Metadata
from service.probing.prober import ProbeFailure
from service.protocol.media_types import media_type
from service.sidecars import NO_SIDECARS, SidecarMatcher, Sidecars
from service.storage.base import Entry, Storage

# Seconds after which a file is tried again that could not be read, for no fault of its own; and an
# object, of which nobody else will say that it can be read now.
_RETRY_SECONDS, OBJECT_RETRY_SECONDS = 600.0, 15.0

Key = tuple[str, str]  # path and revision
Result = Metadata | ProbeFailure


class File(NamedTuple):
    """A media file, and what belongs to it."""

    entry: Entry
    sidecars: Sidecars = NO_SIDECARS


class ProbeRecord(NamedTuple):
    """What probing told of a version of a file."""

    result: Result
    changed_at: float
    """As the entry said then: where reading failed, a change of rights may have helped."""
    probed_at: float
    """When: on the monotonic clock, in seconds."""
    retry_after: float = _RETRY_SECONDS
    """Seconds after which it may be otherwise, unless it lasts."""

    def is_current(self, entry: Entry) -> bool:
        """Whether there is no need to probe again."""
        if isinstance(self.result, Metadata) or self.result.lasting:
            return True
        return (
            entry.changed_at == self.changed_at
            and time.monotonic() - self.probed_at < self.retry_after
        )


class Observation(NamedTuple):
    """A version of a file that was seen."""

    revision: str
    since: float
    """When first: on the monotonic clock, in seconds."""
    settled: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found."""

    files: dict[str, File]
    """By path."""
    loaded: dict[Key, ProbeRecord] = field(default_factory=dict)
    """What was kept of those not known yet."""
    missing: list[Entry] = field(default_factory=list)
    """Those of which nothing was kept, either."""
    gone: set[Key] = field(default_factory=set)
    """What was known of those that are there no more."""
    unsettled: float | None = None
    """Seconds after which a file left out may have settled."""
    observations: dict[str, Observation] = field(default_factory=dict)
    """By path: all of them, settled or not."""


def scan(  # noqa: PLR0913, PLR0917 # what earlier scans found is three things
    storage: Storage,
    probe_cache: ProbeCache,
    settle_time: float,
    previous_files: dict[str, File],
    probe_records: Mapping[Key, ProbeRecord],
    previous_observations: Mapping[str, Observation] | None = None,
) -> Scan:
    """Look. Gives the files of `before`, and `before` itself, where there is nothing new.

    `last` are the sightings of the scan before, if there was one. `settle_time` is in seconds.
    Blocks: for a thread. Raises OSError as the storage does.
    """
    settled, waits, observations = [], [], {}
    for entry in storage.list_entries():
        wait, observations[entry.path] = _observe(entry, settle_time, previous_observations)
        if wait > 0:
            waits.append(wait)
        else:
            settled.append(entry)
    files: dict[str, File] = {}
    unknown: dict[Key, Entry] = {}
    retried = False
    result = Scan(
        files,
        gone=set(probe_records),
        unsettled=min(waits, default=None),
        observations=observations,
    )
    for file in _files(settled):
        entry = file.entry
        previous = previous_files.get(entry.path)
        files[entry.path] = previous if previous == file else file
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
    """Give the seconds until a file may have settled, 0 where it has; and what was seen."""
    clock = time.monotonic()
    previous = (previous_observations or {}).get(entry.path)
    if previous is not None and previous.revision != entry.revision:
        previous = None
    if previous is not None and previous.settled:
        return 0.0, previous  # its rights may have changed, or its name, but nothing in it
    since = previous.since if previous is not None else clock
    age = time.time() - entry.changed_at
    if abs(age) < settle_time:
        wait = settle_time - age
    elif previous_observations is None:
        wait = 0.0  # as most files are at the start
    else:
        # Its stamp comes from another clock, a file server's perhaps, or was chosen, and says
        # nothing of when it was written.
        wait = max(0.0, settle_time - (clock - since))
    return wait, Observation(entry.revision, since, settled=wait <= 0)


def _files(entries: Iterable[Entry]) -> Iterable[File]:
    """Give each media file with what belongs to it of the other files in its folder."""
    media: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    others: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        if media_type(name) is None:
            others[folder][name] = entry
        else:
            media[folder].append((name, entry))
    for folder, members in media.items():
        if not others[folder]:
            yield from (File(entry) for _, entry in members)
            continue
        beside = SidecarMatcher([*others[folder], *(name for name, _ in members)])
        for name, entry in members:
            yield File(entry, _match_sidecars(beside, name, others[folder]))


def _match_sidecars(beside: SidecarMatcher, name: str, others: Mapping[str, Entry]) -> Sidecars:
    told = beside.match(name)
    if not (told.image or told.chapters or told.captions):
        return NO_SIDECARS
    return Sidecars(
        others[told.image] if told.image else None,
        others[told.chapters] if told.chapters else None,
        tuple(others[caption] for caption in told.captions),
    )
