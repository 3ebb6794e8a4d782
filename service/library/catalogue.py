"""The videos of one moment: an immutable value that is searched, sorted and paged.
Law: a change of the library is a new catalogue, swapped whole. What listings need is prepared with
it, so that a page costs what it holds and only a search looks at every video."""

import base64
import binascii
import json
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal, get_args

from service.errors import InvalidRequestError, NotFoundError
from service.library.collation import fold, natural, words
from service.library.folders import Folder, Folders, parent
from service.models import Video

Sort = Literal["name", "-name", "date", "-date", "duration", "-duration", "size", "-size"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_LONGEST_CURSOR = 64 * 1024  # characters; a name of 255 bytes can unfold to eighteen times that
_LARGEST_KEY = (
    2.0**63
)  # of sizes, dates and durations; what is larger, or no number, is none of ours
_MOST_SEARCHED = 2000  # characters of a video's tags: more is no name of anything


@dataclass(frozen=True, slots=True)
class Page:
    """Some folders and videos of a listing, and where it goes on."""

    videos: tuple[Video, ...]
    total: int
    """How many videos there are on all pages."""
    next_cursor: str | None
    folders: tuple[Folder, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    """A video, and what it is sorted by and searched in."""

    video: Video
    name: str
    haystack: str
    folder: str


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
        # Again, folder by folder: what is directly in one stands together, at the same place in
        # every order. That is four lists, and not four for each folder.
        self._by_folder = {order: _together(items) for order, items in self._upwards.items()}
        self._spans = _spans(self._by_folder["name"])
        direct = {folder: end - start for folder, (start, end) in self._spans.items()}
        self.folders: Folders = Folders(direct, before.folders if before else None)
        self._latest: tuple[tuple[object, ...], _Run] | None = None
        """The latest search, and what it found: a page may ask for several parts of that."""

    def get(self, path: str) -> Video | None:
        item = self._items.get(path)
        return item.video if item else None

    def neighbours(self, path: str) -> tuple[Video | None, Video | None]:
        """Give what stands before a video and what behind it, among those of its folder by name."""
        item = self._items.get(path)
        if item is None:
            return None, None
        order, (start, end) = self._by_folder["name"], self._spans[item.folder]
        place = partial(_place, _KEYS["name"])
        at = bisect_left(order, place(item), start, end, key=place)
        before = order[at - 1].video if at > start else None
        return before, order[at + 1].video if at + 1 < end else None

    def page(
        self,
        query: str,
        sort: Sort,
        limit: int,
        cursor: str | None,
        folder: str | None = None,
    ) -> Page:
        """Give at most `limit` videos that hold every word of `query`, from behind `cursor`.

        With a `folder`, those below it; without a query, those directly in it, and before them the
        folders in it, which the limit counts, too. A cursor names the last of a page and its sort
        key: it stays right while videos come and go. Raises InvalidRequestError for one that is
        not of our making, NotFoundError for a folder that holds no videos.
        """
        if folder is not None and self.folders.get(folder) is None:
            raise NotFoundError(f'There is no folder "{folder}" with videos in the library.')
        last = None if cursor is None else _read_cursor(cursor, sort)
        wanted = words(query)
        if folder is not None and not wanted:
            return self._inside(folder, sort, limit, last)
        if last and last.folder:
            raise InvalidRequestError("The cursor is one of another listing.")
        return _page(self._found(wanted, sort, folder), sort, limit, last)

    def stretch(self, query: str, sort: Sort, start: int, limit: int, folder: str | None) -> Page:
        """Give at most `limit` of what `page` lists, from behind the first `start`: for people, who
        count pages and turn back. While videos come and go, one may be seen twice, or not.

        Raises NotFoundError for a folder that holds no videos.
        """
        if folder is not None and self.folders.get(folder) is None:
            raise NotFoundError(f'There is no folder "{folder}" with videos in the library.')
        wanted = words(query)
        inner: tuple[Folder, ...] = ()
        if folder is None or wanted:
            run = self._found(wanted, sort, folder)
        else:
            run, inner = self._directly_in(folder, sort), self.folders.directly_in(folder)
        total = run.end - run.start
        first, last = (min(max(0, at - len(inner)), total) for at in (start, start + limit))
        if sort.startswith("-"):  # from the end to the beginning
            items = run.items[run.end - last : run.end - first][::-1]
        else:
            items = run.items[run.start + first : run.start + last]
        videos = tuple(item.video for item in items)
        return Page(videos, total, None, inner[start : start + limit])

    def _found(self, wanted: Iterable[str], sort: Sort, folder: str | None) -> "_Run":
        """Give what holds every one of these words, of all videos or of those below a folder."""
        asked = (*wanted, sort.removeprefix("-"), folder)
        if self._latest is not None and self._latest[0] == asked:
            return self._latest[1]
        found = self._upwards[sort.removeprefix("-")]
        if folder:
            below = f"{folder}/"
            found = [item for item in found if item.video.path.startswith(below)]
        for word in wanted:
            found = [item for item in found if word in item.haystack]
        run = _Run(found, 0, len(found))
        self._latest = (asked, run)
        return run

    def _directly_in(self, folder: str, sort: Sort) -> "_Run":
        return _Run(self._by_folder[sort.removeprefix("-")], *self._spans.get(folder, (0, 0)))

    def _inside(self, path: str, sort: Sort, limit: int, last: "_Last | None") -> Page:
        """Give what is directly in a folder: folders by name, then videos as they are sorted."""
        run = self._directly_in(path, sort)
        if last and not last.folder:
            return _page(run, sort, limit, last)
        inner = self.folders.directly_in(path)
        start = bisect_right(inner, last.key, key=_folder_place) if last else 0
        folders = inner[start : start + limit]
        if len(folders) == limit and (start + limit < len(inner) or run.end > run.start):
            name, path = _folder_place(folders[-1])
            return Page((), run.end - run.start, _write_cursor([[name], path], sort), folders)
        page = _page(run, sort, limit - len(folders), None)
        return replace(page, folders=folders)


@dataclass(frozen=True, slots=True)
class _Run:
    """The items of an order that a listing is of: from `start` up to `end`."""

    items: list[_Item]
    start: int
    end: int


def _page(run: _Run, sort: Sort, limit: int, last: "_Last | None") -> Page:
    order = sort.removeprefix("-")
    place = partial(_place, _KEYS[order])
    start, end = run.start, run.end
    if sort == order:
        if last:
            start = bisect_right(run.items, last.key, start, end, key=place)
        end = min(start + limit, run.end)
        page, more = run.items[start:end], end < run.end
    else:  # from the end to the beginning
        if last:
            end = bisect_left(run.items, last.key, start, end, key=place)
        start = max(run.start, end - limit)
        page, more = run.items[start:end][::-1], start > run.start
    return Page(
        tuple(item.video for item in page),
        run.end - run.start,
        _write_cursor(place(page[-1]), sort) if more else None,
    )


def _item(video: Video, before: _Item | None) -> _Item:
    if before is not None and before.video is video:
        return before
    folder = sys.intern(parent(video.path))  # one object for all that are in it
    return _Item(video, natural(video.title), _haystack(video), folder)


def _haystack(video: Video) -> str:
    """Give what a video is found by: title, file and folders, and what its tags say."""
    texts = [video.title, video.path]
    if video.metadata:
        if video.metadata.title and video.metadata.title != video.title:
            texts.append(video.metadata.title)
        texts.append(" ".join(tag.text for tag in video.metadata.tags)[:_MOST_SEARCHED])
    return fold(" ".join(filter(None, texts)))


def _together(items: list[_Item]) -> list[_Item]:
    """Put what is in the same folder together, and leave it in its order there."""
    folders: defaultdict[str, list[_Item]] = defaultdict(list)
    for item in items:
        folders[item.folder].append(item)
    return [item for folder in sorted(folders) for item in folders[folder]]


def _spans(items: list[_Item]) -> dict[str, tuple[int, int]]:
    """Say where the items of each folder begin and end."""
    spans, start = {}, 0
    for folder, inside in groupby(items, key=attrgetter("folder")):
        end = start + sum(1 for _ in inside)
        spans[folder] = (start, end)
        start = end
    return spans


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


def _folder_place(folder: Folder) -> list[Any]:
    return [folder.name, folder.path]


@dataclass(frozen=True, slots=True)
class _Last:
    """What a page ended with: its sort key and its path."""

    key: list[Any]
    folder: bool
    """Whether it is a folder, and no video."""


def _write_cursor(key: list[Any], sort: Sort) -> str:
    text = json.dumps([sort, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str, sort: Sort) -> _Last:
    """Give the sort key that a cursor holds. Raises InvalidRequestError."""
    try:
        decoded = json.loads(
            base64.b64decode(cursor[:_LONGEST_CURSOR], altchars=b"-_", validate=True)
        )
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidRequestError("The cursor is not one of this server's.") from error
    by_name = sort.endswith("name")
    match decoded:
        case [made_for, [str(name)], str(path)] if made_for == sort:
            return _Last([name, path], folder=True)
        case [made_for, str(name), str(path)] if made_for == sort and by_name:
            return _Last([name, path], folder=False)
        case [made_for, int() | float() as number, str(path)] if made_for == sort and not by_name:
            if -_LARGEST_KEY < number < _LARGEST_KEY:
                return _Last([number, path], folder=False)
    raise InvalidRequestError("The cursor is not one of this server's for this order.")
