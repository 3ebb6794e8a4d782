"""Formatting of times and sizes for pages."""

from calendar import month_name
from datetime import UTC, datetime

from service.models import Video
from service.protocol.conditions import nearest_date


def summary(video: Video) -> str:
    """Return a video's duration, size in pixels and bytes in one line."""
    parts = []
    if video.metadata and video.metadata.duration is not None:
        parts.append(format_length(video.metadata.duration))
    if video.picture:
        parts.append(f"{video.picture.width}×{video.picture.height}")
    return " · ".join([*parts, format_size(video.size)])


def to_datetime(seconds: float) -> datetime:
    """Return the UTC time of seconds since the epoch, or the nearest valid one."""
    return datetime.fromtimestamp(nearest_date(seconds), UTC)


def format_date(date: float | str) -> str:
    """Return a date for people: 1 May 1994, May 1994 or 1994.

    `date` is in seconds since the epoch, or as in `Metadata.created`.
    """
    day = date[: len("1994-05-01")] if isinstance(date, str) else f"{to_datetime(date):%Y-%m-%d}"
    year, *rest = day.split("-")
    words = [str(int(rest[1]))] if len(rest) > 1 else []
    return " ".join([*words, *([month_name[int(rest[0])]] if rest else []), year])


def format_moment(seconds: float) -> str:
    """Return seconds since the epoch for people: 1 May 1994, 20:15 UTC."""
    return f"{format_date(seconds)}, {to_datetime(seconds):%H:%M} UTC"


def format_iso_time(seconds: float) -> str:
    """Return seconds since the epoch for scripts: 1994-05-01T20:15:00Z."""
    return f"{to_datetime(seconds):%Y-%m-%dT%H:%M:%SZ}"


def format_duration(seconds: float) -> str:
    """Return seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_length(seconds: float) -> str:
    """Return the length of a video as 1:02:03 or 2:03; of less than a second as 0:01."""
    return format_duration(max(seconds, 1) if seconds > 0 else seconds)


def format_size(count: float) -> str:
    """Return a number of bytes in decimal units, as file managers do."""
    units = iter(("B", "kB", "MB"))
    unit = next(units)
    while count >= 999.5 and unit != "GB":  # noqa: PLR2004 # would be rounded up to 1000
        count /= 1000
        unit = next(units, "GB")
    whole = unit == "B" or count >= 9.95  # noqa: PLR2004 # would be rounded up to 10.0
    return f"{count:.0f} {unit}" if whole else f"{count:.1f} {unit}"
