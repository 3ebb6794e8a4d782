"""Opens films for players as MP4s into which their frames were copied, as far as these were made.

Such an MP4 is stored: the file is not read, and only its version says whether the MP4 is of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from service.errors import StorageError
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.protocol.revisions import (
    is_fragmented_layout,
    remuxed_revision,
    split_copied,
    split_remuxed,
)
from service.representations.remuxed import Blob, Opener, Parts, RemuxedRepresentation
from service.storage.base import ChunkLength, OpenRepresentation, min_chunk_length

# Seconds that opening an MP4 and reading from it may take.
_TIMEOUT = 10.0


class Copy(NamedTuple):
    """A stored MP4: its header, and the media data that follow it."""

    header: Blob
    """Empty for a fragmented form."""
    media: Blob
    content_type: str
    fragments: Parts | None = None
    """What makes a fragmented form of the media data."""


class Copies(Protocol):
    """The stored MP4s."""

    def find(self, path: str, revision: str) -> str | None:
        """Return the layout of the MP4 of a version of a file; None if none is ready."""
        ...

    async def open(self, path: str, revision: str, layout: str) -> Copy | None:
        """Open an MP4 or its fragmented form; None if it is not stored, or is another one.

        Raises OSError.
        """
        ...


class Copied:
    """Opens files as MP4s, where these have been made."""

    def __init__(self, opener: Opener, copies: Copies) -> None:
        """Use `opener` for files without an MP4."""
        self._opener = opener
        self._copies = copies

    async def open(self, path: str, pin: str | None) -> OpenRepresentation:
        """Open a file as `pin` names it; None: as MP4, if that has been made.

        Raises NotFoundError, ChangedError, StorageError.
        """
        pinned = split_copied(pin) if pin is not None else None
        source = await self._opener(path, pinned[0] if pinned else pin)
        validators = source.representation.validators
        revision = validators.revision
        if pin is not None and pinned is None:
            if revision == pin:
                return source
            pinned = split_remuxed(pin)  # it may be a fragmented form of the MP4
            if pinned is None or not is_fragmented_layout(pinned[1]):
                return source
        if pinned:
            layout = pinned[1] if pinned[0] == revision else None
        else:
            layout = self._copies.find(path, revision) if validators.is_stable else None
        if layout is None:
            return source
        try:
            copy = await self._open(path, revision, layout)
        except BaseException:
            source.close()
            raise
        if copy is None:
            return source
        source.close()
        of_copy = validators.of_layout(remuxed_revision(revision, layout))
        size = copy.header.length + copy.media.length
        opened = CopiedRepresentation(copy, Representation(size, copy.content_type, of_copy))
        if copy.fragments is None:
            return opened
        return RemuxedRepresentation(opened, copy.fragments, of_copy.revision)

    async def _open(self, path: str, revision: str, layout: str) -> Copy | None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await self._copies.open(path, revision, layout)
        except (OSError, TimeoutError) as error:
            raise StorageError("The MP4 of the film cannot be read.") from error


class CopiedRepresentation:
    """An open MP4."""

    def __init__(self, copy: Copy, representation: Representation) -> None:
        self._copy = copy
        self.representation = representation

    async def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises StorageError."""
        position = span.start
        while position < span.end:
            data = await self._read(position, min(chunk_length(), span.end - position))
            position += len(data)
            yield data

    async def _read(self, position: int, length: int) -> bytes:
        header, media = self._copy.header, self._copy.media
        try:
            async with asyncio.timeout(_TIMEOUT):
                if position < header.length:
                    return await header.read(position, min(length, header.length - position))
                return await media.read(position - header.length, length)
        except (OSError, TimeoutError) as error:
            raise StorageError("The MP4 of the film cannot be read.") from error

    def align_blocks(self, origin: int) -> None:
        """Do nothing: its bytes are not cached by blocks."""

    def close(self) -> None:
        """Do nothing: it is closed with the last reference to it."""
