"""The date in the name of a video, as cameras and people write it."""

import re
from datetime import datetime
from functools import lru_cache

_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<mark>[-_. ]?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d)"
    r"(?:[-_ T.]{1,4}(?P<time>\d\d[-_.:h]?\d\d[-_.:m]?\d\d)\d{0,3})?(?!\d)"
)
_MARKS = re.compile(r"\D")


@lru_cache(maxsize=4096)
def date_in_name(name: str) -> str | None:
    """Return the first date as 1994-05-01, or 1994-05-01T12:00:00 with the time behind it."""
    for match in _DATE.finditer(name):
        day = f"{match['year']}-{match['month']}-{match['day']}"
        time = _MARKS.sub("", match["time"] or "")
        for text in (f"{day}T{time[:2]}:{time[2:4]}:{time[4:]}", day):
            try:
                datetime.fromisoformat(text)
            except ValueError:
                continue
            return text
    return None
