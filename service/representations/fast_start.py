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
    Layout,
    OfIndex,
    advance,
    lay_out,
    layout_from_json,
)
from service.mp4.sample_tables import Rewriter
from service.protocol.conditions import Validators
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.base import OpenRepresentation, Storage
from service.storage.send_pacing import ChunkSizer

# Bytes of layouts that are remembered. A film's takes some 1,000, however long its index is; that a
# file is left as it is takes 300.
_MAX_BYTES = 16 * 1024**2
_BYTES_OF_NONE = 300

# Bytes of an index that is looked into without a thread, and of which nothing is kept: it takes
# less than 10 ms. Of longer ones one is looked into at a time.
_SHORT = 64 * 1024

# Seconds that a read may take: others wait for it, and a disk may hang.
_LONGEST = 30.0

# Seconds that what was kept may take to be found; then it is worked out anew, and nothing is looked
# for there for some time: a disk or a store that is away takes longer for each.
_LONGEST_LOOK = 1.0
_AWAY_FOR = 30.0

# What is kept of a file that is given as it is.
_AS_IT_IS = b"null"


class Kept(Protocol):
    """Where layouts are kept, for the next start and other replicas. Blocks: for threads."""

    def load(self, path: str, revision: str) -> bytes | None:
        """Give what was kept of a version of a file, whole and as it was, if it can be read now."""
        ...

    def save(self, path: str, revision: str, data: bytes) -> None:
        """Keep that, if it can be."""
        ...


def laid_out_revision(revision: str) -> str:
    """Give the revision of the layout that is made of a file's revision."""
    return revision + SUFFIX


class FastStart:
    """The files of a storage as players get them."""

    def __init__(self, storage: Storage, kept: Kept | None = None) -> None:
        """Take the files, and what keeps what is worked out of them."""
        self._storage = storage
        self._kept = kept
        self._kept_is_away_until = 0.0
        self._layouts: LRUCache[tuple[str, str], Layout | None] = LRUCache(
            _MAX_BYTES, lambda layout: layout.rewriting.weight if layout else _BYTES_OF_NONE
        )
        self._under_way: dict[tuple[str, str], asyncio.Task[Layout | None]] = {}
        self._turn = asyncio.Lock()
        # Their own: who waits for a disk or a store has no share in them.
        self._thread = ThreadPoolExecutor(1, "index")
        self._keeping = ThreadPoolExecutor(2, "layouts")

    def close(self) -> None:
        """Release the threads without waiting for what they wait for."""
        for threads in (self._thread, self._keeping):
            threads.shutdown(wait=False, cancel_futures=True)

    async def open(self, path: str, pin: str | None) -> OpenRepresentation:
        """Open a media file by its path, in the layout that `pin` names, or else players' own.

        Raises NotFoundError, ChangedError, StorageError.
        """
        source = await self._storage.open(path, pin and pin.removesuffix(SUFFIX))
        revision = source.representation.validators.revision
        if pin is not None and pin != laid_out_revision(revision):
            return source
        try:
            layout = await self._layout(path, revision)
        except BaseException:
            source.close()
            raise
        return source if layout is None else FastStartRepresentation(source, layout)

    async def _layout(self, path: str, revision: str) -> Layout | None:
        name = path, revision
        if name in self._layouts:
            return self._layouts[name]
        task = self._under_way.get(name)
        if task is None:
            task = self._under_way[name] = asyncio.create_task(self._work_out(path, revision))
            task.add_done_callback(lambda _: self._under_way.pop(name))
        return await asyncio.shield(task)  # others wait for it, whoever leaves

    async def _work_out(self, path: str, revision: str) -> Layout | None:
        source = await self._storage.open(path)  # who asked may close theirs
        try:
            current = source.representation.validators
            layout = await self._lay_out(path, source)
        finally:
            source.close()
        if current.revision != revision:
            raise ChangedError("The file was replaced just now.")
        if current.settled:
            with suppress(ValueError):  # one may be larger than all that is remembered
                self._layouts[path, revision] = layout
        return layout

    async def _lay_out(self, path: str, source: OpenRepresentation) -> Layout | None:
        file = source.representation
        asking = lay_out(file.size)
        step = advance(asking, None)
        loop = asyncio.get_running_loop()
        long = False
        while isinstance(step, Span):
            if step.length <= _SHORT:
                step = advance(asking, await _read(source, step))
                continue
            long = True
            found = await self._find(path, source, step)
            if found is not None:
                return found[0]
            # First what the disk may take its time for, of which nothing is kept. So one at a time
            # is in memory, and no disk holds up the files of another.
            await _read(source, step, keep=False)
            async with self._turn:
                data = await _read(source, step)
                step = await loop.run_in_executor(self._thread, advance, asking, data)
        kept = self._reachable()
        if long and kept is not None and file.validators.settled:
            self._keeping.submit(_keep, kept, path, file.validators.revision, step)
        return step

    def _reachable(self) -> Kept | None:
        """Give what keeps layouts, unless it did not answer just now."""
        return self._kept if time.monotonic() >= self._kept_is_away_until else None

    async def _find(
        self, path: str, source: OpenRepresentation, index: Span
    ) -> tuple[Layout | None] | None:
        """Give what was kept of a file whose index lies there; None where there is nothing."""
        file, kept = source.representation, self._reachable()
        if kept is None:
            return None
        looking = self._keeping.submit(_look, kept, path, file.validators.revision)
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                found = await asyncio.wrap_future(looking)
        except TimeoutError:
            self._kept_is_away_until = time.monotonic() + _AWAY_FOR
            return None
        layout = found and found[0]
        if layout and (layout.old, layout.file_size) != (index, file.size):
            return None
        return found


