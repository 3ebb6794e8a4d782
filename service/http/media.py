"""ASGI middleware that serves `/media/` and `/download/` as `protocol.plan` decides.

It runs before Quart, which saves a seek the cost of Quart's request context and task. Quart answers
all errors.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import structlog
from quart import Response, request

from service.errors import (
    BadGatewayError,
    ChangedError,
    ClientDisconnectedError,
    GatewayTimeoutError,
    HTTPError,
    IncompleteResponseError,
    InvalidRequestError,
    ReelayError,
    StorageError,
)
from service.http.disconnects import DisconnectWatcher
from service.http.instrumentation import (
    ASGIApp,
    Receive,
    RequestContext,
    Send,
    current_request_context,
)
from service.http.send_pacing import ChunkSizer, ChunkSizerRegistry
from service.metrics import Metrics
from service.protocol.plan import Plan, Policy, RangeKind, plan
from service.protocol.ranges import Span
from service.storage.base import MIN_CHUNK, OpenRepresentation
from service.workers.playback_activity import PlaybackActivity

RepresentationOpener = Callable[[str, str | None], Awaitable[OpenRepresentation]]
"""Opens what a route serves of a file, by its path and the pinned revision."""


@dataclass(frozen=True, slots=True)
class MediaOpeners:
    """What opens files for the media routes."""

    routes: Mapping[str, RepresentationOpener]
    """By the first part of the route's path: media, download."""
    sound: Callable[[str, str], Awaitable[OpenRepresentation]]
    """Opens a file for `/media/` with one of its sounds, by its path and the sound's number."""

    async def open(
        self, route: str, path: str, pin: str | None, sound: str | None
    ) -> OpenRepresentation:
        """Open a file as a query asks: with `v`, its revision, or `sound`, the number of a sound.

        Raises InvalidRequestError, and what the openers raise.
        """
        if sound is None or route != "media":
            return await self.routes[route](path, pin)
        if pin is not None:
            raise InvalidRequestError("`v` already names a sound: leave out `sound`.")
        return await self.sound(path, sound)


_log = structlog.get_logger()

# The headers that `plan` takes.
_CONDITIONAL_HEADERS = {
    name.encode(): name
    for name in (
        "range",
        "if-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
    )
}

# Seconds for a revision request of the edge. After five (nginx/templates/edge.conf.template) the
# edge would consider this replica dead.
_REVISION_TIMEOUT = 3.0

_NOSNIFF = (b"x-content-type-options", b"nosniff")


def conditional_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that `plan` takes, repeated ones joined (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for field, value in scope["headers"]:
        if (name := _CONDITIONAL_HEADERS.get(field.lower())) is not None:
            text = value.decode("latin-1")
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


class MediaMiddleware:
    """Serves `/media/<path>` to players and `/download/<path>` for saving, the rest by `app`.

    Partial responses of `/media/` end at the end of a block at the latest.
    """

    def __init__(
        self,
        app: ASGIApp,
        openers: MediaOpeners,
        playback: PlaybackActivity,
        metrics: Metrics,
        block: int,
    ) -> None:
        self._app = app
        self._openers = openers
        self._playback = playback
        self._ranges = {kind: metrics.ranges.labels(kind) for kind in RangeKind}
        self._capped = metrics.capped
        self._block = block
        self._sizers = ChunkSizerRegistry()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            route, _, path = scope["path"].removeprefix("/").partition("/")
            if path and route in self._openers.routes:
                try:
                    await self._answer(route, path, scope, receive, send)
                except ReelayError as error:
                    context: RequestContext = scope["state"]["request_context"]
                    if context.status:  # the response has begun: too late for an error page
                        _log.warning("a response was cut short", path=path, reason=str(error))
                        raise IncompleteResponseError(str(error)) from error
                    context.error = error
                else:
                    return
        await self._app(scope, receive, send)

    async def _answer(
        self, route: str, path: str, scope: Any, receive: Receive, send: Send
    ) -> None:
        context: RequestContext = scope["state"]["request_context"]
        watcher = DisconnectWatcher(context, receive)
        try:
            try:
                await self._serve(route, path, scope, send)
            except ChangedError:
                if context.status:
                    raise
                await self._retry_changed(route, path, scope, send)
        except asyncio.CancelledError:
            if context.disconnected:
                raise ClientDisconnectedError("The client has gone.") from None
            if context.status:
                raise
            raise StorageError("The service is about to end.") from None
        finally:
            watcher.stop()

    async def _serve(self, route: str, path: str, scope: Any, send: Send) -> None:
        """Open a file and send its planned response."""
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        pin, sound = (query.get(name, [None])[0] for name in ("v", "sound"))
        source = await self._openers.open(route, path, pin, sound)
        try:
            decision = self._plan(scope, route, path, pin, source)
            scope["state"]["request_context"].route = route
            self._playback.record()
            await _send_plan(decision, source, self._sizers.of(scope.get("client")), send)
        finally:
            source.close()

    async def _retry_changed(self, route: str, path: str, scope: Any, send: Send) -> None:
        """Serve a file that was replaced after it was opened and before any of it was sent."""
        try:
            await self._serve(route, path, scope, send)
        except ChangedError as error:
            if scope["state"]["request_context"].status:
                raise
            raise StorageError("The file is being changed.") from error

    def _plan(
        self, scope: Any, route: str, path: str, pin: str | None, source: OpenRepresentation
    ) -> Plan:
        """Return the plan and count it. Raises HTTPError if it is an error."""
        policy = Policy(
            block=self._block if route == "media" else None,
            pin=pin,
            filename=path.rpartition("/")[2] if route == "download" else None,
        )
        decision = plan(scope["method"], conditional_headers(scope), source.representation, policy)
        self._ranges[decision.range_kind].inc()
        if decision.capped:
            self._capped.inc()
        if decision.problem is not None:
            raise HTTPError(decision.status, decision.problem, decision.headers)
        return decision


async def _send_plan(
    decision: Plan, source: OpenRepresentation, sizer: ChunkSizer, send: Send
) -> None:
    """Send what was planned, chunk by chunk as the client takes it.

    The head is sent with the first bytes of the file: until then the response can be an error.
    """
    headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in decision.headers.items()]
    headers.append(_NOSNIFF)
    pending = [{"type": "http.response.start", "status": decision.status, "headers": headers}]
    left = decision.length
    async with aclosing(_body_of(decision, source, sizer)) as body:
        async for chunk in body:
            for message in pending:
                await send(message)
            pending.clear()
            left -= len(chunk)
            await sizer.track_send(
                len(chunk),
                send({"type": "http.response.body", "body": chunk, "more_body": left > 0}),
            )
    if not decision.parts:
        pending.append({"type": "http.response.body", "body": b"", "more_body": False})
    for message in pending:
        await send(message)


