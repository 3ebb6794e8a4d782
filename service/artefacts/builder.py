"""Builds one artefact of a video in a worker process and stores it."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from service.artefact_store.quota import LargeFile, NoRoomError
from service.artefact_store.store import ArtefactStore, iter_prefetched
from service.artefacts.executors import Executors
from service.artefacts.job_queue import Job
from service.artefacts.metadata import (
    LARGE,
    ArtefactKind,
    ArtefactMetadata,
    BuildFailure,
    dump_metadata,
    load_metadata,
)
from service.artefacts.source import Artefact, ArtefactSource
from service.artefacts.worker_response import WorkerFailure, response_parser
from service.browsers.browser_support import has_header, is_mp4
from service.metrics import Metrics
from service.storage.base import Entry
from service.storage.media_root import MediaRoot
from service.workers.worker import WorkerError

# Limits for one artefact, in seconds. The second one is long, because a slow disk or many viewers
# also delay the work.
_CPU_SECONDS = {
    ArtefactKind.POSTER: 60,
    ArtefactKind.REMUX: 300,
    ArtefactKind.FRAGMENTS: 120,
    ArtefactKind.CAPTIONS: 120,
    ArtefactKind.STORYBOARD: 300,
    ArtefactKind.COPIED: 3600,
    # 5.1 channels take a 40th of their length on one core of 2026; True HD takes longer.
    ArtefactKind.SOUND: 7200,
}
_TIMEOUT = 1800.0
_LARGE_TIMEOUT = 6 * 3600.0

COPIED_UNASKED = 512 * 1024**2
"""Most bytes of a file that is copied without a request: a quarter of the default
REELAY_DERIVED_SIZE, and a minute of a slow disk's time."""

# What a copy may have more than the file, in bytes: sound that is encoded anew. Two hours of it
# have 146 MB, and what the container of the file took is less.
_MORE = 32 * 1024**2
_MORE_SHARE = 8

# Bytes of a second of sound that is made (service/sound/transcode.py), and of a film whose length
# is unknown.
_SOUND_RATE = 20_500
_UNKNOWN_SOUND = 200 * 1024**2

_CANNOT_STORE = "It cannot be kept: see the server's log."


class TransientBuildError(Exception):
    """The artefact could not be built now; the file is not the reason. Its text is a sentence."""


class StoreWriteError(TransientBuildError):
    """The artefact could not be stored: there is no space, or no permission to write."""


class NoRoomForItError(TransientBuildError):
    """A large file does not fit into the store."""


class LeaseHeldError(Exception):
    """Another process is building the artefact."""


