"""Tells background work that videos are being played or requests answered, so that it yields."""

import asyncio
import math
import time

# Seconds after the last media response for which playback counts as active: at 5 Mbit/s, players
# fetch a block of 4 MiB about as often.
_ACTIVE_SECONDS = 10.0

# Seconds. Storing a result takes the server a few milliseconds. With this pause after it, it delays
# one request in fifty; 0.03 was too little for the p99 (benchmarks/deriving.py).
_YIELD_SECONDS = 0.1

# Seconds after a request for which work in a thread yields to it, as both need the interpreter's
# lock, and seconds of each pause. A page of 50 videos takes 10 ms.
_ANSWERING_SECONDS = 0.02
_LOCK_YIELD_SECONDS = 0.005


class PlaybackActivity:
    """When media was last sent, and when the latest request came."""

    def __init__(self) -> None:
        self._last_response = -math.inf
        self._last_request = -math.inf

    def record(self) -> None:
        """Record that media is being sent."""
        self._last_response = time.monotonic()

    async def yield_to_playback(self) -> None:
        """Pause between two pieces of background work while playback is active."""
        if time.monotonic() - self._last_response < _ACTIVE_SECONDS:
            await asyncio.sleep(_YIELD_SECONDS)

    def record_request(self) -> None:
        """Record that a request has come."""
        self._last_request = time.monotonic()

    async def yield_to_requests(self) -> None:
        """Pause between two short pieces of work in threads while requests are answered."""
        if time.monotonic() - self._last_request < _ANSWERING_SECONDS:
            await asyncio.sleep(_LOCK_YIELD_SECONDS)
