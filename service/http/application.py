"""The Quart application, which may be closed twice at the same time."""

import asyncio

from quart import Quart


class ReelayApp(Quart):
    """The application. It closes what it opened once, also if it is asked to at the same time by
    Hypercorn and by `__main__`.
    """

    _closing: asyncio.Task[None] | None = None

    async def shutdown(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(super().shutdown())
        await asyncio.shield(self._closing)
