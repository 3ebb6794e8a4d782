"""The items of the catalogue: videos with their sort keys, and the index of their texts."""

import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from service.listing.collation import natural_sort_key
from service.listing.dates import date_of
from service.listing.numbers import Numbers
from service.listing.paths import parent
from service.listing.search import search_text
from service.listing.word_index import WordIndex
from service.models import Video

# Numbers of texts beyond twice the number of videos, after which the videos are numbered anew.
_SPARE_NUMBERS = 1000

# Less than this part of all items are sorted, instead of chosen from those in order.
_FEW = 50

_SORTED_AT_A_TIME = 5000


@dataclass(frozen=True, slots=True)
class Item:
    """A video with its sort name, its date in seconds since 1970, and its search text."""

    video: Video
    name: str
    date: float
    search_text: str
    folder: str
    number: int
    """Of the search text in the index."""


class Items:
    """The items by path, and the index of their texts. `previous` makes building them faster."""

    def __init__(self, videos: Iterable[Video] = (), previous: "Items | None" = None) -> None:
        known: Mapping[str, Item] = previous.by_path if previous else {}
        index = previous.index if previous else WordIndex()
        size = index.size
        texts: dict[int, str] = {}
        self.by_path: dict[str, Item] = {}
        for video in videos:
            item = _item_of(video, known.get(video.path), size + len(texts))
            self.by_path[video.path] = item
            if item.number == size + len(texts):
                texts[item.number] = item.search_text
        if size + len(texts) > 2 * len(self.by_path) + _SPARE_NUMBERS:
            self.by_path = {
                path: replace(item, number=number)
                for number, (path, item) in enumerate(self.by_path.items())
            }
            index, texts = (
                WordIndex(),
                {item.number: item.search_text for item in self.by_path.values()},
            )
        self.index: WordIndex = WordIndex(texts, index)
        """May also have texts of videos that were removed."""
        self._by_number: list[Item | None] = [None] * self.index.size
        self._texts = [""] * self.index.size
        for item in self.by_path.values():
            self._by_number[item.number] = item
            self._texts[item.number] = item.search_text
        self._all = Numbers.of(item.number for item in self.by_path.values())

    def __getitem__(self, number: int) -> Item:
        item = self._by_number[number]
        if item is None:
            raise LookupError
        return item

    def containing(self, terms: Iterable[str]) -> Numbers:
        """Return the numbers of the items that contain all terms."""
        numbers = self._all
        for term in terms:
            if not numbers:
                break
            numbers &= self.index.containing(term, self._texts)
        return numbers

    def containing_any(self, words: Iterable[list[str]]) -> Numbers:
        """Return the numbers of the items that contain one of each list of words."""
        numbers = self._all
        for some in words:
            one = Numbers.of(())
            for word in some:
                one |= self.index.containing(word, self._texts)
            numbers &= one
        return numbers

    def sorted(self, numbers: Numbers, order: str, ascending: "array[int]") -> "array[int]":
        """Return the numbers in an order of the items. `ascending` has all in this order."""
        if len(numbers) == len(ascending):
            return ascending
        if _FEW * len(numbers) > len(ascending):
            return array("I", numbers.chosen(ascending, len(self._texts)))
        items = sorted(map(self.__getitem__, numbers), key=lambda item: item.video.path)
        return array("I", [item.number for item in sorted(items, key=KEYS[order])])


def _item_of(video: Video, previous: Item | None, number: int) -> Item:
    """Return the item of a video: `previous` if it is unchanged.

    A new text has the `number`.
    """
    if previous is not None and previous.video is video:
        return previous
    folder = sys.intern(parent(video.path))  # one object for all items of a folder
    text = search_text(video)
    if previous is not None and previous.search_text == text:
        text, number = previous.search_text, previous.number
    return Item(video, natural_sort_key(video.title), date_of(video), text, folder, number)


def sort_in_parts(items: Iterable[Item], key: Callable[[Item], Any]) -> list[Item]:
    """Return the items sorted by a key, equal ones in the same order as before.

    A sort holds the interpreter's lock: that of 100,000 names for 0.1 s, in which no request is
    answered. To merge sorted parts takes a fifth of that.
    """
    every = list(items)
    starts = range(0, len(every), _SORTED_AT_A_TIME)
    parts = (sorted(every[start : start + _SORTED_AT_A_TIME], key=key) for start in starts)
    return sorted(chain.from_iterable(parts), key=key)


def group_by_folder(items: Iterable[Item]) -> "array[int]":
    """Return the numbers of the items, grouped by folder in their order."""
    folders: defaultdict[str, array[int]] = defaultdict(lambda: array("I"))
    for item in items:
        folders[item.folder].append(item.number)
    return array("I", chain.from_iterable(folders[folder] for folder in sorted(folders)))


def folder_ranges(items: Iterable[Item]) -> dict[str, tuple[int, int]]:
    """Return the start and the end of each folder's items."""
    spans, start = {}, 0
    for folder, inside in groupby(items, key=attrgetter("folder")):
        end = start + sum(1 for _ in inside)
        spans[folder] = (start, end)
        start = end
    return spans


def _duration(video: Video) -> float:
    return video.metadata.duration or 0.0 if video.metadata else 0.0


KEYS: dict[str, Callable[[Item], Any]] = {
    "name": lambda item: item.name,
    "date": lambda item: item.date,
    "duration": lambda item: _duration(item.video),
    "size": lambda item: item.video.size,
}
