"""The videos at one moment, prepared for search, sorting and paging.

A catalogue is immutable. A page costs as much as it is long; a search looks at the words of all
videos, and at the videos that contain them.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

from service.errors import InvalidRequestError, NotFoundError
from service.library.folders import Folder, Folders
from service.listing.catalogue_items import (
    KEYS,
    Items,
    folder_ranges,
    group_by_folder,
    sort_in_parts,
)
from service.listing.collation import search_terms
from service.listing.cursors import Cursor, read_cursor, write_cursor
from service.listing.folder_kinds import FolderKinds
from service.listing.numbers import Numbers
from service.listing.search import Vocabulary, episode_term
from service.listing.series import SeriesIndex
from service.models import Video

Sort = Literal["name", "-name", "date", "-date", "duration", "-duration", "size", "-size"]
SORTS: tuple[Sort, ...] = get_args(Sort)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of folders and videos, and the cursor of the next page."""

    videos: tuple[Video, ...]
    total: int
    """Number of videos on all pages."""
    next_cursor: str | None
    folders: tuple[Folder, ...] = ()
    is_approximate: bool = False
    """Whether no video contains the words of the search, and these contain similar words."""


class Catalogue:
    """The listed videos. Building one blocks; `previous` makes it faster."""

    def __init__(self, videos: Iterable[Video] = (), previous: "Catalogue | None" = None) -> None:
        self.videos = tuple(videos)
        known = previous._items if previous else None  # noqa: SLF001 # of the same class
        self._items: Items = Items(self.videos, known)
        # Sorted twice, so that equal items are ordered by path. The orders are arrays of the items'
        # numbers: lists would be long objects for the garbage collector, which pauses every thread.
        by_path = sort_in_parts(self._items.by_path.values(), lambda item: item.video.path)
        self._ascending: dict[str, array[int]] = {}
        # Grouped by folder as well: the items of a folder have the same range in every order. These
        # are four arrays, instead of four for each folder.
        self._by_folder: dict[str, array[int]] = {}
        for order, key in KEYS.items():
            ascending = sort_in_parts(by_path, key)
            self._ascending[order] = array("I", [item.number for item in ascending])
            self._by_folder[order] = group_by_folder(ascending)
        self._folder_ranges = folder_ranges(map(self._items.__getitem__, self._by_folder["name"]))
        direct = {folder: end - start for folder, (start, end) in self._folder_ranges.items()}
        self.folders: Folders = Folders(direct, previous.folders if previous else None)
        self.series = SeriesIndex(self.videos, self.folders.counts)
        self.kinds: FolderKinds = FolderKinds(
            self._videos_by_folder(), previous.kinds if previous else None
        )
        self._vocabulary: Vocabulary = Vocabulary(
            self._items.index.new_words,
            previous._vocabulary if previous else None,  # noqa: SLF001
        )
        self._latest_search: tuple[tuple[object, ...], _Listing] | None = None
        """The latest search and its result: one page may need several parts of it."""

    def get(self, path: str) -> Video | None:
        item = self._items.by_path.get(path)
        return item.video if item else None

    def neighbours(self, path: str) -> tuple[Video | None, Video | None]:
        """Return the videos before and after a video.

        In a series they are episodes, in any folder. Else they are in the same folder: by track in
        an album, by date among clips, otherwise by name.
        """
        item = self._items.by_path.get(path)
        if item is None:
            return None, None
        if (episodes := self.series.neighbours(path)) is not None:
            return episodes
        if (album := self.kinds.album(item.folder)) is not None:
            return album.neighbours(item.video)
        order = "date" if self.kinds.is_clips(item.folder) else "name"
        numbers, (start, end) = self._by_folder[order], self._folder_ranges[item.folder]
        sort_key = partial(self._sort_key, order)
        at = bisect_left(numbers, sort_key(item.number), start, end, key=sort_key)
        previous = self._video(numbers[at - 1]) if at > start else None
        return previous, self._video(numbers[at + 1]) if at + 1 < end else None

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
        after = None if cursor is None else read_cursor(cursor, sort)
        terms = search_terms(query)
        if folder is not None and not terms:
            return self._folder_page(folder, sort, limit, after)
        if after and after.folder:
            raise InvalidRequestError("The cursor is one of another listing.")
        return self._page(self._search(terms, sort, folder), sort, limit, after)

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
            numbers = listing.numbers[listing.end - after : listing.end - first][::-1]
        else:
            numbers = listing.numbers[listing.start + first : listing.start + after]
        videos = tuple(map(self._video, numbers))
        folders = subfolders[start : start + limit]
        return Page(videos, total, None, folders, listing.is_approximate)

    def _search(self, terms: Sequence[str], sort: Sort, folder: str | None) -> "_Listing":
        """Return the videos that contain all terms, in the library or below a folder.

        If there are none, return those with words that differ from a term by one typo.
        """
        search = (*terms, sort.removeprefix("-"), folder)
        if self._latest_search is not None and self._latest_search[0] == search:
            return self._latest_search[1]
        if not terms:
            everything = self._ascending[sort.removeprefix("-")]
            return _Listing(everything, 0, len(everything))
        episodes = [episode_term(term) for term in terms]
        matches: array[int] = array("I")
        if all(map(self._vocabulary.may_contain, terms)):
            matches = self._sorted(self._items.containing(episodes), sort, folder)
            if not matches and episodes != terms:
                matches = self._sorted(self._items.containing(terms), sort, folder)
        is_approximate = False
        if not matches:
            words = [self._vocabulary.alternatives(term) for term in episodes]
            if words != [[term] for term in episodes]:
                matches = self._sorted(self._items.containing_any(words), sort, folder)
                is_approximate = bool(matches)
        listing = _Listing(matches, 0, len(matches), is_approximate)
        self._latest_search = (search, listing)
        return listing

    def _sorted(self, numbers: Numbers, sort: Sort, folder: str | None) -> "array[int]":
        """Return the numbers of items in the library or below a folder, sorted."""
        order = sort.removeprefix("-")
        found = self._items.sorted(numbers, order, self._ascending[order])
        if not folder:
            return found
        below = f"{folder}/"
        return array("I", (one for one in found if self._video(one).path.startswith(below)))

    def _video(self, number: int) -> Video:
        return self._items[number].video

    def _sort_key(self, order: str, number: int) -> list[Any]:
        """Return a key that is unique to the video."""
        item = self._items[number]
        return [KEYS[order](item), item.video.path]

    def _videos_by_folder(self) -> dict[str, list[Video]]:
        numbers = self._by_folder["name"]
        return {
            folder: list(map(self._video, numbers[start:end]))
            for folder, (start, end) in self._folder_ranges.items()
        }

    def _directly_in(self, folder: str, sort: Sort) -> "_Listing":
        return _Listing(
            self._by_folder[sort.removeprefix("-")], *self._folder_ranges.get(folder, (0, 0))
        )

    def _folder_page(self, path: str, sort: Sort, limit: int, after: Cursor | None) -> Page:
        """Return a page of a folder: its folders by name, then its videos in order."""
        listing = self._directly_in(path, sort)
        if after and not after.folder:
            return self._page(listing, sort, limit, after)
        subfolders = self.folders.subfolders(path)
        start = bisect_right(subfolders, after.key, key=_folder_sort_key) if after else 0
        folders = subfolders[start : start + limit]
        if len(folders) == limit and (
            start + limit < len(subfolders) or listing.end > listing.start
        ):
            name, path = _folder_sort_key(folders[-1])
            return Page(
                (), listing.end - listing.start, write_cursor([[name], path], sort), folders
            )
        page = self._page(listing, sort, limit - len(folders), None)
        return replace(page, folders=folders)

    def _page(self, listing: "_Listing", sort: Sort, limit: int, after: Cursor | None) -> Page:
        sort_key = partial(self._sort_key, sort.removeprefix("-"))
        start, end = listing.start, listing.end
        if not sort.startswith("-"):
            if after:
                start = bisect_right(listing.numbers, after.key, start, end, key=sort_key)
            end = min(start + limit, listing.end)
            page, more = listing.numbers[start:end], end < listing.end
        else:  # descending
            if after:
                end = bisect_left(listing.numbers, after.key, start, end, key=sort_key)
            start = max(listing.start, end - limit)
            page, more = listing.numbers[start:end][::-1], start > listing.start
        return Page(
            tuple(map(self._video, page)),
            listing.end - listing.start,
            write_cursor(sort_key(page[-1]), sort) if more else None,
            is_approximate=listing.is_approximate,
        )


@dataclass(frozen=True, slots=True)
class _Listing:
    """A range of the numbers of sorted items, from `start` up to `end`."""

    numbers: "array[int]"
    start: int
    end: int
    is_approximate: bool = False
    """Whether they are the result of a search in which a typo was forgiven."""


def _folder_sort_key(folder: Folder) -> list[Any]:
    return [folder.name, folder.path]
