"""A limit on the memory of long responses, such as pages and JSON, which are sent in chunks."""

from collections.abc import AsyncIterator

from quart import Response
from quart.wrappers.response import DataBody

from service.storage.base import MIN_CHUNK

MAX_HELD_BYTES = 64 * 1024**2
"""Bytes of all long responses in progress. Only many clients that read nothing come near this: a
response has about 100 KB and is usually sent at once."""

_SHARE = 8
"""A response may take one eighth of the bytes that are left: when they become few, only the longest
responses are refused."""


class ResponseMemory:
    """Counts the bytes of responses longer than a chunk while they are sent.

    Bytes that several responses share are counted once.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[bytes, int]] = {}
        """The bytes by their `id`, and the number of responses that send them."""
        self._size = 0

    def admit(self, response: Response) -> bool:
        """Have a long response sent in chunks. Return False if no memory is left for it."""
        body = response.response
        if not isinstance(body, DataBody) or len(body.data) <= MIN_CHUNK:
            return True
        data = body.data
        if id(data) not in self._held and len(data) * _SHARE > MAX_HELD_BYTES - self._size:
            return False
        response.response = _ChunkedBody(data, self)
        return True

    def acquire(self, data: bytes) -> None:
        """Count the bytes for one more response."""
        _, count = self._held.get(id(data), (data, 0))
        if not count:
            self._size += len(data)
        self._held[id(data)] = data, count + 1

    def release(self, data: bytes) -> None:
        """Count the bytes for one response less."""
        _, count = self._held[id(data)]
        if count > 1:
            self._held[id(data)] = data, count - 1
        else:
            del self._held[id(data)]
            self._size -= len(data)


class _ChunkedBody(DataBody):
    """A body that is sent in chunks, as the server copies each chunk that it is given."""

    def __init__(self, data: bytes, memory: ResponseMemory) -> None:
        super().__init__(data)
        self._memory = memory
        memory.acquire(data)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(self.begin, self.end, MIN_CHUNK):
            yield self.data[start : min(start + MIN_CHUNK, self.end)]

    def __del__(self) -> None:  # runs also if the response failed or never began
        self._memory.release(self.data)
