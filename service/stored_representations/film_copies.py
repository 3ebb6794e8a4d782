"""Opens the stored MP4s into which films were copied."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from cachetools import TTLCache

from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore
from service.artefacts.metadata import (
    ArtefactKind,
    CopyMetadata,
    blob_count,
    load_metadata,
)
from service.artefacts.packed_fragments import BLOBS
from service.artefacts.status import ArtefactState
from service.records.blobs import AsyncBlob
from service.representations.copied import Copy
from service.representations.remuxed import NoHeader
from service.scheduling.scheduler import ArtefactScheduler
from service.stored_representations.fragment_parts import open_fragments

_KIND = ArtefactKind.COPIED
_THREADS = 8  # a disk or a store that hangs blocks only these

# MP4s that are kept open, and seconds for which they are: some descriptors each, and of a file that
# was deleted to make room also its room.
_MAX_OPEN, _MAX_OPEN_SECONDS = 32, 30.0


class FilmCopies:
    """The MP4s of a library's films, which replicas may share."""

    def __init__(self, store: ArtefactStore, scheduler: ArtefactScheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        self._threads = ThreadPoolExecutor(_THREADS, "copies")
        self._open_copies: TTLCache[tuple[str, str, str], Copy] = TTLCache(
            _MAX_OPEN, _MAX_OPEN_SECONDS
        )

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._open_copies.clear()

    def find(self, path: str, revision: str) -> str | None:
        """Return the layout of the MP4 of a version of a file; None if none is ready."""
        return next(iter(self._known(path, revision)), None)

    def _known(self, path: str, revision: str) -> tuple[str, ...]:
        """Return the layouts of the MP4 and of its fragmented forms; none if it is not ready."""
        source = self._scheduler.source(path)
        if source is None or source.video.revision != revision:
            return ()
        status = self._scheduler.status(path, _KIND)
        if status.remux is None or status.state is not ArtefactState.READY:
            return ()
        return (status.remux.layout, *(form.layout for form in status.remux.all_fragments))

    async def open(self, path: str, revision: str, layout: str) -> Copy | None:
        """Open an MP4; None if it is not stored, or is another one. Raises OSError."""
        key = path, revision, layout
        copy = self._open_copies.get(key)
        if copy is None:
            opening = self._threads.submit(self._open, artefact_name(_KIND, path, revision), layout)
            copy = await asyncio.wrap_future(opening)
            if copy is None:
                if layout in self._known(path, revision):
                    self._scheduler.forget(path, _KIND)  # it was deleted to make room
                return None
            self._open_copies[key] = copy
            loop = asyncio.get_running_loop()
            loop.call_later(_MAX_OPEN_SECONDS + 1, self._open_copies.expire)
        return copy

    def _open(self, name: str, layout: str) -> Copy | None:
        artefact = self._store.open_large(_KIND, name)
        if artefact is None:
            return None
        try:
            metadata = load_metadata(_KIND, artefact.metadata)
        except ValueError:  # of another release
            return None
        if not isinstance(metadata, CopyMetadata) or len(artefact.blobs) != blob_count(metadata):
            return None
        header, *fragments = artefact.blobs
        media = AsyncBlob(artefact.large, self._threads)
        if layout == metadata.layout:
            return Copy(AsyncBlob(header, self._threads), media, metadata.content_type)
        known = [form.layout for form in metadata.all_fragments]
        if layout not in known:
            return None
        first = BLOBS * known.index(layout)
        blobs = fragments[first : first + BLOBS]
        parts = open_fragments(layout, blobs, self._threads, metadata.layout)
        return parts and Copy(NoHeader(), media, parts.content_type, parts)
