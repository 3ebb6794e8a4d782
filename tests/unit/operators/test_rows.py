"""Replicas, edges and background work in words."""

from pathlib import Path

import pytest

from service.operators.history import _OPERATORS_ROUTES
from service.operators.members import Member
from service.operators.rows import (
    _KEPT_FREE,
    _LONG_SCAN,
    _SOON,
    _USUAL_OUTCOMES,
    edge_row,
    replica_row,
    work_rows,
)

RULES = Path(__file__).parents[3] / "deploy/monitoring/rules.yml"
NOW, DAY, GIB = 1e9, 86400.0, 2.0**30
EXPIRY = "reelay_edge_certificate_expiry_timestamp_seconds"


@pytest.mark.parametrize(
    ("disk", "available", "cell", "is_bad"),
    [
        (100 * GIB, 1.1 * GIB, "1.5 MB", False),
        # nginx keeps 1 GiB free: less than a quarter of that is left.
        (100 * GIB, 0.2 * GIB, "1.5 MB, disk full", True),
        # Of a disk of 1 GiB it keeps a quarter free.
        (GIB, 0.1 * GIB, "1.5 MB", False),
        (GIB, 0.05 * GIB, "1.5 MB, disk full", True),
    ],
)
def test_an_edge_whose_disk_is_full_is_marked(
    disk: float, available: float, cell: str, *, is_bad: bool
) -> None:
    series = {
        "reelay_edge_cache_bytes": 1.5e6,
        EXPIRY: NOW + 60 * DAY,
        'reelay_edge_cache_disk_bytes{cache="blocks"}': disk,
        'reelay_edge_cache_available_bytes{cache="blocks"}': available,
    }
    row = edge_row(Member("edge", "edge:9145", series), NOW)
    assert (row.cells[2], row.is_bad) == (cell, is_bad)


@pytest.mark.parametrize(
    ("left", "lifetime", "cell", "is_bad"),
    [
        (60 * DAY, 90 * DAY, "in 60 days", False),
        (13 * DAY, 90 * DAY, "in 13 days", True),
        (-DAY, 90 * DAY, "has expired", True),
        (3 * DAY, 6 * DAY, "in 3 days", False),
        (DAY, 6 * DAY, "in 24 hours", True),
        (-NOW, 0, "not known", True),
    ],
)
def test_an_edge_whose_certificate_ends_or_is_not_known_is_marked(
    left: float, lifetime: float, cell: str, *, is_bad: bool
) -> None:
    series = {
        EXPIRY: NOW + left,
        "reelay_edge_certificate_not_before_timestamp_seconds": NOW + left - lifetime,
    }
    row = edge_row(Member("edge", "edge:9145", series), NOW)
    assert (row.cells[3], row.is_bad) == (cell, is_bad)


def test_an_edge_that_refuses_a_new_certificate_is_marked() -> None:
    series = {EXPIRY: NOW + 60 * DAY, "reelay_edge_certificate_refused": 1.0}
    row = edge_row(Member("edge", "edge:9145", series), NOW)
    assert (row.cells[3], row.is_bad) == ("in 60 days, a new one was refused", True)


@pytest.mark.parametrize(
    ("start", "cell", "is_bad"),
    [
        (0, "2 days", False),
        (NOW - 800, "2 days", False),
        (NOW - 1000, "2 days, its scan hangs", True),
    ],
)
def test_a_replica_whose_scan_hangs_is_marked(start: float, cell: str, *, is_bad: bool) -> None:
    series = {
        "process_start_time_seconds": NOW - 2 * DAY,
        "reelay_scan_start_timestamp_seconds": start,
    }
    row = replica_row(Member("replica", "a:8000", series), NOW)
    assert (row.cells[1], row.is_bad) == (cell, is_bad)


def test_failures_of_work_and_of_the_store_are_summed_over_replicas() -> None:
    series = {
        'reelay_background_failures_total{task="scanning"}': 2.0,
        'reelay_store_requests_total{outcome="unreachable",request="get"}': 3.0,
        'reelay_store_requests_total{outcome="unreachable",request="head"}': 1.0,
        'reelay_store_requests_total{outcome="missing",request="head"}': 9.0,
        'reelay_store_requests_total{outcome="timeout",request="get"}': 0.0,
    }
    replicas = [Member("replica", f"{name}:8000", series) for name in "ab"]
    rows = dict(work_rows([*replicas, Member("replica", "c:8000", None)]))
    assert rows["Failures since the start: scanning"] == 4
    assert rows["Failures since the start: the object store, unreachable"] == 8
    assert len([name for name in rows if "object store" in name]) == 1


def test_the_page_and_the_alerts_agree() -> None:
    rules = RULES.read_text(encoding="utf-8")
    assert f'outcome!~"{"|".join(_USUAL_OUTCOMES)}"' in rules
    assert f'route!~"{"|".join(_OPERATORS_ROUTES)}"' in rules
    assert f"(reelay_scan_start_timestamp_seconds > 0) > {_LONG_SCAN}\n" in rules
    assert f"{_SOON // 86400} * 86400" in rules
    assert _KEPT_FREE == 1024**3
    assert "1024 * 1024 * 1024" in rules
