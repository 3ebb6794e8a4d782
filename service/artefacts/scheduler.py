"""Has things made of videos, in the background: what was asked for last comes first.
Law: what fails is noted, and not tried again until the file changes; nobody waits for any of it.
Replicas that share the folder make each thing once; whoever dies over it leaves it to the next."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

import structlog

from service.artefact_store.blobs import AsyncBlob
from service.artefact_store.folder import ArtefactStore
from service.artefacts.builder import ClaimedError, Job, Maker, NotKeptError, NotMadeError
from service.artefacts.inventory import look_for
from service.artefacts.metadata import (
    NONE,
    WAITING,
    Artefact,
    ArtefactKind,
    ArtefactState,
    BuildFailure,
    Facts,
    Subject,
    artefact,
)
from service.artefacts.probe_cache import metadata_key
from service.metrics import Metrics
from service.models import ProbeState
from service.supervisor import Supervisor
from service.workers.playback_activity import Viewers
from service.workers.pool import Pool

_log = structlog.get_logger()

# Seconds until something is looked at again that another replica makes.
_OTHERS_TURN = 2.0

# Seconds after which what failed for no fault of the file's is tried again; twice as many after
# each failure, up to the second of these.
_TRY_AGAIN, _TRY_AGAIN_AT_MOST = 60.0, 3600.0
# Seconds for which nothing is made unasked when what was made could not be kept.
_PAUSE = 60.0

# Seconds between two looks at how much the folder holds.
_SWEEP_INTERVAL = 3600.0

# Threads that read what is ready. A disk or a store that hangs holds up these, and no other work.
_READERS = 8

_Read = TypeVar("_Read")


class Deriver:
    """Keeps what is derived true to the library, from `start` to `stop`."""

    def __init__(
        self, maker: Maker, derived: ArtefactStore, pool: Pool, viewers: Viewers, metrics: Metrics
    ) -> None:
        self._maker = maker
        self._derived = derived
        self._pool = pool
        self._viewers = viewers
        self._subjects: Mapping[str, Subject] = {}
        self._known: dict[str, tuple[ArtefactKind, Artefact]] = {}
        self._waiting: dict[ArtefactKind, dict[str, Job]] = {kind: {} for kind in ArtefactKind}
        self._requested: dict[str, Job] = {}
        """In the order in which they were asked for; these are not among those that wait."""
        self._under_way: dict[str, Job] = {}
        """Made by this replica, or by another one."""
        self._failures: Counter[str] = Counter()
        """How often each failed for no fault of the file's."""
        self._retries: dict[str, asyncio.TimerHandle] = {}
        """By name: of what has failed, and of what another replica makes. See `_retry_later`."""
        self._pause: asyncio.TimerHandle | None = None
        self._counts: Counter[tuple[ArtefactKind, ArtefactState]] = Counter()
        self._work = asyncio.Event()
        self._changed = asyncio.Event()
        self._is_over = asyncio.Event()
        self._readers = ThreadPoolExecutor(_READERS, "derived")
        metrics.derived_bytes.set_function(lambda: derived.size)
        for kind in ArtefactKind:
            for state in (ArtefactState.READY, ArtefactState.FAILED, ArtefactState.WAITING):
                metrics.derived.labels(kind, state).set_function(partial(self._count, kind, state))

    def start(self, supervisor: Supervisor) -> None:
        """Begin to look and to make."""
        supervisor.start("looking up artefacts", self._look_always)
        supervisor.start("evicting artefacts", self._sweep_always)
        for _ in range(self._pool.workers):
            supervisor.start("building artefacts", self._make_always)

    def close(self) -> None:
        """Cancel the timers and release the threads."""
        for timer in filter(None, (*self._retries.values(), self._pause)):
            timer.cancel()
        self._readers.shutdown(wait=False, cancel_futures=True)

    def follow(self, subjects: Mapping[str, Subject]) -> None:
        """Learn what the library holds now."""
        self._subjects = subjects
        self._changed.set()

    def subject(self, path: str) -> Subject | None:
        """Give what there is to be derived from a video of the library."""
        return self._subjects.get(path)

    def of(self, path: str, kind: ArtefactKind) -> Artefact:
        """Say how far something has come."""
        subject = self._subjects.get(path)
        name = subject.name(kind) if subject else None
        if subject is None or name is None:
            # Of a file that has not been probed nobody knows.
            pending = subject is not None and subject.video.state is ProbeState.PENDING
            return WAITING if pending else NONE
        known = self._known.get(name)
        return known[1] if known else WAITING

    def progress(self, kind: ArtefactKind) -> tuple[int, int]:
        """Give how many have been made, and how many there are to be."""
        return (made := self._counts[kind, ArtefactState.READY]), made + self._count(
            kind, ArtefactState.WAITING
        )

    def request(self, path: str, kind: ArtefactKind) -> None:
        """Have something made before everything else, where it is not there."""
        name = self._name(path, kind)
        if name is None or name in self._under_way or name in self._known:
            return
        self._waiting[kind].pop(name, None)
        self._requested.pop(name, None)
        self._requested[name] = Job(kind, self._subjects[path], name)
        self._work.set()

    async def blob(self, path: str, kind: ArtefactKind, number: int) -> bytes | None:
        """Give bytes of something that is ready. None where they are gone: it is made anew then."""
        if (name := self._ready(path, kind)) is None:
            return None
        return await self._read(self._derived.blob, path, kind, name, number)

    async def open(self, path: str, kind: ArtefactKind, number: int) -> AsyncBlob | None:
        """Open bytes of something that is ready. None as `blob` does."""
        if (name := self._ready(path, kind)) is None:
            return None
        blob = await self._read(self._derived.open, path, kind, name, number)
        return None if blob is None else AsyncBlob(blob, self._readers)

    async def facts(self, path: str, kind: ArtefactKind) -> Facts:
        """Give the facts of something that is ready; None as `blob` does."""
        if (name := self._ready(path, kind)) is None:
            return None
        kept = await self._read(self._maker.load, path, kind, name)
        return kept[0] if kept else None

    async def _read(
        self,
        read: Callable[..., _Read | None],
        path: str,
        kind: ArtefactKind,
        name: str,
        *which: int,
    ) -> _Read | None:
        known = self._known.get(name)
        try:
            found = await asyncio.wrap_future(self._readers.submit(read, kind, name, *which))
        except OSError:  # the next one who asks may be luckier
            return None
        if found is None and self._known.get(name) is known:  # else it has been made anew by now
            self._forget(name)
            self.request(path, kind)
        return found

    def _name(self, path: str, kind: ArtefactKind) -> str | None:
        subject = self._subjects.get(path)
        return subject.name(kind) if subject else None

    def _count(self, kind: ArtefactKind, state: ArtefactState) -> int:
        if state is ArtefactState.WAITING:
            others = (*self._requested.values(), *self._under_way.values())
            return len(self._waiting[kind]) + sum(job.kind is kind for job in others)
        return self._counts[kind, state]

    def _ready(self, path: str, kind: ArtefactKind) -> str | None:
        name = self._name(path, kind)
        known = self._known.get(name) if name else None
        return name if known and known[1].state is ArtefactState.READY else None

    def _learn(self, job: Job, facts: Facts) -> None:
        self._forget(job.name)
        known = artefact(facts)
        self._known[job.name] = (job.kind, known)
        self._counts[job.kind, known.state] += 1

    def _forget(self, name: str) -> None:
        """Forget what is known of something, and call off another try at it."""
        known = self._known.pop(name, None)
        if known:
            self._counts[known[0], known[1].state] -= 1
        if timer := self._retries.pop(name, None):
            timer.cancel()
            self._under_way.pop(name, None)  # if at all, another replica makes it

    def _is_wanted(self, job: Job) -> bool:
        """Whether the library still holds what something is made of."""
        return self._name(job.subject.video.path, job.kind) == job.name

    async def _look_always(self) -> AsyncGenerator[None]:
        while True:
            self._changed.clear()
            looked_at = {*self._known, *self._requested, *self._under_way}
            looked_at.update(*self._waiting.values())
            subjects = self._subjects
            look = await asyncio.to_thread(look_for, self._maker, subjects, looked_at)
            if self._subjects is subjects:  # else the library may hold it again
                self._drop(look.gone)
            for job, facts in look.found:
                if self._is_wanted(job):
                    self._learn(job, facts)
            busy = (self._known, self._requested, self._under_way)
            for job in look.missing:
                if self._is_wanted(job) and not any(job.name in names for names in busy):
                    self._waiting[job.kind][job.name] = job
            self._work.set()
            yield
            await self._changed.wait()

    def _drop(self, gone: set[str]) -> None:
        """Drop what the library does not hold any more, but for what is being made."""
        for name in gone:
            self._forget(name)
            self._failures.pop(name, None)
            self._requested.pop(name, None)
            for waiting in self._waiting.values():
                waiting.pop(name, None)

    async def _make_always(self) -> AsyncGenerator[None]:
        while True:
            while not self._has_work():
                yield
                self._work.clear()
                await self._work.wait()
            await self._make(self._next())
            if self._derived.over_quota:
                self._is_over.set()
            if not self._under_way and not self._has_work():
                self._pool.rest()
            yield
            if not self._requested:
                await self._viewers.make_way()

    async def _make(self, job: Job) -> None:
        self._under_way[job.name] = job
        try:
            facts = await self._maker.make(job)
            self._under_way.pop(job.name, None)
            self._failures.pop(job.name, None)
            self._learn(job, facts)
        except ClaimedError:
            self._retry_later(job, _OTHERS_TURN)
        except NotMadeError as error:
            self._note_failure(job, str(error))
            if isinstance(error, NotKeptError) and self._pause is None:
                self._pause = asyncio.get_running_loop().call_later(_PAUSE, self._resume)
        except Exception:  # noqa: BLE001 # the others are made all the same
            _log.exception("deriving failed", path=job.subject.video.path, kind=job.kind)
            self._note_failure(job, "The server failed over it: see its log.")
        if not self._is_wanted(job):
            self._drop({job.name})  # it has left the library meanwhile

    def _has_work(self) -> bool:
        in_background = self._pause is None and not self._derived.above_high_watermark
        return bool(self._requested) or (in_background and any(self._waiting.values()))

    def _next(self) -> Job:
        if self._requested:
            return self._requested.popitem()[1]  # the last one
        waiting = next(jobs for jobs in self._waiting.values() if jobs)
        return waiting.pop(next(iter(waiting)))

    def _retry_later(self, job: Job, seconds: float) -> None:
        """Try again to make something, unless something else becomes known of it before.

        There is one timer for each name at the most, and `_forget` cancels it: a timer that acted
        on what has been made since would throw that away.
        """
        if timer := self._retries.pop(job.name, None):
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._retries[job.name] = loop.call_later(seconds, self._retry, job)

    def _retry(self, job: Job) -> None:
        self._forget(job.name)
        if self._is_wanted(job):
            self._waiting[job.kind][job.name] = job
            self._work.set()

    def _note_failure(self, job: Job, reason: str) -> None:
        """Note what may be otherwise the next time, and see to it that there is one."""
        self._under_way.pop(job.name, None)
        _log.warning("cannot derive", path=job.subject.video.path, kind=job.kind, reason=reason)
        self._learn(job, BuildFailure(problem=reason, decoder=""))
        seconds = min(_TRY_AGAIN * 2 ** self._failures[job.name], _TRY_AGAIN_AT_MOST)
        self._failures[job.name] = min(self._failures[job.name] + 1, 10)
        self._retry_later(job, seconds)

    def _resume(self) -> None:
        self._pause = None
        self._work.set()

    def _sweep(self) -> None:
        videos = (subject.video for subject in self._subjects.values())
        self._derived.evict([metadata_key(video.path, video.revision) for video in videos])

    async def _sweep_always(self) -> AsyncGenerator[None]:
        while True:
            self._is_over.clear()
            await asyncio.to_thread(self._sweep)
            self._work.set()  # there may be room now
            yield
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_INTERVAL):
                    await self._is_over.wait()
