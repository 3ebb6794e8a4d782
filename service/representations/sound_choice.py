"""Opens MP4s for players with another of their sounds first, because browsers play the first one.

Only the order of the tracks in the index and their flags change. So the revision consists of the
MP4's revision and the place of the sound."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from cachetools import LRUCache

from service.errors import StorageError
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.protocol.revisions import split_sound_first
from service.representations.remuxed import Opener
from service.representations.sound_order import SoundOrder, plan_sound_order
from service.storage.base import ChunkLength, OpenRepresentation, min_chunk_length

_MAX_ORDERS = 4096  # some 500 bytes each
_TIMEOUT = 30.0  # seconds that finding the tracks of an MP4 may take


class SoundChoice:
    """Opens files with a sound first, if the revision names one."""

    def __init__(self, opener: Opener) -> None:
        """Use `opener` for files with their tracks as they are."""
        self._opener = opener
        self._orders: LRUCache[tuple[str, str], SoundOrder | None] = LRUCache(_MAX_ORDERS)

    async def open(self, path: str, pin: str | None) -> OpenRepresentation:
        """Open the revision `pin` of a file; None: the one that `opener` chooses.

        If there is no such sound, the tracks are left as they are. Raises NotFoundError,
        ChangedError, StorageError.
        """
        named = split_sound_first(pin) if pin is not None else None
        if pin is None or named is None:
            return await self._opener(path, pin)
        revision, place = named
        source = await self._opener(path, revision)
        validators = source.representation.validators
        if validators.revision != revision:
            return source
        key = path, pin
        try:
            is_known = key in self._orders
            order = self._orders[key] if is_known else await _find_order(source, place)
        except BaseException:
            source.close()
            raise
        if validators.is_stable:
            self._orders[key] = order
        return source if order is None else SoundChoiceRepresentation(source, order, pin)


async def _find_order(source: OpenRepresentation, place: int) -> SoundOrder | None:
    requests = plan_sound_order(source.representation.size, place)
    try:
        async with asyncio.timeout(_TIMEOUT):
            span = next(requests)
            while True:
                async with aclosing(source.read(span)) as chunks:
                    data = b"".join([chunk async for chunk in chunks])
                span = requests.send(data)
    except StopIteration as end:
        order: SoundOrder | None = end.value
        return order
    except TimeoutError as error:
        raise StorageError("The file takes too long to be read.") from error


class SoundChoiceRepresentation:
    """One open version of an MP4, with another order of its sounds."""

    def __init__(self, source: OpenRepresentation, order: SoundOrder, revision: str) -> None:
        self._source = source
        self._order = order
        mp4 = source.representation
        validators = mp4.validators.of_layout(revision)
        self._representation = Representation(mp4.size, mp4.content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises ChangedError, StorageError."""
        if span.start >= self._order.end:
            return self._source.read(span, chunk_length)
        return self._read(span, chunk_length)

    async def _read(self, span: Span, chunk_length: ChunkLength) -> AsyncGenerator[bytes]:
        for part in self._order.map_span(span):
            position = part.start
            async with aclosing(self._source.read(part, chunk_length)) as chunks:
                async for chunk in chunks:
                    yield self._order.patch(position, chunk)
                    position += len(chunk)

    def align_blocks(self, origin: int) -> None:
        self._source.align_blocks(origin)

    def close(self) -> None:
        self._source.close()