def _body_of(
    decision: Plan, source: OpenRepresentation, sizer: ChunkSizer
) -> AsyncGenerator[bytes]:
    if len(decision.parts) == 1 and isinstance(decision.parts[0], Span):
        return source.read(decision.parts[0], sizer.length)
    return _coalesce(decision, source, sizer)


async def _coalesce(
    decision: Plan, source: OpenRepresentation, sizer: ChunkSizer
) -> AsyncGenerator[bytes]:
    """Join chunks up to MIN_CHUNK bytes: a send costs more than copying a short range."""
    buffer = bytearray()
    async with aclosing(_iter_parts(decision, source, sizer)) as body:
        async for chunk in body:
            if buffer and len(buffer) + len(chunk) > MIN_CHUNK:
                yield bytes(buffer)
                buffer.clear()
            if len(chunk) < MIN_CHUNK:
                buffer += chunk
            else:
                yield chunk
    if buffer:
        yield bytes(buffer)


async def _iter_parts(
    decision: Plan, source: OpenRepresentation, sizer: ChunkSizer
) -> AsyncGenerator[bytes]:
    for part in decision.parts:
        if isinstance(part, bytes):
            yield part
            continue
        async with aclosing(source.read(part, sizer.length)) as body:
            async for chunk in body:
                yield chunk


class MediaViews:
    """Quart's part of the media routes: errors, and the edge's requests for a revision."""

    def __init__(self, openers: MediaOpeners) -> None:
        self._openers = openers

    async def error(self, path: str) -> Response:  # noqa: ARG002 # Quart gives it
        """Raise the error that the middleware met."""
        raise current_request_context().error

    async def revision(self) -> Response:
        """Return the revision under which the edge caches blocks of `?path=/media/...`.

        With `&sound=2` it is that of the film with this sound.

        It may differ from that of `/download/...`. Unknown, empty and just changed files have none:
        the edge passes their requests on. If the storage fails, the edge uses the revision it has.
        """
        route, _, path = request.args.get("path", "").removeprefix("/").partition("/")
        response = Response(status=204, headers={"Cache-Control": "no-store"})
        if route not in self._openers.routes:
            return response
        try:
            async with asyncio.timeout(_REVISION_TIMEOUT):
                source = await self._openers.open(route, path, None, request.args.get("sound"))
        except (BadGatewayError, GatewayTimeoutError, TimeoutError):
            response.headers["X-Unavailable"] = "storage"
            return response
        except (ReelayError, ChangedError):
            return response
        representation = source.representation
        source.close()
        if representation.size and representation.validators.is_stable:
            response.headers["X-Revision"] = representation.validators.revision
        return response
