"""Opens the stored headers that make MP4s of Matroska files."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from service.artefact_store.blobs import AsyncBlob, OpenBlob
from service.artefact_store.folder import ArtefactStore
from service.artefact_store.keys import artefact_name
from service.artefacts.metadata import ArtefactKind, ArtefactState, RemuxMetadata, load_metadata
from service.artefacts.scheduler import ArtefactScheduler
from service.mp4.fragment_table import FragmentTable
from service.protocol.revisions import header_digest
from service.representations.fragmented import FragmentHeaders
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
        metadata = self._metadata(path, revision)
        return metadata.digest if metadata else None

    def fragments_digest(self, path: str, revision: str) -> str | None:
        """Return the same of the fragmented form."""
        metadata = self._metadata(path, revision)
        return metadata.fragments or None if metadata else None

    async def open(self, path: str, revision: str, digest: str) -> Header | None:
        """Open a header; None if it is not stored, or has another digest. Raises OSError."""
        opening = self._threads.submit(self._open, artefact_name(_KIND, path, revision))
        found = await asyncio.wrap_future(opening)
        if found is None:
            self._rebuild(path, revision, lambda metadata: metadata.digest == digest)
        if found is None or found[0].digest != digest:
            return None
        return Header(AsyncBlob(found[1], self._threads), found[0].content_type)

    async def open_fragments(self, path: str, revision: str, digest: str) -> FragmentHeaders | None:
        """Open the headers of the fragmented form. None and errors as for `open`."""
        name = artefact_name(_KIND, path, revision)
        found = await asyncio.wrap_future(self._threads.submit(self._open_fragments, name))
        if found is None:
            self._rebuild(path, revision, lambda metadata: metadata.fragments == digest)
        if found is None or found[0].fragments != digest:
            return None
        metadata, blob, table = found
        return FragmentHeaders(AsyncBlob(blob, self._threads), table, metadata.content_type)

    def _metadata(self, path: str, revision: str) -> RemuxMetadata | None:
        source = self._scheduler.source(path)
        if source is None or source.video.revision != revision:
            return None
        status = self._scheduler.status(path, _KIND)
        return status.remux if status.state is ArtefactState.READY else None

    def _rebuild(self, path: str, revision: str, has_been: Callable[[RemuxMetadata], bool]) -> None:
        """Have headers made again that were deleted to make room."""
        metadata = self._metadata(path, revision)
        if metadata is not None and has_been(metadata):
            self._scheduler.rebuild(path, _KIND)

    def _open(self, name: str) -> tuple[RemuxMetadata, OpenBlob] | None:
        metadata = self._load(name)
        blob = self._store.open(_KIND, name, 0) if metadata else None
        # Between both reads another replica may have stored another header.
        if metadata is None or blob is None or header_digest(_parts(blob)) != metadata.digest:
            return None
        return metadata, blob

    def _open_fragments(self, name: str) -> tuple[RemuxMetadata, OpenBlob, FragmentTable] | None:
        metadata = self._load(name)
        if metadata is None or not metadata.fragments:
            return None
        blob, table = self._store.open(_KIND, name, 1), self._store.blob(_KIND, name, 2)
        if blob is None or table is None:
            return None
        if header_digest(chain(_parts(blob), [table])) != metadata.fragments:  # as above
            return None
        return metadata, blob, FragmentTable.from_bytes(table)

    def _load(self, name: str) -> RemuxMetadata | None:
        data = self._store.load(_KIND, name)
        try:
            metadata = None if data is None else load_metadata(_KIND, data)
        except ValueError:  # of another release
            return None
        if not isinstance(metadata, RemuxMetadata) or metadata.declined:
            return None
        return metadata


def _parts(blob: OpenBlob) -> Iterator[bytes]:
    position = 0
    while position < blob.length:
        data = blob.read(position, _HASHED_AT_A_TIME)
        position += len(data)
        yield data
