"""Opens the stored layouts that make MP4s of files: headers, and sound."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore
from service.artefacts.metadata import (
    ArtefactKind,
    ArtefactMetadata,
    RemuxMetadata,
    SoundMetadata,
    blob_count,
    load_metadata,
)
from service.artefacts.packed_fragments import BLOBS
from service.artefacts.source import sound_name
from service.artefacts.status import ArtefactState, status_of
from service.protocol.revisions import (
    header_layout,
    is_fragmented_layout,
    is_sound_layout,
    sound_layout,
    source_sound,
)
from service.records.blobs import AsyncBlob, OpenArtefact, OpenBlob
from service.representations.interleaving import Interleaving
from service.representations.remuxed import NoHeader, Parts
from service.scheduling.scheduler import ArtefactScheduler
from service.stored_representations.fragment_parts import open_fragments, read_in_parts

_THREADS = 4  # a disk or a store that hangs blocks only these
_SOUND_BLOBS = 2  # of what is made with sound: its header and its interleaving

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
        if is_sound_layout(layout):
            return await self._open_made_sound(path, revision, layout)
        if is_fragmented_layout(layout):
            return await self._open_any_fragments(path, revision, layout)
        kind, name = ArtefactKind.REMUX, artefact_name(ArtefactKind.REMUX, path, revision)
        found = await self._open(self._open_header, name)
        if found and found[0] != layout:
            found = await self._open(self._open_seekable, name)
        if found is None and layout in self._known(path, revision, kind):
            self._scheduler.rebuild(path, kind)  # it was deleted to make room
        return found[1] if found and found[0] == layout else None

    async def _open_any_fragments(self, path: str, revision: str, layout: str) -> Parts | None:
        """Open a fragmented form: by a header, of an MP4, or with sound that was made."""
        for kind in (ArtefactKind.REMUX, ArtefactKind.FRAGMENTS):
            open_ = partial(self._open_fragments, layout, kind)
            found = await self._open(open_, artefact_name(kind, path, revision))
            if found:
                return found[1]
            if layout in self._known(path, revision, kind):
                self._scheduler.rebuild(path, kind)  # as above
        return await self._open_made_sound(path, revision, layout)

    async def _open_made_sound(self, path: str, revision: str, layout: str) -> Parts | None:
        """Open what has sound that was made. The layout says of which sound of the file.

        So an invented one costs a single look-up, however many sounds the file has.
        """
        is_fragmented = is_fragmented_layout(layout)
        open_ = partial(self._open_sound_fragments, layout) if is_fragmented else self._open_sound
        sound = source_sound(layout)
        found = await self._open(open_, sound_name(path, revision, sound))
        if found and found[0] == layout:
            return found[1]
        known = self._known(path, revision, ArtefactKind.SOUND, sound)
        if found is None and layout in known:
            self._scheduler.rebuild(path, ArtefactKind.SOUND, sound)  # as above
        return None

    async def _open(
        self, open_: Callable[[str], tuple[str, Parts] | None], name: str
    ) -> tuple[str, Parts] | None:
        return await asyncio.wrap_future(self._threads.submit(open_, name))

    def _known(
        self, path: str, revision: str, kind: ArtefactKind, sound: int = 0
    ) -> tuple[str, ...]:
        """Return the layouts of an artefact. The first one is for all players."""
        source = self._scheduler.source(path)
        if source is None or source.video.revision != revision:
            return ()
        status = self._scheduler.status(path, kind, sound)
        if status.state is not ArtefactState.READY:
            return ()
        forms = tuple(form.layout for form in status.forms)
        if status.remux is None:
            return forms
        return (status.remux.layout, *forms, *filter(None, [status.remux.seekable]))

    def _open_header(self, name: str) -> tuple[str, Parts] | None:
        metadata = _load(ArtefactKind.REMUX, self._store.load(ArtefactKind.REMUX, name))
        if metadata is None:
            return None
        blobs = self._blobs(ArtefactKind.REMUX, name, range(metadata.first_blobs))
        # Between both reads another replica may have stored another header.
        if header_layout(part for blob in blobs for part in read_in_parts(blob)) != metadata.layout:
            return None
        return self._interleaved(metadata.layout, metadata.content_type, blobs)

    def _blobs(self, kind: ArtefactKind, name: str, numbers: range) -> list[OpenBlob]:
        """Return blobs of an artefact; fewer if it does not have all of them."""
        blobs = (self._store.open(kind, name, number) for number in numbers)
        return [blob for blob in blobs if blob is not None]

    def _interleaved(
        self,
        layout: str,
        content_type: str,
        blobs: Sequence[OpenBlob],
        base: tuple[str, Parts] | None = None,
    ) -> tuple[str, Parts] | None:
        """Return a layout by its header, its interleaving and what is inserted, if anything is."""
        header, *others = blobs
        parts = Parts(AsyncBlob(header, self._threads), content_type, base=_under(base))
        if not others:
            return layout, parts
        table, inserted = others
        try:
            interleaving = Interleaving.from_bytes(b"".join(read_in_parts(table)))
        except ValueError:  # of another release
            return None
        blob = AsyncBlob(inserted, self._threads)
        return layout, parts._replace(interleaving=interleaving, inserted=blob)

    def _open_fragments(
        self, layout: str, kind: ArtefactKind, name: str
    ) -> tuple[str, Parts] | None:
        metadata = _load_any(kind, self._store.load(kind, name))
        known = [form.layout for form in status_of(metadata).forms]
        if layout not in known:
            return None
        first, base = BLOBS * known.index(layout), None
        if isinstance(metadata, RemuxMetadata):
            first += metadata.first_blobs
            base = self._open_header(name) if metadata.has_silence else None
        return self._fragments(layout, self._blobs(kind, name, range(first, first + BLOBS)), base)

    def _open_sound_fragments(self, layout: str, name: str) -> tuple[str, Parts] | None:
        """Open a fragmented form of a film with sound that was made."""
        opened = self._store.open_large(ArtefactKind.SOUND, name)
        metadata = _load(ArtefactKind.SOUND, opened.metadata if opened else None)
        if opened is None or metadata is None or metadata.fragments is None:
            return None
        if metadata.fragments.layout != layout:
            return None
        base = self._with_sound(opened, metadata)
        blobs = opened.blobs[_SOUND_BLOBS : _SOUND_BLOBS + BLOBS]
        return base and self._fragments(layout, blobs, base)

    def _fragments(
        self,
        layout: str,
        blobs: Sequence[OpenBlob],
        base: tuple[str, Parts] | None = None,
    ) -> tuple[str, Parts] | None:
        """Open a form by its blobs. `base` is what is there in place of the file."""
        parts = open_fragments(layout, blobs, self._threads, base[0] if base else "")
        return None if parts is None else (layout, parts._replace(base=_under(base)))

    def _open_seekable(self, name: str) -> tuple[str, Parts] | None:
        metadata = _load(ArtefactKind.REMUX, self._store.load(ArtefactKind.REMUX, name))
        if metadata is None or metadata.seekable is None:
            return None
        count = blob_count(metadata)
        blobs = self._blobs(ArtefactKind.REMUX, name, range(count - 3, count))
        base = self._open_header(name) if metadata.has_silence else None
        data = [
            *(b"".join(read_in_parts(blob)) for blob in blobs),
            (base[0] if base else "").encode(),
        ]
        if header_layout(data) != metadata.seekable:  # as above
            return None
        return self._interleaved(metadata.seekable, metadata.content_type, blobs, base)

    def _open_sound(self, name: str) -> tuple[str, Parts] | None:
        """Open a header and sound. The digest of the sound is not computed again."""
        opened = self._store.open_large(ArtefactKind.SOUND, name)
        metadata = _load(ArtefactKind.SOUND, opened.metadata if opened else None)
        return None if opened is None or metadata is None else self._with_sound(opened, metadata)

    def _with_sound(
        self, opened: OpenArtefact, metadata: RemuxMetadata
    ) -> tuple[str, Parts] | None:
        if not isinstance(metadata, SoundMetadata) or len(opened.blobs) < _SOUND_BLOBS:
            return None
        header, table = opened.blobs[:_SOUND_BLOBS]
        data = b"".join(read_in_parts(table))
        try:
            interleaving = Interleaving.from_bytes(data)
        except ValueError:  # of another release
            return None
        digests = (*read_in_parts(header), data, bytes.fromhex(metadata.digest))
        if sound_layout(digests, source_sound(metadata.layout)) != metadata.layout:
            return None
        if interleaving.inserted != opened.large.length:
            return None
        return metadata.layout, Parts(
            AsyncBlob(header, self._threads),
            metadata.content_type,
            interleaving,
            AsyncBlob(opened.large, self._threads),
        )


def _under(base: tuple[str, Parts] | None) -> Parts | None:
    """Return a layout without its header, in place of the file."""
    return base[1]._replace(header=NoHeader()) if base else None


def _load_any(kind: ArtefactKind, data: bytes | None) -> ArtefactMetadata:
    try:
        return None if data is None else load_metadata(kind, data)
    except ValueError:  # of another release
        return None


def _load(kind: ArtefactKind, data: bytes | None) -> RemuxMetadata | None:
    metadata = _load_any(kind, data)
    return metadata if isinstance(metadata, RemuxMetadata) and not metadata.declined else None
