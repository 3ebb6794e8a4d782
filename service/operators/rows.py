"""The rows of the page's tables: replicas, edges and background work in words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.operators.members import Member, Series

# Seconds before a certificate expires, or a third of a shorter lifetime: as in
# deploy/monitoring/rules.yml. Certificates of 90 days are renewed 30 days before.
_SOON = 14 * 86400

# Bytes of a cache's disk that nginx keeps free, or a quarter of a smaller disk. If less than a
# quarter of that is left, something else fills it: as in deploy/monitoring/rules.yml.
_KEPT_FREE = 2**30

# Seconds after which a scan of the library counts as hung: as in deploy/monitoring/rules.yml.
_LONG_SCAN = 900

# Outcomes of requests to the object store that are not the store's fault.
_USUAL_OUTCOMES = ("complete", "missing", "changed", "left")


@dataclass(frozen=True, slots=True)
class Row:
    """A replica or an edge, in words."""

    name: str
    cells: tuple[str, ...]
    """Empty if it does not answer."""
    is_bad: bool = False


def replica_row(member: Member, now: float) -> Row:
    """Describe a replica. `now` is in seconds since the epoch."""
    series = member.series
    if series is None:
        return Row(member.address, (), is_bad=True)
    hangs = 0 < series.get("reelay_scan_start_timestamp_seconds", 0) < now - _LONG_SCAN
    age = _age(now - series.get("process_start_time_seconds", now))
    cells = (
        _label(series, "reelay_build_info", "version"),
        f"{age}, its scan hangs" if hangs else age,
        _size(series.get("process_resident_memory_bytes", 0)),
        _size(series.get("reelay_derived_bytes", 0)),
    )
    return Row(member.address, cells, is_bad=hangs)


def edge_row(member: Member, now: float) -> Row:
    """Describe an edge. `now` is in seconds since the epoch."""
    series = member.series
    if series is None:
        return Row(member.address, (), is_bad=True)
    connections = series.get('reelay_edge_connections{state="active"}', 0)
    certificate, is_certificate_bad = _certificate(series, now)
    is_full = _has_full_disk(series)
    cells = (
        _label(series, "reelay_edge_build_info", "nginx"),
        f"{connections:.0f}",
        f"{_size(series.get('reelay_edge_cache_bytes', 0))}{', disk full' if is_full else ''}",
        certificate,
    )
    return Row(member.address, cells, is_bad=is_full or is_certificate_bad)


def _certificate(series: Series, now: float) -> tuple[str, bool]:
    """Return when the certificate that an edge serves expires, and whether that is bad."""
    prefix = "reelay_edge_certificate"
    expiry = series.get(f"{prefix}_expiry_timestamp_seconds", 0)
    if not expiry:
        return "not known", True
    left = expiry - now
    lifetime = expiry - series.get(f"{prefix}_not_before_timestamp_seconds", 0)
    text = "has expired" if left < 0 else f"in {_age(left)}"
    if series.get(f"{prefix}_refused"):
        return f"{text}, a new one was refused", True
    return text, left < min(_SOON, lifetime / 3)


def _has_full_disk(series: Series) -> bool:
    return any(
        value < min(_KEPT_FREE, series.get(f"reelay_edge_cache_disk_bytes{{{labels}", 0) / 4) / 4
        for name, value in series.items()
        for metric, _, labels in [name.partition("{")]
        if metric == "reelay_edge_cache_available_bytes"
    )


def work_rows(replicas: Iterable[Member]) -> Iterator[tuple[str, int]]:
    """Return what waits, and what has failed, with its number: work, and requests to the store.

    All replicas count the same artefacts, but only their own failures.
    """
    answered = [one.series for one in replicas if one.series is not None]
    for state in ("waiting", "failed"):
        counts = (_total(series, "reelay_derived{", f'state="{state}"') for series in answered)
        yield f"Posters, captions, copies …: {state}", round(max(counts, default=0))
    failures: dict[str, float] = {}
    for series in answered:
        for name, value in series.items():
            if name.startswith("reelay_background_failures_total{") and value:
                task = name.partition('task="')[2].removesuffix('"}')
                failures[task] = failures.get(task, 0) + value
            elif name.startswith("reelay_store_requests_total{") and value:
                outcome = name.partition('outcome="')[2].partition('"')[0]
                if outcome not in _USUAL_OUTCOMES:
                    task = f"the object store, {outcome}"
                    failures[task] = failures.get(task, 0) + value
    for task, value in sorted(failures.items()):
        yield f"Failures since the start: {task}", round(value)


def _label(series: Series, metric: str, label: str) -> str:
    name = next((name for name in series if name.startswith(f"{metric}{{")), "")
    return name.partition(f'{label}="')[2].partition('"')[0]


def _total(series: Series, beginning: str, label: str) -> float:
    return sum(
        value for name, value in series.items() if name.startswith(beginning) and label in name
    )


def _age(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"


def _size(size: float) -> str:
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"
