"""Who is watching, as far as the work behind the scenes has to know: it leaves them the server."""

import asyncio
import math
import time

# Seconds after the last answer with bytes for which somebody is taken to be watching: players fetch
# a block of 4 MiB about as often, at 5 Mbit/s.
_STAYING = 10.0

# Seconds. Keeping what a process has found takes the server itself a few milliseconds: with a pause
# of so much behind it, that meets one viewer's request in fifty; 0.03 was too little for the p99
# (benchmarks/deriving.py).
_PAUSE = 0.1


class Viewers:
    """Whether anybody watches."""

    def __init__(self) -> None:
        self._last = -math.inf

    def note(self) -> None:
        """Note that somebody is being given bytes."""
        self._last = time.monotonic()

    async def make_way(self) -> None:
        """Pause between two pieces of work that nobody waits for, where anybody watches."""
        if time.monotonic() - self._last < _STAYING:
            await asyncio.sleep(_PAUSE)
