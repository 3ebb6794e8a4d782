"""The request context, and the outermost ASGI middleware, which logs, measures and cleans up."""

import asyncio
import itertools
import json
import re
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import structlog
from quart import request

from service.access.tokens import redact
from service.errors import (
    ClientDisconnectedError,
    IncompleteResponseError,
    NotFoundError,
    ReelayError,
    StalledError,
)
from service.logs import RequestLog
from service.metrics import Metrics, method_label
from service.protocol.request_head import refusal
from service.workers.playback_activity import PlaybackActivity

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Receive, Send], Awaitable[None]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_MAX_LOGGED_LENGTH = 256  # characters of a client's field in a log line

# RFC 9112 §6.3: a proxy may read a request with both differently, so what seems to be the next
# request may be the rest of this one. h11 0.16 would read on.
_CONFLICTING_LENGTH = "Content-Length and Transfer-Encoding exclude each other."

# A request id consists of these two.
_PROCESS_ID = secrets.token_hex(8)
_request_numbers = itertools.count()

# The routes that take a body. Quart limits its length: MAX_CONTENT_LENGTH in composition/app.py.
_FORM_ROUTES = ("/sign-in", "/links")
_REPORT_ROUTE = re.compile("(?:/s/[^/]+)?/viewing-reports")

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})

_log = structlog.get_logger()


class RequestContext:
    """The state of one request and its response."""

    def __init__(self, scope: Any) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        self.request_id = (
            given if _REQUEST_ID.fullmatch(given) else f"{_PROCESS_ID}{next(_request_numbers):016x}"
        )
        self.method = str(scope["method"])
        self.path = redact(str(scope["path"]))
        """The requested path, without the token of a share link: for logs."""
        self.is_report = _REPORT_ROUTE.fullmatch(self.path) is not None
        """Whether it is a player's report, of which nothing is kept."""
        self.range = headers.get(b"range", b"").decode("latin-1")
        self.body_headers = _BODY_HEADERS & headers.keys()
        """The request's headers that announce a body."""
        self.route = "unmatched"
        self.status = 0
        self.sent = 0
        self.length: int | None = None
        """The length of the response's body in bytes, if known."""
        self.outcome = "aborted"  # until the last byte is sent
        self.started = time.perf_counter()
        self.first_byte: float | None = None
        self.sending_final_chunk = False
        """Whether the last chunk has been passed to the server."""
        self.disconnected = False
        """Whether the client has closed the connection."""
        self.error: ReelayError = NotFoundError("There is nothing of that name here.")
        """Why the media route sends no bytes; Quart sends this error instead."""


def current_request_context() -> RequestContext:
    """Return the context of the current request."""
    context: RequestContext = request.scope["state"]["request_context"]
    return context


