"""The videos of one moment: an immutable value that is searched, sorted and paged.
Law: a change of the library is a new catalogue, swapped whole."""

import base64
import binascii
import json
import math
import operator
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
_LONGEST_CURSOR = 64 * 1024  # characters; a name of 255 bytes can unfold to eighteen times that


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
        words = _words(query)
        found = [item for item in self._in_order(sort) if self._holds(item[1], words)]
        start = 0
        if cursor is not None:
            last = _read_cursor(cursor, sort)
            behind = operator.lt if sort.startswith("-") else operator.gt
            start = next((i for i, (key, _) in enumerate(found) if behind(key, last)), len(found))
        page = found[start : start + limit]
        more = start + limit < len(found)
        return Page(
            tuple(video for _, video in page),
            len(found),
            _write_cursor(page[-1][0], sort) if more and page else None,
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
    # Decomposed twice: styled letters have no case before, and case folding composes some anew.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
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
        case [made_for, list(name), str(path)] if made_for == sort and by_name:
            if _is_natural(name):
                return [name, path]
        case [made_for, int() | float() as number, str(path)] if made_for == sort and not by_name:
            if math.isfinite(number):
                return [number, path]
    raise InvalidRequestError("The cursor is not one of this server's for this order.")


def _is_natural(name: list[Any]) -> bool:
    """Say whether this has the shape that `_natural` gives: text and numbers in turn."""
    for index, piece in enumerate(name):
        match piece:
            case str() if index % 2 == 0:
                continue
            case [int(), str()] if index % 2:
                continue
        return False
    return bool(name)
