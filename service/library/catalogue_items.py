"""The items of the catalogue: videos with their sort keys and search texts."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from service.listing.collation import natural_sort_key
from service.listing.dates import date_of
from service.listing.paths import parent
from service.listing.search import search_text
from service.models import Video


@dataclass(frozen=True, slots=True)
class Item:
    """A video with its sort name, its date in seconds since 1970, and its search text."""

    video: Video
    name: str
    date: float
    search_text: str
    folder: str


def item_of(video: Video, previous: Item | None) -> Item:
    """Return the item of a video: `previous` if it is unchanged."""
    if previous is not None and previous.video is video:
        return previous
    folder = sys.intern(parent(video.path))  # one object for all items of a folder
    return Item(video, natural_sort_key(video.title), date_of(video), search_text(video), folder)


def group_by_folder(items: list[Item]) -> list[Item]:
    """Group the items by folder, in their order."""
    folders: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        folders[item.folder].append(item)
    return [item for folder in sorted(folders) for item in folders[folder]]


def folder_ranges(items: list[Item]) -> dict[str, tuple[int, int]]:
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


def sort_key_of(key: Callable[[Item], Any], item: Item) -> list[Any]:
    """Return a key that is unique to the video."""
    return [key(item), item.video.path]


def containing(items: list[Item], terms: Iterable[str]) -> list[Item]:
    """Return the items that contain all terms."""
    for word in terms:
        items = [item for item in items if word in item.search_text]
    return items


def containing_any(items: list[Item], words: Iterable[list[str]]) -> list[Item]:
    """Return the items that contain one of each list of words, which are four at most."""
    for some in words:
        if len(some) == 1:
            items = containing(items, some)
            continue
        one, two, three, four = (some + some[-1:] * 3)[:4]
        # In one expression: any() takes five times as long.
        items = [
            item
            for item in items
            if one in (text := item.search_text) or two in text or three in text or four in text
        ]
    return items
