"""Opens the stored headers that make MP4s of Matroska files."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from service.artefact_store.blobs import AsyncBlob, OpenBlob
from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore
from service.artefacts.metadata import ArtefactKind, ArtefactState, RemuxMetadata, load_metadata
from service.artefacts.scheduler import ArtefactScheduler
from service.protocol.revisions import header_digest
from service.representations.remuxed import Header

_KIND = ArtefactKind.REMUX
_THREADS = 4  # a disk or a store that hangs blocks only these
_HASHED_AT_A_TIME = 256 * 1024  # bytes


class RemuxHeaders:
    """The headers of a library's files, which replicas may share."""

    def __init__(self, store: ArtefactStore, scheduler: ArtefactScheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        self._threads = ThreadPoolExecutor(_THREADS, "headers")

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def digest(self, path: str, revision: str) -> str | None:
        """Return the digest of the header of a version of a file; None if none is ready."""
        source = self._scheduler.source(path)
        if source is None or source.video.revision != revision:
            return None
        status = self._scheduler.status(path, _KIND)
        return status.remux.digest if status.remux and status.state is ArtefactState.READY else None

    async def open(self, path: str, revision: str, digest: str) -> Header | None:
        """Open a header; None if it is not stored, or has another digest. Raises OSError."""
        opening = self._threads.submit(self._open, artefact_name(_KIND, path, revision))
        found = await asyncio.wrap_future(opening)
        if found is None and self.digest(path, revision) == digest:
            self._scheduler.rebuild(path, _KIND)  # it was deleted to make room
        if found is None or found[0].digest != digest:
            return None
        return Header(AsyncBlob(found[1], self._threads), found[0].content_type)

    def _open(self, name: str) -> tuple[RemuxMetadata, OpenBlob] | None:
        data = self._store.load(_KIND, name)
        try:
            metadata = None if data is None else load_metadata(_KIND, data)
        except ValueError:  # of another release
            return None
        if not isinstance(metadata, RemuxMetadata) or metadata.declined:
            return None
        blob = self._store.open(_KIND, name, 0)
        # Between both reads another replica may have stored another header.
        if blob is None or header_digest(_parts(blob)) != metadata.digest:
            return None
        return metadata, blob


def _parts(blob: OpenBlob) -> Iterator[bytes]:
    position = 0
    while position < blob.length:
        data = blob.read(position, _HASHED_AT_A_TIME)
        position += len(data)
        yield data
