"""Files as players get them: with the index in front, where it stands behind the media data.
Law: what was worked out of one version of a file is given with that version's bytes alone; the
file itself is never touched. No index is held: it is rewritten as it is sent, a piece at a time."""

import asyncio
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Protocol

from cachetools import LRUCache

from service.errors import ChangedError, StorageError
from service.mp4.fast_start_layout import (
    SUFFIX,
    FastStartLayout,
    MoovSpan,
    layout_from_json,
    plan_fast_start,
    resume,
)
from service.mp4.sample_tables import MoovRewriter
from service.protocol.conditions import Validators
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.base import OpenRepresentation, Storage
from service.storage.send_pacing import ChunkSizer

# Bytes of layouts that are remembered. A film's takes some 1,000, however long its index is; that a
# file is left as it is takes 300.
_MAX_BYTES = 16 * 1024**2
_NO_LAYOUT_WEIGHT = 300

# Bytes of an index that is looked into without a thread, and of which nothing is kept: it takes
# less than 10 ms. Of longer ones one is looked into at a time.
_SHORT_MOOV = 64 * 1024

# Seconds that a read may take: others wait for it, and a disk may hang.
_READ_TIMEOUT = 30.0

# Seconds that what was kept may take to be found; then it is worked out anew, and nothing is looked
# for there for some time: a disk or a store that is away takes longer for each.
_LOAD_TIMEOUT = 1.0
_STORE_RETRY_INTERVAL = 30.0

# What is kept of a file that is given as it is.
_NO_LAYOUT = b"null"


class LayoutStore(Protocol):
    """Where layouts are kept, for the next start and other replicas. Blocks: for threads."""

    def load(self, path: str, revision: str) -> bytes | None:
        """Give what was kept of a version of a file, whole and as it was, if it can be read now."""
        ...

    def save(self, path: str, revision: str, data: bytes) -> None:
        """Keep that, if it can be."""
        ...


def fast_start_revision(revision: str) -> str:
    """Give the revision of the layout that is made of a file's revision."""
    return revision + SUFFIX


