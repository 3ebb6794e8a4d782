"""Limits the reports of one address: GCRA (ITU-T I.371)."""

import time
from collections.abc import Callable

from cachetools import TTLCache

from service.http.client_networks import network_of

# As in nginx/templates/edge.conf.template. Each player sends one a minute, so one a second is
# enough for sixty viewers behind one address.
REPORTS_PER_SECOND = 1
MAX_REPORTS_AT_ONCE = 60

_MAX_ADDRESSES = 100_000


class ReportLimit:
    """Admits the reports of each address at a steady rate, after some at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds."""
        self._clock = clock
        self._due: TTLCache[str, float] = TTLCache(
            _MAX_ADDRESSES, MAX_REPORTS_AT_ONCE / REPORTS_PER_SECOND, clock
        )
        """The theoretical arrival time of the next report of each address."""

    def admit(self, address: str) -> bool:
        """Count a report of an address; return False if there were too many."""
        client, now = network_of(address), self._clock()
        due = max(self._due.get(client, now), now) + 1 / REPORTS_PER_SECOND
        if due - now > MAX_REPORTS_AT_ONCE / REPORTS_PER_SECOND:
            return False
        self._due[client] = due
        return True
