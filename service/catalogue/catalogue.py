"""The videos at one moment, prepared for search, sorting and paging.

A catalogue is immutable: the rows that its numbers name are kept for as long as there is a
reference to it. A page costs as much as it is long; a search looks at the words of all videos, and
at the videos that contain them.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

from service.artefacts.source import ArtefactSource
from service.catalogue.arrangement import Arrangement
from service.catalogue.kinds import FolderKinds
from service.catalogue.results import Results
from service.database.reader import Listed, Rows, Videos, View
from service.errors import InvalidRequestError, NotFoundError
from service.listing.collation import search_terms
from service.listing.cursors import Cursor, read_cursor, write_cursor
from service.listing.folders import Folder, Folders
from service.listing.numbers import Numbers
from service.listing.paths import parent
from service.listing.search import episode_term
from service.listing.series import Episode, SeriesIndex
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

    def __init__(
        self,
        view: View | None = None,
        arrangement: Arrangement | None = None,
        episodes: Sequence[Episode] = (),
        previous: "Catalogue | None" = None,
    ) -> None:
        """List the videos of an arrangement, whose rows `view` has; none without it."""
        self.view = view
        self.arrangement: Arrangement = arrangement or Arrangement()
        by_path = self.arrangement.orders["path"]
        self.videos: Videos = Videos(view, by_path)
        """By path."""
        self._listed = Listed(view, by_path)
        self.numbers: Numbers = self._listed.numbers
        # The videos of a folder have the same range in every order. These are four arrays, instead
        # of four for each folder.
        self._by_folder = self.arrangement.by_folder()
        self._folder_ranges = self.arrangement.folder_ranges(self._by_folder["name"])
        direct = {folder: end - start for folder, (start, end) in self._folder_ranges.items()}
        self.folders: Folders = Folders(direct, previous.folders if previous else None)
        self.episodes = episodes
        self.series = SeriesIndex(episodes, self._listed, self.folders.counts)
        self.kinds: FolderKinds = FolderKinds(
            self.arrangement.kinds, self._by_folder["name"], self._folder_ranges, view
        )
        self._latest_search: tuple[tuple[object, ...], Results] | None = None
        """The latest search and its result: one page may need several parts of it."""

    def get(self, path: str) -> Video | None:
        """Return a video by its path."""
        number = self.number(path)
        return None if number is None else self.video(number)

    def video(self, number: int) -> Video:
        """Return a video by its number."""
        return self._rows.video(number)

    def source_of(self, number: int) -> ArtefactSource:
        """Return a video with the names of its artefacts, by its number."""
        return self._rows.source(number)

    def source(self, path: str) -> ArtefactSource | None:
        """Return a video with the names of its artefacts."""
        number = self.number(path)
        return None if number is None else self.source_of(number)

    def number(self, path: str) -> int | None:
        """Return the number of a video by its path; None if it is not listed."""
        return self._listed.number(path)

    def within(self, folder: str) -> "Catalogue":
        """Return a catalogue of the videos below a folder alone. Blocks."""
        return self._of(self._listed.below(folder))

    def of_video(self, path: str) -> "Catalogue":
        """Return a catalogue of one video; an empty one if it is not listed."""
        number = self.number(path)
        return self._of(array("I", [] if number is None else [number]))

    def _of(self, numbers: "array[int]") -> "Catalogue":
        some = frozenset(numbers)
        episodes = [episode for episode in self.episodes if episode.number in some]
        return Catalogue(self.view, self.arrangement.within(numbers), episodes, self)

    def neighbours(self, path: str) -> tuple[Video | None, Video | None]:
        """Return the videos before and after a video.

        In a series they are episodes, in any folder. Else they are in the same folder: by track in
        an album, by date among clips, otherwise by name.
        """
        number = self.number(path)
        if number is None:
            return None, None
        if (episodes := self.series.neighbours(path)) is not None:
            return episodes
        folder = parent(path)
        if (album := self.kinds.album(folder)) is not None:
            return album.neighbours(self.video(number))
        order = "date" if self.kinds.is_clips(folder) else "name"
        numbers, (start, end) = self._by_folder[order], self._folder_ranges[folder]
        sort_key = partial(self._sort_key, order)
        at = bisect_left(numbers, sort_key(number), start, end, key=sort_key)
        previous = self.video(numbers[at - 1]) if at > start else None
        return previous, self.video(numbers[at + 1]) if at + 1 < end else None

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
        total = listing.total
        first, after = (min(max(0, at - len(subfolders)), total) for at in (start, start + limit))
        numbers = listing.part(first, after, descending=sort.startswith("-"))
        videos = self._listed.of_page(numbers)
        folders = subfolders[start : start + limit]
        return Page(videos, total, None, folders, listing.is_approximate)

    def _search(self, terms: Sequence[str], sort: Sort, folder: str | None) -> Results:
        """Return the videos that contain all terms, in the library or below a folder.

        If there are none, return those with words that differ from a term by one typo.
        """
        search = (*terms, sort.removeprefix("-"), folder)
        if self._latest_search is not None and self._latest_search[0] == search:
            return self._latest_search[1]
        ascending = self.arrangement.orders[sort.removeprefix("-")]
        if not terms:
            return Results.between(ascending, 0, len(ascending))
        vocabulary = self.arrangement.vocabulary
        episodes = [episode_term(term) for term in terms]
        matches = Numbers.of(())
        if all(map(vocabulary.may_contain, terms)):
            matches = self._containing([[term] for term in episodes], folder)
            if not matches and episodes != terms:
                matches = self._containing([[term] for term in terms], folder)
        is_approximate = False
        if not matches:
            words = [vocabulary.alternatives(term) for term in episodes]
            if words != [[term] for term in episodes]:
                matches = self._containing(words, folder)
                is_approximate = bool(matches)
        results = Results.between(array("I"), 0, 0)
        if matches:
            size = len(self.arrangement.texts)
            order = sort.removeprefix("-")
            results = Results.found(matches, order, ascending, self._rows, size)
        results = replace(results, is_approximate=is_approximate)
        self._latest_search = (search, results)
        return results

    def _containing(self, words: Sequence[Sequence[str]], folder: str | None) -> Numbers:
        """Return the videos, perhaps below a folder, that contain one of each list of words."""
        index, texts = self.arrangement.index, self.arrangement.texts
        numbers = self.numbers
        for some in words:
            if not numbers:
                break
            one = Numbers.of(())
            for word in some:
                one |= index.containing(word, texts)
            numbers &= one
        return numbers & Numbers.of(self._listed.below(folder)) if folder else numbers

    def _sort_key(self, order: str, number: int) -> list[Any]:
        """Return a key that is unique to the video."""
        return self._rows.sort_key(order, number)

    @property
    def _rows(self) -> Rows:
        if self.view is None:
            raise LookupError("an empty catalogue")
        return self.view.rows

    def _directly_in(self, folder: str, sort: Sort) -> Results:
        return Results.between(
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
        if len(folders) == limit and (start + limit < len(subfolders) or listing.total):
            name, path = _folder_sort_key(folders[-1])
            return Page((), listing.total, write_cursor([[name], path], sort), folders)
        page = self._page(listing, sort, limit - len(folders), None)
        return replace(page, folders=folders)

    def _page(self, listing: Results, sort: Sort, limit: int, after: Cursor | None) -> Page:
        sort_key = partial(self._sort_key, sort.removeprefix("-"))
        key = after.key if after else None
        page, more = listing.page(key, limit, sort_key, descending=sort.startswith("-"))
        return Page(
            self._listed.of_page(page),
            listing.total,
            write_cursor(sort_key(page[-1]), sort) if more else None,
            is_approximate=listing.is_approximate,
        )


def _folder_sort_key(folder: Folder) -> list[Any]:
    return [folder.name, folder.path]
