"""The streams of an HTTP/2 connection, and when a body's bytes may be sent on them.
Law: nothing of a body is copied before the client's windows have room for it, so that a stream
holds one piece, as a connection of HTTP/1.1 does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.http_stream import HTTPStream

# Bytes that a stream sends before others have a turn: of all streams together, no more is held
# besides the pieces.
_SENT_AT_ONCE = 64 * 1024


class Stream(HTTPStream):
    """A request and its response."""

    def __init__(
        self, protocol: H2Protocol, request: RequestReceived, ended: Callable[[], None]
    ) -> None:
        super().__init__(
            protocol.app, protocol.config, protocol.context, protocol.task_group, protocol.ssl,
            protocol.client, protocol.server, protocol.stream_send, request.stream_id,
        )  # fmt: skip
        self._ended = ended  # what is called when the application is done
        self.asked = request.stream_ended is not None
        """Whether the client has sent all of its request."""
        self.answered = False
        """Whether the client has been sent all of the response."""
        self.opened = asyncio.Event()
        """Set when a window may have opened, or the stream is closed."""
        self.error = ErrorCodes.INTERNAL_ERROR
        """What a response that breaks off is ended with."""

    async def app_send(self, message: Any) -> None:
        """Do as Hypercorn does, and tell when the application is done."""
        if message is not None:
            await super().app_send(message)
            return
        self._ended()
        with suppress(OSError):  # it would end the connection's other streams
            await super().app_send(None)


class Windows:
    """How much the client lets be sent (RFC 9113 §5.2), on one connection."""

    def __init__(
        self,
        connection: H2Connection,
        flush: Callable[[], Awaitable[None]],
        stall_timeout: float,
    ) -> None:
        self._connection = connection
        self._flush = flush
        self._stall_timeout = stall_timeout  # seconds
        self._turn = asyncio.Lock()
        self._sent = 0.0  # the loop's time when something of a body last was

    async def send(self, stream: Stream, data: bytes) -> None:
        """Send a piece of a body, as the windows open, in turns with the other streams.

        Raises TimeoutError where they have been shut for the stall timeout, ConnectionResetError
        where the stream is closed, h2's ProtocolError where the connection is.
        """
        rest = memoryview(data)
        while rest:
            await self._wait(stream)
            async with self._turn:
                rest = rest[self._write(stream, rest[:_SENT_AT_ONCE]) :]
                await self._flush()

    def _write(self, stream: Stream, data: memoryview) -> int:
        """Have h2 make frames of what there is room for. Gives the number of bytes."""
        written, largest = 0, self._connection.max_outbound_frame_size
        while written < len(data) and not stream.closed:
            room = self._connection.local_flow_control_window(stream.stream_id)
            frame = data[written : written + max(0, min(room, largest))]
            if not frame:
                break
            self._connection.send_data(stream.stream_id, frame)
            written += len(frame)
            self._sent = asyncio.get_running_loop().time()
        return written

    async def _wait(self, stream: Stream) -> None:
        """Wait until there is room.

        Only windows that are shut count: what the kernel takes is the kernel's to judge (`listen`
        in __main__.py). While other streams use up the connection's window, this one has its turn.
        """
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not stream.closed:
            if self._connection.local_flow_control_window(stream.stream_id) > 0:
                return
            if self._connection.outbound_flow_control_window <= 0:
                since = max(since, self._sent)
            left = since + self._stall_timeout - loop.time()
            if left <= 0:
                stream.error = ErrorCodes.CANCEL
                raise TimeoutError("The client opens no window.")
            stream.opened.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await stream.opened.wait()
        raise ConnectionResetError("The stream is closed.")
