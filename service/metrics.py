"""All Prometheus metrics. Labels have few values: routes, methods, statuses, never paths."""

import asyncio
from functools import cache

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
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        build = Gauge("reelay_build_info", "Always 1", ["version"], registry=registry)
        build.labels(__version__).set(1)
        self.requests = Counter(
            "reelay_requests_total",
            "Requests answered",
            ["route", "method", "status"],
            registry=registry,
        )
        self.sent_bytes = Counter(
            "reelay_sent_bytes_total", "Bytes of response bodies", ["route"], registry=registry
        )
        self.ranges = Counter(
            "reelay_ranges_total", "Media requests by kind of range", ["kind"], registry=registry
        )
        self.capped = Counter(
            "reelay_capped_responses_total",
            "Partial responses shortened to the end of a block",
            registry=registry,
        )
        self.broken = Counter(
            "reelay_broken_responses_total",
            "Responses cut short: aborted by the client, stalled, changed, failed",
            ["outcome"],
            registry=registry,
        )
        self.first_byte = Histogram(
            "reelay_time_to_first_byte_seconds",
            "From the request to the response's head",
            ["route"],
            buckets=_FIRST_BYTE_BUCKETS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "reelay_responses_in_progress", "Responses being made or sent", registry=registry
        )
        self.loop_lag = Histogram(
            "reelay_event_loop_lag_seconds",
            "Lag of the event loop, measured four times a second",
            buckets=_LAG_BUCKETS,
            registry=registry,
        )
        tasks = Gauge("reelay_event_loop_tasks", "Tasks of the event loop", registry=registry)
        tasks.set_function(_count_tasks)
        self.videos = Gauge(
            "reelay_videos", "Videos in the library by state of probing", ["state"],
            registry=registry,
        )  # fmt: skip
        self.findings = Gauge(
            "reelay_findings", "Videos by finding on how they play", ["code"],
            registry=registry,
        )  # fmt: skip
        self.scans = Counter(
            "reelay_scans_total", "Scans of the library by outcome", ["outcome"], registry=registry
        )
        self.scan_seconds = Histogram(
            "reelay_scan_seconds", "Time of a scan", buckets=_WORK_BUCKETS, registry=registry
        )
        self.probes = Counter(
            "reelay_probes_total", "Files probed by outcome", ["outcome"], registry=registry
        )
        self.probe_seconds = Histogram(
            "reelay_probe_seconds", "Time of a probe", buckets=_WORK_BUCKETS, registry=registry
        )
        self.background_failures = Counter(
            "reelay_background_failures_total", "Failures of background work, which was restarted",
            ["task"], registry=registry,
        )  # fmt: skip
        self.store_requests = Counter(
            "reelay_store_requests_total", "Requests to the object store", ["request", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.store_seconds = Histogram(
            "reelay_store_seconds", "Time until the object store responded", ["request"],
            buckets=_FIRST_BYTE_BUCKETS, registry=registry,
        )  # fmt: skip
        self.store_bytes = Counter(
            "reelay_store_bytes_total",
            "Bytes of objects received from the store",
            registry=registry,
        )
        self.blocks = Counter(
            "reelay_blocks_total", "Reads of objects' blocks by where they came from", ["how"],
            registry=registry,
        )  # fmt: skip
        self.block_cache_bytes = Gauge(
            "reelay_block_cache_bytes", "Bytes of objects cached in memory", registry=registry
        )
        self.derived = Gauge(
            "reelay_derived", "Artefacts of videos by state", ["kind", "state"],
            registry=registry,
        )  # fmt: skip
        self.derived_bytes = Gauge(
            "reelay_derived_bytes", "Bytes of stored artefacts and probe results", registry=registry
        )
        self.derivations = Counter(
            "reelay_derivations_total", "Artefacts built by kind and outcome", ["kind", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.derivation_seconds = Histogram(
            "reelay_derivation_seconds", "Time to build an artefact", ["kind"],
            buckets=_DERIVATION_BUCKETS, registry=registry,
        )  # fmt: skip

    @cache  # noqa: B019 # bounded by the series, and the registry lives as long as the process
    def for_request(
        self, route: str, method: str, status: int
    ) -> tuple[Counter, Counter, Histogram]:
        """Return the series of a response, cached as looking up labels is slow."""
        return (
            self.requests.labels(route, method, str(status)),
            self.sent_bytes.labels(route),
            self.first_byte.labels(route),
        )
