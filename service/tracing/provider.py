"""Sends traces to a collector by OTLP over HTTP if its address is set.

The variables are those of OpenTelemetry's specification ("OpenTelemetry Environment Variable
Specification", "OpenTelemetry Protocol Exporter"). Without an address nothing is imported.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from service import __version__
from service.http.instrumentation import ASGIApp
from service.settings.environment import SettingsError
from service.tracing.middleware import TracingMiddleware

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

# Those of traces take precedence.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"

# Seconds for which the last spans may take. A stop must not wait for a lost collector.
_MAX_CLOSE = 5.0


class Tracing:
    """Makes spans, and sends them in a thread of its own; or nothing, without a provider."""

    def __init__(self, provider: "TracerProvider | None") -> None:
        self._provider = provider
        self.tracer: Tracer | None = None
        if provider is not None:
            self.tracer = provider.get_tracer("reelay", __version__)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose requests are traced."""
        return app if self.tracer is None else TracingMiddleware(app, self.tracer)

    async def close(self) -> None:
        """Send the last spans, if the collector takes them soon."""
        if self._provider is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(self._provider.shutdown), _MAX_CLOSE)


def check_tracing(environ: Mapping[str, str]) -> bool:
    """Return whether requests are traced. Raises SettingsError if they cannot be."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    endpoint = next((name for name in _ENDPOINTS if environ.get(name)), None)
    if endpoint is None:
        return False
    if not environ[endpoint].startswith(("http://", "https://")):
        raise SettingsError(f"{endpoint}={environ[endpoint]}: should be a URL, http:// or https://")
    protocol = next((name for name in _PROTOCOLS if environ.get(name)), None)
    if protocol is not None and environ[protocol] != _PROTOCOL:
        raise SettingsError(f"{protocol}={environ[protocol]}: only {_PROTOCOL} is supported")
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: PLC0415 # an extra
        import opentelemetry.sdk.trace  # noqa: F401, PLC0415
    except ImportError:
        raise SettingsError(
            f'{endpoint} needs the extra "tracing": see "Traces" in docs/metrics.md'
        ) from None
    return True


def open_tracing(environ: Mapping[str, str]) -> Tracing:
    """Return what traces requests, if they are to be traced. Raises SettingsError."""
    if not check_tracing(environ):
        return Tracing(None)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    own = Resource({SERVICE_NAME: "reelay", SERVICE_VERSION: __version__})
    named = Resource.create()  # by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    is_named = not str(named.attributes[SERVICE_NAME]).startswith("unknown_service")
    provider = TracerProvider(resource=own.merge(named) if is_named else named.merge(own))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
