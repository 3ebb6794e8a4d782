"""Opens the stored MP4s into which films were copied."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from cachetools import TTLCache

from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore
from service.artefacts.metadata import ArtefactKind, CopyMetadata, load_metadata
from service.artefacts.status import ArtefactState
from service.records.blobs import AsyncBlob, OpenArtefact
from service.representations.copied import Copy
from service.scheduling.scheduler import ArtefactScheduler

_KIND = ArtefactKind.COPIED
_THREADS = 8  # a disk or a store that hangs blocks only these

# MP4s that are kept open, and seconds for which they are: a descriptor each, and of a file that was
# deleted to make room also its room.
_MAX_OPEN, _MAX_OPEN_SECONDS = 32, 30.0


class FilmCopies:
    """The MP4s of a library's films, which replicas may share."""

    def __init__(self, store: ArtefactStore, scheduler: ArtefactScheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        self._threads = ThreadPoolExecutor(_THREADS, "copies")
        self._open_copies: TTLCache[tuple[str, str], tuple[CopyMetadata, OpenArtefact]] = TTLCache(
            _MAX_OPEN, _MAX_OPEN_SECONDS
        )

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._open_copies.clear()

    def find(self, path: str, revision: str) -> str | None:
        """Return the layout of the MP4 of a version of a file; None if none is ready."""
        source = self._scheduler.source(path)
        if source is None or source.video.revision != revision:
            return None
        status = self._scheduler.status(path, _KIND)
        is_ready = status.remux is not None and status.state is ArtefactState.READY
        return status.remux.layout if status.remux and is_ready else None

    async def open(self, path: str, revision: str, layout: str) -> Copy | None:
        """Open an MP4; None if it is not stored, or is another one. Raises OSError."""
        name = path, revision
        found = self._open_copies.get(name)
        if found is None or found[0].layout != layout:
            opening = self._threads.submit(self._open, artefact_name(_KIND, path, revision))
            found = await asyncio.wrap_future(opening)
            if found is None:
                if self.find(path, revision) is not None:
                    self._scheduler.forget(path, _KIND)  # it was deleted to make room
                return None
            self._open_copies[name] = found
            loop = asyncio.get_running_loop()
            loop.call_later(_MAX_OPEN_SECONDS + 1, self._open_copies.expire)
        metadata, artefact = found
        if metadata.layout != layout:
            return None
        header = AsyncBlob(artefact.blobs[0], self._threads)
        return Copy(header, AsyncBlob(artefact.large, self._threads), metadata.content_type)

    def _open(self, name: str) -> tuple[CopyMetadata, OpenArtefact] | None:
        artefact = self._store.open_large(_KIND, name)
        if artefact is None or len(artefact.blobs) != 1:
            return None
        try:
            metadata = load_metadata(_KIND, artefact.metadata)
        except ValueError:  # of another release
            return None
        return (metadata, artefact) if isinstance(metadata, CopyMetadata) else None
