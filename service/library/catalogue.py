"""The videos of one moment: an immutable value that is searched, sorted and paged.
Law: a change of the library is a new catalogue, swapped whole. What listings need is prepared with
it, so that a page costs what it holds and only a search looks at every video."""

import base64
import binascii
import json
import math
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from service.errors import InvalidRequestError
from service.library.video import Video

Sort = Literal["name", "-name", "date", "-date", "duration", "-duration", "size", "-size"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_DIGITS = re.compile(r"[0-9]+")
_LONGEST_NUMBER = 0xD7FF  # digits; the next characters are surrogates, which no cursor can hold
_LONGEST_CURSOR = 64 * 1024  # characters; a name of 255 bytes can unfold to eighteen times that


@dataclass(frozen=True, slots=True)
class Page:
    """Some videos of a listing, and where it goes on."""

    videos: tuple[Video, ...]
    total: int
    """How many there are on all pages."""
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Item:
    """A video, and what it is sorted by and searched in."""

    video: Video
    name: str
    haystack: str


class Catalogue:
    """The listed videos. To build one takes a while, less with the one `before`: for a thread."""

    def __init__(self, videos: Iterable[Video] = (), before: "Catalogue | None" = None) -> None:
        self.videos = tuple(videos)
        known = before._items if before else {}  # noqa: SLF001 # one of its own kind
        self._items: dict[str, _Item] = {
            video.path: _item(video, known.get(video.path)) for video in self.videos
        }
        # Twice, for what is alike stays in the order of paths. Keys of both parts would be 10,000
        # objects at a time for the garbage collector, which holds up every thread.
        by_path = sorted(self._items.values(), key=lambda item: item.video.path)
        self._upwards = {order: sorted(by_path, key=key) for order, key in _KEYS.items()}

    def get(self, path: str) -> Video | None:
        item = self._items.get(path)
        return item.video if item else None

    def page(self, query: str, sort: Sort, limit: int, cursor: str | None) -> Page:
        """Give at most `limit` videos that hold every word of `query`, from behind `cursor`.

        A cursor names the last video seen and its sort key: it stays right while videos come and
        go. Raises InvalidRequestError for one that is not of our making.
        """
        order = sort.removeprefix("-")
        place = partial(_place, _KEYS[order])
        last = None if cursor is None else _read_cursor(cursor, sort)
        found = self._upwards[order]
        for word in _words(query):
            found = [item for item in found if word in item.haystack]
        if sort == order:
            start = bisect_right(found, last, key=place) if last else 0
            page = found[start : start + limit]
            more = start + limit < len(found)
        else:  # from the end to the beginning
            end = bisect_left(found, last, key=place) if last else len(found)
            page = found[max(0, end - limit) : end][::-1]
            more = limit < end
        return Page(
            tuple(item.video for item in page),
            len(found),
            _write_cursor(place(page[-1]), sort) if more else None,
        )


def _item(video: Video, before: _Item | None) -> _Item:
    if before is not None and before.video is video:
        return before
    return _Item(video, _natural(video.title), _fold(f"{video.title} {video.path}"))


def _fold(text: str) -> str:
    """Drop case and accents."""
    # Decomposed twice: styled letters have no case before, and case folding composes some anew.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _words(query: str) -> list[str]:
    return _fold(query).split()


def _natural(text: str) -> str:
    """Sort `ep 2` before `ep 10`, and text that ends before text that a number follows."""
    return _DIGITS.sub(_number, _fold(text))


def _number(digits: re.Match[str]) -> str:
    """Put a number's length before its digits, and before both what stands before any text."""
    significant = digits[0].lstrip("0")
    return f"\0{chr(min(len(significant), _LONGEST_NUMBER))}{significant}"


def _duration(video: Video) -> float:
    return video.metadata.duration or 0.0 if video.metadata else 0.0


_KEYS: dict[str, Callable[[_Item], Any]] = {
    "name": lambda item: item.name,
    "date": lambda item: item.video.modified,
    "duration": lambda item: _duration(item.video),
    "size": lambda item: item.video.size,
}


def _place(key: Callable[[_Item], Any], item: _Item) -> list[Any]:
    """Give what no two videos of an order share."""
    return [key(item), item.video.path]


def _write_cursor(key: list[Any], sort: Sort) -> str:
    text = json.dumps([sort, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str, sort: Sort) -> list[Any]:
    """Give the sort key that a cursor holds. Raises InvalidRequestError."""
    try:
        decoded = json.loads(
            base64.b64decode(cursor[:_LONGEST_CURSOR], altchars=b"-_", validate=True)
        )
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidRequestError("The cursor is not one of this server's.") from error
    by_name = sort.endswith("name")
    match decoded:
        case [made_for, str(name), str(path)] if made_for == sort and by_name:
            return [name, path]
        case [made_for, int() | float() as number, str(path)] if made_for == sort and not by_name:
            if math.isfinite(number):
                return [number, path]
    raise InvalidRequestError("The cursor is not one of this server's for this order.")
