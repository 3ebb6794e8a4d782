"""The ASGI middleware that makes a span of each request (OpenTelemetry)."""

from typing import TYPE_CHECKING, Any

from service.errors import ClientDisconnectedError, StalledError
from service.http.instrumentation import ASGIApp, Receive, RequestContext, Send

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_CONTEXT_HEADERS = (b"traceparent", b"tracestate")  # W3C Trace Context
_FIRST_SERVER_ERROR = 500
_OPERATORS_ROUTES = ("/metrics", "/healthz", "/readyz")  # asked for every few seconds


class TracingMiddleware:
    """Continues the trace that a request's headers name, or begins one."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 # an extra
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._app = app
        self._tracer = tracer
        self._kind = SpanKind.SERVER
        self._error = StatusCode.ERROR
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        context: RequestContext | None = scope.get("state", {}).get("request_context")
        # Not a request; nothing of a report is kept.
        if context is None or context.is_report or context.path in _OPERATORS_ROUTES:
            await self._app(scope, receive, send)
            return
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _CONTEXT_HEADERS
        }
        with self._tracer.start_as_current_span(
            context.method,
            self._propagator.extract(carrier),
            self._kind,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, send)
            except (ClientDisconnectedError, StalledError):
                raise  # the viewer left
            except Exception:  # such as a response whose rest cannot be read
                span.set_status(self._error)
                raise
            finally:
                self._describe(span, context)

    def _describe(self, span: "Span", context: RequestContext) -> None:
        """Set the attributes of OpenTelemetry's semantic conventions for HTTP, and our own."""
        span.update_name(f"{context.method} {context.route}")
        span.set_attributes(
            {
                "http.request.method": context.method,
                "http.route": context.route,
                "url.path": context.path,
                "http.response.body.size": context.sent,
                "reelay.request_id": context.request_id,
            }
        )
        if context.status:  # else there was no response
            span.set_attribute("http.response.status_code", context.status)
        if context.range:
            span.set_attribute("http.request.header.range", [context.range])
        if context.status >= _FIRST_SERVER_ERROR:
            span.set_status(self._error)
