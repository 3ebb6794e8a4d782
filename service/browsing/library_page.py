"""The library page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from urllib.parse import urlencode

from pydantic import ConfigDict, Field
from quart import render_template, request
from quart_schema import validate_querystring

from service.access.grants import current_grant
from service.api.videos import MAX_PER_PAGE, ListingQuery
from service.artefacts.metadata import ArtefactKind
from service.browsing.card_groups import (
    AlbumHead,
    CardGroup,
    album_head,
    album_page,
    by_month,
    default_sort,
    tracks,
)
from service.browsing.cards import (
    Card,
    FolderCard,
    are_upright,
    card,
    folder_cards,
    series_card,
    series_url,
)
from service.catalogue.catalogue import SORTS, Page, Sort
from service.items import links
from service.items.video_items import VideoItems
from service.library.visible import VisibleLibrary
from service.listing.collation import search_terms
from service.listing.folder_kinds import Album
from service.listing.paths import parents
from service.listing.titles import folder_title
from service.models import Video
from service.pages.share_form import Shared
from service.protocol.media_types import EXTENSIONS

PageSort = Literal[Sort, "track"]

_SORT_LABELS: dict[PageSort, str] = {
    "track": "Track",
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


class LibraryQuery(ListingQuery):
    """The query of the library page. Other parameters, which links may carry, are ignored.

    Pages have numbers, so that viewers can go back; cursors are for programs.
    """

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=MAX_PER_PAGE, description="Entries on a page")] = (
        _CARDS_PER_PAGE
    )
    sort: Annotated[
        PageSort | None, Field(description="What to sort by, unless the folder has its own order")
    ] = None
    page: Annotated[int, Field(ge=1, le=1_000_000, description="Which page, from 1")] = 1

    def url(self, **changes: object) -> str:
        """Return the URL of this query with some changes."""
        other = self.model_copy(update={"cursor": None, **changes})
        query = urlencode(other.model_dump(exclude_defaults=True))
        path = links.videos() if other.folder is None and not other.q else links.home()
        return f"{path}?{query}" if query else path


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
    """`/videos`: all videos. `/?folder=`: the content of a folder. `/?q=`: a search."""

    def __init__(self, library: VisibleLibrary, items: VideoItems) -> None:
        self._library = library
        self._items = items

    @validate_querystring(LibraryQuery)
    async def show(self, query_args: LibraryQuery) -> str:
        """List the library; by a link to a folder, the folder."""
        catalogue = self._library.catalogue
        scope = current_grant().scope
        is_home = request.path == "/" and query_args.folder is None
        if is_home and scope is not None and scope.path:
            query_args = query_args.model_copy(update={"folder": scope.path})
        # A query without a word, such as an accent alone, is no search.
        query = query_args.q.strip() if search_terms(query_args.q) else ""
        folder, limit = query_args.folder, query_args.limit
        album = catalogue.kinds.album(folder) if folder is not None else None
        own_sort: PageSort | None = "track" if album else default_sort(catalogue, folder)
        sort = query_args.sort or own_sort or "name"
        if sort == "track" and (query or album is None):
            sort = "name"
        inner = catalogue.folders.subfolders(folder) if folder is not None and not query else ()
        start = (query_args.page - 1) * limit
        result = self._page_at(query, sort, start, limit, folder)
        pager = Pager.of(query_args.page, limit, len(inner) + result.total)
        if pager.number < query_args.page:
            result = self._page_at(query, sort, pager.first - 1, limit, folder)
        self._items.prioritise((video.path for video in result.videos), [ArtefactKind.POSTER])
        is_first = pager.number == 1
        home = is_home and is_first
        # A folder with one video would say the same as the video below.
        at_root = home and folder is None and not query
        inside_root = catalogue.folders.subfolders("") if at_root else ()
        top = tuple(one for one in inside_root if one.videos > 1)
        elsewhere = 0
        if query and folder and not result.total:
            elsewhere = catalogue.page_at(query, "name", 0, 0, None).total
        groups = self._groups(result.videos, sort, None if query else folder)
        series = self._series(folder or "") if is_first and not query else []
        collections = folder_cards(
            result.folders or top[:_MAX_COLLECTIONS], self._library, self._items
        )
        page: str = await render_template(
            "library.html",
            query_args=query_args,
            query=query,
            folder=folder,
            pager=pager,
            page_url=lambda number: query_args.url(page=number),
            action=f"{links.prefix()}{request.path}",
            album=self._album(album, folder or "") if album and not query else None,
            groups=groups,
            upright=are_upright([card for group in groups for card in group.cards]),
            series=series,
            upright_series=are_upright(series),
            is_approximate=result.is_approximate,
            series_url=series_url(catalogue, folder or ""),
            collections=collections,
            collections_title=_title(collections) if folder is not None else "Collections",
            upright_collections=are_upright(collections),
            all_collections=len(top) if len(top) > _MAX_COLLECTIONS else 0,
            home=home,
            breadcrumbs=breadcrumbs(folder),
            shared_folder=scope.path if scope else None,
            share=Shared("folder", folder, folder_title(folder)) if folder else None,
            elsewhere=elsewhere,
            videos=result.total,
            sort=sort,
            sorts=choices(own_sort),
            progress=self._items.progress(),
            scanned=self._library.scanned,
            endings=EXTENSIONS,
        )
        return page

    def _page_at(
        self, query: str, sort: PageSort, start: int, limit: int, folder: str | None
    ) -> Page:
        catalogue = self._library.catalogue
        if sort != "track":
            return catalogue.page_at(query, sort, start, limit, folder)
        album = catalogue.kinds.album(folder or "")
        if album is None:
            return catalogue.page_at(query, "name", start, limit, folder)
        return album_page(catalogue, album, start, limit, folder or "")

    def _groups(
        self, videos: Sequence[Video], sort: PageSort, folder: str | None
    ) -> list[CardGroup]:
        """Return the cards of a page; those of a folder of clips by months."""
        kinds = self._library.catalogue.kinds
        if folder is not None and sort in {"date", "-date"} and kinds.is_clips(folder):
            return by_month(videos, self._items)
        album = kinds.album(folder) if folder is not None else None
        if album is not None:
            return [CardGroup(None, tracks(videos, self._items, album))]
        return [CardGroup(None, [card(self._items.get(video)) for video in videos])]

    def _album(self, album: Album, folder: str) -> AlbumHead:
        image = self._library.folder_image(folder)
        picture = self._items.folder_poster(folder, image) if image else None
        return album_head(album, picture, self._items)

    def _series(self, folder: str) -> list[FolderCard]:
        index = self._library.catalogue.series
        inside = index.inside(folder)[:_MAX_COLLECTIONS]
        return [series_card(series, index, self._items) for series in inside]


def _title(cards: Sequence[Card | FolderCard]) -> str:
    return "Films" if all(isinstance(card, Card) for card in cards) else "Folders"


def choices(own: PageSort | None) -> list[tuple[PageSort, str]]:
    """Return the orders to choose from, with their labels.

    The folder's own, which needs no parameter, is the first.
    """
    sorts = dict.fromkeys([*([own] if own else []), *SORTS])
    return [(sort, _SORT_LABELS[sort]) for sort in sorts]


def breadcrumbs(folder: str | None) -> list[tuple[str, str]]:
    """Return the title and URL of each folder from the root, or a shared one, to this one."""
    if folder is None:
        return []
    chain = filter(current_grant().contains_folder, [*parents(folder), folder] if folder else [])
    return [(folder_title(path), links.folder(path)) for path in chain] or [
        ("Folders", links.folder(""))
    ]
