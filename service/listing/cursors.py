"""Cursors: where a page of a listing ends, as an opaque text."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from service.errors import InvalidRequestError

_MAX_CURSOR_LENGTH = 64 * 1024  # a name of 255 bytes may become 18 times as long
_MAX_SORT_KEY = 2.0**63  # of sizes, dates and durations; no cursor of this server has larger ones


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after which a page starts: a sort key and a path."""

    key: list[Any]
    folder: bool
    """Whether it is a folder."""


def write_cursor(key: list[Any], sort: str) -> str:
    """Return the cursor of the last item of a page, in the order `sort`."""
    text = json.dumps([sort, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_cursor(cursor: str, sort: str) -> Cursor:
    """Parse a cursor. Raises InvalidRequestError."""
    try:
        decoded = json.loads(
            base64.b64decode(cursor[:_MAX_CURSOR_LENGTH], altchars=b"-_", validate=True)
        )
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidRequestError("The cursor is not one of this server's.") from error
    by_name = sort.endswith("name")
    match decoded:
        case [made_for, [str(name)], str(path)] if made_for == sort:
            return Cursor([name, path], folder=True)
        case [made_for, str(name), str(path)] if made_for == sort and by_name:
            return Cursor([name, path], folder=False)
        case [made_for, int() | float() as number, str(path)] if made_for == sort and not by_name:
            if -_MAX_SORT_KEY < number < _MAX_SORT_KEY:
                return Cursor([number, path], folder=False)
    raise InvalidRequestError("The cursor is not one of this server's for this order.")
