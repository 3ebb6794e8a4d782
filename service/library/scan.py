"""One look at the storage: what is there, what of it is new, and what is kept of that.
Law: only what has settled is told; a file that is still being copied is left for later."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.artefacts.metadata import NO_COMPANIONS, Companions
from service.artefacts.probe_cache import ProbeCache
from service.models import Metadata
from service.probing.prober import ProbeProblem
from service.protocol.media_types import media_type
from service.sidecars import Folder
from service.storage.base import Entry, Storage

# Seconds after which a file is tried again that could not be read, for no fault of its own; and an
# object, of which nobody else will say that it can be read now.
_TRY_AGAIN, TRY_OBJECT_AGAIN = 600.0, 15.0

Key = tuple[str, str]  # path and revision
Result = Metadata | ProbeProblem


class File(NamedTuple):
    """A media file, and what belongs to it."""

    entry: Entry
    companions: Companions = NO_COMPANIONS


class Known(NamedTuple):
    """What probing told of a version of a file."""

    result: Result
    changed_at: float
    """As the entry said then: where reading failed, a change of rights may have helped."""
    at: float
    """When: on the monotonic clock, in seconds."""
    again: float = _TRY_AGAIN
    """Seconds after which it may be otherwise, unless it lasts."""

    def counts(self, entry: Entry) -> bool:
        """Whether there is no need to probe again."""
        if isinstance(self.result, Metadata) or self.result.lasting:
            return True
        return entry.changed_at == self.changed_at and time.monotonic() - self.at < self.again


class Sighting(NamedTuple):
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
    loaded: dict[Key, Known] = field(default_factory=dict)
    """What was kept of those not known yet."""
    missing: list[Entry] = field(default_factory=list)
    """Those of which nothing was kept, either."""
    gone: set[Key] = field(default_factory=set)
    """What was known of those that are there no more."""
    unsettled: float | None = None
    """Seconds after which a file left out may have settled."""
    seen: dict[str, Sighting] = field(default_factory=dict)
    """By path: all of them, settled or not."""


def scan(  # noqa: PLR0913, PLR0917 # what earlier scans found is three things
    storage: Storage,
    probed: ProbeCache,
    settle_time: float,
    before: dict[str, File],
    known: Mapping[Key, Known],
    last: Mapping[str, Sighting] | None = None,
) -> Scan:
    """Look. Gives the files of `before`, and `before` itself, where there is nothing new.

    `last` are the sightings of the scan before, if there was one. `settle_time` is in seconds.
    Blocks: for a thread. Raises OSError as the storage does.
    """
    settled, waits, seen = [], [], {}
    for entry in storage.list_entries():
        wait, seen[entry.path] = _look_at(entry, settle_time, last)
        if wait > 0:
            waits.append(wait)
        else:
            settled.append(entry)
    files: dict[str, File] = {}
    unknown: dict[Key, Entry] = {}
    again = False
    found = Scan(files, gone=set(known), unsettled=min(waits, default=None), seen=seen)
    for file in _files(settled):
        entry = file.entry
        earlier = before.get(entry.path)
        files[entry.path] = earlier if earlier == file else file
        key = (entry.path, entry.revision)
        if key in known and known[key].counts(entry):
            found.gone.discard(key)
        else:
            unknown[key] = entry
    for key, kept in probed.load_all(list(unknown)):
        entry = unknown[key]
        if kept is not None:
            found.loaded[key] = Known(kept, entry.changed_at, time.monotonic())
        else:
            found.missing.append(entry)
            again = again or key in known
    if files == before and not found.loaded and not again:
        return Scan(before, gone=found.gone, unsettled=found.unsettled, seen=seen)
    return found


def _look_at(
    entry: Entry, settle_time: float, last: Mapping[str, Sighting] | None
) -> tuple[float, Sighting]:
    """Give the seconds until a file may have settled, 0 where it has; and what was seen."""
    clock = time.monotonic()
    before = last.get(entry.path) if last is not None else None
    if before is not None and before.revision != entry.revision:
        before = None
    if before is not None and before.settled:
        return 0.0, before  # its rights may have changed, or its name, but nothing in it
    since = before.since if before is not None else clock
    age = time.time() - entry.changed_at
    if abs(age) < settle_time:
        wait = settle_time - age
    elif last is None:
        wait = 0.0  # as most files are at the start
    else:
        # Its stamp comes from another clock, a file server's perhaps, or was chosen, and says
        # nothing of when it was written.
        wait = max(0.0, settle_time - (clock - since))
    return wait, Sighting(entry.revision, since, settled=wait <= 0)


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
        beside = Folder([*others[folder], *(name for name, _ in members)])
        for name, entry in members:
            yield File(entry, _companions(beside, name, others[folder]))


def _companions(beside: Folder, name: str, others: Mapping[str, Entry]) -> Companions:
    told = beside.beside(name)
    if not (told.image or told.chapters or told.captions):
        return NO_COMPANIONS
    return Companions(
        others[told.image] if told.image else None,
        others[told.chapters] if told.chapters else None,
        tuple(others[caption] for caption in told.captions),
    )
