"""Blocks of objects, held in memory for who asks for the same, or reads on.
Law: who waits for a block waits for the store alone, never for another viewer; what is held has a
bound, and where there is no room for a block, its bytes go past it."""

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
from service.storage.send_pacing import ChunkSizer

_log = structlog.get_logger()

# Blocks that are read ahead at a time: they share the way to the store with those that viewers wait
# for.
_MOST_AHEAD = 4

# Ends of blocks that somebody has read up to, by which it is seen that he reads on: 200 bytes each.
_MOST_ENDS = 10_000


class Version(NamedTuple):
    """A version of an object, as its store tells of it."""

    path: str
    e_tag: str
    """As the store writes it."""
    revision: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""


class Fetch(Protocol):
    """Gives the bytes of a span, exactly so many, as they come from the store."""

    def __call__(self, version: Version, span: Span, *, held: bool) -> AsyncGenerator[bytes]:
        """`held`: they are taken at once, and held. Otherwise a client takes them."""
        ...


_Key = tuple[str, str, Span]


class _Block:
    """A block, or what has come of it yet."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.chunks: list[bytes] = []
        """As they came; where they suit the client they are given so, without a copy."""
        self.starts: list[int] = []
        """Where each begins in the block."""
        self.received = 0
        self.error: Exception | None = None
        self.filling: asyncio.Task[None] | None = None
        self.waiting = 0
        """Readers that wait for its next bytes."""
        self.taken = False
        """Whether anybody has read of it."""
        self.next: Span | None = None
        """What is to be read ahead."""
        self._more = asyncio.Event()

    @property
    def whole(self) -> bool:
        return self.received == self.span.length

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.starts.append(self.received)
        self.received += len(chunk)
        self._wake()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._wake()

    async def piece(self, position: int, length: int) -> bytes:
        """Give so many bytes of the object, or fewer if more have not come yet."""
        offset = position - self.span.start
        self.taken = True
        self.waiting += 1
        try:
            while self.received <= offset and self.error is None:
                await self._more.wait()
        finally:
            self.waiting -= 1
        if self.received <= offset and self.error is not None:
            raise self.error.with_traceback(None)  # it may be raised to several
        number = bisect_right(self.starts, offset) - 1
        chunk, first = self.chunks[number], offset - self.starts[number]
        return chunk[first : first + length]  # all of it is itself, and no copy

    def _wake(self) -> None:
        more, self._more = self._more, asyncio.Event()
        more.set()


class Blocks:
    """The blocks that are held, of all objects."""

    def __init__(self, fetch: Fetch, block: int, most: int, metrics: Metrics) -> None:
        """Take what fetches; `block` is a block's length, `most` the most that is held: bytes."""
        self._fetch = fetch
        self._block = block
        self._most = most
        self._blocks: OrderedDict[_Key, _Block] = OrderedDict()
        """Last comes what was read last. No LRUCache: a block that is waited for is not evicted."""
        self._held = 0
        self._ahead = 0
        self._ends: LRUCache[tuple[str, str, int], None] = LRUCache(_MOST_ENDS)
        self._count = metrics.blocks
        metrics.block_cache_bytes.set_function(lambda: self._held)

    async def read(
        self, version: Version, span: Span, sizer: ChunkSizer, grid: int
    ) -> AsyncGenerator[bytes]:
        """Give a span in pieces that suit the client. Blocks begin at `grid`, and each where the
        one before ends. Raises what fetching raises.
        """
        position = span.start
        while position < span.end:
            block = self._block_at(version, position, grid)
            part = Span(position, min(span.end, block.end) - position)
            async with aclosing(self._read(version, block, part, sizer, span.end)) as found:
                async for piece in found:
                    yield piece
            position = part.end
            if position == block.end:
                self._note_end(version, position)

    def close(self) -> None:
        """Let go of everything."""
        for key in list(self._blocks):
            self._forget(key).fail(StorageError("The service is about to end."))

    def _block_at(self, version: Version, position: int, grid: int) -> Span:
        start = position - (position - grid) % self._block
        end = min(start + self._block, version.size)
        start = max(start, 0)
        return Span(start, end - start)

    async def _read(
        self, version: Version, span: Span, part: Span, sizer: ChunkSizer, until: int
    ) -> AsyncGenerator[bytes]:
        """Give a part of a block. `until` is where the reader wants to get to."""
        key = (version.path, version.e_tag, span)
        block = self._find(key)
        found = "held" if block is not None and block.whole else "shared"
        if block is None:
            block = self._begin(version, span)
            found = "fetched" if block is not None else "passed"
        self._count.labels(found).inc()
        if block is not None and self._reads_on(version, part, until):
            self._read_ahead_after(version, block)
        position = part.start
        while block is not None and position < part.end:
            piece = await block.piece(position, min(sizer.size, part.end - position))
            position += len(piece)
            block = None  # it may have to go while the client takes its time
            yield piece
            block = self._find(key)
        if position == part.end:
            return
        rest = Span(position, part.end - position)
        async with aclosing(self._fetch(version, rest, held=False)) as chunks:
            async for chunk in chunks:
                for start in range(0, len(chunk), size := sizer.size):
                    yield chunk[start : start + size]

    def _find(self, key: _Key) -> _Block | None:
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
        return block

    def _begin(self, version: Version, span: Span, *, ahead: bool = False) -> _Block | None:
        """Begin to fetch a block. None where there is no room for it."""
        if not self._make_room(span.length, ahead=ahead):
            return None
        key = (version.path, version.e_tag, span)
        block = self._blocks[key] = _Block(span)
        self._held += span.length
        block.filling = asyncio.create_task(self._fill(version, key, block))
        return block

    async def _fill(self, version: Version, key: _Key, block: _Block) -> None:
        try:
            async with aclosing(self._fetch(version, block.span, held=True)) as chunks:
                async for chunk in chunks:
                    block.add(chunk)
                    self._go_on(version, block)
        except Exception as error:  # noqa: BLE001 # whoever waits for it is told
            if not isinstance(error, (ReelayError, IncompleteResponseError)):
                _log.exception("a block could not be fetched", path=version.path)
            block.fail(error)
            if self._blocks.get(key) is block:
                self._forget(key)

    def _make_room(self, length: int, *, ahead: bool) -> bool:
        """Let go of what was read longest ago, but of nothing that somebody waits for."""
        if length > self._most:
            return False
        for key, block in list(self._blocks.items()):
            if self._held + length <= self._most:
                break
            # What is read ahead must not push out what has been read ahead for another.
            if not block.waiting and (block.taken or not ahead):
                self._forget(key)
        return self._held + length <= self._most

    def _forget(self, key: _Key) -> _Block:
        block = self._blocks.pop(key)
        self._held -= block.span.length
        if block.filling is not None:
            block.filling.cancel()
        return block

    def _note_end(self, version: Version, position: int) -> None:
        self._ends[version.path, version.e_tag, position] = None

    def _reads_on(self, version: Version, part: Span, until: int) -> bool:
        """Whether the reader goes on behind this part, or comes here from the block before it."""
        from_before = self._ends.pop((version.path, version.e_tag, part.start), True) is None
        return from_before or until > part.end

    def _read_ahead_after(self, version: Version, block: _Block) -> None:
        if block.span.end == version.size:
            return
        length = min(self._block, version.size - block.span.end)
        block.next = Span(block.span.end, length)
        self._go_on(version, block)

    def _go_on(self, version: Version, block: _Block) -> None:
        """Read ahead when half a block is there: what a store takes to begin is over by its end."""
        if block.next is not None and 2 * block.received >= block.span.length:
            span, block.next = block.next, None
            block.waiting += 1  # what is read ahead must not push out the one it is ahead of
            self._read_ahead(version, span)
            block.waiting -= 1

    def _read_ahead(self, version: Version, span: Span) -> None:
        key = (version.path, version.e_tag, span)
        if key in self._blocks or self._ahead >= _MOST_AHEAD:
            return
        block = self._begin(version, span, ahead=True)
        if block is not None and block.filling is not None:
            self._count.labels("ahead").inc()
            self._ahead += 1
            block.filling.add_done_callback(self._one_ahead_less)

    def _one_ahead_less(self, _: asyncio.Task[None]) -> None:
        self._ahead -= 1
