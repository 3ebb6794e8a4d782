"""Who is watching, as far as the work behind the scenes has to know: it leaves them the server."""

import asyncio
import math
import time

# Seconds after the last answer with bytes for which somebody is taken to be watching: players fetch
# a block of 4 MiB about as often, at 5 Mbit/s.
_ACTIVE_SECONDS = 10.0

# Seconds. Keeping what a process has found takes the server itself a few milliseconds: with a pause
# of so much behind it, that meets one viewer's request in fifty; 0.03 was too little for the p99
# (benchmarks/deriving.py).
_YIELD_SECONDS = 0.1


class PlaybackActivity:
    """Whether anybody watches."""

    def __init__(self) -> None:
        self._last_response = -math.inf

    def record(self) -> None:
        """Note that somebody is being given bytes."""
        self._last_response = time.monotonic()

    async def yield_to_playback(self) -> None:
        """Pause between two pieces of work that nobody waits for, where anybody watches."""
        if time.monotonic() - self._last_response < _ACTIVE_SECONDS:
            await asyncio.sleep(_YIELD_SECONDS)
