"""A cache in memory of blocks of objects, which reads ahead for sequential readers.

A reader of a block waits for the store alone, never for another viewer. Where there is no room for
a block, its bytes are passed on without being kept."""

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple, Protocol

import structlog
from cachetools import LRUCache

from service.errors import IncompleteResponseError, ReelayError, StorageError
from service.metrics import Metrics
from service.protocol.ranges import Span
from service.storage.base import ChunkLength

_log = structlog.get_logger()

# Blocks that are prefetched at a time. They share the store's bandwidth with blocks that viewers
# wait for.
_MAX_PREFETCHES = 4

# Ends of blocks that were read to their end, by which a sequential reader is recognised: 200 bytes
# each.
_MAX_SEQUENTIAL_ENDS = 10_000


class ObjectVersion(NamedTuple):
    """A version of an object, as the store describes it."""

    path: str
    e_tag: str
    """As the store writes it, in quotes or not."""
    revision: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""


class Fetch(Protocol):
    """Fetches exactly the bytes of a span and yields them as they come from the store."""

    def __call__(
        self, version: ObjectVersion, span: Span, *, buffered: bool
    ) -> AsyncGenerator[bytes]:
        """`buffered`: the chunks are read at once and kept. Otherwise they go to a client."""
        ...


_Key = tuple[str, str, Span]


