"""How much of a body is read and sent at a time.
Law: what a client does not take is held in memory; so it is little, until the client takes it."""

import time
from collections.abc import Awaitable, Hashable

from cachetools import LRUCache

# Bytes. Most of what a slow client costs is this one piece: 1,000 of them, with 256 KiB, 290 MB.
SMALL = 64 * 1024

# Bytes. A send costs some 40 µs beside its bytes, so large ones are fast. A whole file, warm cache,
# under Hypercorn: 77 MB/s in pieces of 8 KiB, 900 of 64 KiB, 1,600 of 256 KiB, 1,700 of 384 KiB.
LARGE = 384 * 1024

# Bytes that a client is to take promptly before its pieces are large: more than the kernels take
# for one that reads nothing, 128 KiB here (`_NOTSENT_LOWAT` in __main__.py) and as many there.
_TRIAL = 320 * 1024

# Seconds in which a piece is taken promptly; the turns of all other viewers fit in it.
_PROMPT = 0.25

# Bytes of large pieces that clients have not taken yet, after which pieces are small for all: a
# player that has enough stops reading, however fast it was. For 1,000 of them 420 MB were held.
_MOST_LARGE = 64 * 1024**2

# Connections whose pace is remembered; a new one in the place of a forgotten one begins small.
_MOST_CONNECTIONS = 4096


class Held:
    """What is held of large pieces for all clients."""

    def __init__(self) -> None:
        self.length = 0
        """Bytes."""


class Pieces:
    """The size of a connection's next piece, by how its client took those before."""

    def __init__(self, held: Held | None = None) -> None:
        self._taken_promptly = 0
        self._held = held or Held()

    @property
    def size(self) -> int:
        """The hard_limit bytes that the next piece may have."""
        if self._taken_promptly >= _TRIAL and self._held.length < _MOST_LARGE:
            return LARGE
        return SMALL

    async def give(self, length: int, taken: Awaitable[None]) -> None:
        """Count a piece as held until the client has taken it, and learn how long that took."""
        given = time.monotonic()
        self.hold(length)
        try:
            await taken
        finally:  # also where the client has gone
            self.hold(-length)
        self.taken(length, time.monotonic() - given)

    def hold(self, length: int) -> None:
        """Learn that a piece of this length waits to be taken; less than nothing: no longer."""
        if abs(length) > SMALL:
            self._held.length += length

    def taken(self, length: int, seconds: float) -> None:
        """Learn that a piece of this length was taken, after so long. A slow one starts anew."""
        self._taken_promptly = self._taken_promptly + length if seconds < _PROMPT else 0


class Paces:
    """The pieces of each connection, so that its next response begins as the last one ended."""

    def __init__(self) -> None:
        self._pieces: LRUCache[Hashable, Pieces] = LRUCache(_MOST_CONNECTIONS)
        self._held = Held()

    def of(self, client: Hashable) -> Pieces:
        """Give the pieces for the client's address and port; those of the latest are kept."""
        pieces = self._pieces.get(client)
        if pieces is None:
            pieces = self._pieces[client] = Pieces(self._held)
        return pieces