class FastStart:
    """The files of a storage as players get them."""

    def __init__(self, storage: Storage, store: LayoutStore | None = None) -> None:
        """Take the files, and what keeps what is worked out of them."""
        self._storage = storage
        self._store = store
        self._store_retry_at = 0.0
        self._layouts: LRUCache[tuple[str, str], FastStartLayout | None] = LRUCache(
            _MAX_BYTES, lambda layout: layout.relocation.weight if layout else _NO_LAYOUT_WEIGHT
        )
        self._in_flight: dict[tuple[str, str], asyncio.Task[FastStartLayout | None]] = {}
        self._rewrite_lock = asyncio.Lock()
        # Their own: who waits for a disk or a store has no share in them.
        self._thread = ThreadPoolExecutor(1, "index")
        self._store_threads = ThreadPoolExecutor(2, "layouts")

    def close(self) -> None:
        """Release the threads without waiting for what they wait for."""
        for threads in (self._thread, self._store_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def open(self, path: str, pin: str | None) -> OpenRepresentation:
        """Open a media file by its path, in the layout that `pin` names, or else players' own.

        Raises NotFoundError, ChangedError, StorageError.
        """
        source = await self._storage.open(path, pin and pin.removesuffix(SUFFIX))
        revision = source.representation.validators.revision
        if pin is not None and pin != fast_start_revision(revision):
            return source
        try:
            layout = await self._layout(path, revision)
        except BaseException:
            source.close()
            raise
        return source if layout is None else FastStartRepresentation(source, layout)

    async def _layout(self, path: str, revision: str) -> FastStartLayout | None:
        name = path, revision
        if name in self._layouts:
            return self._layouts[name]
        task = self._in_flight.get(name)
        if task is None:
            task = self._in_flight[name] = asyncio.create_task(self._compute_layout(path, revision))
            task.add_done_callback(lambda _: self._in_flight.pop(name))
        return await asyncio.shield(task)  # others wait for it, whoever leaves

    async def _compute_layout(self, path: str, revision: str) -> FastStartLayout | None:
        source = await self._storage.open(path)  # who asked may close theirs
        try:
            current = source.representation.validators
            layout = await self._read_layout(path, source)
        finally:
            source.close()
        if current.revision != revision:
            raise ChangedError("The file was replaced just now.")
        if current.is_stable:
            with suppress(ValueError):  # one may be larger than all that is remembered
                self._layouts[path, revision] = layout
        return layout

    async def _read_layout(self, path: str, source: OpenRepresentation) -> FastStartLayout | None:
        file = source.representation
        requests = plan_fast_start(file.size)
        step = resume(requests, None)
        loop = asyncio.get_running_loop()
        is_long = False
        while isinstance(step, Span):
            if step.length <= _SHORT_MOOV:
                step = resume(requests, await _read(source, step))
                continue
            is_long = True
            result = await self._find_stored(path, source, step)
            if result is not None:
                return result[0]
            # First what the disk may take its time for, of which nothing is kept. So one at a time
            # is in memory, and no disk holds up the files of another.
            await _read(source, step, keep=False)
            async with self._rewrite_lock:
                data = await _read(source, step)
                step = await loop.run_in_executor(self._thread, resume, requests, data)
        store = self._reachable_store()
        if is_long and store is not None and file.validators.is_stable:
            self._store_threads.submit(_save, store, path, file.validators.revision, step)
        return step

    def _reachable_store(self) -> LayoutStore | None:
        """Give what keeps layouts, unless it did not answer just now."""
        return self._store if time.monotonic() >= self._store_retry_at else None

    async def _find_stored(
        self, path: str, source: OpenRepresentation, index: Span
    ) -> tuple[FastStartLayout | None] | None:
        """Give what was kept of a file whose index lies there; None where there is nothing."""
        file, store = source.representation, self._reachable_store()
        if store is None:
            return None
        loading = self._store_threads.submit(_load, store, path, file.validators.revision)
        try:
            async with asyncio.timeout(_LOAD_TIMEOUT):
                result = await asyncio.wrap_future(loading)
        except TimeoutError:
            self._store_retry_at = time.monotonic() + _STORE_RETRY_INTERVAL
            return None
        layout = result and result[0]
        if layout and (layout.old, layout.file_size) != (index, file.size):
            return None
        return result


def _save(store: LayoutStore, path: str, revision: str, layout: FastStartLayout | None) -> None:
    store.save(path, revision, _NO_LAYOUT if layout is None else layout.to_json())


def _load(store: LayoutStore, path: str, revision: str) -> tuple[FastStartLayout | None] | None:
    """Give what was kept of a file, if it is of this release."""
    data = store.load(path, revision)
    if data is None:
        return None
    try:
        return (None if data == _NO_LAYOUT else layout_from_json(data),)
    except ValueError:
        return None


async def _read(source: OpenRepresentation, span: Span, *, keep: bool = True) -> bytes:
    """Read what was asked for, and keep it or not. Raises ChangedError, StorageError."""
    try:
        async with (
            asyncio.timeout(_READ_TIMEOUT),
            aclosing(source.read(span, ChunkSizer())) as chunks,
        ):
            return b"".join([chunk async for chunk in chunks if keep])
    except TimeoutError as error:
        raise StorageError("The file takes too long to be read.") from error


class FastStartRepresentation:
    """One version of one file, open, in a layout of its own."""

    def __init__(self, source: OpenRepresentation, layout: FastStartLayout) -> None:
        self._source = source
        self._layout = layout
        file = source.representation
        validators = Validators(
            revision=fast_start_revision(file.validators.revision),
            last_modified=file.validators.last_modified,
            is_stable=file.validators.is_stable,
            date_is_validator=False,
        )
        self._representation = Representation(layout.size, file.content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    def read(
        self, span: Span, sizer: ChunkSizer, *, block_origin: int = 0
    ) -> AsyncGenerator[bytes]:
        """Read a span in pieces that suit the client. Raises ChangedError, StorageError."""
        # What is in front of the index comes before all else, and most of the media data behind it.
        block_origin -= self._layout.relocation.length
        segments = self._layout.map_span(span)
        if len(segments) == 1 and isinstance(segments[0], Span):
            return self._source.read(segments[0], sizer, block_origin=block_origin)
        return self._read(segments, sizer, block_origin)

    def close(self) -> None:
        self._source.close()

    async def _read(
        self, segments: list[Span | MoovSpan], sizer: ChunkSizer, block_origin: int
    ) -> AsyncGenerator[bytes]:
        for segment in segments:
            bytes_of = (
                self._read_moov(segment.span, sizer)
                if isinstance(segment, MoovSpan)
                else self._source.read(segment, sizer, block_origin=block_origin)
            )
            async with aclosing(bytes_of):
                async for chunk in bytes_of:
                    yield chunk

    async def _read_moov(self, span: Span, sizer: ChunkSizer) -> AsyncGenerator[bytes]:
        """Read a span of the rewritten index."""
        relocation = self._layout.relocation
        rewriter = MoovRewriter(relocation, span)
        # Small ones: the loop rewrites them.
        async with aclosing(self._source.read(relocation.source(span), ChunkSizer())) as old:
            async for data in old:
                try:
                    new = rewriter.feed(data)
                except ValueError as error:
                    raise ChangedError("The file changed while it was sent.") from error
                position = 0
                while position < len(new):  # offsets of 64 bits take twice as much
                    chunk = new[position : position + sizer.size]
                    position += len(chunk)
                    yield chunk
