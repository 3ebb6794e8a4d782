"""Answers that are made whole in memory: pages, JSON, playlists. They are sent a piece at a time,
and what is held of them for all clients together has a bound."""

from collections.abc import AsyncIterator

from quart import Response
from quart.wrappers.response import DataBody

from service.storage.send_pacing import MIN_CHUNK

MAX_HELD_BYTES = 64 * 1024**2
"""Bytes of long answers that are under way. Many clients that take nothing come near to it, others
do not: an answer is some 100 KB, and gone at once."""

_SHARE = 8
"""One answer may take this part of the room that is left, so that where there is little the longest
are refused, and others are not."""


class ResponseMemory:
    """Counts the bytes of answers of more than a piece, for as long as these are sent; what several
    are sent is counted once.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[bytes, int]] = {}
        """Bytes by their identity, and how many answers they are in."""
        self._size = 0

    def admit(self, response: Response) -> bool:
        """Have a response sent a piece at a time; tell whether there is room for it."""
        body = response.response
        if not isinstance(body, DataBody) or len(body.data) <= MIN_CHUNK:
            return True
        data = body.data
        if id(data) not in self._held and len(data) * _SHARE > MAX_HELD_BYTES - self._size:
            return False
        response.response = _ChunkedBody(data, self)
        return True

    def acquire(self, data: bytes) -> None:
        """Count bytes as held."""
        _, count = self._held.get(id(data), (data, 0))
        if not count:
            self._size += len(data)
        self._held[id(data)] = data, count + 1

    def release(self, data: bytes) -> None:
        """Count them as held by one answer less."""
        _, count = self._held[id(data)]
        if count > 1:
            self._held[id(data)] = data, count - 1
        else:
            del self._held[id(data)]
            self._size -= len(data)


class _ChunkedBody(DataBody):
    """A body that is sent a piece at a time: the server holds a copy of what it was given."""

    def __init__(self, data: bytes, memory: ResponseMemory) -> None:
        super().__init__(data)
        self._memory = memory
        memory.acquire(data)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        for start in range(self.begin, self.end, MIN_CHUNK):
            yield self.data[start : min(start + MIN_CHUNK, self.end)]

    def __del__(self) -> None:  # however the answer ended, and also where it never began
        self._memory.release(self.data)
