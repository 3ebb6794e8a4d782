"""How much of a body is read and sent at a time.
Law: what a client does not take is held in memory; so it is little, until the client takes it."""

import time
from collections.abc import Awaitable, Hashable

from cachetools import LRUCache

# Bytes. Most of what a slow client costs is this one piece: 1,000 of them, with 256 KiB, 290 MB.
MIN_CHUNK = 64 * 1024

# Bytes. A send costs some 40 µs beside its bytes, so large ones are fast. A whole file, warm cache,
# under Hypercorn: 77 MB/s in pieces of 8 KiB, 900 of 64 KiB, 1,600 of 256 KiB, 1,700 of 384 KiB.
MAX_CHUNK = 384 * 1024

# Bytes that a client is to take promptly before its pieces are large: more than the kernels take
# for one that reads nothing, 128 KiB here (`_NOTSENT_LOWAT` in __main__.py) and as many there.
_PROBATION_BYTES = 320 * 1024

# Seconds in which a piece is taken promptly; the turns of all other viewers fit in it.
_FAST_SEND_SECONDS = 0.25

# Bytes of large pieces that clients have not taken yet, after which pieces are small for all: a
# player that has enough stops reading, however fast it was. For 1,000 of them 420 MB were held.
_MAX_BUFFERED = 64 * 1024**2

# Connections whose pace is remembered; a new one in the place of a forgotten one begins small.
_MAX_CONNECTIONS = 4096


class BufferedBytes:
    """What is held of large pieces for all clients."""

    def __init__(self) -> None:
        self.length = 0
        """Bytes."""


class ChunkSizer:
    """The size of a connection's next piece, by how its client took those before."""

    def __init__(self, buffered: BufferedBytes | None = None) -> None:
        self._fast_bytes = 0
        self._buffered = buffered or BufferedBytes()

    @property
    def size(self) -> int:
        """The hard_limit bytes that the next piece may have."""
        if self._fast_bytes >= _PROBATION_BYTES and self._buffered.length < _MAX_BUFFERED:
            return MAX_CHUNK
        return MIN_CHUNK

    async def track_send(self, length: int, send: Awaitable[None]) -> None:
        """Count a piece as held until the client has taken it, and learn how long that took."""
        started = time.monotonic()
        self.add_buffered(length)
        try:
            await send
        finally:  # also where the client has gone
            self.add_buffered(-length)
        self.record_send(length, time.monotonic() - started)

    def add_buffered(self, length: int) -> None:
        """Learn that a piece of this length waits to be taken; less than nothing: no longer."""
        if abs(length) > MIN_CHUNK:
            self._buffered.length += length

    def record_send(self, length: int, seconds: float) -> None:
        """Learn that a piece of this length was taken, after so long. A slow one starts anew."""
        self._fast_bytes = self._fast_bytes + length if seconds < _FAST_SEND_SECONDS else 0


class ChunkSizerRegistry:
    """The pieces of each connection, so that its next response begins as the last one ended."""

    def __init__(self) -> None:
        self._sizers: LRUCache[Hashable, ChunkSizer] = LRUCache(_MAX_CONNECTIONS)
        self._buffered = BufferedBytes()

    def of(self, client: Hashable) -> ChunkSizer:
        """Give the pieces for the client's address and port; those of the latest are kept."""
        sizer = self._sizers.get(client)
        if sizer is None:
            sizer = self._sizers[client] = ChunkSizer(self._buffered)
        return sizer
