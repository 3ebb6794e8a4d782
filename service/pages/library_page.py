"""The library page."""

import re
from dataclasses import dataclass
from typing import Annotated, Self
from urllib.parse import urlencode

from pydantic import ConfigDict, Field
from quart import render_template
from quart_schema import validate_querystring

from service.api import links
from service.api.video_items import VideoItems
from service.api.videos import MAX_PER_PAGE, MAX_QUERY_LENGTH, VideosQuery
from service.artefacts.metadata import ArtefactKind
from service.library.catalogue import SORTS
from service.library.collation import search_terms
from service.library.folders import Folder, parents
from service.library.library import Library
from service.library.titles import folder_title
from service.pages.cards import FolderCard, card, folder_card
from service.protocol.media_types import EXTENSIONS

_SORT_LABELS = {
    "name": "Name",
    "-name": "Name, backwards",
    "date": "Oldest first",
    "-date": "Newest first",
    "duration": "Shortest first",
    "-duration": "Longest first",
    "size": "Smallest first",
    "-size": "Largest first",
}

# A multiple of 2, 4 and 5 columns; the page stays below 50 KB.
_CARDS_PER_PAGE = 20
_MAX_COLLECTIONS = 8  # on the first page, with a link to the others

# The indentation of templates, which would be a third of the page.
_INDENTATION = re.compile(r"\s*\n\s*")


class LibraryQuery(VideosQuery):
    """The query of the library page. Other parameters, which links may carry, are ignored.

    Pages have numbers, so that viewers can go back; cursors are for programs.
    """

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=MAX_PER_PAGE, description="Entries on a page")] = (
        _CARDS_PER_PAGE
    )
    page: Annotated[int, Field(ge=1, le=1_000_000, description="Which page, from 1")] = 1

    def url(self, **changes: object) -> str:
        """Return the URL of this query with some changes."""
        other = self.model_copy(update={"cursor": None, **changes})
        query = urlencode(other.model_dump(exclude_defaults=True))
        return f"/?{query}" if query else "/"


@dataclass(frozen=True, slots=True)
class Pager:
    """The place of a page in a listing."""

    number: int
    pages: int
    first: int
    """The number of the first entry, from 1."""
    last: int
    entries: int
    """The number of entries on all pages."""

    @classmethod
    def of(cls, number: int, limit: int, entries: int) -> Self:
        """Return where a page is. A number past the last page, as in an old link, is the last."""
        pages = max(1, -(-entries // limit))
        number = min(number, pages)
        first = (number - 1) * limit
        return cls(number, pages, first + 1, min(first + limit, entries), entries)

    @property
    def page_numbers(self) -> list[int]:
        """Return the numbers to link to: the first, the last and those around; 0 is a gap."""
        around = range(max(1, self.number - 1), min(self.pages, self.number + 1) + 1)
        numbers = sorted({1, self.pages, *around})
        page_numbers = numbers[:1]
        for number in numbers[1:]:
            # A gap of one page is filled with it.
            page_numbers += {1: [], 2: [number - 1]}.get(number - page_numbers[-1], [0])
            page_numbers.append(number)
        return page_numbers


class LibraryPage:
    """`/`: folders and all videos. `/?folder=`: the content of a folder."""

    def __init__(self, library: Library, items: VideoItems) -> None:
        self._library = library
        self._items = items

    @validate_querystring(LibraryQuery)
    async def show(self, query_args: LibraryQuery) -> str:
        """List the library."""
        catalogue = self._library.catalogue
        # A query without a word, such as an accent alone, is no search.
        query = query_args.q.strip() if search_terms(query_args.q) else ""
        folder, sort, limit = query_args.folder, query_args.sort, query_args.limit
        inner = catalogue.folders.subfolders(folder) if folder is not None and not query else ()
        start = (query_args.page - 1) * limit
        result = catalogue.page_at(query, sort, start, limit, folder)
        pager = Pager.of(query_args.page, limit, len(inner) + result.total)
        if pager.number < query_args.page:
            result = catalogue.page_at(query, sort, pager.first - 1, limit, folder)
        self._items.prioritise((video.path for video in result.videos), [ArtefactKind.POSTER])
        home = folder is None and pager.number == 1
        top = catalogue.folders.subfolders("") if home and not query else ()
        elsewhere = 0
        if query and folder and not result.total:
            elsewhere = catalogue.page_at(query, sort, 0, 0, None).total
        page = await render_template(
            "library.html",
            query_args=query_args,
            query=query,
            max_query_length=MAX_QUERY_LENGTH,
            folder=folder,
            pager=pager,
            cards=[card(self._items.get(video)) for video in result.videos],
            collections=self._collections(result.folders or top[:_MAX_COLLECTIONS]),
            all_collections=len(top) if len(top) > _MAX_COLLECTIONS else 0,
            home=home,
            breadcrumbs=breadcrumbs(folder),
            elsewhere=elsewhere,
            videos=result.total,
            sorts=[(sort, _SORT_LABELS[sort]) for sort in SORTS],
            progress=self._items.progress(),
            scanned=self._library.scanned,
            endings=EXTENSIONS,
        )
        return _INDENTATION.sub("\n", page)

    def _collections(self, folders: tuple[Folder, ...]) -> list[FolderCard]:
        return [folder_card(folder, self._library.catalogue, self._items) for folder in folders]


def breadcrumbs(folder: str | None) -> list[tuple[str, str]]:
    """Return the title and URL of each folder from the root to this one."""
    if folder is None:
        return []
    chain = [*parents(folder), folder] if folder else []
    return [(folder_title(path), links.folder(path)) for path in chain] or [
        ("Folders", links.folder(""))
    ]
