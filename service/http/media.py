"""The bytes. `protocol.plan` decides; this opens, carries the plan out, and counts.
Law: an ASGI application in front of Quart's, as a viewer's seek need not pay for a request context
and a task; whatever has no bytes to give is Quart's to answer, as any other page is."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
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
    ReelayError,
    StorageError,
)
from service.http.instrumentation import (
    ASGIApp,
    Receive,
    RequestContext,
    Send,
    current_request_context,
)
from service.metrics import Metrics
from service.protocol.plan import Plan, Policy, RangeKind, plan
from service.protocol.ranges import Span
from service.storage.base import Source
from service.storage.send_pacing import SMALL, Paces, Pieces
from service.workers.playback_activity import Viewers

Door = Callable[[str, str | None], Awaitable[Source]]
"""Opens a file by its path, and the revision that the query names: what a route gives of it."""

_log = structlog.get_logger()

# What a plan looks at.
_DECISIVE = {
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

# Seconds for which the edge's question for a revision may take: the edge waits for five
# (nginx/templates/edge.conf.template), and would then take this replica for dead.
_LONGEST_LOOK = 3.0

_NOSNIFF = (b"x-content-type-options", b"nosniff")


def decisive_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """Give the request's headers that a plan looks at, repeated ones joined (RFC 9110 §5.3)."""
    found: dict[str, str] = {}
    for field, value in scope["headers"]:
        if (name := _DECISIVE.get(field.lower())) is not None:
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found


class Media:
    """`/media/<path>`, to players: no partial response crosses a block's end. `/download/<path>`,
    to be saved: as many bytes as are asked for. Everything else is `behind`'s.
    """

    def __init__(
        self,
        behind: ASGIApp,
        doors: Mapping[str, Door],
        viewers: Viewers,
        metrics: Metrics,
        block: int,
    ) -> None:
        self._behind = behind
        self._doors = doors
        self._viewers = viewers
        self._ranges = {kind: metrics.ranges.labels(kind) for kind in RangeKind}
        self._capped = metrics.capped
        self._block = block
        self._paces = Paces()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            route, _, path = scope["path"].removeprefix("/").partition("/")
            if path and route in self._doors:
                try:
                    await self._answer(route, path, scope, receive, send)
                except ReelayError as error:
                    context: RequestContext = scope["state"]["request_context"]
                    if context.status:  # the response has begun, and cannot be another one
                        _log.warning("a response was cut short", path=path, reason=str(error))
                        raise IncompleteResponseError(str(error)) from error
                    context.error = error
                else:
                    return
        await self._behind(scope, receive, send)

    async def _answer(
        self, route: str, path: str, scope: Any, receive: Receive, send: Send
    ) -> None:
        context: RequestContext = scope["state"]["request_context"]
        listener = Listener(context, receive)
        try:
            try:
                await self._give(route, path, scope, send)
            except ChangedError:
                if context.status:
                    raise
                await self._give_again(route, path, scope, send)
        except asyncio.CancelledError:
            if context.disconnected:
                raise ClientDisconnectedError("The client has gone.") from None
            if context.status:
                raise
            raise StorageError("The service is about to end.") from None
        finally:
            listener.stop()

    async def _give(self, route: str, path: str, scope: Any, send: Send) -> None:
        """Open a file and send what is planned of it."""
        pin = _pin(scope)
        source = await self._doors[route](path, pin)
        try:
            decision = self._decide(scope, route, path, pin, source)
            scope["state"]["request_context"].route = route
            self._viewers.note()
            await _carry_out(decision, source, self._paces.of(scope.get("client")), send)
        finally:
            source.close()

    async def _give_again(self, route: str, path: str, scope: Any, send: Send) -> None:
        """Do so where the file was replaced after it was opened, before any of it was sent."""
        try:
            await self._give(route, path, scope, send)
        except ChangedError as error:
            if scope["state"]["request_context"].status:
                raise
            raise StorageError("The file is being changed.") from error

    def _decide(self, scope: Any, route: str, path: str, pin: str | None, source: Source) -> Plan:
        """Give the plan, where it is one to send bytes by. Raises HTTPError."""
        policy = Policy(
            block=self._block if route == "media" else None,
            pin=pin,
            filename=path.rpartition("/")[2] if route == "download" else None,
        )
        decision = plan(scope["method"], decisive_headers(scope), source.representation, policy)
        self._ranges[decision.range_kind].inc()
        if decision.capped:
            self._capped.inc()
        if decision.problem is not None:
            raise HTTPError(decision.status, decision.problem, decision.headers)
        return decision


