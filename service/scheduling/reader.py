"""Reads ready artefacts from their store. An artefact that is no longer stored is built again."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.artefact_store.store import ArtefactStore
from service.artefacts.builder import ArtefactBuilder
from service.artefacts.metadata import ArtefactKind, ArtefactMetadata
from service.records.blobs import AsyncBlob
from service.scheduling.scheduler import ArtefactScheduler

# Threads that read. A disk or store that hangs blocks only these.
_THREADS = 8

_Read = TypeVar("_Read")


class ArtefactReader:
    """Reads what the scheduler knows to be ready."""

    def __init__(
        self, scheduler: ArtefactScheduler, builder: ArtefactBuilder, store: ArtefactStore
    ) -> None:
        self._scheduler = scheduler
        self._builder = builder
        self._store = store
        self._threads = ThreadPoolExecutor(_THREADS, "derived")

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def blob(self, path: str, kind: ArtefactKind, number: int) -> bytes | None:
        """Return a blob of a ready artefact. None if it is gone; it is rebuilt then."""
        return await self._read(self._store.blob, path, kind, number)

    async def open(self, path: str, kind: ArtefactKind, number: int) -> AsyncBlob | None:
        """Open a blob of a ready artefact. None as for `blob`."""
        blob = await self._read(self._store.open, path, kind, number)
        return None if blob is None else AsyncBlob(blob, self._threads)

    async def load_metadata(self, path: str, kind: ArtefactKind) -> ArtefactMetadata:
        """Return the metadata of a ready artefact. None as for `blob`."""
        kept = await self._read(self._builder.load, path, kind)
        return kept[0] if kept else None

    async def _read(
        self, read: Callable[..., _Read | None], path: str, kind: ArtefactKind, *number: int
    ) -> _Read | None:
        if (entry := self._scheduler.ready(path, kind)) is None:
            return None
        try:
            found = await asyncio.wrap_future(self._threads.submit(read, kind, entry.name, *number))
        except OSError:  # the next request may succeed
            return None
        if found is None and self._scheduler.ready(path, kind) is entry:  # else it was rebuilt
            self._scheduler.rebuild(path, kind)
        return found
