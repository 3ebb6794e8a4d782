"""Background work that goes on until the service stops: what fails is restarted, and reported."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import structlog
from prometheus_client import Counter

_log = structlog.get_logger()

Work = Callable[[], AsyncGenerator[None]]
"""A loop that yields whenever it has done something, or has found nothing to do."""

# Seconds until a restart: twice as many after each failure, until nothing has failed for a while.
_MIN_DELAY, _MAX_DELAY = 1.0, 60.0
_HEALTHY_SECONDS = 300.0

# Failures in a row after which work counts as failing: with these delays, 15 seconds of failures.
_MAX_FAILURES = 5


class Supervisor:
    """Runs background work, from `start` to `stop`.

    The names of work are plain words for the operator, and the values of a metric's label.
    """

    def __init__(
        self,
        failures: Counter,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Count in `failures`, by name. `clock` and `sleep` are in seconds."""
        self._failures = failures
        self._clock = clock
        self._sleep = sleep
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: dict[asyncio.Task[None], int] = {}
        """Failures in a row, of tasks whose last run failed and that have done nothing since."""

    @property
    def failing(self) -> list[str]:
        """The names of work that keeps failing."""
        names = {task.get_name() for task, n in self._failing.items() if n >= _MAX_FAILURES}
        return sorted(names)

    def start(self, name: str, work: Work) -> None:
        """Begin some work. It may be begun more than once, and ends when it returns."""
        self._failures.labels(name)  # the series is there before anything has failed
        self._tasks.append(asyncio.create_task(self._run(name, work), name=name))

    async def stop(self) -> None:
        """Cancel all work, and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, name: str, work: Work) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 # for the type checker
        delay, failed_at = _MIN_DELAY, -math.inf
        while True:
            try:
                async with aclosing(work()) as passes:
                    async for _ in passes:
                        self._failing.pop(task, None)
            # A future that the work awaits may be cancelled, too, and not by `stop`.
            except (Exception, asyncio.CancelledError):
                if task.cancelling():
                    raise
                now = self._clock()
                healthy = now - failed_at > delay + _HEALTHY_SECONDS
                delay = _MIN_DELAY if healthy else min(2 * delay, _MAX_DELAY)
                failed_at = now
                self._failures.labels(name).inc()
                self._failing[task] = failures = self._failing.get(task, 0) + 1
                _log.exception(
                    "background work failed", task=name, failures=failures, retry_seconds=delay
                )
            else:
                self._failing.pop(task, None)
                return
            await self._sleep(delay)
