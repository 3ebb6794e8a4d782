"""HTTP/2 in clear text, as platforms speak it to a container (RFC 9113 §3.3), on Hypercorn.
Law: whatever a client does, what one connection holds and keeps at work is bounded.

Hypercorn 0.18's own would hold 400 MB of a file for a window of 0, leave what breaks off without an
end, never let go of a connection that asks nothing, and fail where a body follows its answer.
"""

import asyncio
import re
from collections.abc import Set as AbstractSet
from contextlib import suppress
from time import monotonic
from typing import Any

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import FrameTooLargeError, ProtocolError
from h2.settings import SettingCodes, Settings
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as ServerEvent
from hypercorn.protocol.events import (
    Body,
    EndBody,
    InformationalResponse,
    Request,
    Response,
    StreamClosed,
)
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.utils import filter_pseudo_headers

from service.http2.frames import Frames, leaves_gently
from service.http2.headers import bound_table
from service.http2.parting import Parting
from service.http2.streams import Stream, Windows

# Seconds for which frames are read before others have a turn. The headers of one may take as long:
# 30 bytes can stand for 64 KiB of them (RFC 7541), and 64 KiB hold 7,000 of the smallest frames.
_TURN = 0.005

# RFC 9110 §5.6.2; RFC 9113 §8.3.1, with the characters that h11 takes.
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(rb"/[\x21-\x7e]*")


class ServerConfig(Config):
    """Hypercorn's, and what is ours."""

    stall_timeout: float = 30.0
    """Seconds for which a client may open no window while there is something to send."""