class InstrumentationMiddleware:
    """Wraps the whole application: assigns the request id, checks heads, logs and measures."""

    def __init__(self, app: ASGIApp, metrics: Metrics, playback: PlaybackActivity) -> None:
        self.idle = asyncio.Event()
        """Set while no request is in progress."""
        self.idle.set()
        self._in_progress = 0
        metrics.in_progress.set_function(lambda: self._in_progress)
        self._app = app
        self._metrics = metrics
        self._playback = playback
        self._log = RequestLog()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})  # before the handshake: a 403
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        scope["method"] = state.get("method", scope["method"])  # http1.py
        hosts = _extract_hosts(scope)
        context = RequestContext(scope)
        state["request_context"] = context
        self._change_in_progress(1)
        self._playback.record_request()
        try:
            await self._select_app(context, scope, hosts)(
                scope,
                lambda: self._receive(context, receive),
                lambda message: self._send(context, send, message),
            )
        except Exception as error:  # noqa: BLE001 # Hypercorn would not log the request id
            cause = _unwrap_group(error)
            if isinstance(cause, IncompleteResponseError):
                context.outcome = cause.outcome  # and Hypercorn closes the connection
                _clear_tracebacks(cause)
            else:
                context.outcome = "failed"
                _log.exception("unexpected error", request_id=context.request_id)
        finally:
            self._change_in_progress(-1)
            self._record(context)

    def _select_app(self, context: RequestContext, scope: Any, hosts: list[bytes]) -> ASGIApp:
        if context.body_headers == _BODY_HEADERS:
            return _reject_conflicting_length
        target = (scope["raw_path"], scope["query_string"])
        refused = refusal(context.method, hosts, len(scope["headers"]), target)
        if refused is None:
            return self._app
        status, reason = refused

        async def refusing(_scope: Any, _receive: Receive, send: Send) -> None:
            await send_error(send, status, reason)

        return refusing

    def _change_in_progress(self, change: int) -> None:
        self._in_progress += change
        if self._in_progress:
            self.idle.clear()
        else:
            self.idle.set()

    async def _receive(self, context: RequestContext, receive: Receive) -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            context.disconnected = True
        elif message.get("body") and not _takes_body(context):
            return {**message, "body": b""}  # do not buffer it
        return message

    async def _send(self, context: RequestContext, send: Send, message: Message) -> None:
        if message["type"] == "http.response.start":
            context.status = message["status"]
            context.first_byte = time.perf_counter() - context.started
            context.length = _body_length(context, message)
            request_id = (b"x-request-id", context.request_id.encode())
            message = {**message, "headers": [*message["headers"], request_id]}
        body = message.get("body", b"")
        ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        context.sending_final_chunk = ended
        try:
            await send(message)
        except TimeoutError as error:  # the kernel's ETIMEDOUT: `listen` in __main__.py
            raise StalledError("The client takes nothing.") from error
        except OSError as error:
            raise ClientDisconnectedError("The client cannot be reached.") from error
        context.sent += len(body)
        # A client may leave after its last byte, before the server sends the final empty chunk.
        if ended or context.sent == context.length:
            context.outcome = "complete"
        elif body:
            # A send that does not wait would not let other tasks run: those of other viewers, and
            # the one that watches for a disconnect.
            await asyncio.sleep(0)

    def _record(self, context: RequestContext) -> None:
        metrics = self._metrics
        requests, sent_bytes, first_byte = metrics.for_request(
            context.route, method_label(context.method), context.status
        )
        exemplar = None if context.is_report else {"request_id": context.request_id}
        requests.inc(exemplar=exemplar)
        sent_bytes.inc(context.sent)
        if context.first_byte is not None:
            first_byte.observe(context.first_byte, exemplar)
        if context.outcome != "complete":
            metrics.broken.labels(context.outcome).inc(exemplar=exemplar)
        if context.is_report:
            return
        self._log.write(
            {
                "request_id": context.request_id,
                "method": context.method[:16],
                "route": context.route,
                "path": context.path[:_MAX_LOGGED_LENGTH],
                "range": context.range[:_MAX_LOGGED_LENGTH],
                "status": context.status,
                "bytes": context.sent,
                "seconds": round(time.perf_counter() - context.started, 4),
                "outcome": context.outcome,
            }
        )


def _takes_body(context: RequestContext) -> bool:
    return context.path.startswith(_FORM_ROUTES) or context.is_report


def _extract_hosts(scope: Any) -> list[bytes]:
    """Return the values of all Host fields, and the authority of a target in absolute form.

    Such a target (RFC 9112 §3.2.2) replaces the scope's path by its own path, and all Host fields
    by its authority.
    """
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    scheme, _, rest = scope["raw_path"].partition(b"://")
    if scheme.lower() in {b"http", b"https"}:
        authority, slash, path = rest.partition(b"/")
        hosts.append(authority)
        scope["raw_path"] = (slash or b"/") + path
        scope["path"] = unquote(scope["raw_path"].decode("latin-1"))
        others = [field for field in scope["headers"] if field[0] != b"host"]
        scope["headers"] = [(b"host", authority), *others]
    return hosts


def _unwrap_group(error: BaseException) -> BaseException:
    """Return a group's single exception. Quart runs each request in a task group since 0.23."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _clear_tracebacks(error: BaseException | None) -> None:
    """Free the unsent bytes, which the traceback's frames would keep until a full collection."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


async def _reject_conflicting_length(_scope: Any, _receive: Receive, send: Send) -> None:
    """Answer 400, and close: RFC 9112 §6.3."""
    await send_error(send, 400, _CONFLICTING_LENGTH, (b"connection", b"close"))


async def send_error(send: Send, status: int, detail: str, *more: tuple[bytes, bytes]) -> None:
    """Send an error as api/problems.py does (RFC 9457), without the framework."""
    problem = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body = json.dumps(problem, separators=(",", ":")).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _body_length(context: RequestContext, start: Message) -> int | None:
    if context.method == "HEAD" or start["status"] in (204, 304):  # RFC 9110 §6.4.1
        return 0
    lengths = [value for name, value in start["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths else None
