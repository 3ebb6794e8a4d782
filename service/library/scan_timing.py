"""When the library is scanned again."""

from dataclasses import dataclass

# Seconds between scans, because events do not end while a large file is copied.
_MIN_SCAN_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class ScanTiming:
    """Seconds."""

    rescan_interval: float
    settle_time: float


def next_scan(took: float, wait: float) -> tuple[float, float]:
    """Return the earliest and the latest start of the next scan, in seconds after the last one.

    The last scan took `took` seconds. The latest start, if nothing changes, is after `wait` or as
    many seconds. So scans take at most half of the time of a thread, however large the library. A
    change is listed within three times the duration of a scan: the rest of the scan that missed it,
    the pause, and the next scan.
    """
    earliest = max(_MIN_SCAN_PAUSE, took)
    return earliest, max(earliest, wait)
