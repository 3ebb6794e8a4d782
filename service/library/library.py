"""Keeps the library current: scans the storage, probes new files, publishes snapshots.

Media requests do not wait for it: a file is served before it is listed. Work that takes longer with
more videos is done in threads.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from random import shuffle
from typing import Protocol

import structlog

from service.artefacts.probe_cache import ProbeCache
from service.artefacts.source import ArtefactSource
from service.catalogue.catalogue import Catalogue
from service.library.finding_counts import count_findings, judge_some
from service.library.known import KnownLibrary, open_known
from service.library.known_scan import scan_known
from service.library.probes import Prober, Probes
from service.library.scan import Scan, scan
from service.library.scan_timing import ScanTiming, next_scan
from service.library.snapshot import EMPTY_SNAPSHOT, build_snapshot
from service.library.sources import LibrarySources
from service.library.watcher import POLL_INTERVAL, inotify_is_complete, watch_changes
from service.metrics import Metrics
from service.models import ProbeState, Video
from service.playability.findings import Judge
from service.storage.base import Entry, Storage
from service.storage.media_root import MediaRoot
from service.supervisor import Supervisor
from service.workers.playback_activity import PlaybackActivity

_log = structlog.get_logger()

# Seconds between snapshots while probing goes on. The pause grows with the time that a snapshot
# takes, up to the maximum, so that one request in three hundred coincides with one.
_MIN_PUBLISH_PAUSE, _MAX_PUBLISH_PAUSE = 1.0, 30.0
_PUBLISH_PAUSE_FACTOR = 300  # times the seconds that the snapshot took


class SourceListener(Protocol):
    """Who is told of every change."""

    def set_sources(self, sources: LibrarySources) -> None: ...


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
        judged_by: str = "",
        database_folder: Path | None = None,
        is_relevant: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Use these parts. The findings of `judge` are counted in the metrics.

        `judged_by` changes if `judge` finds something else. The database of the catalogue is kept
        in `database_folder`, if there is one. `is_relevant` tells whether a change at a path,
        relative to the root, may matter.
        """
        self.scanned = False
        """Whether a scan has finished."""
        self._storage = storage
        self._media_root = media_root
        self._probes = Probes(prober, probe_cache, media_root, metrics)
        self._probe_cache = probe_cache
        self._listener = listener
        self._playback = playback
        self._metrics = metrics
        self._timing = timing
        self._judge = judge
        self._judged_by = judged_by
        self._database_folder = database_folder
        self._is_relevant = is_relevant
        self._known: KnownLibrary | None = None
        self._to_probe: list[Entry] = []
        self._is_published = False
        """Whether the last snapshot has all that is known."""
        self._snapshot = EMPTY_SNAPSHOT
        self._publish_lock = asyncio.Lock()
        self._watch_ok = True
        self._changed = asyncio.Event()
        self._probe_wanted = asyncio.Event()
        self._published = asyncio.Event()

    @property
    def catalogue(self) -> Catalogue:
        """What is listed now."""
        return self._snapshot.catalogue

    def folder_image(self, folder: str) -> str | None:
        """Return the path of a folder's picture; None if it has none."""
        return self._snapshot.folder_images.get(folder)

    @property
    def forms(self) -> tuple[Counter[str], Mapping[int, ArtefactSource]]:
        """The number of videos of which nothing is made, by form, and the other ones."""
        return self._snapshot.plain, self._snapshot.made

    def close(self) -> None:
        """Close the database. Blocks."""
        if self._known is not None:
            self._known.close()

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
                if isinstance(error, sqlite3.Error) and self._known is not None:
                    self._known.is_damaged = True
                elif not isinstance(error, OSError):  # the storage may be unavailable
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
        settle_time = self._timing.settle_time
        if self._media_root.store is not None:
            settle_time = 0.0  # an object is complete when it is listed
        known = await self._open_known()
        result = await asyncio.to_thread(
            scan_known,
            known,
            partial(scan, self._storage, settle_time, known, is_first=known.is_first),
            self._probe_cache,
            self._probes.records.copy(),
        )
        if self._is_published and not result.is_changed:
            if not result.missing:
                await asyncio.to_thread(known.keep, result.scan)
            return result.scan.unsettled
        if self._probe_cache.is_remote:
            shuffle(result.missing)  # so that replicas do not probe the same file
        self._probes.update(result.loaded, result.gone)
        await self._publish_snapshot(result.scan)
        self._to_probe = result.missing
        self._probe_wanted.set()
        self.scanned = True
        return result.scan.unsettled

    async def _open_known(self) -> KnownLibrary:
        """Return what is known, from a new database if the last one is damaged."""
        if self._known is None or self._known.is_damaged:
            async with self._publish_lock:
                if self._known is not None:
                    self._is_published = False
                    await asyncio.to_thread(self._known.discard, self._database_folder)
                self._known = await asyncio.to_thread(
                    open_known, self._database_folder, self._judged_by
                )
        return self._known

    async def _publish_snapshot(self, result: Scan | None = None) -> None:
        """Publish a snapshot of what a scan has found, and of the results of probes."""
        async with self._publish_lock:  # both loops publish
            if self._known is None:
                return
            records, self._is_published = self._probes.records.copy(), False
            try:
                self._snapshot = snapshot = await asyncio.to_thread(
                    build_snapshot, self._known, result, records, self._snapshot
                )
            except sqlite3.Error:
                self._known.is_damaged = True
                self._changed.set()
                raise
            self._is_published = True
            self._probes.forget_lasting(records)
            self._listener.set_sources(snapshot.sources)
            for state in ProbeState:
                self._metrics.videos.labels(state).set(snapshot.states[state])
            self._published.set()

    async def _probe_loop(self) -> AsyncGenerator[None]:
        while True:
            self._probe_wanted.clear()
            missing, next_publish = self._to_probe, time.monotonic() + _MIN_PUBLISH_PAUSE
            for entry in missing:
                is_known = self._known is not None and self._known.has_result(entry)
                if is_known or self._probes.has_result(entry):
                    continue  # probed while the scan was under way
                await self._probes.probe(entry)
                await self._playback.yield_to_playback()
                if self._to_probe is not missing:
                    break  # a newer scan has replaced the list and set the event
                if (started := time.monotonic()) > next_publish:
                    await self._publish_snapshot()
                    yield
                    ended = time.monotonic()
                    pause = max(_MIN_PUBLISH_PAUSE, _PUBLISH_PAUSE_FACTOR * (ended - started))
                    next_publish = ended + min(pause, _MAX_PUBLISH_PAUSE)
            if missing:
                await self._publish_snapshot()
            yield
            await self._probe_wanted.wait()

    async def _count_loop(self) -> AsyncGenerator[None]:
        while True:
            await self._published.wait()
            self._published.clear()
            if (known := self._known) is None:
                continue
            while await asyncio.to_thread(judge_some, known, self._judge):
                yield
            counts = await asyncio.to_thread(count_findings, known)
            for code, count in counts.items():
                self._metrics.findings.labels(code).set(count)
            yield

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
