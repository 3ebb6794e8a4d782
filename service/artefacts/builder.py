"""Makes one thing of one video: a process reads the file, the folder of what is derived keeps it.
Law: a thing is there whole or not at all; the same file gives the same bytes on every replica."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from service.artefact_store.folder import ArtefactStore, iter_prefetched
from service.artefacts.metadata import (
    ArtefactKind,
    BuildFailure,
    Facts,
    Subject,
    blob_count,
    read_facts,
    write_facts,
)
from service.metrics import Metrics
from service.storage.base import Entry
from service.storage.media_root import Place
from service.workers.pool import Answer, Pool, WorkerError

# Seconds of the processor's time that one may take, and of the clock: a slow disk is not the file's
# fault, nor are viewers, who come first.
_CPU = {ArtefactKind.POSTER: 60, ArtefactKind.CAPTIONS: 120, ArtefactKind.STORYBOARD: 300}
_WALL = 1800.0

_NOT_KEPT = "It cannot be kept: see the server's log."


class Job(NamedTuple):
    """Something to be made."""

    kind: ArtefactKind
    subject: Subject
    name: str

    @property
    def key(self) -> tuple[ArtefactKind, str]:
        """What it is kept under."""
        return self.kind, self.name


class NotMadeError(Exception):
    """It could not be made now, for no fault of the file's. Its text is a sentence."""


class NotKeptError(NotMadeError):
    """It was made in vain: there is no room for it, or no right to write."""


class ClaimedError(Exception):
    """Another process is making it."""


class Maker:
    """Makes things and keeps them, or the reason why they cannot be made."""

    def __init__(self, place: Place, derived: ArtefactStore, pool: Pool, metrics: Metrics) -> None:
        self._place = place
        self._derived = derived
        self._pool = pool
        self._metrics = metrics
        self._decoder = version("av")

    def load_all(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, tuple[Facts] | None]]:
        """Read what was kept of many, as far as it can be. Blocks: for a thread."""
        keys = iter_prefetched(self._derived, [job.key for job in jobs])
        for job, _ in zip(jobs, keys, strict=True):
            yield job, self._find(job)

    def load(self, kind: ArtefactKind, name: str) -> tuple[Facts] | None:
        """Read what was kept; None: nothing that counts. Blocks: for a thread.

        Raises OSError where that may be otherwise in a moment.
        """
        data = self._derived.load(kind, name)
        if data is None:
            return None
        try:
            facts = read_facts(kind, data)
        except ValueError:
            return None
        if isinstance(facts, BuildFailure) and facts.decoder != self._decoder:
            return None  # another release's decoders may do better
        return (facts,)

    async def make(self, job: Job) -> Facts:
        """Make it, unless it is there by now. Raises NotMadeError, ClaimedError."""
        if self._derived.is_remote and (kept := await asyncio.to_thread(self._find, job)):
            return kept[0]  # by another replica, for which no claim is needed
        try:
            let_go = await asyncio.to_thread(self._derived.acquire, job.name)
        except OSError as error:
            raise NotKeptError(_NOT_KEPT) from error
        if let_go is None:
            raise ClaimedError
        try:
            kept = await asyncio.to_thread(self._find, job)
            if kept:
                return kept[0]
            with self._metrics.derivation_seconds.labels(job.kind).time():
                facts, blobs = await self._ask(job)
            save = self._derived.save
            if not await asyncio.to_thread(save, job.kind, job.name, write_facts(facts), blobs):
                self._count(job, "not kept")
                raise NotKeptError(_NOT_KEPT)
        finally:
            await asyncio.to_thread(let_go)
        outcome = "nothing" if facts is None else "complete"
        if not isinstance(facts, BuildFailure):
            self._count(job, outcome)
        return facts

    def _find(self, job: Job) -> tuple[Facts] | None:
        """Read as `load` does; what cannot be read now counts as not there."""
        try:
            return self.load(*job.key)
        except OSError:
            return None

    async def _ask(self, job: Job) -> tuple[Facts, tuple[bytes, ...]]:
        try:
            facts, blobs = await self._pool.ask(self._question(job), _reader(job.kind), _WALL)
        except WorkerError as error:
            self._count(job, error.outcome)
            if not error.lasting:
                raise NotMadeError(str(error)) from error
            return BuildFailure(problem=str(error), decoder=self._decoder), ()
        if isinstance(facts, _Refusal):
            self._count(job, "failed")
            if not facts.lasting:
                raise NotMadeError(facts.problem)
            return BuildFailure(problem=facts.problem, decoder=self._decoder), ()
        return facts, blobs

    def _count(self, job: Job, outcome: str) -> None:
        self._metrics.derivations.labels(job.kind, outcome).inc()

    def _question(self, job: Job) -> dict[str, Any]:
        video, companions = job.subject.video, job.subject.companions
        question: dict[str, Any] = {
            "task": job.kind,
            "place": self._place.told,
            "path": video.path,
            "revision": video.revision,
            "cpu": _CPU[job.kind],
        }
        match job.kind:
            case ArtefactKind.POSTER:
                question["image"] = _named(companions.image) if companions.image else None
            case ArtefactKind.CAPTIONS:
                question["texts"] = [_named(entry) for entry in companions.texts]
        return question


def _named(entry: Entry) -> tuple[str, str]:
    return entry.path, entry.revision


class _Refusal(NamedTuple):
    problem: str
    lasting: bool


def _reader(kind: ArtefactKind) -> Callable[[Answer], tuple[Facts | _Refusal, tuple[bytes, ...]]]:
    """Give what reads a process's answer, and raises ValueError for what is none."""

    def read(answer: Answer) -> tuple[Facts | _Refusal, tuple[bytes, ...]]:
        match answer.told:
            case {"facts": str(told), **rest} if not rest:
                facts = read_facts(kind, told.encode())
                if blob_count(facts) != len(answer.blobs):
                    raise ValueError("not as many bytes as the facts tell of")
                return facts, answer.blobs
            case {"problem": str(reason), "lasting": bool(lasting), **rest} if reason and not rest:
                return _Refusal(reason, lasting), ()
            case _:
                raise ValueError("neither facts nor a problem")

    return read
