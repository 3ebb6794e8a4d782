"""How an HTTP/2 connection ends (RFC 9113 §6.8): a client is told which of its requests nobody has
seen, so that it can ask for these elsewhere, and while there is time, before it asks."""

import asyncio
from contextlib import suppress
from typing import Any

from h2.errors import ErrorCodes
from hypercorn.events import RawData
from hypercorn.protocol.h2 import H2Protocol
from hyperframe.frame import GoAwayFrame

# What the first of two GOAWAYs says: any stream may still come.
_ANY_STREAM = 2**31 - 1

_FAREWELL = b"farewell"  # the eight bytes of a PING


class Parting(H2Protocol):
    """A connection that sends what there is, and says GOAWAY in its time."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._sending = 0  # sends that Hypercorn has not come back from
        self._turn = asyncio.Lock()
        self._leaving = False
        self._left = False  # what comes now is refused
        self._waiter: asyncio.Task[Any] | None = None

    async def _leave_when_stopped(self) -> None:
        self._waiter = asyncio.current_task()
        if not self.closed:
            await self.context.terminated.wait()
            with suppress(OSError):
                await self._leave()

    async def _leave(self) -> None:
        """Have the client ask elsewhere from now on.

        What it asked before it knew is answered: its word on the PING comes behind that.
        """
        if not self._leaving:
            self._leaving = True
            await self._say_goaway(_ANY_STREAM)
            self.connection.ping(_FAREWELL)
            await self._flush()

    async def _heard(self, ping: bytes) -> None:
        """Learn that the client has answered a PING."""
        if self._leaving and ping == _FAREWELL:
            self._left = True
            await self._say_goaway(self.connection.highest_inbound_stream_id)

    async def _say_last_word(self) -> None:
        """Tell the client of an idle connection that this ends."""
        # Hypercorn may have come here from a send that failed, and then waits for no other.
        if self.idle and not self.closed and not self._sending:
            with suppress(OSError):
                await self._say_goaway(self.connection.highest_inbound_stream_id)

    async def _say_goaway(self, last: int) -> None:
        """Say GOAWAY; h2 would send nothing more behind its own."""
        frame = GoAwayFrame(0, last_stream_id=last, error_code=ErrorCodes.NO_ERROR)
        async with self._turn:
            await self._put(self.connection.data_to_send() + frame.serialize())

    async def _flush(self) -> None:
        # Who waits for others may be cancelled, and must have taken nothing by then: to h2, and to
        # the table of headers that both sides keep, it counts as sent.
        if not self.connection._data_to_send:  # noqa: SLF001 # told nowhere else
            return
        async with self._turn:
            if data := self.connection.data_to_send():
                await self._put(data)

    async def _put(self, data: bytes) -> None:
        self._sending += 1
        try:
            await self.send(RawData(data=data))
        finally:
            self._sending -= 1
