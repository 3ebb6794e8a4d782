"""Schedules the building of artefacts in the background.

The latest request comes first, what was not requested last. A build that failed for a reason that
may pass is retried with increasing delays. Of replicas that share a store, one builds an artefact.
"""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from itertools import product

import structlog

from service.artefact_store.store import ArtefactStore
from service.artefacts.builder import (
    ArtefactBuilder,
    LeaseHeldError,
    StoreWriteError,
    TransientBuildError,
)
from service.artefacts.executors import Executors
from service.artefacts.job_queue import Job, JobQueue
from service.artefacts.metadata import (
    LARGE,
    SMALL,
    ArtefactKind,
    ArtefactMetadata,
    BuildFailure,
    problems_of,
)
from service.artefacts.source import Artefact, ArtefactSource
from service.artefacts.status import (
    NONE,
    POSSIBLE,
    WAITING,
    ArtefactState,
    ArtefactStatus,
    status_of,
)
from service.metrics import Metrics
from service.models import ProbeState
from service.scheduling.background_pause import BackgroundPause
from service.scheduling.eviction import Eviction
from service.scheduling.inventory import Found, in_turns, take_inventory
from service.scheduling.retry_timers import RetryTimers
from service.scheduling.sources import NoSources, Sources
from service.scheduling.status_table import StatusEntry, StatusTable
from service.supervisor import Supervisor
from service.workers.playback_activity import PlaybackActivity

_log = structlog.get_logger()

# Seconds until an artefact is looked up again that another replica is building.
_LEASE_RETRY_SECONDS = 2.0


