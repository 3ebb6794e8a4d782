"""Opens files for players: with the index in front, if the file has it after its media data, and
with a clock from 0, if that of an MP4 begins later.

A layout is only used with the version of the file that it was made from. The file itself is not
changed, and no index is kept in memory: it is rewritten as it is sent."""

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
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.base import ChunkLength, OpenRepresentation, Storage, min_chunk_length

# Bytes of cached layouts. A film's has some 1,000, however long its index is; an entry for an
# unchanged file has 300.
_MAX_BYTES = 16 * 1024**2
_NO_LAYOUT_WEIGHT = 300

# Bytes of an index that is parsed in the event loop and not stored: it takes less than 10 ms.
# Longer ones are parsed in a thread, one at a time.
_SHORT_MOOV = 64 * 1024

# Seconds that a read may take: other requests wait for it, and a disk may hang.
_READ_TIMEOUT = 30.0

# Seconds that loading a stored layout may take. Then it is computed again, and the store is not
# used for some time, so that a store that is down does not delay every request.
_LOAD_TIMEOUT = 1.0
_STORE_RETRY_INTERVAL = 30.0

# What is stored for a file that is served unchanged.
_NO_LAYOUT = b"null"


class LayoutStore(Protocol):
    """Stores layouts for the next start and other replicas. Blocks: use it in threads."""

    def load(self, path: str, revision: str) -> bytes | None:
        """Return what was stored for a version of a file; None if nothing can be read."""
        ...

    def save(self, path: str, revision: str, data: bytes) -> None:
        """Store it, if possible."""
        ...


def fast_start_revision(revision: str) -> str:
    """Return the revision of the layout of a file by the file's revision."""
    return revision + SUFFIX


class FastStart:
    """Opens the files of a storage with the index in front."""

    def __init__(self, storage: Storage, store: LayoutStore | None = None) -> None:
        """Use a storage of files and a store of layouts, if any."""
        self._storage = storage
        self._store = store
        self._store_retry_at = 0.0
        self._layouts: LRUCache[tuple[str, str], FastStartLayout | None] = LRUCache(
            _MAX_BYTES, lambda layout: layout.relocation.weight if layout else _NO_LAYOUT_WEIGHT
        )
        self._in_flight: dict[tuple[str, str], asyncio.Task[FastStartLayout | None]] = {}
        self._rewrite_lock = asyncio.Lock()
        # Separate threads, so that slow disks and stores do not delay each other.
        self._thread = ThreadPoolExecutor(1, "index")
        self._store_threads = ThreadPoolExecutor(2, "layouts")

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        for threads in (self._thread, self._store_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def open(self, path: str, pin: str | None) -> OpenRepresentation:
        """Open a media file in the layout that `pin` names; None: with the index in front.

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
        return await asyncio.shield(task)  # others may wait for it, too

    async def _compute_layout(self, path: str, revision: str) -> FastStartLayout | None:
        source = await self._storage.open(path)  # the caller may close its own
        try:
            current = source.representation.validators
            layout = await self._read_layout(path, source)
        finally:
            source.close()
        if current.revision != revision:
            raise ChangedError("The file was replaced just now.")
        if current.is_stable:
            with suppress(ValueError):  # one may be larger than the cache
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
            # Read it once into the disk cache, before the lock. So only one index is in memory, and
            # a slow disk does not delay the files of another.
            await _read(source, step, keep=False)
            async with self._rewrite_lock:
                data = await _read(source, step)
                step = await loop.run_in_executor(self._thread, resume, requests, data)
        store = self._reachable_store()
        if is_long and store is not None and file.validators.is_stable:
            self._store_threads.submit(_save, store, path, file.validators.revision, step)
        return step

    def _reachable_store(self) -> LayoutStore | None:
        """Return the store of layouts, unless it timed out recently."""
        return self._store if time.monotonic() >= self._store_retry_at else None

    async def _find_stored(
        self, path: str, source: OpenRepresentation, index: Span
    ) -> tuple[FastStartLayout | None] | None:
        """Return the stored layout of a file with this index in a tuple; None if there is none."""
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
    """Return the stored layout in a tuple; None if there is none of this release."""
    data = store.load(path, revision)
    if data is None:
        return None
    try:
        return (None if data == _NO_LAYOUT else layout_from_json(data),)
    except ValueError:
        return None


async def _read(source: OpenRepresentation, span: Span, *, keep: bool = True) -> bytes:
    """Return a span, or nothing without `keep`. Raises ChangedError, StorageError."""
    try:
        async with asyncio.timeout(_READ_TIMEOUT), aclosing(source.read(span)) as chunks:
            return b"".join([chunk async for chunk in chunks if keep])
    except TimeoutError as error:
        raise StorageError("The file takes too long to be read.") from error


class FastStartRepresentation:
    """One open version of a file, with its index in front."""

    def __init__(self, source: OpenRepresentation, layout: FastStartLayout) -> None:
        self._source = source
        self._layout = layout
        # Align blocks with the media data after the index, as little precedes it.
        source.align_blocks(-layout.displacement)
        file = source.representation
        revision = fast_start_revision(file.validators.revision)
        validators = file.validators.of_layout(revision)
        self._representation = Representation(layout.size, file.content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises ChangedError, StorageError."""
        segments = self._layout.map_span(span)
        if len(segments) == 1 and isinstance(segments[0], Span):
            return self._source.read(segments[0], chunk_length)
        return self._read(segments, chunk_length)

    def align_blocks(self, origin: int) -> None:
        self._source.align_blocks(origin - self._layout.displacement)

    def close(self) -> None:
        self._source.close()

    async def _read(
        self, segments: list[Span | MoovSpan], chunk_length: ChunkLength
    ) -> AsyncGenerator[bytes]:
        for segment in segments:
            bytes_of = (
                self._read_moov(segment.span, chunk_length)
                if isinstance(segment, MoovSpan)
                else self._source.read(segment, chunk_length)
            )
            async with aclosing(bytes_of):
                async for chunk in bytes_of:
                    yield chunk

    async def _read_moov(self, span: Span, chunk_length: ChunkLength) -> AsyncGenerator[bytes]:
        """Yield a span of the rewritten index."""
        relocation = self._layout.relocation
        rewriter = MoovRewriter(relocation, span)
        # Minimum chunks, as the event loop rewrites them.
        async with aclosing(self._source.read(relocation.source(span))) as old:
            async for data in old:
                try:
                    new = rewriter.feed(data)
                except ValueError as error:
                    raise ChangedError("The file changed while it was sent.") from error
                position = 0
                while position < len(new):  # 64-bit offsets take twice the bytes
                    chunk = new[position : position + chunk_length()]
                    position += len(chunk)
                    yield chunk