class Http2(Parting):
    """One connection.

    Bounds, beside that of each body: what is at work, be its stream reset or not (CVE-2023-44487),
    requests in all, headers (h2's own), frames, and the time that what comes takes from others.
    Priorities are not heeded (RFC 9113 §5.3.2): streams send in turns.
    """

    config: ServerConfig
    streams: dict[int, Stream]  # type: ignore[assignment]

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        most = self.config.h2_max_header_list_size
        self.connection.decoder.max_header_list_size = most
        self.connection.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_HEADER_LIST_SIZE: most}
        )
        # A byte may take 30 bits on the way: RFC 7541, appendix B.
        self._frames = Frames(self.connection.max_inbound_frame_size, 4 * most)
        self._running = 0  # requests that the application is at work on
        self._refused = 0  # streams, since one was not
        self._windows = Windows(self.connection, self._flush, self.config.stall_timeout)

    async def initiate(
        self,
        headers: list[tuple[bytes, bytes]] | None = None,  # noqa: ARG002 # an upgrade's
        settings: bytes | None = None,  # noqa: ARG002
    ) -> None:
        """Begin, by prior knowledge."""
        self.connection.initiate_connection()
        # Apart from the rest, so that it binds when the client has seen it, and not before.
        most = self.config.h2_max_concurrent_streams
        self.connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: most})
        await self._flush()
        self.task_group.spawn(self._leave_when_stopped)
        await self.send(Updated(idle=True))  # the preface was taken for a request

    async def handle(self, event: ServerEvent) -> None:
        """Take what has come, and give others turns meanwhile."""
        if isinstance(event, Closed):
            await self._say_last_word()
            await self._end()
        elif isinstance(event, RawData):
            self._frames.add(event.data)
            started = monotonic()
            with suppress(OSError):  # Hypercorn sees it by itself
                while not self.closed and await self._take_frame():
                    if monotonic() - started > _TURN:
                        await asyncio.sleep(0)
                        started = monotonic()
            await asyncio.sleep(0)

    async def _take_frame(self) -> bool:
        """Take what a frame says; tell whether there was one."""
        try:
            frame = self._frames.next()
            if leaves_gently(frame):
                return True  # what it has asked is answered; h2 would send nothing more
            events = self.connection.receive_data(frame)
        except FrameTooLargeError:
            self.connection.close_connection(ErrorCodes.FRAME_SIZE_ERROR)
            await self._hang_up()
            return False
        except ProtocolError:  # h2 has said GOAWAY
            await self._hang_up()
            return False
        await self._handle_events(events)
        return bool(frame)

    async def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            if not self.closed:
                await self._on_stream(event)
                await self._on_connection(event)
        await self._flush()

    async def _on_stream(self, event: Event) -> None:
        match event:
            case RequestReceived():
                await self._create_stream(event)
            case DataReceived():  # nothing here takes a body
                length = event.flow_controlled_length
                self.connection.acknowledge_received_data(length, event.stream_id)
            case StreamEnded() if (stream := self.streams.get(event.stream_id)) is not None:
                stream.asked = True
                await stream.handle(EndBody(stream_id=event.stream_id))
            case StreamReset():
                await self._close_stream(event.stream_id)
                await self.send(Updated(idle=self.idle))

    async def _on_connection(self, event: Event) -> None:
        match event:
            case WindowUpdated():
                self._window_opened(event.stream_id)
            case RemoteSettingsChanged():
                bound_table(self.connection.encoder)
                self._window_opened(0)
            case PingAckReceived():
                await self._heard(event.ping_data)
            case ConnectionTerminated():  # h2 sends nothing behind the client's GOAWAY
                await self._hang_up()

    async def _create_stream(self, request: RequestReceived) -> None:
        most = self.config.h2_max_concurrent_streams
        last = self.config.keep_alive_max_requests
        if self._left or self._running >= 2 * most or self.keep_alive_requests >= last + most:
            await self._refuse(request.stream_id)
            return
        self._refused = 0
        headers = [(bytes(name), bytes(value)) for name, value in request.headers]
        fields = dict(headers)
        method, path = fields[b":method"], fields.get(b":path", b"")
        lengths = {value for name, value in headers if name == b"content-length"}
        ended = request.stream_ended is not None
        if not (_leads_somewhere(method, path) and _may_be(lengths, ended=ended)):
            self._reset(request.stream_id, ErrorCodes.PROTOCOL_ERROR)  # §8.1.1
            return
        stream = self.streams[request.stream_id] = Stream(self, request, self._done)
        self._running += 1
        await stream.handle(
            Request(
                stream_id=request.stream_id,
                headers=filter_pseudo_headers(headers),
                http_version="2",
                method=method.decode("ascii"),
                raw_path=path,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()
        await self.send(Updated(idle=False))
        if self.keep_alive_requests >= last:
            await self._leave()

    def _done(self) -> None:
        self._running -= 1

    async def _refuse(self, stream_id: int) -> None:
        """Say that nothing was done (RFC 9113 §8.7); to who does not listen, that it is enough."""
        self._refused += 1
        if self._refused > self.config.h2_max_concurrent_streams:
            self.connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            await self._hang_up()
        else:
            self._reset(stream_id, ErrorCodes.REFUSED_STREAM)

    async def stream_send(self, event: StreamEvent) -> None:
        """Send what the application says. Raises OSError where the client does not take it:
        TimeoutError where it has opened no window for the stall timeout.
        """
        stream = self.streams.get(event.stream_id)
        if isinstance(event, StreamClosed):
            if stream is not None:
                await self._finish(stream)
            return
        if stream is None:
            raise ConnectionResetError("The stream is closed.")
        try:
            if isinstance(event, (Response, InformationalResponse)):
                fields = [*event.headers, *self.config.response_headers("h2")]
                status = (b":status", b"%d" % event.status_code)
                # §8.2.2: the connection is not one response's to speak of.
                fields = [field for field in fields if field[0].lower() != b"connection"]
                self.connection.send_headers(event.stream_id, [status, *fields])
            elif isinstance(event, Body):
                await self._windows.send(stream, event.data)
            elif isinstance(event, EndBody):
                self.connection.end_stream(event.stream_id)
                stream.answered = True
            await self._flush()
        except ProtocolError as error:
            raise ConnectionResetError("The stream is closed.") from error

    def _window_opened(self, stream_id: int) -> None:
        """Wake the stream that waits for it; for 0, the connection's, all."""
        for opened in [stream_id] if stream_id else list(self.streams):
            if (stream := self.streams.get(opened)) is not None:
                stream.opened.set()

    async def _finish(self, stream: Stream) -> None:
        """End the stream, if it is not: what breaks off must not seem whole."""
        if not stream.answered:
            self._reset(stream.stream_id, stream.error)
        elif not stream.asked:  # §8.1: the rest of the request need not come
            self._reset(stream.stream_id, ErrorCodes.NO_ERROR)
        self.streams.pop(stream.stream_id, None)
        try:
            await self._flush()
            if not self.closed:
                await self.send(Updated(idle=self.idle))
        finally:  # and not before: Quart is cancelled by it, wherever it is
            await stream.handle(StreamClosed(stream_id=stream.stream_id))

    def _reset(self, stream_id: int, error: ErrorCodes) -> None:
        with suppress(ProtocolError):  # the client was first
            self.connection.reset_stream(stream_id, error)

    async def _close_stream(self, stream_id: int) -> None:
        stream = self.streams.pop(stream_id, None)
        if stream is not None:
            await stream.handle(StreamClosed(stream_id=stream_id))
            stream.opened.set()

    async def _hang_up(self) -> None:
        """Send what h2 has to say, and close."""
        await self._flush()
        await self._end()
        await self.send(Closed())

    async def _end(self) -> None:
        """Let everyone know that the connection is closed."""
        if self.closed:
            return
        self.closed = True
        if self._waiter is not None:
            self._waiter.cancel()
        for stream_id in list(self.streams):
            await self._close_stream(stream_id)


def _leads_somewhere(method: bytes, path: bytes) -> bool:
    """Tell what h2 lets through and h11 would not. Nothing here is for CONNECT."""
    if method == b"CONNECT" or not _METHOD.fullmatch(method):
        return False
    return _PATH.fullmatch(path) is not None or (method, path) == (b"OPTIONS", b"*")


def _may_be(lengths: AbstractSet[bytes], *, ended: bool) -> bool:
    """Tell whether a body may have these lengths. h2 sees to it that it has, where one comes."""
    return len(lengths) <= 1 and all(
        length.isdigit() and (not ended or int(length) == 0) for length in lengths
    )
