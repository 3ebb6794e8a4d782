"""The library as it is now: scans the storage, probes what is new, swaps the catalogue.
Bytes never wait for it: what exists is served, listed yet or not. Nor do other requests: what
takes longer with more videos is done in threads."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import shuffle
from typing import Protocol

import structlog

from service.artefacts.metadata import ArtefactSource
from service.artefacts.probe_cache import ProbeCache
from service.library.catalogue import Catalogue
from service.library.scan import TRY_OBJECT_AGAIN, File, Key, Known, Sighting, scan
from service.library.snapshot import NOTHING, show
from service.library.watcher import POLL_INTERVAL, changes, events_tell_all
from service.metrics import Metrics
from service.models import Metadata, ProbeState
from service.playability.findings import CODES
from service.probing.prober import ProbeProblem
from service.storage.base import Entry, Storage
from service.storage.media_root import MediaRoot, ObjectRef
from service.supervisor import Supervisor
from service.workers.playback_activity import Viewers

_log = structlog.get_logger()

# Seconds. While a large file is copied in, events come without end: scans must leave pauses.
_LEAST_PAUSE = 1.0
# While probing goes on, a new catalogue is built at most this often; and where that takes long, so
# seldom that of the viewers one in three hundred meets with it, but never more seldom than this.
_LEAST_SHOW_PAUSE, _MOST_SHOW_PAUSE = 1.0, 30.0
_SHOW_PAUSE = 300  # times what building took


def next_scan(took: float, wait: float) -> tuple[float, float]:
    """Return when the next scan begins: seconds after the end of the last one, which `took` some.

    The first is the earliest, whatever has changed; the second is the latest, where nothing has:
    `wait`, or as long as the last scan took. So scans take at most half of the time of a thread and
    of the storage, however large the library, and a change is listed after three times as long as a
    scan takes, or sooner: the rest of the scan that missed it, the pause, and the next scan.
    """
    earliest = max(_LEAST_PAUSE, took)
    return earliest, max(earliest, wait)


class Prober(Protocol):
    """What looks into a file."""

    async def probe(self, file: ObjectRef) -> Metadata | ProbeProblem: ...

    def rest(self) -> None: ...


class SourceListener(Protocol):
    """Who is told of every change."""

    def set_sources(self, sources: Mapping[str, ArtefactSource]) -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    rescan_interval: float
    settle_time: float


class Library:
    """Keeps `catalogue` true to the storage, from `start` to `stop`."""

    def __init__(  # noqa: PLR0913 # what it works with, named at the call
        self,
        *,
        storage: Storage,
        place: MediaRoot,
        prober: Prober,
        probed: ProbeCache,
        listener: SourceListener,
        viewers: Viewers,
        metrics: Metrics,
        timing: Timing,
        block: int,
    ) -> None:
        """Take them; `block` is the most that an answer to a player holds, in bytes."""
        self.scanned = False
        """Whether a scan has been finished."""
        self._storage = storage
        self._place = place
        self._prober = prober
        self._probed = probed
        self._listener = listener
        self._viewers = viewers
        self._metrics = metrics
        self._timing = timing
        self._block = block
        self._files: dict[str, File] = {}
        self._seen: dict[str, Sighting] | None = None
        self._missing: list[Entry] = []
        self._known: dict[Key, Known] = {}
        self._shown = NOTHING
        self._showing = asyncio.Lock()
        self._watched = True
        self._changed = asyncio.Event()
        self._unprobed = asyncio.Event()

    @property
    def catalogue(self) -> Catalogue:
        """What is listed now."""
        return self._shown.catalogue

    def start(self, supervisor: Supervisor) -> None:
        """Begin to scan, to probe and to watch."""
        if self._place.root is not None:  # nothing reports changes in a bucket
            # First, so that what changes while the first scan walks is not missed.
            supervisor.start("watching the folder", partial(self._watch, self._place.root))
        supervisor.start("scanning the library", self._scan_always)
        supervisor.start("probing videos", self._probe_always)

    async def _scan_always(self) -> AsyncGenerator[None]:
        while True:
            self._changed.clear()
            wait = self._timing.rescan_interval
            started = time.monotonic()
            try:
                if self._place.root is not None:
                    told_all = await asyncio.to_thread(events_tell_all, self._place.root)
                    if not (told_all and self._watched):
                        wait = min(wait, POLL_INTERVAL)
                unsettled = await self._scan()
                self._metrics.scans.labels("complete").inc()
                if unsettled is not None:
                    wait = min(wait, unsettled)
            except Exception as error:
                self._metrics.scans.labels("failed").inc()
                if not isinstance(error, OSError):  # of the storage, which may be away for a while
                    raise
                _log.exception("the library cannot be scanned")
                wait = min(wait, POLL_INTERVAL)
            yield
            took = time.monotonic() - started
            self._metrics.scan_seconds.observe(took)
            earliest, latest = next_scan(took, wait)
            await asyncio.sleep(earliest)
            with suppress(TimeoutError):
                async with asyncio.timeout(latest - earliest):
                    await self._changed.wait()

    async def _scan(self) -> float | None:
        """Walk the storage; give the seconds after which a file left out may have settled."""
        settle_time, known = self._timing.settle_time, self._known.copy()
        if self._place.store is not None:
            settle_time = 0.0  # an object is whole when it is listed
        found = await asyncio.to_thread(
            scan, self._storage, self._probed, settle_time, self._files, known, self._seen
        )
        self._seen = found.seen
        if self.scanned and found.files is self._files:
            return found.unsettled
        if self._probed.is_remote:
            shuffle(found.missing)  # so that replicas do not meet at the same file
        self._known.update(found.loaded)
        for key in found.gone:
            self._known.pop(key, None)
        await self._show(found.files)
        self._missing = found.missing
        self._unprobed.set()
        self.scanned = True
        return found.unsettled

    async def _show(self, files: dict[str, File] | None = None) -> None:
        """Swap in a catalogue of what is known now: of `files`, or the files shown before."""
        async with self._showing:  # scanning and probing both come here: the last one knows most
            files = self._files if files is None else files
            self._shown = shown = await asyncio.to_thread(
                show, files.values(), self._known.copy(), self._shown, self._block
            )
            self._listener.set_sources(shown.sources)
            for state in ProbeState:
                self._metrics.videos.labels(state).set(shown.states[state])
            for code in CODES:
                self._metrics.findings.labels(code).set(shown.findings[code])
            self._files = files  # only now: a scan after a failure here finds them anew

    async def _probe_always(self) -> AsyncGenerator[None]:
        while True:
            self._unprobed.clear()
            missing, next_show = self._missing, time.monotonic() + _LEAST_SHOW_PAUSE
            for entry in missing:
                known = self._known.get((entry.path, entry.revision))
                if known and known.counts(entry):
                    continue  # probed while the scan was under way
                try:
                    await self._probe(entry)
                except Exception:  # noqa: BLE001 # the others are probed all the same
                    _log.exception("a probe failed", path=entry.path)
                    self._note_failure(entry)
                await self._viewers.make_way()
                if self._missing is not missing:
                    break  # a newer scan knows better what is missing, and has set the event
                if (started := time.monotonic()) > next_show:
                    await self._show()
                    yield
                    ended = time.monotonic()
                    pause = max(_LEAST_SHOW_PAUSE, _SHOW_PAUSE * (ended - started))
                    next_show = ended + min(pause, _MOST_SHOW_PAUSE)
            else:
                self._prober.rest()
            if missing:
                await self._show()
            yield
            await self._unprobed.wait()

    def _note_failure(self, entry: Entry) -> None:
        """Have a file probed again later, unless its result was kept before something failed."""
        key = (entry.path, entry.revision)
        if (known := self._known.get(key)) is None or not known.counts(entry):
            problem = ProbeProblem(
                "The server failed over it: see its log.", "failed", lasting=False
            )
            self._known[key] = Known(problem, entry.changed_at, time.monotonic())

    async def _probe(self, entry: Entry) -> None:
        key = (entry.path, entry.revision)
        if self._probed.is_remote:
            told = await asyncio.to_thread(self._probed.load, *key)
            if told is not None:
                self._known[key] = Known(told, entry.changed_at, time.monotonic())
                return
        with self._metrics.probe_seconds.time():
            result = await self._prober.probe(self._place.locate(*key))
        known = Known(result, entry.changed_at, time.monotonic())
        if self._place.store is not None:
            known = known._replace(again=TRY_OBJECT_AGAIN)
        self._known[key] = known
        if isinstance(result, ProbeProblem):
            self._metrics.probes.labels(result.outcome).inc()
            _log.warning("a file cannot be probed", path=entry.path, reason=result.reason)
        else:
            self._metrics.probes.labels("complete").inc()
        await asyncio.to_thread(self._probed.save, *key, result)

    async def _watch(self, root: Path) -> AsyncGenerator[None]:
        """Scan soon after something changed; where the kernel does not tell, every few seconds."""
        try:
            async with aclosing(changes(root)) as signs:
                async for changed in signs:
                    if changed or not self._watched:  # while it was not watched, anything may have
                        self._watched = True
                        self._changed.set()
                    yield
        except (OSError, RuntimeError) as error:
            _log.warning("the folder cannot be watched; it is scanned every few seconds instead",
                         seconds=min(self._timing.rescan_interval, POLL_INTERVAL),
                         error=str(error))  # fmt: skip
        finally:
            self._watched = False
            self._changed.set()
