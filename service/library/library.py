"""The library as it is now: scans the storage, probes what is new, swaps the catalogue.
Bytes never wait for it: what exists is served, listed yet or not. Nor do other requests: what
takes longer with more videos is done in threads."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from watchfiles import awatch

from service.library.catalogue import Catalogue
from service.library.derived import Derived
from service.library.probe import ProbeProblem
from service.library.titles import video_title
from service.library.video import Metadata, State, Video
from service.metrics import Metrics
from service.protocol.media_types import media_type
from service.storage.base import Entry, Storage

_log = structlog.get_logger()

# Seconds. While a large file is copied in, events come without end: scans must leave pauses.
_LEAST_PAUSE = 1.0
# A new catalogue is built at most this often while probing goes on, as building takes time, too.
_SHOW_INTERVAL = 1.0

Key = tuple[str, str]  # path and revision


class Prober(Protocol):
    """What looks into a file."""

    async def probe(self, path: Path) -> Metadata | ProbeProblem: ...

    def rest(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    rescan_interval: float
    settle_time: float


@dataclass(frozen=True, slots=True)
class _Scan:
    """What a scan found."""

    entries: dict[str, Entry]
    """By path."""
    loaded: dict[Key, Metadata]
    """What was kept of those not known yet."""
    missing: list[Entry]
    """Those of which nothing was kept, either."""
    gone: set[Key]
    """What was known of those that are there no more."""
    unsettled: float | None
    """Seconds after which a file left out may have settled."""


class Library:
    """Keeps `catalogue` true to the folder, from `start` to `stop`."""

    def __init__(  # noqa: PLR0913 # what it works with, named at the call
        self,
        *,
        storage: Storage,
        root: Path,
        prober: Prober,
        derived: Derived,
        metrics: Metrics,
        timing: Timing,
    ) -> None:
        self.catalogue = Catalogue()
        self.scanned = False
        """Whether a scan has been finished."""
        self._storage = storage
        self._root = root
        self._prober = prober
        self._derived = derived
        self._metrics = metrics
        self._timing = timing
        self._entries: dict[str, Entry] = {}
        self._missing: list[Entry] = []
        self._known: dict[Key, Metadata | ProbeProblem] = {}
        self._showing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._unprobed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to scan, to probe and to watch."""
        self._tasks = [
            # First, so that what changes while the first scan walks is not missed.
            asyncio.create_task(self._watch(), name="watch"),
            asyncio.create_task(self._scan_always(), name="scan"),
            asyncio.create_task(self._probe_always(), name="probe"),
        ]

    async def stop(self) -> None:
        """End the tasks and the processes that `start` began."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._prober.close()

    async def _scan_always(self) -> None:
        while True:
            self._changed.clear()
            wait = self._timing.rescan_interval
            started = time.monotonic()
            try:
                unsettled = await self._scan()
                self._metrics.scans.labels("complete").inc()
                if unsettled is not None:
                    wait = min(wait, unsettled)
            except Exception:  # noqa: BLE001 # the library outlives whatever a folder may hold
                self._metrics.scans.labels("failed").inc()
                _log.exception("the folder cannot be scanned")
            took = time.monotonic() - started
            self._metrics.scan_seconds.observe(took)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            await asyncio.sleep(max(_LEAST_PAUSE, 10 * took))

    async def _scan(self) -> float | None:
        """Walk the storage; give the seconds after which a file left out may have settled."""
        scan = await asyncio.to_thread(self._walk, self._entries, self._known.copy())
        if self.scanned and scan.entries is self._entries:
            return scan.unsettled
        self._entries, self._missing = scan.entries, scan.missing
        self._known.update(scan.loaded)
        for key in scan.gone:
            self._known.pop(key, None)
        await self._show()
        self._unprobed.set()
        self.scanned = True
        return scan.unsettled

    def _walk(self, before: dict[str, Entry], known: Mapping[Key, object]) -> _Scan:
        """List the files, and read what was kept of those not known yet.

        Gives the entries of `before`, and `before` itself, where there is nothing new.
        """
        now = time.time()
        entries, waits, loaded, missing = {}, [], {}, []
        gone = set(known)
        for found in self._storage.entries():
            age = now - found.touched
            if abs(age) < self._timing.settle_time:  # a time stamp in the future says nothing
                waits.append(self._timing.settle_time - age)
                continue
            earlier = before.get(found.path)
            entry = earlier if earlier == found else found
            entries[entry.path] = entry
            key = (entry.path, entry.revision)
            if key in known:
                gone.discard(key)
            elif (metadata := self._derived.load(*key)) is not None:
                loaded[key] = metadata
            else:
                missing.append(entry)
        if entries == before and not loaded:
            entries = before
        return _Scan(entries, loaded, missing, gone, min(waits, default=None))

    async def _show(self) -> None:
        """Swap in a catalogue of what is known now."""
        async with self._showing:  # scanning and probing both come here: the last one knows most
            self.catalogue, states = await asyncio.to_thread(
                _catalogue, self._entries.values(), self._known.copy(), self.catalogue
            )
            for state in State:
                self._metrics.videos.labels(state).set(states[state])

    async def _probe_always(self) -> None:
        while True:
            await self._unprobed.wait()
            self._unprobed.clear()
            missing, shown = self._missing, time.monotonic()
            for entry in missing:
                if (entry.path, entry.revision) in self._known:
                    continue  # probed while the scan was under way
                try:
                    await self._probe(entry)
                except Exception:  # noqa: BLE001 # the others are probed all the same
                    _log.exception("a probe failed", path=entry.path)
                if self._missing is not missing:
                    break  # a newer scan knows better what is missing, and has set the event
                if time.monotonic() - shown > _SHOW_INTERVAL:
                    await self._show()
                    shown = time.monotonic()
            else:
                self._prober.rest()
            if missing:
                await self._show()

    async def _probe(self, entry: Entry) -> None:
        key = (entry.path, entry.revision)
        with self._metrics.probe_seconds.time():
            result = await self._prober.probe(self._root / entry.path)
        self._known[key] = result
        if isinstance(result, ProbeProblem):
            self._metrics.probes.labels(result.outcome).inc()
            _log.warning("a file cannot be probed", path=entry.path, reason=result.reason)
        else:
            self._metrics.probes.labels("complete").inc()
            await asyncio.to_thread(self._derived.save, *key, result)

    async def _watch(self) -> None:
        """Scan soon after something changed. Where no events arrive, the interval remains."""
        try:
            async for _ in awatch(
                self._root, debounce=1000, step=250, ignore_permission_denied=True
            ):
                self._changed.set()
        except (OSError, RuntimeError) as error:
            _log.warning("the folder cannot be watched; it is scanned now and then instead",
                         seconds=self._timing.rescan_interval, error=str(error))  # fmt: skip


def _catalogue(
    entries: Iterable[Entry], known: Mapping[Key, Metadata | ProbeProblem], before: Catalogue
) -> tuple[Catalogue, Counter[State]]:
    """Build a catalogue, and count its videos by state."""
    videos = [_video(e, known.get((e.path, e.revision)), before.get(e.path)) for e in entries]
    return Catalogue(videos, before), Counter(video.state for video in videos)


def _video(entry: Entry, result: Metadata | ProbeProblem | None, before: Video | None) -> Video:
    """Describe a file: by the very object of `before`, where nothing has changed."""
    metadata = result if isinstance(result, Metadata) else None
    problem = result.reason if isinstance(result, ProbeProblem) else None
    if (
        before is not None
        and (before.revision, before.modified) == (entry.revision, entry.modified)
        and before.metadata is metadata
        and before.problem == problem
    ):
        return before
    state = State.PENDING if result is None else State.FAILED if problem else State.PROBED
    return Video(
        path=entry.path,
        title=video_title(entry.path, metadata.title if metadata else None),
        content_type=media_type(entry.path) or "application/octet-stream",
        size=entry.size,
        revision=entry.revision,
        modified=entry.modified,
        state=state,
        problem=problem,
        metadata=metadata,
    )
