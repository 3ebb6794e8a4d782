"""Evaluates preconditions (RFC 9110 §13): entity tags, dates, and their order.

Nothing here raises, whatever the headers say."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum
from functools import lru_cache

# RFC 9110 §8.8.3: [ "W/" ] DQUOTE *etagc DQUOTE, in a list that may have empty members (§5.6.1).
_LIST_GAP = re.compile(r"[ \t,]*")
_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)')

# Longer headers and lists match nothing, so that the work is bounded.
MAX_LIST_LENGTH = 8 * 1024  # characters; nginx's and Apache's bound on one header line
MAX_TAGS = 100  # of a list; no client needs more versions of a file
_MAX_DATE_LENGTH = 64  # characters; the longest form, RFC 850's, has 33

STABLE_AFTER = 2.0
"""Seconds after which a later change of a file gets another time stamp. HTTP dates count whole
seconds, and kernels stamp files by a clock that ticks every few milliseconds."""

EARLIEST, LATEST = -62_135_596_800, 253_402_300_799
"""The first and the last second of the years 1 to 9999, in seconds since 1970. HTTP-dates and
`datetime` have no others, but file systems do."""


def nearest_date(seconds: float) -> float:
    """Return a time stamp, or the nearest valid one, in seconds since 1970."""
    return min(max(seconds, EARLIEST), LATEST)


def last_modified_of(modified: float, now: float) -> int:
    """Return the whole second for Last-Modified, from two time stamps in seconds since 1970.

    It is rounded down and never later than `now` (RFC 9110 §8.8.2.1).
    """
    return math.floor(min(modified, now))


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of the current representation."""

    revision: str
    """The opaque text of the strong entity tag, without its quotes."""
    last_modified: int
    """Seconds since the epoch, for Last-Modified."""
    is_stable: bool
    """Whether no later version can get the same revision, so that responses may be cached."""
    date_is_validator: bool = True
    """Whether the date is a strong validator (RFC 9110 §8.8.2.2): its second is over by this
    server's clock, and the bytes are the file's own, not made from it by this release.
    """

    @property
    def entity_tag(self) -> str:
        return f'"{self.revision}"'

    def of_layout(self, revision: str) -> "Validators":
        """Return the validators of bytes with this revision that are made from the file."""
        return replace(self, revision=revision, date_is_validator=False)


class PreconditionResult(Enum):
    """The outcome of the preconditions of a request."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def evaluate(headers: Mapping[str, str], current: Validators) -> PreconditionResult:
    """Apply RFC 9110 §13.2.2, steps 1 to 4, to a GET or HEAD. Header names are in lower case."""
    if (if_match := headers.get("if-match")) is not None:  # step 1
        if not _matches(if_match, current.revision, weak=False):
            return PreconditionResult.FAILED
    elif (date := _date(headers.get("if-unmodified-since"))) is not None:  # step 2
        if current.last_modified > date:
            return PreconditionResult.FAILED
    if (if_none_match := headers.get("if-none-match")) is not None:  # step 3
        if _matches(if_none_match, current.revision, weak=True):
            return PreconditionResult.NOT_MODIFIED
    elif (date := _date(headers.get("if-modified-since"))) is not None:  # step 4
        if current.last_modified <= date:
            return PreconditionResult.NOT_MODIFIED
    return PreconditionResult.PROCEED


def range_applies(headers: Mapping[str, str], current: Validators) -> bool:
    """Return whether Range applies (RFC 9110 §13.2.2 step 5, §13.1.5)."""
    if_range = headers.get("if-range")
    if if_range is None:
        return True
    if if_range.startswith(('"', "W/")):
        return if_range == current.entity_tag  # a strong comparison: W/ never matches
    return (
        current.is_stable and current.date_is_validator and _date(if_range) == current.last_modified
    )


@lru_cache(1024)
def http_date(seconds: int) -> str:
    """Return the nearest IMF-fixdate to seconds since the epoch (RFC 9110 §5.6.7)."""
    return formatdate(nearest_date(seconds), usegmt=True)


def _matches(header: str, revision: str, *, weak: bool) -> bool:
    """Return whether a revision is in an If-Match or If-None-Match list (RFC 9110 §8.8.3.2).

    Nothing matches after a malformed member, after MAX_TAGS members, or in a header that is too
    long.
    """
    if len(header) > MAX_LIST_LENGTH:
        return False
    if header.strip(" \t") == "*":
        return True
    position = 0
    for _ in range(MAX_TAGS):
        position = _LIST_GAP.match(header, position).end()  # type: ignore[union-attr] # matches ""
        match = _ENTITY_TAG.match(header, position)
        if match is None:
            return False
        if match[2] == revision and (weak or not match[1]):
            return True
        position = match.end()
    return False


def _date(text: str | None) -> int | None:
    """Parse an HTTP-date to seconds since the epoch; None if it is absent or invalid."""
    if not text or len(text) > _MAX_DATE_LENGTH:
        return None
    try:
        date = parsedate_to_datetime(text)
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (OverflowError, ValueError):
        return None
