"""The charts of the page: numbers over the last hour as SVG polylines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from service.operators.history import (
    FIRST_FRAME_LIMIT,
    INTERVAL,
    MOMENTS,
    Moment,
    total_of,
    windows,
)

# Players report once a minute, and finished ones at once: shorter windows would jump.
_WINDOW = 8  # moments

WIDTH, HEIGHT = 240, 60
"""Of a chart, in the units of its view box."""

MINUTES = round(INTERVAL * MOMENTS / 60)
"""Of a whole chart."""

Value = float | None
"""None where there was nothing to divide by."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A number over the last hour."""

    title: str
    unit: str
    now: str | None
    top: str
    """The value at the upper edge."""
    lines: tuple[str, ...]
    """The points of polylines. A gap is where the number is not known."""


def _sum(window: Sequence[Moment], value: Callable[[Moment], float]) -> float:
    return math.fsum(map(value, window))


def _share(part: float, whole: float) -> Value:
    return 100 * part / whole if whole > 0 else None


def _viewers(window: Sequence[Moment]) -> Value:
    seconds = _sum(window, lambda one: one.seconds)
    return _sum(window, lambda one: one.played + one.stalled) / seconds if seconds else None


def _throughput(window: Sequence[Moment]) -> Value:
    seconds = window[-1].seconds
    return window[-1].sent * 8 / 1e6 / seconds if seconds else None


def _hits(window: Sequence[Moment]) -> Value:
    return _share(_sum(window, lambda one: one.cached), _sum(window, lambda one: one.sent))


def _stalled(window: Sequence[Moment]) -> Value:
    stalled = _sum(window, lambda one: one.stalled)
    return _share(stalled, stalled + _sum(window, lambda one: one.played))


def _fast(window: Sequence[Moment]) -> Value:
    starts = total_of(one.starts for one in window)
    return _share(starts.get(FIRST_FRAME_LIMIT, 0), starts.get(math.inf, 0))


def _first_frame(share: float, window: Sequence[Moment]) -> Value:
    """Return the seconds within which a share of films began, as Prometheus estimates it.

    This takes the films of a bucket for evenly distributed.
    """
    starts = total_of(one.starts for one in window)
    wanted = share * starts.get(math.inf, 0)
    lower, below = 0.0, 0.0
    for bound, count in sorted(starts.items()):
        if count >= wanted > below:
            within = (wanted - below) / (count - below)
            return lower if bound == math.inf else lower + (bound - lower) * within
        lower, below = bound, count
    return None


def _failures(window: Sequence[Moment]) -> Value:
    seconds = _sum(window, lambda one: one.seconds)
    failures = _sum(window, lambda one: sum(one.failures.values()) + one.errors)
    return failures * 60 / seconds if seconds else None


@dataclass(frozen=True, slots=True)
class _Measure:
    title: str
    unit: str
    of: Callable[[Sequence[Moment]], Value]
    form: str
    least_top: float = 1


_MEASURES = (
    _Measure("Watching now", "viewers", _viewers, "{:.1f}"),
    _Measure("Sent", "Mbit/s", _throughput, "{:.1f}"),
    _Measure("From the cache", "% of bytes", _hits, "{:.1f}", 100),
    _Measure("Stalled", "% of the time", _stalled, "{:.2f}"),
    _Measure(f"Began within {FIRST_FRAME_LIMIT} s", "% of films", _fast, "{:.1f}", 100),
    _Measure("Half of films began within", "s", partial(_first_frame, 0.5), "{:.1f}"),
    _Measure("95 % of films began within", "s", partial(_first_frame, 0.95), "{:.1f}"),
    _Measure("Failures", "a minute", _failures, "{:.1f}"),
)


def charts(moments: Sequence[Moment]) -> list[Chart]:
    """Return the charts of some moments."""
    return [_chart(moments, measure) for measure in _MEASURES]


def _chart(moments: Sequence[Moment], measure: _Measure) -> Chart:
    values = [measure.of(window) for window in windows(moments, _WINDOW)]
    top = max([measure.least_top, *(one for one in values if one is not None)])
    now = values[-1] if values else None
    shown = None if now is None else measure.form.format(now)
    lines = tuple(_polylines(values, top))
    return Chart(measure.title, measure.unit, shown, f"{top:.1f}".removesuffix(".0"), lines)


def _polylines(values: Sequence[Value], top: float) -> list[str]:
    """Return the points of each run of known values; the newest is at the right edge.

    A single point is there twice: a line of one point is not drawn.
    """
    runs: list[list[str]] = [[]]
    for age, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
        if value is None:
            runs.append([])
            continue
        x = WIDTH - age * WIDTH / (MOMENTS - 1)
        runs[-1].append(f"{x:.1f},{HEIGHT - value / top * HEIGHT:.1f}")
    return [" ".join(run if len(run) > 1 else run * 2) for run in runs if run]
