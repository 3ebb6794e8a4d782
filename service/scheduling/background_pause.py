"""A pause of what nobody asked for, after an artefact could not be stored."""

import asyncio
from collections.abc import Callable

# Seconds for which only requested artefacts are built.
_SECONDS = 60.0


class BackgroundPause:
    """At most one pause at a time."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """Call `ended` at the end of each."""
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_active(self) -> bool:
        return self._timer is not None

    def start(self) -> None:
        """Start a pause, unless there is one."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._end)

    def cancel(self) -> None:
        """Cancel the timer."""
        if self._timer:
            self._timer.cancel()

    def _end(self) -> None:
        self._timer = None
        self._ended()
