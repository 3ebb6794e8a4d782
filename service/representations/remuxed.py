"""Opens Matroska files for players as MP4: a header that was made before, then the file itself.

The file's bytes are not changed, and the header stays in its store. It is only used with the
version of the file that it was made from, and its digest is a part of the revision."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import NamedTuple, Protocol

from cachetools import LRUCache

from service.errors import StorageError
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.protocol.revisions import remuxed_revision, split_remuxed
from service.storage.base import ChunkLength, OpenRepresentation, min_chunk_length

# Headers that are kept open: a descriptor each, and no bytes.
_MAX_OPEN = 128

# Seconds that opening a header and reading from it may take.
_TIMEOUT = 10.0


class Blob(Protocol):
    """The bytes of a header."""

    @property
    def length(self) -> int: ...

    async def read(self, start: int, length: int) -> bytes:
        """Return bytes, perhaps fewer. Raises OSError."""
        ...


class Header(NamedTuple):
    """A stored header."""

    blob: Blob
    content_type: str
    """Of the MP4 that it makes."""


class Headers(Protocol):
    """The stored headers."""

    def digest(self, path: str, revision: str) -> str | None:
        """Return the digest of the header of a version of a file; None if none is ready."""
        ...

    async def open(self, path: str, revision: str, digest: str) -> Header | None:
        """Open a header; None if it is not stored, or has another digest. Raises OSError."""
        ...


Opener = Callable[[str, str | None], Awaitable[OpenRepresentation]]


class Remuxed:
    """Opens files with their headers, as far as these have been made."""

    def __init__(self, opener: Opener, headers: Headers) -> None:
        """Use `opener` for files, also for those without a header."""
        self._opener = opener
        self._headers = headers
        self._open_headers: LRUCache[tuple[str, str, str], Header] = LRUCache(_MAX_OPEN)
        self._in_flight: dict[tuple[str, str, str], asyncio.Task[Header | None]] = {}

    async def open(self, path: str, pin: str | None) -> OpenRepresentation:
        """Open a file as `pin` names it; None: with its header, if that has been made.

        Raises NotFoundError, ChangedError, StorageError.
        """
        pinned = split_remuxed(pin) if pin is not None else None
        source = await self._opener(path, pinned[0] if pinned else pin)
        if pin is not None and pinned is None:
            return source
        try:
            header = await self._header(path, source.representation, pinned)
        except BaseException:
            source.close()
            raise
        if header is None:
            return source
        return RemuxedRepresentation(source, header[0], header[1])

    async def _header(
        self, path: str, file: Representation, pinned: tuple[str, str] | None
    ) -> tuple[Header, str] | None:
        """Return the header and its digest for an open file; None: serve the file as it is."""
        validators = file.validators
        if not validators.is_stable or (pinned and pinned[0] != validators.revision):
            return None
        revision = validators.revision
        digest = pinned[1] if pinned else self._headers.digest(path, revision)
        if digest is None:
            return None
        name = path, revision, digest
        header = self._open_headers.get(name)
        if header is None:
            task = self._in_flight.get(name)
            if task is None:
                task = self._in_flight[name] = asyncio.create_task(self._load(name))
                task.add_done_callback(lambda _: self._in_flight.pop(name))
            header = await asyncio.shield(task)  # others may wait for it, too
        return None if header is None else (header, digest)

    async def _load(self, name: tuple[str, str, str]) -> Header | None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                header = await self._headers.open(*name)
        except (OSError, TimeoutError) as error:
            raise StorageError("The header of the film cannot be read.") from error
        if header is not None:
            self._open_headers[name] = header
        return header


class RemuxedRepresentation:
    """One open version of a file, after its header."""

    def __init__(self, source: OpenRepresentation, header: Header, digest: str) -> None:
        self._source = source
        self._blob = header.blob
        self.align_blocks(0)
        file = source.representation
        revision = remuxed_revision(file.validators.revision, digest)
        validators = file.validators.of_layout(revision)
        size = self._blob.length + file.size
        self._representation = Representation(size, header.content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises ChangedError, StorageError."""
        length = self._blob.length
        if span.start >= length:
            return self._source.read(Span(span.start - length, span.length), chunk_length)
        return self._read(span, chunk_length)

    def align_blocks(self, origin: int) -> None:
        self._source.align_blocks(origin - self._blob.length)

    def close(self) -> None:
        self._source.close()

    async def _read(self, span: Span, chunk_length: ChunkLength) -> AsyncGenerator[bytes]:
        position, end = span.start, min(span.end, self._blob.length)
        while position < end:
            data = await self._read_header(position, min(chunk_length(), end - position))
            position += len(data)
            yield data
        if span.end > end:
            rest = Span(0, span.end - end)
            async with aclosing(self._source.read(rest, chunk_length)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _read_header(self, start: int, length: int) -> bytes:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await self._blob.read(start, length)
        except (OSError, TimeoutError) as error:
            raise StorageError("The header of the film cannot be read.") from error
