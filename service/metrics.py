"""All Prometheus metrics. Labels have few values: routes, methods, statuses, never paths."""

import asyncio
from functools import cache, partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from service import __version__

# Seconds. The first byte of a warm file takes about a millisecond, of a sleeping disk some seconds.
_FIRST_BYTE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_WORK_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)
_DERIVATION_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 150, 300, 600, 1800)

# Seconds. Viewers begin to leave after two (Krishnan and Sitaraman, "Video Stream Quality Impacts
# Viewer Behavior", IMC 2012, §5.1).
_FIRST_FRAME_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 60)

# Seconds. A quiet loop is late by less than a millisecond; from 0.1 on, viewers may notice.
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def method_label(method: str) -> str:
    """Return the method, or "other" for those that a client made up."""
    return method if method in _METHODS else "other"


def _count_tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0  # no loop is running


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series, of no use here
        self.registry = registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        build = gauge("reelay_build_info", "Always 1", ["version"])
        build.labels(__version__).set(1)
        self.requests = counter(
            "reelay_requests_total", "Requests answered", ["route", "method", "status"]
        )
        self.sent_bytes = counter("reelay_sent_bytes_total", "Bytes of response bodies", ["route"])
        self.ranges = counter("reelay_ranges_total", "Media requests by kind of range", ["kind"])
        self.capped = counter(
            "reelay_capped_responses_total", "Partial responses shortened to the end of a block"
        )
        self.broken = counter(
            "reelay_broken_responses_total",
            "Responses cut short: aborted by the client, stalled, changed, failed",
            ["outcome"],
        )
        self.first_byte = histogram(
            "reelay_time_to_first_byte_seconds",
            "From the request to the response's head",
            ["route"],
            buckets=_FIRST_BYTE_BUCKETS,
        )
        self.in_progress = gauge("reelay_responses_in_progress", "Responses being made or sent")
        self.loop_lag = histogram(
            "reelay_event_loop_lag_seconds",
            "Lag of the event loop, measured four times a second",
            buckets=_LAG_BUCKETS,
        )
        tasks = gauge("reelay_event_loop_tasks", "Tasks of the event loop")
        tasks.set_function(_count_tasks)
        self.videos = gauge("reelay_videos", "Videos in the library by state of probing", ["state"])
        self.representations = gauge(
            "reelay_representations", "Videos by what players get", ["kind"]
        )
        self.findings = gauge("reelay_findings", "Videos by finding on how they play", ["code"])
        self.scans = counter("reelay_scans_total", "Scans of the library by outcome", ["outcome"])
        self.scan_seconds = histogram(
            "reelay_scan_seconds", "Time of a scan", buckets=_WORK_BUCKETS
        )
        self.scan_start = gauge(
            "reelay_scan_start_timestamp_seconds", "When the scan in progress began; 0 without one"
        )
        self.probes = counter("reelay_probes_total", "Files probed by outcome", ["outcome"])
        self.probe_seconds = histogram(
            "reelay_probe_seconds", "Time of a probe", buckets=_WORK_BUCKETS
        )
        self.background_failures = counter(
            "reelay_background_failures_total",
            "Failures of background work, which was restarted",
            ["task"],
        )
        self.store_requests = counter(
            "reelay_store_requests_total", "Requests to the object store", ["request", "outcome"]
        )
        self.store_seconds = histogram(
            "reelay_store_seconds",
            "Time until the object store responded",
            ["request"],
            buckets=_FIRST_BYTE_BUCKETS,
        )
        self.store_bytes = counter(
            "reelay_store_bytes_total", "Bytes of objects received from the store"
        )
        self.blocks = counter(
            "reelay_blocks_total", "Reads of objects' blocks by where they came from", ["how"]
        )
        self.block_cache_bytes = gauge(
            "reelay_block_cache_bytes", "Bytes of objects cached in memory"
        )
        self.derived = gauge("reelay_derived", "Artefacts of videos by state", ["kind", "state"])
        self.derived_bytes = gauge(
            "reelay_derived_bytes", "Bytes of stored artefacts and probe results"
        )
        self.derivations = counter(
            "reelay_derivations_total", "Artefacts built by kind and outcome", ["kind", "outcome"]
        )
        self.derivation_seconds = histogram(
            "reelay_derivation_seconds",
            "Time to build an artefact",
            ["kind"],
            buckets=_DERIVATION_BUCKETS,
        )
        self.viewing_reports = counter("reelay_viewing_reports_total", "Reports of players")
        self.first_frame = histogram(
            "reelay_viewing_first_frame_seconds",
            "From the press on play until a film played, as players report it",
            buckets=_FIRST_FRAME_BUCKETS,
        )
        self.viewing_seconds = counter(
            "reelay_viewing_seconds_total", "Seconds that players played or stalled", ["state"]
        )
        self.viewing_stalls = counter(
            "reelay_viewing_stalls_total", "How often players stalled while they played"
        )
        self.viewing_errors = counter(
            "reelay_viewing_errors_total", "Failures that players met", ["kind"]
        )
        self.viewing_frames = counter(
            "reelay_viewing_frames_total", "Frames that players showed or dropped", ["outcome"]
        )
        self.for_request = cache(self._for_request)
        """Returns the series of a response. Looking up labels is slow."""

    def _for_request(
        self, route: str, method: str, status: int
    ) -> tuple[Counter, Counter, Histogram]:
        return (
            self.requests.labels(route, method, str(status)),
            self.sent_bytes.labels(route),
            self.first_byte.labels(route),
        )
