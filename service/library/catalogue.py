"""The videos of one moment: an immutable value that is searched, sorted and paged.
Law: a change of the library is a new catalogue, swapped whole."""

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from service.errors import InvalidRequestError
from service.library.video import Video

Sort = Literal["name", "-name", "date", "-date", "duration", "-duration", "size", "-size"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_DIGITS = re.compile(r"([0-9]+)")
_LONGEST_CURSOR = 8 * 1024  # characters; a path is at most 4,096 bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some videos of a listing, and where it goes on."""

    videos: tuple[Video, ...]
    total: int
    """How many there are on all pages."""
    next_cursor: str | None


class Catalogue:
    """The listed videos."""

    def __init__(self, videos: Iterable[Video] = ()) -> None:
        self.videos = tuple(videos)
        self._by_path = {video.path: video for video in self.videos}
        self._sorted: dict[str, list[tuple[list[Any], Video]]] = {}
        self._haystack: dict[str, str] = {}

    def get(self, path: str) -> Video | None:
        return self._by_path.get(path)

    def page(self, query: str, sort: Sort, limit: int, cursor: str | None) -> Page:
        """Give at most `limit` videos that hold every word of `query`, from behind `cursor`.

        A cursor names the last video seen and its sort key: it stays right while videos come and
        go. Raises InvalidRequestError for one that is not of our making.
        """
        found = [item for item in self._in_order(sort) if self._holds(item[1], _words(query))]
        start = 0
        if cursor is not None:
            last = _read_cursor(cursor)
            behind = _is_behind(last, descending=sort.startswith("-"))
            start = next((i for i, (key, _) in enumerate(found) if behind(key)), len(found))
        page = found[start : start + limit]
        more = start + limit < len(found)
        return Page(
            tuple(video for _, video in page),
            len(found),
            _write_cursor(page[-1][0]) if more and page else None,
        )

    def _in_order(self, sort: Sort) -> list[tuple[list[Any], Video]]:
        if sort not in self._sorted:
            key = _KEYS[sort.removeprefix("-")]
            keyed = [([*key(video), video.path], video) for video in self.videos]
            keyed.sort(key=lambda item: item[0], reverse=sort.startswith("-"))
            self._sorted[sort] = keyed
        return self._sorted[sort]

    def _holds(self, video: Video, words: list[str]) -> bool:
        if not words:
            return True
        haystack = self._haystack.get(video.path)
        if haystack is None:
            haystack = self._haystack[video.path] = _fold(f"{video.title} {video.path}")
        return all(word in haystack for word in words)


def _fold(text: str) -> str:
    """Drop case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _words(query: str) -> list[str]:
    return _fold(query).split()


def _natural(text: str) -> list[Any]:
    """Sort `ep 2` before `ep 10`: text and numbers in turn, text first."""
    pieces = _DIGITS.split(_fold(text))
    # A number's length before its digits: int() refuses more than 4,300 of them.
    return [
        [len(piece.lstrip("0")), piece.lstrip("0")] if index % 2 else piece
        for index, piece in enumerate(pieces)
    ]


def _duration(video: Video) -> float:
    return video.metadata.duration or 0.0 if video.metadata else 0.0


_KEYS: dict[str, Callable[[Video], list[Any]]] = {
    "name": lambda video: [_natural(video.title)],
    "date": lambda video: [video.modified],
    "duration": lambda video: [_duration(video)],
    "size": lambda video: [video.size],
}


def _is_behind(last: list[Any], *, descending: bool) -> Callable[[list[Any]], bool]:
    def behind(key: list[Any]) -> bool:
        try:
            return key < last if descending else key > last
        except TypeError as error:
            raise InvalidRequestError("The cursor belongs to another order.") from error

    return behind


def _write_cursor(key: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode()


def _read_cursor(cursor: str) -> list[Any]:
    try:
        key = json.loads(base64.b64decode(cursor[:_LONGEST_CURSOR], altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidRequestError("The cursor is not one of this server's.") from error
    if not isinstance(key, list):
        raise InvalidRequestError("The cursor is not one of this server's.")
    return key
