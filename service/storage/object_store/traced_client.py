"""The client of the object store that makes a span of each request (OpenTelemetry)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from service.errors import NotFoundError
from service.metrics import Metrics
from service.protocol.ranges import Span
from service.storage.object_store.block_cache import ObjectVersion
from service.storage.object_store.client import ObjectClient

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from opentelemetry.trace import Tracer


class TracedObjectClient(ObjectClient):
    """An ObjectClient whose heads and spans of objects are parts of the current trace.

    Several viewers share the request for a block: it is a part of the first one's trace.
    """

    def __init__(
        self, store: "ObjectStore", timeout: float, metrics: Metrics, tracer: "Tracer"
    ) -> None:
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 # an extra

        super().__init__(store, timeout, metrics)
        self._tracer = tracer
        self._kind = SpanKind.CLIENT
        self._error = StatusCode.ERROR

    async def head(self, path: str) -> ObjectVersion:
        attributes = {"http.request.method": "HEAD", "reelay.object": path}
        with self._tracer.start_as_current_span(
            "HEAD object", kind=self._kind, attributes=attributes, set_status_on_exception=False
        ) as traced:
            try:
                return await super().head(path)
            except NotFoundError:
                raise  # no failure of the store
            except Exception:
                traced.set_status(self._error)
                raise

    async def fetch(
        self, version: ObjectVersion, span: Span, *, buffered: bool
    ) -> AsyncGenerator[bytes]:
        attributes: dict[str, str | int] = {
            "http.request.method": "GET",
            "reelay.object": version.path,
            "reelay.start": span.start,
            "reelay.length": span.length,
        }
        # Not the current span: the reader of a generator may end it in another task.
        traced = self._tracer.start_span("GET object", kind=self._kind, attributes=attributes)
        try:
            async with aclosing(super().fetch(version, span, buffered=buffered)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except Exception as error:
            traced.record_exception(error)
            traced.set_status(self._error)
            raise
        finally:
            traced.end()
