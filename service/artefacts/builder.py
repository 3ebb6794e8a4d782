"""Builds one artefact of a video in a worker process and stores it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from service.artefact_store.store import ArtefactStore, iter_prefetched
from service.artefacts.metadata import (
    ArtefactKind,
    ArtefactMetadata,
    ArtefactSource,
    BuildFailure,
    blob_count,
    dump_metadata,
    load_metadata,
)
from service.metrics import Metrics
from service.storage.base import Entry
from service.storage.media_root import MediaRoot
from service.workers.pool import WorkerError, WorkerPool, WorkerResponse

# Limits for one artefact, in seconds. The second one is long, because a slow disk or many viewers
# also delay the work.
_CPU_SECONDS = {
    ArtefactKind.POSTER: 60,
    ArtefactKind.REMUX: 300,
    ArtefactKind.CAPTIONS: 120,
    ArtefactKind.STORYBOARD: 300,
}
_TIMEOUT = 1800.0

_CANNOT_STORE = "It cannot be kept: see the server's log."


class Job(NamedTuple):
    """An artefact to build."""

    kind: ArtefactKind
    source: ArtefactSource
    name: str

    @property
    def key(self) -> tuple[ArtefactKind, str]:
        """Kind and name in the store."""
        return self.kind, self.name


class TransientBuildError(Exception):
    """The artefact could not be built now; the file is not the reason. Its text is a sentence."""


class StoreWriteError(TransientBuildError):
    """The artefact could not be stored: there is no space, or no permission to write."""


class LeaseHeldError(Exception):
    """Another process is building the artefact."""


class ArtefactBuilder:
    """Builds artefacts and stores them, or the reason why they cannot be built."""

    def __init__(
        self, media_root: MediaRoot, store: ArtefactStore, pool: WorkerPool, metrics: Metrics
    ) -> None:
        self._media_root = media_root
        self._store = store
        self._pool = pool
        self._metrics = metrics
        self._decoder = version("av")
        self.on_request = frozenset({ArtefactKind.REMUX} if media_root.store else ())
        """The kinds that are built only when a viewer needs them. To find all frames of an object
        is to read all of it."""

    def load_all(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, tuple[ArtefactMetadata] | None]]:
        """Load the metadata of many artefacts; None if there is none that is valid. Blocks."""
        keys = iter_prefetched(self._store, [job.key for job in jobs])
        for job, _ in zip(jobs, keys, strict=True):
            yield job, self._load_or_none(job)

    def load(self, kind: ArtefactKind, name: str) -> tuple[ArtefactMetadata] | None:
        """Load the metadata of an artefact; None if there is none that is valid. Blocks.

        Raises OSError if a retry may succeed.
        """
        data = self._store.load(kind, name)
        if data is None:
            return None
        try:
            metadata = load_metadata(kind, data)
        except ValueError:
            return None
        if isinstance(metadata, BuildFailure) and metadata.decoder != self._decoder:
            return None  # other decoders may succeed
        return (metadata,)

    async def build(self, job: Job) -> ArtefactMetadata:
        """Build and store an artefact, unless it exists.

        Raises TransientBuildError and LeaseHeldError.
        """
        if self._store.is_remote and (stored := await asyncio.to_thread(self._load_or_none, job)):
            return stored[0]  # another replica built it, so no lease is needed
        try:
            release = await asyncio.to_thread(self._store.acquire, job.name)
        except OSError as error:
            raise StoreWriteError(_CANNOT_STORE) from error
        if release is None:
            raise LeaseHeldError
        try:
            stored = await asyncio.to_thread(self._load_or_none, job)
            if stored:
                return stored[0]
            with self._metrics.derivation_seconds.labels(job.kind).time():
                metadata, blobs = await self._run_worker(job)
            save = self._store.save
            if not await asyncio.to_thread(
                save, job.kind, job.name, dump_metadata(metadata), blobs
            ):
                self._count(job, "not kept")
                raise StoreWriteError(_CANNOT_STORE)
        finally:
            await asyncio.to_thread(release)
        outcome = "nothing" if metadata is None else "complete"
        if not isinstance(metadata, BuildFailure):
            self._count(job, outcome)
        return metadata

    def _load_or_none(self, job: Job) -> tuple[ArtefactMetadata] | None:
        """Load as `load` does, but return None on OSError."""
        try:
            return self.load(*job.key)
        except OSError:
            return None

    async def _run_worker(self, job: Job) -> tuple[ArtefactMetadata, tuple[bytes, ...]]:
        try:
            metadata, blobs = await self._pool.run(
                self._worker_request(job), _response_parser(job.kind), _TIMEOUT
            )
        except WorkerError as error:
            self._count(job, error.outcome)
            if not error.lasting:
                raise TransientBuildError(str(error)) from error
            return BuildFailure(problem=str(error), decoder=self._decoder), ()
        if isinstance(metadata, _WorkerFailure):
            self._count(job, "failed")
            if not metadata.lasting:
                raise TransientBuildError(metadata.problem)
            return BuildFailure(problem=metadata.problem, decoder=self._decoder), ()
        return metadata, blobs

    def _count(self, job: Job, outcome: str) -> None:
        self._metrics.derivations.labels(job.kind, outcome).inc()

    def _worker_request(self, job: Job) -> dict[str, Any]:
        video, sidecars = job.source.video, job.source.sidecars
        request: dict[str, Any] = {
            "task": job.kind,
            "root": self._media_root.reference,
            "path": video.path,
            "revision": video.revision,
            "cpu": _CPU_SECONDS[job.kind],
        }
        match job.kind:
            case ArtefactKind.POSTER:
                request["image"] = _entry_ref(sidecars.image) if sidecars.image else None
            case ArtefactKind.CAPTIONS:
                request["texts"] = [_entry_ref(entry) for entry in sidecars.texts]
        return request


def _entry_ref(entry: Entry) -> tuple[str, str]:
    return entry.path, entry.revision


class _WorkerFailure(NamedTuple):
    problem: str
    lasting: bool


def _response_parser(
    kind: ArtefactKind,
) -> Callable[[WorkerResponse], tuple[ArtefactMetadata | _WorkerFailure, tuple[bytes, ...]]]:
    """Return a parser of worker responses. It raises ValueError for an invalid one."""

    def parse(
        answer: WorkerResponse,
    ) -> tuple[ArtefactMetadata | _WorkerFailure, tuple[bytes, ...]]:
        match answer.payload:
            case {"facts": str(told), **rest} if not rest:
                metadata = load_metadata(kind, told.encode())
                if blob_count(metadata) != len(answer.blobs):
                    raise ValueError("the number of blobs does not match the metadata")
                return metadata, answer.blobs
            case {"problem": str(reason), "lasting": bool(lasting), **rest} if reason and not rest:
                return _WorkerFailure(reason, lasting), ()
            case _:
                raise ValueError("neither metadata nor a failure")

    return parse
