"""Keeps the library current: scans the storage, probes new files, publishes snapshots.

Media requests do not wait for it: a file is served before it is listed. Work that takes longer with
more videos is done in threads.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from random import shuffle
from typing import Protocol

import structlog

from service.artefacts.probe_cache import ProbeCache
from service.artefacts.source import ArtefactSource
from service.garbage import Freezer, collections_paused
from service.library.catalogue import Catalogue
from service.library.finding_counts import FindingCounts
from service.library.scan import OBJECT_RETRY_SECONDS, Key, ProbeRecord, ScannedFolder, scan
from service.library.scan_timing import ScanTiming, next_scan
from service.library.snapshot import EMPTY_SNAPSHOT, build_snapshot
from service.library.watcher import POLL_INTERVAL, inotify_is_complete, watch_changes
from service.listing.recognition import is_media
from service.metrics import Metrics
from service.models import Metadata, ProbeState, Video
from service.playability.findings import Judge
from service.probing.prober import ProbeFailure
from service.storage.base import Entry, Storage
from service.storage.media_root import MediaRoot, ObjectRef
from service.supervisor import Supervisor
from service.workers.playback_activity import PlaybackActivity

_log = structlog.get_logger()

# Seconds between snapshots while probing goes on. The pause grows with the time that a snapshot
# takes, up to the maximum, so that one request in three hundred coincides with one.
_MIN_PUBLISH_PAUSE, _MAX_PUBLISH_PAUSE = 1.0, 30.0
_PUBLISH_PAUSE_FACTOR = 300  # times the seconds that the snapshot took


class Prober(Protocol):
    """Probes files."""

    async def probe(self, file: ObjectRef) -> Metadata | ProbeFailure: ...

    def stop_idle(self) -> None: ...


class SourceListener(Protocol):
    """Who is told of every change."""

    def set_sources(self, sources: Mapping[str, ArtefactSource]) -> None: ...


class Library:
    """Keeps `catalogue` current, once it is started."""

    def __init__(  # noqa: PLR0913 # dependencies, passed by name
        self,
        *,
        storage: Storage,
        media_root: MediaRoot,
        prober: Prober,
        probe_cache: ProbeCache,
        listener: SourceListener,
        playback: PlaybackActivity,
        metrics: Metrics,
        timing: ScanTiming,
        judge: Judge,
        is_relevant: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Use these parts. The findings of `judge` are counted in the metrics.

        `is_relevant` tells whether a change at a path, relative to the root, may matter.
        """
        self.scanned = False
        """Whether a scan has finished."""
        self._storage = storage
        self._media_root = media_root
        self._prober = prober
        self._probe_cache = probe_cache
        self._listener = listener
        self._playback = playback
        self._metrics = metrics
        self._timing = timing
        self._finding_counts = FindingCounts(judge)
        self._is_relevant = is_relevant
        self._folders: Mapping[str, ScannedFolder] | None = None
        self._to_probe: list[Entry] = []
        self._probe_records: dict[Key, ProbeRecord] = {}
        self._snapshot = EMPTY_SNAPSHOT
        self._publish_lock = asyncio.Lock()
        self._watch_ok = True
        self._changed = asyncio.Event()
        self._probe_wanted = asyncio.Event()
        self._published = asyncio.Event()
        self._freezer = Freezer()

    @property
    def catalogue(self) -> Catalogue:
        """What is listed now."""
        return self._snapshot.catalogue

    def folder_image(self, folder: str) -> str | None:
        """Return the path of a folder's picture; None if it has none."""
        return self._snapshot.folder_images.get(folder)

    @property
    def recent(self) -> tuple[Video, ...]:
        """The videos that were added last, the latest first."""
        return self._snapshot.recent

    def start(self, supervisor: Supervisor) -> None:
        """Start the background tasks."""
        if self._media_root.root is not None:  # a bucket has no events
            # First, so that no change during the first scan is missed.
            supervisor.start("watching the folder", partial(self._watch, self._media_root.root))
        supervisor.start("scanning the library", self._scan_loop)
        supervisor.start("probing videos", self._probe_loop)
        supervisor.start("counting findings", self._count_loop)

    async def _scan_loop(self) -> AsyncGenerator[None]:
        while True:
            self._changed.clear()
            wait = self._timing.rescan_interval
            started = time.monotonic()
            self._metrics.scan_start.set_to_current_time()
            try:
                if self._media_root.root is not None:
                    events_suffice = await asyncio.to_thread(
                        inotify_is_complete, self._media_root.root
                    )
                    if not (events_suffice and self._watch_ok):
                        wait = min(wait, POLL_INTERVAL)
                unsettled = await self._scan()
                self._metrics.scans.labels("complete").inc()
                if unsettled is not None:
                    wait = min(wait, unsettled)
            except Exception as error:
                self._metrics.scans.labels("failed").inc()
                if not isinstance(error, OSError):  # the storage may be unavailable
                    raise
                _log.exception("the library cannot be scanned")
                wait = min(wait, POLL_INTERVAL)
            finally:
                self._metrics.scan_start.set(0)
            yield
            took = time.monotonic() - started
            self._metrics.scan_seconds.observe(took)
            earliest, latest = next_scan(took, wait)
            await asyncio.sleep(earliest)
            with suppress(TimeoutError):
                async with asyncio.timeout(latest - earliest):
                    await self._changed.wait()

    async def _scan(self) -> float | None:
        """Scan the storage. Return the seconds until a file that was left out may have settled."""
        settle_time, record = self._timing.settle_time, self._probe_records.copy()
        if self._media_root.store is not None:
            settle_time = 0.0  # an object is complete when it is listed
        result = await asyncio.to_thread(
            collections_paused()(scan),
            self._storage,
            self._probe_cache,
            settle_time,
            self._folders,
            record,
        )
        if self.scanned and not result.is_changed:
            self._folders = result.folders
            return result.unsettled
        if self._probe_cache.is_remote:
            shuffle(result.missing)  # so that replicas do not probe the same file
        self._probe_records.update(result.loaded)
        for key in result.gone:
            self._probe_records.pop(key, None)
        await self._publish_snapshot(result.folders)
        self._to_probe = result.missing
        self._probe_wanted.set()
        self.scanned = True
        return result.unsettled

    async def _publish_snapshot(self, folders: Mapping[str, ScannedFolder] | None = None) -> None:
        """Publish a snapshot of what is in `folders`, or in the current ones."""
        async with self._publish_lock:  # both loops publish
            folders = (self._folders or {}) if folders is None else folders
            self._snapshot = snapshot = await asyncio.to_thread(
                collections_paused()(build_snapshot),
                {path: folder.found for path, folder in folders.items()},
                self._probe_records.copy(),
                self._snapshot,
            )
            self._listener.set_sources(snapshot.sources)
            for state in ProbeState:
                self._metrics.videos.labels(state).set(snapshot.states[state])
            self._published.set()
            self._freezer.count(snapshot.created, len(snapshot.catalogue.videos))
            self._folders = folders  # only now, so that the next scan retries after a failure

    async def _probe_loop(self) -> AsyncGenerator[None]:
        while True:
            self._probe_wanted.clear()
            missing, next_publish = self._to_probe, time.monotonic() + _MIN_PUBLISH_PAUSE
            for entry in missing:
                record = self._probe_records.get((entry.path, entry.revision))
                if record and record.is_current(entry):
                    continue  # probed while the scan was under way
                try:
                    await self._probe(entry)
                except Exception:  # noqa: BLE001 # the others must still be probed
                    _log.exception("a probe failed", path=entry.path)
                    self._record_failure(entry)
                await self._playback.yield_to_playback()
                if self._to_probe is not missing:
                    break  # a newer scan has replaced the list and set the event
                if (started := time.monotonic()) > next_publish:
                    await self._publish_snapshot()
                    yield
                    ended = time.monotonic()
                    pause = max(_MIN_PUBLISH_PAUSE, _PUBLISH_PAUSE_FACTOR * (ended - started))
                    next_publish = ended + min(pause, _MAX_PUBLISH_PAUSE)
            else:
                self._prober.stop_idle()
            if missing:
                await self._publish_snapshot()
            yield
            await self._probe_wanted.wait()

    async def _count_loop(self) -> AsyncGenerator[None]:
        while True:
            await self._published.wait()
            self._published.clear()
            counts = await asyncio.to_thread(self._finding_counts.count, self.catalogue.videos)
            for code, count in counts.items():
                self._metrics.findings.labels(code).set(count)
            yield

    def _record_failure(self, entry: Entry) -> None:
        """Record a failure, so that the file is probed again later, unless it has a result."""
        key = (entry.path, entry.revision)
        if (record := self._probe_records.get(key)) is None or not record.is_current(entry):
            problem = ProbeFailure(
                "The server failed over it: see its log.", "failed", lasting=False
            )
            self._probe_records[key] = ProbeRecord(problem, entry.changed_at, time.monotonic())

    async def _probe(self, entry: Entry) -> None:
        key = (entry.path, entry.revision)
        if self._probe_cache.is_remote:
            loaded = await asyncio.to_thread(self._probe_cache.load, *key)
            if loaded is not None:
                self._probe_records[key] = ProbeRecord(loaded, entry.changed_at, time.monotonic())
                return
        with self._metrics.probe_seconds.time():
            result = await self._prober.probe(self._media_root.locate(*key))
        record = ProbeRecord(result, entry.changed_at, time.monotonic())
        if self._media_root.store is not None:
            record = record._replace(retry_after=OBJECT_RETRY_SECONDS)
        self._probe_records[key] = record
        if not is_media(entry.path, result):
            self._metrics.probes.labels("no media").inc()
            _log.info("a file is not listed: it is no video or sound", path=entry.path)
        elif isinstance(result, ProbeFailure):
            self._metrics.probes.labels(result.outcome).inc()
            _log.warning("a file cannot be probed", path=entry.path, reason=result.reason)
        else:
            self._metrics.probes.labels("complete").inc()
            for omission in result.omissions:
                _log.info("part of a file is left out", path=entry.path, reason=omission)
        await asyncio.to_thread(self._probe_cache.save, *key, result)

    async def _watch(self, root: Path) -> AsyncGenerator[None]:
        """Scan soon after something changed; where the kernel does not tell, every few seconds."""
        try:
            async with aclosing(watch_changes(root, self._is_relevant)) as events:
                async for changed in events:
                    if changed or not self._watch_ok:  # changes may have been missed
                        self._watch_ok = True
                        self._changed.set()
                    yield
        except (OSError, RuntimeError) as error:
            _log.warning("the folder cannot be watched; it is scanned every few seconds instead",
                         seconds=min(self._timing.rescan_interval, POLL_INTERVAL),
                         error=str(error))  # fmt: skip
        finally:
            self._watch_ok = False
            self._changed.set()
