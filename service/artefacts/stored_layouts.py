"""Opens the stored layouts that make MP4s of files: headers, and sound."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from service.artefact_store.blobs import AsyncBlob, OpenBlob
from service.artefact_store.compressed_blob import CompressedBlob
from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore
from service.artefacts.metadata import (
    ArtefactKind,
    ArtefactState,
    RemuxMetadata,
    SoundMetadata,
    load_metadata,
)
from service.artefacts.scheduler import ArtefactScheduler
from service.protocol.revisions import (
    fragmented_layout,
    header_layout,
    is_fragmented_layout,
    is_sound_layout,
    sound_layout,
)
from service.representations.interleaving import Interleaving
from service.representations.remuxed import Parts

_THREADS = 4  # a disk or a store that hangs blocks only these
_HASHED_AT_A_TIME = 256 * 1024  # bytes

# By preference
_KINDS = (ArtefactKind.SOUND, ArtefactKind.REMUX)


class StoredLayouts:
    """The layouts of a library's files, which replicas may share."""

    def __init__(self, store: ArtefactStore, scheduler: ArtefactScheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        self._threads = ThreadPoolExecutor(_THREADS, "layouts")

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def find(self, path: str, revision: str) -> str | None:
        """Return the layout in which players get a version of a file; None if none is ready."""
        known = (self._known(path, revision, kind) for kind in _KINDS)
        return next((layouts[0] for layouts in known if layouts), None)

    async def open(self, path: str, revision: str, layout: str) -> Parts | None:
        """Open a layout; None if it is not stored. Raises OSError."""
        kind, open_ = ArtefactKind.REMUX, self._open_header
        if is_sound_layout(layout):
            kind, open_ = ArtefactKind.SOUND, self._open_sound
        elif is_fragmented_layout(layout):
            open_ = self._open_fragments
        opening = self._threads.submit(open_, artefact_name(kind, path, revision))
        found = await asyncio.wrap_future(opening)
        if found is None and layout in self._known(path, revision, kind):
            self._scheduler.rebuild(path, kind)  # it was deleted to make room
        return found[1] if found and found[0] == layout else None

    def _known(self, path: str, revision: str, kind: ArtefactKind) -> tuple[str, ...]:
        """Return the layouts that an artefact has, the first of which is for all players."""
        source = self._scheduler.source(path)
        if source is None or source.video.revision != revision:
            return ()
        status = self._scheduler.status(path, kind)
        if status.remux is None or status.state is not ArtefactState.READY:
            return ()
        fragments = status.remux.fragments
        return (status.remux.layout, *([fragments.layout] if fragments else []))

    def _open_header(self, name: str) -> tuple[str, Parts] | None:
        data = self._store.load(ArtefactKind.REMUX, name)
        metadata = _load(ArtefactKind.REMUX, data)
        if metadata is None:
            return None
        blob = self._store.open(ArtefactKind.REMUX, name, 0)
        # Between both reads another replica may have stored another header.
        if blob is None or header_layout(_parts(blob)) != metadata.layout:
            return None
        return metadata.layout, Parts(AsyncBlob(blob, self._threads), metadata.content_type)

    def _open_fragments(self, name: str) -> tuple[str, Parts] | None:
        metadata = _load(ArtefactKind.REMUX, self._store.load(ArtefactKind.REMUX, name))
        if metadata is None or metadata.fragments is None:
            return None
        head, table, headers = (
            self._store.open(ArtefactKind.REMUX, name, number) for number in (1, 2, 3)
        )
        if head is None or table is None or headers is None:
            return None
        data = [b"".join(_parts(blob)) for blob in (head, table, headers)]
        if fragmented_layout(data) != metadata.fragments.layout:  # as above
            return None
        try:
            interleaving = Interleaving.from_bytes(data[1])
            inserted = CompressedBlob.open(AsyncBlob(headers, self._threads), data[2])
        except ValueError:  # of another release
            return None
        return metadata.fragments.layout, Parts(
            AsyncBlob(head, self._threads), metadata.content_type, interleaving, inserted
        )

    def _open_sound(self, name: str) -> tuple[str, Parts] | None:
        """Open a header and sound. The digest of the sound is not computed again."""
        opened = self._store.open_large(ArtefactKind.SOUND, name)
        metadata = _load(ArtefactKind.SOUND, opened.metadata if opened else None)
        if opened is None or not isinstance(metadata, SoundMetadata):
            return None
        try:
            header, table = opened.blobs
            data = b"".join(_parts(table))
            interleaving = Interleaving.from_bytes(data)
        except ValueError:  # of another release
            return None
        digests = (*_parts(header), data, bytes.fromhex(metadata.digest))
        if sound_layout(digests) != metadata.layout or interleaving.inserted != opened.large.length:
            return None
        return metadata.layout, Parts(
            AsyncBlob(header, self._threads),
            metadata.content_type,
            interleaving,
            AsyncBlob(opened.large, self._threads),
        )


def _load(kind: ArtefactKind, data: bytes | None) -> RemuxMetadata | None:
    try:
        metadata = None if data is None else load_metadata(kind, data)
    except ValueError:  # of another release
        return None
    return metadata if isinstance(metadata, RemuxMetadata) and not metadata.declined else None


def _parts(blob: OpenBlob) -> Iterator[bytes]:
    position = 0
    while position < blob.length:
        data = blob.read(position, _HASHED_AT_A_TIME)
        position += len(data)
        yield data