def _pin(scope: Any) -> str | None:
    """Give the revision that the query names."""
    pins = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("v")
    return pins[0] if pins else None


async def _carry_out(decision: Plan, source: Source, pieces: Pieces, send: Send) -> None:
    """Send what was planned, piece by piece as the client takes it.

    The head waits for the first bytes of the file: until then the answer can be an error.
    """
    headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in decision.headers.items()]
    headers.append(_NOSNIFF)
    due = [{"type": "http.response.start", "status": decision.status, "headers": headers}]
    left = decision.length
    async with aclosing(_body_of(decision, source, pieces)) as body:
        async for piece in body:
            for message in due:
                await send(message)
            due.clear()
            left -= len(piece)
            await pieces.give(
                len(piece),
                send({"type": "http.response.body", "body": piece, "more_body": left > 0}),
            )
    if not decision.parts:
        due.append({"type": "http.response.body", "body": b"", "more_body": False})
    for message in due:
        await send(message)


def _body_of(decision: Plan, source: Source, pieces: Pieces) -> AsyncGenerator[bytes]:
    if len(decision.parts) == 1 and isinstance(decision.parts[0], Span):
        return source.read(decision.parts[0], pieces)
    return _gather(decision, source, pieces)


async def _gather(decision: Plan, source: Source, pieces: Pieces) -> AsyncGenerator[bytes]:
    """Put what is short together, up to SMALL: each send costs more than the bytes of a range."""
    together = bytearray()
    async with aclosing(_in_order(decision, source, pieces)) as body:
        async for piece in body:
            if together and len(together) + len(piece) > SMALL:
                yield bytes(together)
                together.clear()
            if len(piece) < SMALL:
                together += piece
            else:
                yield piece
    if together:
        yield bytes(together)


async def _in_order(decision: Plan, source: Source, pieces: Pieces) -> AsyncGenerator[bytes]:
    for part in decision.parts:
        if isinstance(part, bytes):
            yield part
            continue
        async with aclosing(source.read(part, pieces)) as bytes_of:
            async for piece in bytes_of:
                yield piece


class Listener:
    """Takes away what a client sends, and ends its context when it has gone, whatever that waits
    for. A request that never waits, as most do for small spans, pays for no task.
    """

    def __init__(self, context: RequestContext, receive: Receive) -> None:
        self._context = context
        self._receive = receive
        self._answering = asyncio.current_task()
        self._task: asyncio.Task[None] | None = None
        # The loop comes to it when the context waits for the first time.
        self._start = asyncio.get_running_loop().call_soon(self._listen_from_now)

    def stop(self) -> None:
        """Listen no more."""
        self._start.cancel()
        if self._task is not None:
            self._task.cancel()

    def _listen_from_now(self) -> None:
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        # Servers say the same of a connection when all has been sent.
        if self._answering is not None and not self._context.ending:
            self._answering.cancel()


class MediaViews:
    """What Quart answers of media: refusals, and the edge's question for a revision."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors

    async def refused(self, path: str) -> Response:  # noqa: ARG002 # Quart gives it
        """Say why there are no bytes."""
        raise current_request_context().error

    async def revision(self) -> Response:
        """Tell the edge the revision to cache the blocks of `?path=/media/...` under, if there is
        one; that of `/download/...` may be another.

        Unknown, empty and just changed files have none: those requests come here themselves. Where
        the storage does not tell, the edge goes by what it knows.
        """
        route, _, path = request.args.get("path", "").removeprefix("/").partition("/")
        response = Response(status=204, headers={"Cache-Control": "no-store"})
        if route not in self._doors:
            return response
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                source = await self._doors[route](path, None)
        except (BadGatewayError, GatewayTimeoutError, TimeoutError):
            response.headers["X-Unavailable"] = "storage"
            return response
        except (ReelayError, ChangedError):
            return response
        representation = source.representation
        source.close()
        if representation.size and representation.validators.settled:
            response.headers["X-Revision"] = representation.validators.revision
        return response
