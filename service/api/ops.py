"""The operators' routes: liveness, readiness and metrics."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from quart import Response, request

from service.api.problems import problem_response
from service.metrics import Metrics
from service.supervisor import Supervisor

_OPEN_METRICS = "application/openmetrics-text"


class OpsViews:
    """`/healthz`, `/readyz`, `/metrics`."""

    def __init__(
        self, metrics: Metrics, scanned: Callable[[], bool], supervisor: Supervisor
    ) -> None:
        self._metrics = metrics
        self._scanned = scanned
        self._supervisor = supervisor
        self.draining = False
        """Whether the service is stopping: new requests should go to other replicas."""

    async def healthz(self) -> Response:
        """Return 200: the event loop runs. Nothing else is checked."""
        return _ok()

    async def readyz(self) -> Response:
        """Return 200 if requests should come here, else 503.

        That is after the first scan, until a stop begins, unless background work keeps failing.
        """
        if self.draining:
            return await problem_response(503, "This replica is stopping.", {"Retry-After": "1"})
        if failing := self._supervisor.failing:
            reason = f"Background work keeps failing: {', '.join(failing)}."
            return await problem_response(503, reason, {"Retry-After": "1"})
        if not self._scanned():
            return await problem_response(503, "The first scan is under way.", {"Retry-After": "1"})
        return _ok()

    async def metrics(self) -> Response:
        """Return all metrics: as OpenMetrics if Accept names it, else as `text` does."""
        accepted = request.headers.get("Accept", "").lower().split(",")
        if _OPEN_METRICS in {one.partition(";")[0].strip() for one in accepted}:
            body = openmetrics.generate_latest(self._metrics.registry)  # type: ignore[no-untyped-call]
            return Response(body, content_type=openmetrics.CONTENT_TYPE_LATEST)
        return Response(self.text(), content_type=CONTENT_TYPE_LATEST)

    def text(self) -> str:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._metrics.registry).decode()


def _ok() -> Response:
    return Response("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})
