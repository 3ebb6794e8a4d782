"""Timers after which artefacts are built again, with delays that double after each failure."""

import asyncio
from collections import Counter
from collections.abc import Callable

from service.artefacts.job_queue import Job

# Seconds until a retry, if the file is not the reason of the failure; doubled after each failure.
_MIN_RETRY_SECONDS, _MAX_RETRY_SECONDS = 60.0, 3600.0

# Failures after which the delay no longer grows: 2 ** 10 * _MIN_RETRY_SECONDS exceeds the maximum.
_MAX_COUNTED_FAILURES = 10


class RetryTimers:
    """Holds at most one timer for each name.

    A timer has to be cancelled when the artefact gets another status: a late one would discard
    what was built meanwhile.
    """

    def __init__(self, build_again: Callable[[Job], None]) -> None:
        self._build_again = build_again
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: Counter[str] = Counter()

    def start(self, job: Job, seconds: float) -> None:
        """Build an artefact again after a delay, instead of the delay that was set before."""
        self.cancel(job.name)
        loop = asyncio.get_running_loop()
        self._timers[job.name] = loop.call_later(seconds, self._build_again, job)

    def start_after_failure(self, job: Job) -> None:
        """Build an artefact again after a delay that doubles with each failure."""
        failures = self._failures[job.name]
        self._failures[job.name] = min(failures + 1, _MAX_COUNTED_FAILURES)
        self.start(job, min(_MIN_RETRY_SECONDS * 2**failures, _MAX_RETRY_SECONDS))

    def cancel(self, name: str) -> bool:
        """Cancel the timer of a name; return whether there was one."""
        timer = self._timers.pop(name, None)
        if timer:
            timer.cancel()
        return timer is not None

    def reset_delay(self, name: str) -> None:
        """Begin again with the shortest delay, after a success."""
        self._failures.pop(name, None)

    def cancel_all(self) -> None:
        """Cancel all timers."""
        for timer in self._timers.values():
            timer.cancel()
