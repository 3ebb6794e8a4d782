"""What viewers had in the last hour: sums over all replicas and edges, in memory."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.operators.members import Member, Series

_Key = TypeVar("_Key", str, float)

INTERVAL = 15.0
"""Seconds between two moments."""

MOMENTS = 240
"""An hour of them."""

_MEDIA = "reelay_edge_media_sent_bytes_total"
_ROUTES = ("media", "download")
_OPERATORS_ROUTES = ("healthz", "readyz", "metrics")  # as in deploy/monitoring/rules.yml
_VIEWING = "reelay_viewing"

FIRST_FRAME_LIMIT = 2
"""Seconds, a bound of the histogram."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The changes of counters since the moment before."""

    seconds: float
    """Since the moment before."""
    sent: float
    """Bytes of films."""
    cached: float
    """Those of them that were cached at an edge."""
    played: float
    stalled: float
    starts: Mapping[float, float]
    """Films that began to play within each bound of the histogram, in seconds."""
    failures: Mapping[str, float]
    """Those that players met, by kind."""
    errors: float
    """Responses with a status of 500 or more."""


class History:
    """The last MOMENTS moments."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque(maxlen=MOMENTS)
        self._before: Mapping[str, Series] = {}
        self._last: float | None = None

    @property
    def moments(self) -> Sequence[Moment]:
        """The moments, the oldest first."""
        return tuple(self._moments)

    def add(self, at: float, members: Iterable[Member]) -> None:
        """Add what has changed since the last call. `at` is in seconds of a monotonic clock.

        A member that was not there before, or does not answer, adds nothing. A counter that is
        lower than before has begun anew from 0, as its process has; one that is new begins at 0.
        """
        answered = {one.address: one.series for one in members if one.series is not None}
        changes = [
            (name, value - (old if value >= (old := before.get(name, 0.0)) else 0.0))
            for address, series in answered.items()
            if (before := self._before.get(address)) is not None
            for name, value in series.items()
        ]
        if self._last is not None:
            self._moments.append(_moment(at - self._last, changes))
        self._before = answered
        self._last = at


def _moment(seconds: float, changes: Sequence[tuple[str, float]]) -> Moment:
    def total(*beginnings: str) -> float:
        return sum(value for name, value in changes if name.startswith(beginnings))

    by_edges = [name for name, _ in changes if name.startswith(_MEDIA)]
    routes = [f'reelay_sent_bytes_total{{route="{route}"}}' for route in _ROUTES]
    starts = _by_label(changes, f'{_VIEWING}_first_frame_seconds_bucket{{le="')
    return Moment(
        seconds=seconds,
        sent=total(_MEDIA) if by_edges else total(*routes),
        cached=total(f'{_MEDIA}{{source="hit"}}', f'{_MEDIA}{{source="peer"}}'),
        played=total(f'{_VIEWING}_seconds_total{{state="played"}}'),
        stalled=total(f'{_VIEWING}_seconds_total{{state="stalled"}}'),
        starts={float(bound): count for bound, count in starts.items()},
        failures=_by_label(changes, f'{_VIEWING}_errors_total{{kind="'),
        errors=sum(value for name, value in changes if _is_error(name, by_edges=bool(by_edges))),
    )


def _by_label(changes: Sequence[tuple[str, float]], beginning: str) -> dict[str, float]:
    """Return the sums of the series that begin so, by the value of the label that follows."""
    return total_of(
        {name.removeprefix(beginning).partition('"')[0]: value}
        for name, value in changes
        if name.startswith(beginning)
    )


def total_of(counts: Iterable[Mapping[_Key, float]]) -> dict[_Key, float]:
    """Return the sum of counts, key by key."""
    sums: dict[_Key, float] = {}
    for one in counts:
        for key, value in one.items():
            sums[key] = sums.get(key, 0.0) + value
    return sums


def _is_error(name: str, *, by_edges: bool) -> bool:
    """Return whether a counter is of failed responses. Edges count those of films themselves."""
    if name.startswith("reelay_edge_media_responses_total"):
        return 'outcome="failed"' in name
    without = _OPERATORS_ROUTES + (_ROUTES if by_edges else ())
    if any(f'route="{route}"' in name for route in without):
        return False
    return name.startswith("reelay_requests_total") and 'status="5' in name


def windows(moments: Sequence[Moment], length: int) -> Iterator[Sequence[Moment]]:
    """Return for each moment the `length` moments up to it."""
    return (moments[max(0, end - length) : end] for end in range(1, len(moments) + 1))
