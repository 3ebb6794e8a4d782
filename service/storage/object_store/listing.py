"""Lists a bucket: a large one as several ranges of keys at a time.

A store lists 1,000 keys at a request, and one request after the other, as each begins where the
last one ended. A bucket of 100,000 objects takes 100 requests and at most nine for the ranges:
where they begin is known from the last listing, or from the folders that the first page shows.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import structlog
from obstore.exceptions import InvalidPathError
from obstore.store import S3Store

from service.storage.object_store.config import error_summary

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

    Page = Sequence[ObjectMeta]

_log = structlog.get_logger()

# Objects per page of a listing, as in S3.
_PAGE_SIZE = 1000

# Ranges that are listed at a time.
_RANGES = 8

# Of the folders with at most so many entries on the first page, all entries are listed. So this
# takes a tenth of the requests of the whole listing at most.
_MAX_ENTRIES = 100
_MAX_LEVELS = 2


class BucketListing:
    """Lists the objects of a store, and remembers where ranges of equal size begin."""

    def __init__(self, store: "ObjectStore") -> None:
        self._store = store
        self._bounds: list[str] = []

    def pages(self) -> Iterator["Page"]:
        """Yield all objects, sorted by key unless a key is no path. Blocks.

        Raises obstore's errors.
        """
        every: list[str] = []
        last = ""
        try:
            for page in self._sorted_pages():
                yield page
                every.append(last)
                last = page[-1]["path"] if page else last
        except InvalidPathError:
            # obstore ends a listing at a key that is no path, such as a//b.
            for page in self._folder(None):
                yield [meta for meta in page if meta["path"] > last]
        self._bounds = _evenly(every[1:])

    def _sorted_pages(self) -> Iterator["Page"]:
        pages = self._store.list(chunk_size=_PAGE_SIZE)
        first = next(pages, ())
        yield first
        # Of other stores, obstore lists the keys in front of a range, too (0.12).
        if len(first) < _PAGE_SIZE or not isinstance(self._store, S3Store):
            yield from pages
            return
        last = first[-1]["path"]
        bounds = self._bounds or _evenly(self._entries([meta["path"] for meta in first]))
        bounds = bounds[bisect_right(bounds, last) :]
        if not bounds:
            yield from pages
            return
        with ThreadPoolExecutor(_RANGES, "listing") as threads:
            for pages_of_range in threads.map(
                partial(_list_range, self._store), pairwise([last, *bounds, None])
            ):
                yield from pages_of_range

    def _entries(self, paths: list[str]) -> list[str]:
        """Return the sorted entries of the folders that contain all of the first page."""
        found: list[str] = []
        folder = ""
        for _ in range(_MAX_LEVELS):
            inside = {path.removeprefix(folder).partition("/")[0] for path in paths}
            if len(inside) > _MAX_ENTRIES:
                break
            found += self._store.list_with_delimiter(folder.rstrip("/") or None)["common_prefixes"]
            if len(inside) > 1:
                break
            folder = f"{folder}{inside.pop()}/"
        return sorted(found)

    def _folder(self, folder: str | None) -> Iterator["Page"]:
        """List a folder and its subfolders, without folders that hold such a key."""
        try:
            found = self._store.list_with_delimiter(folder)
        except InvalidPathError as error:
            _log.warning("a folder of the bucket cannot be listed", reason=error_summary(error))
            return
        yield found["objects"]
        for inner in found["common_prefixes"]:
            yield from self._folder(inner)


def _list_range(store: "ObjectStore", bounds: tuple[str | None, str | None]) -> list["Page"]:
    """Return the objects behind the first bound, up to and with the second."""
    after, until = bounds
    pages: list[Page] = []
    for page in store.list(offset=after, chunk_size=_PAGE_SIZE):
        if until is not None and page and page[-1]["path"] > until:
            pages.append([meta for meta in page if meta["path"] <= until])
            break
        pages.append(page)
    return pages


def _evenly(keys: list[str]) -> list[str]:
    """Return some of the keys, which divide the others into ranges of equal size."""
    return [keys[len(keys) * place // _RANGES] for place in range(1, _RANGES)] if keys else []
