"""Chooses how many bytes of a body are read and sent at a time.

Chunks that a client does not read stay in memory, so they are small for slow clients.
One fixed size would be slow (900 MB/s, not 1,700) or costly (290 MB, for 1,000 slow clients)."""

import time
from collections.abc import Awaitable, Hashable

from cachetools import LRUCache

from service.storage.base import MAX_CHUNK, MIN_CHUNK

# Bytes that a client has to read fast before it gets large chunks. More than both kernels buffer
# for a client that reads nothing: 128 KiB here (`_NOTSENT_LOWAT` in __main__.py), as many there.
_PROBATION_BYTES = 320 * 1024

# Seconds within which a send is fast; it may wait for those of all other viewers.
_FAST_SEND_SECONDS = 0.25

# Bytes of unsent large chunks from which on all clients get small ones: a player stops reading when
# its buffer is full, however fast it was. 1,000 such players held 420 MB without this limit.
_MAX_BUFFERED = 64 * 1024**2

# Connections whose sizers are kept; a new connection begins with small chunks.
_MAX_CONNECTIONS = 4096


class BufferedBytes:
    """The unsent bytes of large chunks of all clients."""

    def __init__(self) -> None:
        self.length = 0
        """Bytes."""


class ChunkSizer:
    """The size of a connection's next chunk, by how fast its client read the last ones."""

    def __init__(self, buffered: BufferedBytes | None = None) -> None:
        self._fast_bytes = 0
        self._buffered = buffered or BufferedBytes()

    def length(self) -> int:
        """Return the maximum length of the next chunk in bytes."""
        if self._fast_bytes >= _PROBATION_BYTES and self._buffered.length < _MAX_BUFFERED:
            return MAX_CHUNK
        return MIN_CHUNK

    async def track_send(self, length: int, send: Awaitable[None]) -> None:
        """Await a send, count its bytes as buffered meanwhile, and record how long it took."""
        started = time.monotonic()
        self.add_buffered(length)
        try:
            await send
        finally:  # also if the client has gone
            self.add_buffered(-length)
        self.record_send(length, time.monotonic() - started)

    def add_buffered(self, length: int) -> None:
        """Count a large chunk as buffered; a negative length removes it again."""
        if abs(length) > MIN_CHUNK:
            self._buffered.length += length

    def record_send(self, length: int, seconds: float) -> None:
        """Record how long the send of a chunk took. A slow one ends the large chunks."""
        self._fast_bytes = self._fast_bytes + length if seconds < _FAST_SEND_SECONDS else 0


class ChunkSizerRegistry:
    """The sizer of each connection, so that its next response continues at the same pace."""

    def __init__(self) -> None:
        self._sizers: LRUCache[Hashable, ChunkSizer] = LRUCache(_MAX_CONNECTIONS)
        self._buffered = BufferedBytes()

    def of(self, client: Hashable) -> ChunkSizer:
        """Return the sizer for a client's address and port. The least recently used are dropped."""
        sizer = self._sizers.get(client)
        if sizer is None:
            sizer = self._sizers[client] = ChunkSizer(self._buffered)
        return sizer
