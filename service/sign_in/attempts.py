"""Limits the attempts to sign in: per address, and for all of them together."""

import asyncio
import time
from collections.abc import Callable

from cachetools import TTLCache

from service.http.client_networks import network_of

# Failures that an address may have within WINDOW seconds.
MAX_FAILURES = 10
WINDOW = 600

# Failures of all addresses within a minute after which each attempt waits, and how long, in
# seconds. Attempts wait in turn: with many addresses one can still try only one word a second.
_MANY_FAILURES = 20
_SLOW_SECONDS = 1.0
_MINUTE = 60

_MAX_ADDRESSES = 100_000


class SignInAttempts:
    """Counts failures. Whether an attempt waits does not depend on what it tries."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds."""
        self._failures: TTLCache[str, int] = TTLCache(_MAX_ADDRESSES, WINDOW, clock)
        """The failures of each address, until WINDOW seconds after the last."""
        self._recent: TTLCache[int, None] = TTLCache(_MANY_FAILURES, _MINUTE, clock)
        """The latest failures of all addresses, by number."""
        self._count = 0
        self._turn = asyncio.Lock()

    async def admit(self, address: str) -> bool:
        """Return whether an address may try now, after a wait if there were many failures.

        It may not for WINDOW seconds after its MAX_FAILURES-th failure.
        """
        if self._has_failed(address):
            return False
        if len(self._recent) >= _MANY_FAILURES:
            async with self._turn:
                # Other attempts of this address waited as well. Those that are too many end at
                # once, or everybody else would wait for them.
                if self._has_failed(address):
                    return False
                await asyncio.sleep(_SLOW_SECONDS)
        return not self._has_failed(address)

    def _has_failed(self, address: str) -> bool:
        return self._failures.get(network_of(address), 0) >= MAX_FAILURES

    def record_failure(self, address: str) -> None:
        """Count a failure of an address."""
        client = network_of(address)
        self._failures[client] = self._failures.get(client, 0) + 1
        self._count += 1
        self._recent[self._count] = None

    def record_success(self, address: str) -> None:
        """Forget the failures of an address."""
        self._failures.pop(network_of(address), None)
