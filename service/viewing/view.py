"""`/viewing-reports`: adds what players report to the metrics, and keeps nothing else of it."""

from collections.abc import Awaitable, Callable
from typing import Any, cast, get_args

from quart import Response, request

from service.errors import HTTPError
from service.http.origins import Origins, check_same_origin
from service.metrics import Metrics
from service.viewing.limit import ReportLimit
from service.viewing.report import ErrorKind, ViewingReport, parse

# Do Not Track (W3C Tracking Preference Expression §5.2) and Global Privacy Control §3.2.
_OBJECTIONS = ("DNT", "Sec-GPC")


def viewing_routes(
    metrics: Metrics, origins: Origins, *, wanted: bool
) -> list[tuple[str, str, Callable[..., Awaitable[Any]]]]:
    """Return the rule, the name and the view, or nothing if players send no reports."""
    if not wanted:
        return []
    return [("/viewing-reports", "viewing_reports", ViewingReportView(metrics, origins).receive)]


class ViewingReportView:
    """`/viewing-reports`."""

    def __init__(self, metrics: Metrics, origins: Origins) -> None:
        self._metrics = metrics
        self._origins = origins
        self._limit = ReportLimit()
        # All series are there before the first report.
        for state in ("played", "stalled"):
            metrics.viewing_seconds.labels(state)
        for outcome in ("shown", "dropped"):
            metrics.viewing_frames.labels(outcome)
        for kind in get_args(ErrorKind):
            metrics.viewing_errors.labels(kind)

    async def receive(self) -> Response:
        """Add a report to the sums, unless the viewer's browser objects to that."""
        check_same_origin()
        if not self._limit.admit(self._origins.client_of(request.scope)):
            raise HTTPError(429, "Too many reports come from this address.", {"Retry-After": "60"})
        report = parse(cast("bytes", await request.get_data(cache=False)))
        if not any(request.headers.get(name) == "1" for name in _OBJECTIONS):
            self._add(report)
        return Response(status=204)

    def _add(self, report: ViewingReport) -> None:
        metrics = self._metrics
        metrics.viewing_reports.inc()
        if report.first_frame is not None:
            metrics.first_frame.observe(report.first_frame)
        metrics.viewing_seconds.labels("played").inc(report.played)
        metrics.viewing_seconds.labels("stalled").inc(report.stalled)
        metrics.viewing_stalls.inc(report.stalls)
        metrics.viewing_frames.labels("shown").inc(report.frames - report.dropped)
        metrics.viewing_frames.labels("dropped").inc(report.dropped)
        for kind, count in report.errors.items():
            metrics.viewing_errors.labels(kind).inc(count)
