"""The event loop: uvloop's, whose servers hold nothing back while a client takes nothing; and the
measure of whether it turns.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import uvloop


class LowBufferLoop(uvloop.Loop):
    """Lets a writer go on only when the kernel has taken all that it wrote.

    A transport takes 64 KiB that it cannot send before it tells its writer to wait, so that a slow
    client would have a second piece held for it; and it keeps a piece whole until its end is sent.
    Hypercorn has no setting for it, and gives its transports to nobody.
    """

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], *args: Any, **options: Any
    ) -> asyncio.AbstractServer:
        """Do as `asyncio.loop.create_server` says, with no room for writes on the transports."""

        def make() -> asyncio.BaseProtocol:
            protocol = protocol_factory()
            connected = protocol.connection_made

            def connection_made(transport: Any) -> None:
                transport.set_write_buffer_limits(high=0)
                connected(transport)

            protocol.connection_made = connection_made  # type: ignore[method-assign]
            return protocol

        return await super().create_server(make, *args, **options)


# Seconds between two looks. Whatever holds the loop up for longer is seen.
_LAG_INTERVAL = 0.25


async def monitor_lag(observe: Callable[[float], None]) -> AsyncGenerator[None]:
    """Tell, for as long as this runs, the seconds by which the loop comes late to what is due.

    All viewers wait meanwhile. A blocked loop is one late look, as late as it was blocked.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_INTERVAL
        await asyncio.sleep(_LAG_INTERVAL)
        observe(max(0.0, loop.time() - due))
        yield