class _Block:
    """A block, or what has been received of it so far."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.chunks: list[bytes] = []
        """As received; a chunk of suitable length is passed on without a copy."""
        self.starts: list[int] = []
        """The offset of each chunk in the block."""
        self.received = 0
        self.error: Exception | None = None
        self.filling: asyncio.Task[None] | None = None
        self.waiting = 0
        """Readers that wait for more bytes of the block."""
        self.was_read = False
        """Whether a reader has read any of it."""
        self.next: Span | None = None
        """The span to prefetch once half of this block is there."""
        self._more = asyncio.Event()

    @property
    def complete(self) -> bool:
        return self.received == self.span.length

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.starts.append(self.received)
        self.received += len(chunk)
        self._wake()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._wake()

    async def read(self, position: int, length: int) -> bytes:
        """Return up to `length` bytes at `position` of the object; wait for at least one."""
        offset = position - self.span.start
        self.was_read = True
        self.waiting += 1
        try:
            while self.received <= offset and self.error is None:
                await self._more.wait()
        finally:
            self.waiting -= 1
        if self.received <= offset and self.error is not None:
            raise self.error.with_traceback(None)  # several readers may get it
        number = bisect_right(self.starts, offset) - 1
        chunk, first = self.chunks[number], offset - self.starts[number]
        return chunk[first : first + length]  # the whole of bytes is no copy

    def _wake(self) -> None:
        previous, self._more = self._more, asyncio.Event()
        previous.set()


class BlockCache:
    """The cached blocks of all objects."""

    def __init__(self, fetch: Fetch, block_size: int, max_bytes: int, metrics: Metrics) -> None:
        """Fetch blocks of `block_size` bytes with `fetch` and keep at most `max_bytes`."""
        self._fetch = fetch
        self._block_size = block_size
        self._max_bytes = max_bytes
        self._blocks: OrderedDict[_Key, _Block] = OrderedDict()
        """Least recently read first. No LRUCache: a block with waiting readers is not evicted."""
        self._buffered = 0
        self._prefetching = 0
        self._sequential_ends: LRUCache[tuple[str, str, int], None] = LRUCache(_MAX_SEQUENTIAL_ENDS)
        self._count = metrics.blocks
        metrics.block_cache_bytes.set_function(lambda: self._buffered)

    async def read(
        self, version: ObjectVersion, span: Span, chunk_length: ChunkLength, block_origin: int
    ) -> AsyncGenerator[bytes]:
        """Yield a span in chunks. Raises what `fetch` raises.

        Blocks begin at `block_origin` and at multiples of the block size from there.
        """
        position = span.start
        while position < span.end:
            block = self._block_at(version, position, block_origin)
            part = Span(position, min(span.end, block.end) - position)
            async with aclosing(self._read(version, block, part, chunk_length, span.end)) as chunks:
                async for chunk in chunks:
                    yield chunk
            position = part.end
            if position == block.end:
                self._record_end(version, position)

    def close(self) -> None:
        """Remove all blocks and fail their readers."""
        for key in list(self._blocks):
            self._remove(key).fail(StorageError("The service is about to end."))

    def _block_at(self, version: ObjectVersion, position: int, block_origin: int) -> Span:
        start = position - (position - block_origin) % self._block_size
        end = min(start + self._block_size, version.size)
        start = max(start, 0)
        return Span(start, end - start)

    async def _read(
        self,
        version: ObjectVersion,
        span: Span,
        part: Span,
        chunk_length: ChunkLength,
        request_end: int,
    ) -> AsyncGenerator[bytes]:
        """Yield a part of a block. `request_end` is where the whole request ends."""
        key = (version.path, version.e_tag, span)
        block = self._get(key)
        outcome = "held" if block is not None and block.complete else "shared"
        if block is None:
            block = self._start_fetch(version, span)
            outcome = "fetched" if block is not None else "passed"
        self._count.labels(outcome).inc()
        if block is not None and self._is_sequential(version, part, request_end):
            self._schedule_prefetch(version, block)
        position = part.start
        while block is not None and position < part.end:
            chunk = await block.read(position, min(chunk_length(), part.end - position))
            position += len(chunk)
            block = None  # it may be evicted while the client reads slowly
            yield chunk
            block = self._get(key)
        if position == part.end:
            return
        rest = Span(position, part.end - position)
        async with aclosing(self._fetch(version, rest, buffered=False)) as chunks:
            async for chunk in chunks:
                for start in range(0, len(chunk), size := chunk_length()):
                    yield chunk[start : start + size]

    def _get(self, key: _Key) -> _Block | None:
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
        return block

    def _start_fetch(
        self, version: ObjectVersion, span: Span, *, prefetch: bool = False
    ) -> _Block | None:
        """Start to fetch a block. Return None where there is no room for it."""
        if not self._evict_until_free(span.length, prefetch=prefetch):
            return None
        key = (version.path, version.e_tag, span)
        block = self._blocks[key] = _Block(span)
        self._buffered += span.length
        block.filling = asyncio.create_task(self._fill(version, key, block))
        return block

    async def _fill(self, version: ObjectVersion, key: _Key, block: _Block) -> None:
        try:
            async with aclosing(self._fetch(version, block.span, buffered=True)) as chunks:
                async for chunk in chunks:
                    block.add(chunk)
                    self._maybe_prefetch(version, block)
        except Exception as error:  # noqa: BLE001 # its readers get it
            if not isinstance(error, (ReelayError, IncompleteResponseError)):
                _log.exception("a block could not be fetched", path=version.path)
            block.fail(error)
            if self._blocks.get(key) is block:
                self._remove(key)

    def _evict_until_free(self, length: int, *, prefetch: bool) -> bool:
        """Evict the least recently read blocks that have no waiting readers. Return success."""
        if length > self._max_bytes:
            return False
        for key, block in list(self._blocks.items()):
            if self._buffered + length <= self._max_bytes:
                break
            # A prefetch must not evict what was prefetched for another reader.
            if not block.waiting and (block.was_read or not prefetch):
                self._remove(key)
        return self._buffered + length <= self._max_bytes

    def _remove(self, key: _Key) -> _Block:
        block = self._blocks.pop(key)
        self._buffered -= block.span.length
        if block.filling is not None:
            block.filling.cancel()
        return block

    def _record_end(self, version: ObjectVersion, position: int) -> None:
        self._sequential_ends[version.path, version.e_tag, position] = None

    def _is_sequential(self, version: ObjectVersion, part: Span, request_end: int) -> bool:
        """Return whether the reader continues after this part, or from the block before it."""
        from_before = (
            self._sequential_ends.pop((version.path, version.e_tag, part.start), True) is None
        )
        return from_before or request_end > part.end

    def _schedule_prefetch(self, version: ObjectVersion, block: _Block) -> None:
        if block.span.end == version.size:
            return
        length = min(self._block_size, version.size - block.span.end)
        block.next = Span(block.span.end, length)
        self._maybe_prefetch(version, block)

    def _maybe_prefetch(self, version: ObjectVersion, block: _Block) -> None:
        """Prefetch once half of the block is there, so that the store's latency is hidden."""
        if block.next is not None and 2 * block.received >= block.span.length:
            span, block.next = block.next, None
            block.waiting += 1  # keeps the prefetch from evicting this block
            self._prefetch(version, span)
            block.waiting -= 1

    def _prefetch(self, version: ObjectVersion, span: Span) -> None:
        key = (version.path, version.e_tag, span)
        if key in self._blocks or self._prefetching >= _MAX_PREFETCHES:
            return
        block = self._start_fetch(version, span, prefetch=True)
        if block is not None and block.filling is not None:
            self._count.labels("ahead").inc()
            self._prefetching += 1
            block.filling.add_done_callback(self._prefetch_done)

    def _prefetch_done(self, _: asyncio.Task[None]) -> None:
        self._prefetching -= 1
