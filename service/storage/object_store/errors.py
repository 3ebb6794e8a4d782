"""Finds the cause of an object store's error, for the asynchronous and the blocking client."""

import re
from enum import StrEnum
from http import HTTPStatus

from obstore.exceptions import PermissionDeniedError, PreconditionError, UnauthenticatedError

from service.storage.object_store.config import http_status

# Causes that obstore has in its messages only.
_KIND = re.compile(r"kind: (Connect|Request|Timeout|Interrupted|Decode)\b")
_RANGE_ERROR = re.compile(r"\b(NotPartial|UnexpectedRange|(No|Parse|Invalid)ContentRange)\b")
_PAST_END = "StartTooLarge"
_TIMEOUT = re.compile(r"TimedOut|timed out")


class RangeMismatchError(Exception):
    """The store sent other bytes than the requested range."""


class Cause(StrEnum):
    """Why a request to the store failed. The values are the label `outcome` of the metric."""

    MISSING = "missing"
    CHANGED = "changed"
    """The object has another entity tag than the requested one."""
    PAST_END = "past_end"
    """The range begins after the end of the object."""
    DENIED = "denied"
    TIMEOUT = "timeout"
    WRONG_BYTES = "wrong"
    UNREACHABLE = "unreachable"
    OTHER = "failed"


def cause_of(error: Exception) -> Cause:
    """Return the cause of an error of obstore, or of a check of what it returned."""
    text = str(error)
    kind = match[1] if (match := _KIND.search(text)) else None
    status = http_status(error)
    if isinstance(error, (FileNotFoundError, ValueError)):  # ValueError: an invalid key
        return Cause.MISSING
    if isinstance(error, PreconditionError) or status == HTTPStatus.PRECONDITION_FAILED:
        return Cause.CHANGED
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or _PAST_END in text:
        return Cause.PAST_END
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or status in {401, 403}:
        return Cause.DENIED
    if isinstance(error, TimeoutError) or kind == "Timeout" or _TIMEOUT.search(text):
        return Cause.TIMEOUT
    if isinstance(error, RangeMismatchError) or _RANGE_ERROR.search(text):
        return Cause.WRONG_BYTES
    return Cause.UNREACHABLE if kind == "Connect" else Cause.OTHER