def _keep(kept: Kept, path: str, revision: str, layout: Layout | None) -> None:
    kept.save(path, revision, _AS_IT_IS if layout is None else layout.to_json())


def _look(kept: Kept, path: str, revision: str) -> tuple[Layout | None] | None:
    """Give what was kept of a file, if it is of this release."""
    data = kept.load(path, revision)
    if data is None:
        return None
    try:
        return (None if data == _AS_IT_IS else layout_from_json(data),)
    except ValueError:
        return None


async def _read(source: OpenRepresentation, span: Span, *, keep: bool = True) -> bytes:
    """Read what was asked for, and keep it or not. Raises ChangedError, StorageError."""
    try:
        async with asyncio.timeout(_LONGEST), aclosing(source.read(span, ChunkSizer())) as chunks:
            return b"".join([piece async for piece in chunks if keep])
    except TimeoutError as error:
        raise StorageError("The file takes too long to be read.") from error


class FastStartRepresentation:
    """One version of one file, open, in a layout of its own."""

    def __init__(self, source: OpenRepresentation, layout: Layout) -> None:
        self._source = source
        self._layout = layout
        file = source.representation
        validators = Validators(
            revision=laid_out_revision(file.validators.revision),
            last_modified=file.validators.last_modified,
            settled=file.validators.settled,
            dated=False,
        )
        self._representation = Representation(layout.size, file.content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    def read(self, span: Span, sizer: ChunkSizer, *, grid: int = 0) -> AsyncGenerator[bytes]:
        """Read a span in pieces that suit the client. Raises ChangedError, StorageError."""
        # What is in front of the index comes before all else, and most of the media data behind it.
        grid -= self._layout.rewriting.length
        parts = self._layout.parts(span)
        if len(parts) == 1 and isinstance(parts[0], Span):
            return self._source.read(parts[0], sizer, grid=grid)
        return self._read(parts, sizer, grid)

    def close(self) -> None:
        self._source.close()

    async def _read(
        self, parts: list[Span | OfIndex], sizer: ChunkSizer, grid: int
    ) -> AsyncGenerator[bytes]:
        for part in parts:
            bytes_of = (
                self._rewritten(part.span, sizer)
                if isinstance(part, OfIndex)
                else self._source.read(part, sizer, grid=grid)
            )
            async with aclosing(bytes_of):
                async for piece in bytes_of:
                    yield piece

    async def _rewritten(self, span: Span, sizer: ChunkSizer) -> AsyncGenerator[bytes]:
        """Read a span of the rewritten index."""
        rewriting = self._layout.rewriting
        rewriter = Rewriter(rewriting, span)
        # Small ones: the loop rewrites them.
        async with aclosing(self._source.read(rewriting.source(span), ChunkSizer())) as old:
            async for data in old:
                try:
                    new = rewriter.feed(data)
                except ValueError as error:
                    raise ChangedError("The file changed while it was sent.") from error
                position = 0
                while position < len(new):  # offsets of 64 bits take twice as much
                    piece = new[position : position + sizer.size]
                    position += len(piece)
                    yield piece
