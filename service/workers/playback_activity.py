"""Tells background work whether videos are being played, so that it yields to playback."""

import asyncio
import math
import time

# Seconds after the last media response for which playback counts as active: at 5 Mbit/s, players
# fetch a block of 4 MiB about as often.
_ACTIVE_SECONDS = 10.0

# Seconds. Storing a result takes the server a few milliseconds. With this pause after it, it delays
# one request in fifty; 0.03 was too little for the p99 (benchmarks/deriving.py).
_YIELD_SECONDS = 0.1


class PlaybackActivity:
    """When media was last sent."""

    def __init__(self) -> None:
        self._last_response = -math.inf

    def record(self) -> None:
        """Record that media is being sent."""
        self._last_response = time.monotonic()

    async def yield_to_playback(self) -> None:
        """Pause between two pieces of background work while playback is active."""
        if time.monotonic() - self._last_response < _ACTIVE_SECONDS:
            await asyncio.sleep(_YIELD_SECONDS)
