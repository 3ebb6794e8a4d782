"""A Matroska file as a fragmented MP4: headers that were made before, and spans of the file in
turn."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple, Protocol

from service.errors import StorageError
from service.mp4.fragment_table import FragmentTable
from service.protocol.conditions import Validators
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.protocol.revisions import fragmented_revision
from service.storage.base import ChunkLength, OpenRepresentation, min_chunk_length

# Seconds that reading a part of a header may take.
_TIMEOUT = 10.0


class Blob(Protocol):
    """The bytes of a header, or of several."""

    @property
    def length(self) -> int: ...

    async def read(self, start: int, length: int) -> bytes:
        """Return bytes, perhaps fewer. Raises OSError."""
        ...


async def read_blob(blob: Blob, start: int, length: int) -> bytes:
    """Return bytes of a blob, perhaps fewer. Raises StorageError."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await blob.read(start, length)
    except (OSError, TimeoutError) as error:
        raise StorageError("The header of the film cannot be read.") from error


class FragmentHeaders(NamedTuple):
    """The stored headers of a fragmented MP4."""

    blob: Blob
    """Each compressed by zlib, and with 1 MiB at most (`remux/fragments.py`)."""
    table: FragmentTable
    content_type: str


class FragmentedRepresentation:
    """One open version of a file, as fragments."""

    def __init__(self, source: OpenRepresentation, headers: FragmentHeaders, digest: str) -> None:
        self._source = source
        self._headers = headers
        validators = source.representation.validators
        self._representation = Representation(
            headers.table.size,
            headers.content_type,
            Validators(
                revision=fragmented_revision(validators.revision, digest),
                last_modified=validators.last_modified,
                is_stable=validators.is_stable,
                date_is_validator=False,
            ),
        )

    @property
    def table(self) -> FragmentTable:
        """Where its parts are."""
        return self._headers.table

    @property
    def representation(self) -> Representation:
        return self._representation

    async def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises ChangedError, StorageError."""
        for number, part in self._headers.table.extents(span):
            if number is None:
                async with aclosing(self._source.read(part, chunk_length)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            else:
                header = await self._header(number)
                yield header[part.start : part.end]

    def align_blocks(self, origin: int) -> None:
        """Leave the blocks of the file as they are: each span is shifted otherwise."""

    def close(self) -> None:
        self._source.close()

    async def _header(self, number: int) -> bytes:
        table, data = self._headers.table, bytearray()
        position, end = table.stored[number], table.stored[number + 1]
        while position + len(data) < end:
            data += await read_blob(
                self._headers.blob, position + len(data), end - position - len(data)
            )
        try:
            header = zlib.decompress(data)
        except zlib.error as error:
            raise StorageError("A header of the film is damaged.") from error
        if len(header) != table.header_length(number):
            raise StorageError("A header of the film is damaged.")
        return header
