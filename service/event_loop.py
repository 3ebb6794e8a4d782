"""uvloop's event loop with small write buffers, and a measure of its lag."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import uvloop


class LowBufferLoop(uvloop.Loop):
    """Makes writers wait until the kernel has taken all that they wrote.

    By default a transport buffers 64 KiB before its writer has to wait, so that a slow client would
    hold a second chunk in memory. Hypercorn has no setting for it and does not expose transports.
    """

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], *args: Any, **options: Any
    ) -> asyncio.AbstractServer:
        """Do the same as `asyncio.loop.create_server`, with write buffers of 0 bytes."""

        def make() -> asyncio.BaseProtocol:
            protocol = protocol_factory()
            connected = protocol.connection_made

            def connection_made(transport: Any) -> None:
                transport.set_write_buffer_limits(high=0)
                connected(transport)

            protocol.connection_made = connection_made  # type: ignore[method-assign]
            return protocol

        return await super().create_server(make, *args, **options)


# Seconds between two measurements. Longer blocking is always noticed.
_LAG_INTERVAL = 0.25


async def monitor_lag(observe: Callable[[float], None]) -> AsyncGenerator[None]:
    """Report how many seconds late the loop runs a timer, again and again.

    A blocked loop delays all viewers. It is measured as one timer, as late as it was blocked.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_INTERVAL
        await asyncio.sleep(_LAG_INTERVAL)
        observe(max(0.0, loop.time() - due))
        yield
