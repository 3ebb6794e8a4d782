"""When a video was recorded or published, by its tags."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

# The content's own date, in order of preference. FFmpeg calls ID3's TDRC and TYER, MP4's ©day,
# RIFF's ICRD and IDIT, and Vorbis's DATE "date".
_CONTENT_TAGS: Final = (
    "com.apple.quicktime.creationdate",
    "date_recorded",
    "date",
    "date_released",
    "year",
)
_FILE_TAG: Final = "creation_time"  # MP4's mvhd, Matroska's DateUTC

_TIME: Final = (
    r"[0-9]{2}:?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]{1,9})?)?) *(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?"
)
_DATE: Final = re.compile(
    r"(?P<year>[0-9]{4})"
    r"(?:(?P<mark>[-:/.]?)(?P<month>[0-9]{2})"
    rf"(?:(?P=mark)(?P<day>[0-9]{{2}})(?:[T ]+(?P<time>{_TIME})?)?)?)?(?![0-9])"
)
_FIRST_YEAR: Final = 1870  # before the first moving picture
_FIRST_FILE_YEAR: Final = 1971  # before the first digital video

# Clocks that were never set: the epochs of QuickTime and Unix, and in a file's own time those of
# FAT and Matroska, too. A zone of the writer moves them by a day at most.
_EPOCHS: Final = (1904, 1970)
_FILE_EPOCHS: Final = (*_EPOCHS, 1980, 2001)
_EPOCH_TOLERANCE: Final = timedelta(days=1)


def creation_date(container: Mapping[str, str], *streams: Mapping[str, str]) -> str | None:
    """Return an ISO 8601 date or time: 1994, 1994-05, 1994-05-01, 1994-05-01T12:00:00+02:00.

    `container` and `streams` are tags. The date of the content is preferred to that of the file,
    unless the latter is the same with more precision. Leave out what cannot be: the zero of a
    clock, and the future.
    """
    tags = {key.lower(): text for key, text in container.items()}
    content = next(filter(None, (_read(tags.get(name, "")) for name in _CONTENT_TAGS)), None)
    files = (tags.get(_FILE_TAG, ""), *(stream.get(_FILE_TAG, "") for stream in streams))
    file = next(filter(None, (_read(text, _FILE_EPOCHS) for text in files)), None)
    if file is not None and (len(file) < len("1994-05-01") or int(file[:4]) < _FIRST_FILE_YEAR):
        file = None
    if content and file and file.startswith(content):
        return file
    return content or file


def _read(text: str, epochs: Iterable[int] = _EPOCHS) -> str | None:
    """Return a tag as an ISO 8601 date or time, as far as it is one.

    Leave out the first days of the years `epochs`.
    """
    match = _DATE.match(text.strip()[:64])
    if match is None or not _FIRST_YEAR <= int(match["year"]) <= _tomorrow().year:
        return None
    if not match["month"] or not _is_date(match["year"], match["month"], "01"):
        return match["year"]
    if not match["day"] or not _is_date(match["year"], match["month"], match["day"]):
        return f"{match['year']}-{match['month']}"
    day = f"{match['year']}-{match['month']}-{match['day']}"
    result = _with_time(day, match["time"], match["zone"]) or day
    moment = datetime.fromtimestamp(date_seconds(result), UTC)
    zeros = (datetime(epoch, 1, 1, tzinfo=UTC) for epoch in epochs)
    if moment > _tomorrow() or any(abs(moment - zero) <= _EPOCH_TOLERANCE for zero in zeros):
        return None
    return result


def _with_time(day: str, time: str | None, zone: str | None) -> str | None:
    """Return a day with a valid time to the second and its zone; None without one."""
    if not time:
        return None
    digits = re.sub(r"[.,].*|:", "", time).ljust(6, "0")
    offset = (zone or "").replace(":", "")
    if offset not in {"", "Z"}:
        offset = f"{offset[:3]}:{offset[3:] or '00'}"
    text = f"{day}T{digits[:2]}:{digits[2:4]}:{digits[4:]}{offset}"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


def _is_date(*parts: str) -> bool:
    try:
        date(*map(int, parts))
    except ValueError:
        return False
    return True


def _tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def date_seconds(created: str) -> float:
    """Return the seconds since 1970 of a date as in `Metadata.created`; of a period, of its start.

    A time without a zone is taken for UTC.
    """
    day = f"{created}-01-01"[: len("1994-05-01")] if len(created) < len("1994-05-01") else created
    moment = datetime.fromisoformat(day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
