"""Opens files for players as MP4: a header that was made before, then the file itself, perhaps with
sound or headers of fragments between its parts.

The file's bytes are not changed, and what was made stays in its store. It is only used with the
version of the file that it was made from, and its digest is a part of the revision."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import NamedTuple, Protocol

from cachetools import TTLCache

from service.errors import StorageError
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.protocol.revisions import file_part, remuxed_revision, split_remuxed
from service.representations.interleaving import WHOLE, Interleaving, Source, map_span
from service.storage.base import ChunkLength, OpenRepresentation, min_chunk_length

# Layouts that are kept open, and seconds for which they are: a descriptor or two each, the room of
# what was deleted to make room, and 16 bytes for each second of what is inserted, or for half a
# second if the film has many bytes.
_MAX_OPEN, _MAX_OPEN_SECONDS = 128, 60.0

# Seconds that opening what was made and reading from it may take.
_TIMEOUT = 10.0


class Blob(Protocol):
    """The bytes of a header, or of what is inserted."""

    @property
    def length(self) -> int: ...

    async def read(self, start: int, length: int) -> bytes:
        """Return bytes, perhaps fewer. Raises OSError."""
        ...


class Parts(NamedTuple):
    """What was made for a file."""

    header: Blob
    content_type: str
    """Of the MP4 that it makes."""
    interleaving: Interleaving = WHOLE
    """Where bytes are inserted."""
    inserted: Blob | None = None
    base: "Parts | None" = None
    """What was made for the file first, in place of which this one is. It has no header."""


class NoHeader:
    """The header of a layout without one."""

    length = 0

    async def read(self, start: int, length: int) -> bytes:  # noqa: ARG002 # as in `Blob`
        """Return nothing."""
        return b""


class Layouts(Protocol):
    """The layouts that are stored. Their names are those in revisions."""

    def find(self, path: str, revision: str) -> str | None:
        """Return the layout in which players get a version of a file; None if none is ready."""
        ...

    async def open(self, path: str, revision: str, layout: str) -> Parts | None:
        """Open a layout; None if it is not stored. Raises OSError."""
        ...


Opener = Callable[[str, str | None], Awaitable[OpenRepresentation]]


class Remuxed:
    """Opens files in their layouts, as far as these have been made."""

    def __init__(self, opener: Opener, layouts: Layouts) -> None:
        """Use `opener` for files, also for those without a layout."""
        self._opener = opener
        self._layouts = layouts
        self._open_layouts: TTLCache[tuple[str, str, str], Parts] = TTLCache(
            _MAX_OPEN, _MAX_OPEN_SECONDS
        )
        self._in_flight: dict[tuple[str, str, str], asyncio.Task[Parts | None]] = {}

    async def open(self, path: str, pin: str | None) -> OpenRepresentation:
        """Open a file as `pin` names it; None: in its layout, if that has been made.

        Raises NotFoundError, ChangedError, StorageError.
        """
        pinned = split_remuxed(pin) if pin is not None else None
        source = await self._opener(path, pinned[0] if pinned else pin)
        if pin is not None and pinned is None:
            return source
        if pinned is None:
            source = await self._unchanged(path, source)
        try:
            found = await self._find(path, source.representation, pinned)
        except BaseException:
            source.close()
            raise
        if found is None:
            return source
        parts, layout = found
        revision = remuxed_revision(source.representation.validators.revision, layout)
        if parts.base is not None:
            source = RemuxedRepresentation(source, parts.base, revision)
        return RemuxedRepresentation(source, parts, revision)

    async def _unchanged(self, path: str, source: OpenRepresentation) -> OpenRepresentation:
        """Return the file itself in place of an MP4 with its index in front, if it has a layout."""
        revision = source.representation.validators.revision
        plain = file_part(revision)
        if plain == revision or self._layouts.find(path, plain) is None:
            return source
        source.close()
        return await self._opener(path, plain)

    async def _find(
        self, path: str, file: Representation, pinned: tuple[str, str] | None
    ) -> tuple[Parts, str] | None:
        """Return the layout of an open file and its name; None: serve the file as it is."""
        revision = file.validators.revision
        if pinned:
            layout = pinned[1] if pinned[0] == revision else None
        else:
            layout = self._layouts.find(path, revision) if file.validators.is_stable else None
        if layout is None:
            return None
        name = path, revision, layout
        parts = self._open_layouts.get(name)
        if parts is None:
            task = self._in_flight.get(name)
            if task is None:
                task = self._in_flight[name] = asyncio.create_task(self._load(name))
                task.add_done_callback(lambda _: self._in_flight.pop(name))
            parts = await asyncio.shield(task)  # others may wait for it, too
        return None if parts is None else (parts, layout)

    async def _load(self, name: tuple[str, str, str]) -> Parts | None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                parts = await self._layouts.open(*name)
        except (OSError, TimeoutError) as error:
            raise StorageError("What makes the film an MP4 cannot be read.") from error
        if parts is not None:
            self._open_layouts[name] = parts
            loop = asyncio.get_running_loop()
            loop.call_later(_MAX_OPEN_SECONDS + 1, self._open_layouts.expire)
        return parts


class RemuxedRepresentation:
    """One open version of a file, in a layout."""

    def __init__(self, source: OpenRepresentation, parts: Parts, revision: str) -> None:
        self._source = source
        self._parts = parts
        # With bytes inserted, blocks of storage are those of the whole at the start only.
        self.align_blocks(0)
        file = source.representation
        validators = file.validators.of_layout(revision)
        size = parts.header.length + file.size + parts.interleaving.inserted
        self._representation = Representation(size, parts.content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises ChangedError, StorageError."""
        header, file = self._parts.header.length, self._source.representation.size
        spans = map_span(self._parts.interleaving, header, file, span)
        if span.start >= header and not self._parts.interleaving.cuts:
            return self._source.read(next(spans)[1], chunk_length)
        return self._read(spans, chunk_length)

    def align_blocks(self, origin: int) -> None:
        self._source.align_blocks(origin - self._parts.header.length)

    def close(self) -> None:
        self._source.close()

    async def _read(
        self, spans: Iterator[tuple[Source, Span]], chunk_length: ChunkLength
    ) -> AsyncGenerator[bytes]:
        blobs = {Source.HEADER: self._parts.header, Source.INSERTED: self._parts.inserted}
        for source, span in spans:
            blob = blobs.get(source)
            bytes_of = (
                self._source.read(span, chunk_length)
                if blob is None
                else _read_blob(blob, span, chunk_length)
            )
            async with aclosing(bytes_of):
                async for chunk in bytes_of:
                    yield chunk


async def _read_blob(blob: Blob, span: Span, chunk_length: ChunkLength) -> AsyncGenerator[bytes]:
    position = span.start
    while position < span.end:
        try:
            async with asyncio.timeout(_TIMEOUT):
                data = await blob.read(position, min(chunk_length(), span.end - position))
        except (OSError, TimeoutError) as error:
            raise StorageError("What makes the film an MP4 cannot be read.") from error
        position += len(data)
        yield data