class ArtefactBuilder:
    """Builds artefacts and stores them, or the reason why they cannot be built."""

    def __init__(
        self,
        media_root: MediaRoot,
        store: ArtefactStore,
        executors: Executors,
        metrics: Metrics,
        kinds: Collection[ArtefactKind] = tuple(ArtefactKind),
    ) -> None:
        """Build artefacts of some `kinds`."""
        self.kinds = kinds
        self._media_root = media_root
        self._store = store
        self._executors = executors
        self._metrics = metrics
        self._decoder = version("av")
        self._growing: dict[str, tuple[LargeFile, int]] = {}
        """The large files that are being written and their expected sizes, by name."""
        for kind in kinds:  # so that the first failure is an increase
            metrics.derivations.labels(kind, "not kept")

    def is_on_request(
        self, artefact: Artefact, find: Callable[[str], ArtefactSource | None]
    ) -> bool:
        """Return whether an artefact is built only when a viewer needs it.

        `find` returns the source of a path; only that of a copy is read. To find all frames of an
        object is to read all of it.
        """
        if artefact.sound:
            return True
        match artefact.kind:
            case ArtefactKind.REMUX | ArtefactKind.SOUND:
                return self._media_root.store is not None
            case ArtefactKind.COPIED:
                source = find(artefact.path)
                if source is None or self._media_root.store is not None:
                    return True
                metadata = source.video.metadata
                is_plain = metadata and not has_header(metadata) and not is_mp4(metadata)
                return not is_plain or source.video.size > COPIED_UNASKED
        return False

    def progress(self, name: str) -> float | None:
        """Return how far a large file is, from 0 to 1; None if it is not being written here."""
        growing = self._growing.get(name)
        if growing is None:
            return None
        file, expected = growing
        return min(file.written / max(1, expected), 1.0)

    def load_all(
        self, artefacts: Sequence[Artefact]
    ) -> Iterator[tuple[Artefact, tuple[ArtefactMetadata] | None]]:
        """Load the metadata of many artefacts; None if there is none that is valid. Blocks."""
        for artefact in iter_prefetched(self._store, artefacts, lambda each: each.key):
            yield artefact, self._load_or_none(artefact)

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

    async def build(self, job: Job, *, requested: bool = False) -> ArtefactMetadata:
        """Build and store an artefact, unless it exists.

        Large files make room only for one that was requested. Raises TransientBuildError and
        LeaseHeldError.
        """
        if self._store.is_remote and (stored := await asyncio.to_thread(self._load_or_none, job)):
            return stored[0]  # another replica built it, so no lease is needed
        try:
            release = await asyncio.to_thread(self._store.acquire, _lease(job))
        except OSError as error:
            self._count(job, "not kept")
            raise StoreWriteError(_CANNOT_STORE) from error
        if release is None:
            raise LeaseHeldError
        try:
            stored = await asyncio.to_thread(self._load_or_none, job)
            if stored:
                return stored[0]
            with self._metrics.derivation_seconds.labels(job.kind).time():
                metadata = await (
                    self._make_large(job, evict=requested) if job.kind in LARGE else self._make(job)
                )
        finally:
            await asyncio.to_thread(release)
        outcome = "nothing" if metadata is None else "complete"
        if not isinstance(metadata, BuildFailure):
            self._count(job, outcome)
        return metadata

    async def _make(self, job: Job) -> ArtefactMetadata:
        metadata, blobs = await self._run_worker(job, {})
        await self._save(job, self._store.save, dump_metadata(metadata), blobs)
        return metadata

    async def _make_large(self, job: Job, *, evict: bool) -> ArtefactMetadata:
        """Write a large file in a worker, and store it."""
        expected = _expected_size(job)
        room = expected + expected // _MORE_SHARE + _MORE
        create = partial(self._store.create_large, room, evict=evict)
        try:
            file = await asyncio.to_thread(create)
        except NoRoomError as error:
            self._count(job, "no room")
            raise NoRoomForItError(str(error)) from error
        except OSError as error:
            self._count(job, "not kept")
            raise StoreWriteError(_CANNOT_STORE) from error
        self._growing[job.name] = file, expected
        try:
            output = {"output": str(file.path), "room": room}
            metadata, blobs = await self._run_worker(job, output)
            kept = dump_metadata(metadata)
            if blobs:
                save = partial(self._store.save_large, file=file)
                await self._save(job, save, metadata=kept, blobs=blobs)
            else:
                await self._save(job, self._store.save, kept, blobs)
        finally:
            del self._growing[job.name]
            file.discard()
        return metadata

    async def _save(self, job: Job, save: Callable[..., bool], *what: Any, **named: Any) -> None:
        if not await asyncio.to_thread(save, job.kind, job.name, *what, **named):
            self._count(job, "not kept")
            raise StoreWriteError(_CANNOT_STORE)

    def _load_or_none(self, job: Job | Artefact) -> tuple[ArtefactMetadata] | None:
        """Load as `load` does, but return None on OSError."""
        try:
            return self.load(*job.key)
        except OSError:
            return None

    async def _run_worker(
        self, job: Job, more: Mapping[str, Any]
    ) -> tuple[ArtefactMetadata, tuple[bytes, ...]]:
        try:
            metadata, blobs = await self._executors.of(job.kind).run(
                {**self._worker_request(job), **more},
                response_parser(job.kind),
                _LARGE_TIMEOUT if job.kind in LARGE else _TIMEOUT,
            )
        except WorkerError as error:
            self._count(job, error.outcome)
            if not error.lasting:
                raise TransientBuildError(str(error)) from error
            return BuildFailure(problem=str(error), decoder=self._decoder), ()
        if isinstance(metadata, WorkerFailure):
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
                request["still"] = _entry_ref(sidecars.still) if sidecars.still else None
            case ArtefactKind.CAPTIONS:
                request["texts"] = [_entry_ref(entry) for entry in sidecars.texts]
            case ArtefactKind.SOUND:
                request["made_of"] = job.sound, _stream_index(job)
        return request


def _lease(job: Job) -> str:
    """Return the name of the lease. Some names share a lock, and large files take long to make."""
    return f"large-{job.name}" if job.kind in LARGE else job.name


def _expected_size(job: Job) -> int:
    """Return about how many bytes a large file will have."""
    video = job.source.video
    if job.kind is not ArtefactKind.SOUND:
        return video.size
    seconds = video.metadata.duration if video.metadata else None
    return _UNKNOWN_SOUND if seconds is None else round(_SOUND_RATE * seconds)


def _stream_index(job: Job) -> int | None:
    """Return the index of the stream that sound is made of; None: the default one."""
    metadata = job.source.video.metadata
    return metadata.sounds[job.sound - 1].index if metadata and job.sound else None


def _entry_ref(entry: Entry) -> tuple[str, str]:
    return entry.path, entry.revision
