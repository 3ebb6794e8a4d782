"""The videos at one moment, prepared for search, sorting and paging.

A catalogue is immutable. A page costs as much as it is long; only a search looks at every video.
"""

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
from service.library.collation import fold, natural_sort_key, search_terms
from service.library.folders import Folder, Folders, parent
from service.models import Video

Sort = Literal["name", "-name", "date", "-date", "duration", "-duration", "size", "-size"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_MAX_CURSOR_LENGTH = 64 * 1024  # a name of 255 bytes may become 18 times as long
_MAX_SORT_KEY = 2.0**63  # of sizes, dates and durations; no cursor of this server has larger ones
_MAX_TAGS_LENGTH = 2000  # characters of a video's tags that are searched


@dataclass(frozen=True, slots=True)
class Page:
    """A page of folders and videos, and the cursor of the next page."""

    videos: tuple[Video, ...]
    total: int
    """Number of videos on all pages."""
    next_cursor: str | None
    folders: tuple[Folder, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    """A video with its sort name and its search text."""

    video: Video
    name: str
    search_text: str
    folder: str


class Catalogue:
    """The listed videos. Building one blocks; `previous` makes it faster."""

    def __init__(self, videos: Iterable[Video] = (), previous: "Catalogue | None" = None) -> None:
        self.videos = tuple(videos)
        cached = previous._items if previous else {}  # noqa: SLF001 # of the same class
        self._items: dict[str, _Item] = {
            video.path: _item(video, cached.get(video.path)) for video in self.videos
        }
        # Sorted twice, so that equal items are ordered by path. Keys of both parts would be 10,000
        # more objects for the garbage collector, which pauses every thread.
        by_path = sorted(self._items.values(), key=lambda item: item.video.path)
        self._ascending = {order: sorted(by_path, key=key) for order, key in _KEYS.items()}
        # Grouped by folder as well: the items of a folder have the same range in every order. These
        # are four lists, instead of four for each folder.
        self._by_folder = {
            order: _group_by_folder(items) for order, items in self._ascending.items()
        }
        self._folder_ranges = _folder_ranges(self._by_folder["name"])
        direct = {folder: end - start for folder, (start, end) in self._folder_ranges.items()}
        self.folders: Folders = Folders(direct, previous.folders if previous else None)
        self._latest_search: tuple[tuple[object, ...], _Listing] | None = None
        """The latest search and its result: one page may need several parts of it."""

    def get(self, path: str) -> Video | None:
        item = self._items.get(path)
        return item.video if item else None

    def neighbours(self, path: str) -> tuple[Video | None, Video | None]:
        """Return the videos before and after a video in its folder, by name."""
        item = self._items.get(path)
        if item is None:
            return None, None
        order, (start, end) = self._by_folder["name"], self._folder_ranges[item.folder]
        sort_key = partial(_sort_key, _KEYS["name"])
        at = bisect_left(order, sort_key(item), start, end, key=sort_key)
        previous = order[at - 1].video if at > start else None
        return previous, order[at + 1].video if at + 1 < end else None

    def page(
        self, query: str, sort: Sort, limit: int, cursor: str | None, folder: str | None = None
    ) -> Page:
        """Return at most `limit` videos that contain every word of `query`, after `cursor`.

        With a `folder`, those below it; without a query, those directly in it, and before them the
        folders in it, which the limit counts, too. A cursor names the last of a page and its sort
        key: it stays right while videos come and go. Raises InvalidRequestError for one that is
        not of our making, NotFoundError for a folder that holds no videos.
        """
        if folder is not None and self.folders.get(folder) is None:
            raise NotFoundError(f'There is no folder "{folder}" with videos in the library.')
        after = None if cursor is None else _read_cursor(cursor, sort)
        terms = search_terms(query)
        if folder is not None and not terms:
            return self._folder_page(folder, sort, limit, after)
        if after and after.folder:
            raise InvalidRequestError("The cursor is one of another listing.")
        return _page(self._search(terms, sort, folder), sort, limit, after)

    def page_at(self, query: str, sort: Sort, start: int, limit: int, folder: str | None) -> Page:
        """Return at most `limit` items of the same listing, after the first `start`.

        For numbered pages. While videos come and go, one may be on two pages or on none.

        Raises NotFoundError for a folder that holds no videos.
        """
        if folder is not None and self.folders.get(folder) is None:
            raise NotFoundError(f'There is no folder "{folder}" with videos in the library.')
        terms = search_terms(query)
        subfolders: tuple[Folder, ...] = ()
        if folder is None or terms:
            listing = self._search(terms, sort, folder)
        else:
            listing, subfolders = self._directly_in(folder, sort), self.folders.subfolders(folder)
        total = listing.end - listing.start
        first, after = (min(max(0, at - len(subfolders)), total) for at in (start, start + limit))
        if sort.startswith("-"):  # descending
            items = listing.items[listing.end - after : listing.end - first][::-1]
        else:
            items = listing.items[listing.start + first : listing.start + after]
        videos = tuple(item.video for item in items)
        return Page(videos, total, None, subfolders[start : start + limit])

    def _search(self, terms: Iterable[str], sort: Sort, folder: str | None) -> "_Listing":
        """Return the videos that contain all terms, in the library or below a folder."""
        search = (*terms, sort.removeprefix("-"), folder)
        if self._latest_search is not None and self._latest_search[0] == search:
            return self._latest_search[1]
        matches = self._ascending[sort.removeprefix("-")]
        if folder:
            below = f"{folder}/"
            matches = [item for item in matches if item.video.path.startswith(below)]
        for word in terms:
            matches = [item for item in matches if word in item.search_text]
        listing = _Listing(matches, 0, len(matches))
        self._latest_search = (search, listing)
        return listing

    def _directly_in(self, folder: str, sort: Sort) -> "_Listing":
        return _Listing(
            self._by_folder[sort.removeprefix("-")], *self._folder_ranges.get(folder, (0, 0))
        )

    def _folder_page(self, path: str, sort: Sort, limit: int, after: "_Cursor | None") -> Page:
        """Return a page of a folder: its folders by name, then its videos in order."""
        listing = self._directly_in(path, sort)
        if after and not after.folder:
            return _page(listing, sort, limit, after)
        subfolders = self.folders.subfolders(path)
        start = bisect_right(subfolders, after.key, key=_folder_sort_key) if after else 0
        folders = subfolders[start : start + limit]
        if len(folders) == limit and (
            start + limit < len(subfolders) or listing.end > listing.start
        ):
            name, path = _folder_sort_key(folders[-1])
            return Page(
                (), listing.end - listing.start, _write_cursor([[name], path], sort), folders
            )
        page = _page(listing, sort, limit - len(folders), None)
        return replace(page, folders=folders)


@dataclass(frozen=True, slots=True)
class _Listing:
    """A range of sorted items, from `start` up to `end`."""

    items: list[_Item]
    start: int
    end: int


def _page(listing: _Listing, sort: Sort, limit: int, after: "_Cursor | None") -> Page:
    order = sort.removeprefix("-")
    sort_key = partial(_sort_key, _KEYS[order])
    start, end = listing.start, listing.end
    if sort == order:
        if after:
            start = bisect_right(listing.items, after.key, start, end, key=sort_key)
        end = min(start + limit, listing.end)
        page, more = listing.items[start:end], end < listing.end
    else:  # descending
        if after:
            end = bisect_left(listing.items, after.key, start, end, key=sort_key)
        start = max(listing.start, end - limit)
        page, more = listing.items[start:end][::-1], start > listing.start
    return Page(
        tuple(item.video for item in page),
        listing.end - listing.start,
        _write_cursor(sort_key(page[-1]), sort) if more else None,
    )


def _item(video: Video, previous: _Item | None) -> _Item:
    if previous is not None and previous.video is video:
        return previous
    folder = sys.intern(parent(video.path))  # one object for all items of a folder
    return _Item(video, natural_sort_key(video.title), _search_text(video), folder)


def _search_text(video: Video) -> str:
    """Return the text that a search looks at: title, path and tags."""
    texts = [video.title, video.path]
    if video.metadata:
        if video.metadata.title and video.metadata.title != video.title:
            texts.append(video.metadata.title)
        texts.append(" ".join(tag.text for tag in video.metadata.tags)[:_MAX_TAGS_LENGTH])
    return fold(" ".join(filter(None, texts)))


def _group_by_folder(items: list[_Item]) -> list[_Item]:
    """Group the items by folder, in their order."""
    folders: defaultdict[str, list[_Item]] = defaultdict(list)
    for item in items:
        folders[item.folder].append(item)
    return [item for folder in sorted(folders) for item in folders[folder]]


def _folder_ranges(items: list[_Item]) -> dict[str, tuple[int, int]]:
    """Return the start and the end of each folder's items."""
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
    "date": lambda item: item.video.date,
    "duration": lambda item: _duration(item.video),
    "size": lambda item: item.video.size,
}


def _sort_key(key: Callable[[_Item], Any], item: _Item) -> list[Any]:
    """Return a key that is unique to the video."""
    return [key(item), item.video.path]


def _folder_sort_key(folder: Folder) -> list[Any]:
    return [folder.name, folder.path]


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The position after which a page starts: a sort key and a path."""

    key: list[Any]
    folder: bool
    """Whether it is a folder."""


def _write_cursor(key: list[Any], sort: Sort) -> str:
    text = json.dumps([sort, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str, sort: Sort) -> _Cursor:
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
            return _Cursor([name, path], folder=True)
        case [made_for, str(name), str(path)] if made_for == sort and by_name:
            return _Cursor([name, path], folder=False)
        case [made_for, int() | float() as number, str(path)] if made_for == sort and not by_name:
            if -_MAX_SORT_KEY < number < _MAX_SORT_KEY:
                return _Cursor([number, path], folder=False)
    raise InvalidRequestError("The cursor is not one of this server's for this order.")