class ArtefactScheduler:
    """Builds the artefacts of the library's videos, from `start` to `close`."""

    def __init__(
        self,
        builder: ArtefactBuilder,
        store: ArtefactStore,
        executors: Executors,
        playback: PlaybackActivity,
        metrics: Metrics,
    ) -> None:
        self._builder = builder
        self._store = store
        self._executors = executors
        self._playback = playback
        self._sources: Sources = NoSources()
        self._looked_up: Sources = NoSources()
        self._statuses = StatusTable()
        self._queue = JobQueue()
        self._in_progress: dict[str, Job] = {}
        """Being built by this replica or by another one."""
        self._retries = RetryTimers(self._requeue)
        """Of artefacts that failed or that another replica builds."""
        self._work = asyncio.Event()
        self._pause = BackgroundPause(self._work.set)
        self._changed = asyncio.Event()
        self._eviction = Eviction(store, lambda: self._sources, self._work.set)
        self._failures = metrics.background_failures.labels("deriving")
        metrics.derived_bytes.set_function(lambda: store.size)
        states = (ArtefactState.READY, ArtefactState.FAILED, ArtefactState.WAITING)
        for of in product(ArtefactKind, states):
            metrics.derived.labels(*of).set_function(partial(self._count, *of))

    def start(self, supervisor: Supervisor) -> None:
        """Start the background tasks."""
        supervisor.start("looking up artefacts", self._sync_loop)
        supervisor.start("evicting artefacts", self._eviction.loop)
        for executor, kinds in ((self._executors.small, SMALL), (self._executors.large, LARGE)):
            for _ in range(executor.workers):
                supervisor.start("building artefacts", partial(self._build_loop, kinds))

    def close(self) -> None:
        """Cancel the timers."""
        self._retries.cancel_all()
        self._pause.cancel()

    def set_sources(self, sources: Sources) -> None:
        """Replace the videos to build artefacts of."""
        self._sources = sources
        self._changed.set()
        self._eviction.begin()

    def source(self, path: str) -> ArtefactSource | None:
        """Return the source of a video's artefacts; None if the library does not have the video."""
        return self._sources.get(path)

    def status(self, path: str, kind: ArtefactKind, sound: int = 0) -> ArtefactStatus:
        """Return the status of an artefact; `sound` is as in a `Job`."""
        return self.status_of(self._sources.get(path), kind, sound)

    def status_of(
        self, source: ArtefactSource | None, kind: ArtefactKind, sound: int = 0
    ) -> ArtefactStatus:
        """Return the status of an artefact of a source, if there is one."""
        name = self._name(source, kind, sound)
        if source is None or name is None:
            # Before probing it is unknown which artefacts a file can have.
            return WAITING if source and source.video.state is ProbeState.PENDING else NONE
        if (status := self._statuses.status(name)) or kind not in LARGE:
            return status or WAITING
        if name in self._in_progress:
            progress = self._builder.progress(name)
            return WAITING if progress is None else ArtefactStatus(WAITING.state, progress=progress)
        is_waiting = self._queue.is_waiting(Job(kind, source, name, sound).artefact)
        is_due = is_waiting and self._may_build_unasked
        return WAITING if is_due or name in self._queue else POSSIBLE

    def ready(self, path: str, kind: ArtefactKind, sound: int = 0) -> StatusEntry | None:
        """Return the entry of an artefact that is ready; None if it is not."""
        name = self._name(self.source(path), kind, sound)
        entry = self._statuses.get(name) if name else None
        return entry if entry and entry.status.state is ArtefactState.READY else None

    def progress(self, kind: ArtefactKind) -> tuple[int, int]:
        """Return how many artefacts of a kind exist, and how many there will be."""
        made = self._count(kind, ArtefactState.READY)
        return made, made + self._count(kind, ArtefactState.WAITING)

    def requested(self, kind: ArtefactKind) -> int:
        """Return how many artefacts of a kind wait because somebody has asked for them."""
        return self._queue.requested(kind)

    def request(self, path: str, kind: ArtefactKind, sound: int = 0) -> None:
        """Build an artefact next, unless it exists."""
        name = self._name(source := self.source(path), kind, sound)
        if source and name and name not in self._in_progress and name not in self._statuses:
            self._queue.request(Job(kind, source, name, sound))
            self._work.set()

    def retry(self, path: str, kind: ArtefactKind) -> None:
        """Build an artefact next, also if that failed before for a reason that may have passed."""
        name = self._name(self.source(path), kind)
        if name and self.status(path, kind).state is ArtefactState.FAILED:
            self._clear_status(name)
        self.request(path, kind)

    def rebuild(self, path: str, kind: ArtefactKind, sound: int = 0) -> None:
        """Build a ready artefact again, as it is no longer stored."""
        if self.ready(path, kind, sound):
            self.forget(path, kind, sound)
            self.request(path, kind, sound)

    def forget(self, path: str, kind: ArtefactKind, sound: int = 0) -> None:
        """Record that a ready artefact is no longer stored."""
        if entry := self.ready(path, kind, sound):
            self._clear_status(entry.name)

    def _name(
        self, source: ArtefactSource | None, kind: ArtefactKind, sound: int = 0
    ) -> str | None:
        return source.name(kind, sound) if source and kind in self._builder.kinds else None

    def _count(self, kind: ArtefactKind, state: ArtefactState) -> int:
        if state is ArtefactState.WAITING:
            in_progress = sum(job.kind is kind for job in self._in_progress.values())
            return self._queue.count(kind) + in_progress
        return self._statuses.count(kind, state)

    def _set_status(self, job: Job | Artefact, metadata: ArtefactMetadata) -> None:
        self._clear_status(job.name)
        self._statuses.set(job.name, job.kind, status_of(metadata))

    def _clear_status(self, name: str) -> None:
        """Remove the status of an artefact and cancel its retry."""
        self._statuses.discard(name)
        if self._retries.cancel(name):
            self._in_progress.pop(name, None)  # only another replica can be building it

    def _is_wanted_now(self, artefact: Artefact) -> bool:
        """Return whether the library still has the source of an artefact."""
        source = self.source(artefact.path)
        return self._name(source, artefact.kind, artefact.sound) == artefact.name

    async def _sync_loop(self) -> AsyncGenerator[None]:
        while True:
            self._changed.clear()
            sources = self._sources
            inventory = take_inventory(self._builder, sources, self._looked_up, self._is_known)
            while found := await asyncio.to_thread(next, inventory, None):
                await self._add(found, sources)
                await self._playback.yield_to_requests()
            self._looked_up = sources
            self._work.set()
            yield
            await self._changed.wait()

    async def _add(self, found: Found, sources: Sources) -> None:
        """Set the statuses of artefacts that exist, and let the others wait."""
        async for each, metadata in in_turns(found.existing):
            if self._sources is sources or self._is_wanted_now(each):
                self._set_status(each, metadata)
        async for each in in_turns(found.missing):
            is_wanted = self._sources is sources or self._is_wanted_now(each)
            if is_wanted and not self._is_known(each.name):
                self._queue.add(each)
        async for each in in_turns(found.gone):
            self._queue.forget_number(each)  # if it is still wanted, it waits with another one
            self._drop_unwanted(each)
        self._work.set()

    def _is_known(self, name: str) -> bool:
        return name in self._statuses or name in self._in_progress or name in self._queue

    def _drop_unwanted(self, artefact: Artefact) -> None:
        """Remove an artefact that the library no longer needs, unless it is in progress."""
        if not self._is_wanted_now(artefact):
            self._clear_status(artefact.name)
            self._retries.reset_delay(artefact.name)
            self._queue.discard(artefact)

    async def _build_loop(self, kinds: frozenset[ArtefactKind]) -> AsyncGenerator[None]:
        while True:
            while not self._has_work(kinds):
                yield
                self._work.clear()
                await self._work.wait()
            if popped := self._queue.pop(kinds, self._sources.find):
                await self._build(*popped)  # else the library no longer has what waited
            if self._store.over_quota:
                self._eviction.start()
            yield
            if not self._queue.has_requested(kinds):
                await self._playback.yield_to_playback()

    async def _build(self, job: Job, requested: bool) -> None:  # noqa: FBT001 # as it is popped
        self._in_progress[job.name] = job
        try:
            metadata = await self._builder.build(job, requested=requested)
            self._in_progress.pop(job.name, None)
            self._retries.reset_delay(job.name)
            self._set_status(job, metadata)
            for reason in problems_of(metadata):
                _log.info("not derived", path=job.source.video.path, kind=job.kind, reason=reason)
        except LeaseHeldError:
            self._retries.start(job, _LEASE_RETRY_SECONDS)
        except TransientBuildError as error:
            self._record_failure(job, str(error))
            if isinstance(error, StoreWriteError):
                self._pause.start()
        except Exception:  # noqa: BLE001 # the other artefacts must still be built
            self._failures.inc()
            _log.exception("deriving failed", path=job.source.video.path, kind=job.kind)
            self._record_failure(job, "The server failed over it: see its log.")
        self._drop_unwanted(job.artefact)  # if the library dropped it meanwhile

    @property
    def _may_build_unasked(self) -> bool:
        return not self._pause.is_active and not self._store.above_high_watermark

    def _has_work(self, kinds: frozenset[ArtefactKind]) -> bool:
        is_due = self._may_build_unasked and self._queue.has_waiting(kinds)
        return is_due or self._queue.has_requested(kinds)

    def _requeue(self, job: Job) -> None:
        self._clear_status(job.name)
        source = self.source(job.source.video.path) or job.source  # perhaps with another number
        artefact = job._replace(source=source).artefact
        # Of a large file the viewer decides again.
        is_unasked = not self._builder.is_on_request(artefact, self.source)
        if (job.kind not in LARGE or is_unasked) and self._is_wanted_now(artefact):
            self._queue.add(artefact)
            self._work.set()

    def _record_failure(self, job: Job, reason: str) -> None:
        """Set the status to failed, and schedule a retry."""
        self._in_progress.pop(job.name, None)
        _log.warning("cannot derive", path=job.source.video.path, kind=job.kind, reason=reason)
        self._set_status(job, BuildFailure(problem=reason, decoder=""))
        self._retries.start_after_failure(job)
