"""The library's page: values of the library in a template. It decides nothing."""

from dataclasses import dataclass

from pydantic import ConfigDict
from quart import render_template
from quart_schema import validate_querystring

from service.library.catalogue import SORTS
from service.library.facts import Kind
from service.library.folders import parents
from service.library.library import Library
from service.library.titles import folder_title
from service.views import links
from service.views.api import FolderItem, VideosQuery, look_up, next_page
from service.views.items import Items, VideoItem
from service.views.phrases import details

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


class LibraryQuery(VideosQuery):
    """What may be asked of the library page; what people's links carry besides is not minded."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True, slots=True)
class Card:
    """A video as the library page shows it."""

    video: VideoItem
    details: str


class LibraryPage:
    """`/`."""

    def __init__(self, library: Library, items: Items) -> None:
        self._library = library
        self._items = items

    @validate_querystring(LibraryQuery)
    async def show(self, query_args: LibraryQuery) -> str:
        """List the library."""
        asked = query_args
        page = look_up(self._library, asked)
        self._items.look_at((video.path for video in page.videos), [Kind.POSTER])
        cards = [Card(self._items.of(video), details(video)) for video in page.videos]
        return await render_template(
            "library.html",
            cards=cards,
            progress=self._items.progress(),
            folders=[FolderItem.of(folder) for folder in page.folders],
            folder=asked.folder,
            has_folders=bool(self._library.catalogue.folders.directly_in("")),
            crumbs=crumbs(asked.folder or ""),
            total=page.total,
            query=asked.q,
            sort=asked.sort,
            sorts=[(sort, _SORT_LABELS[sort]) for sort in SORTS],
            next_url=next_page("/", asked, page),
        )


def crumbs(folder: str) -> list[tuple[str, str]]:
    """Give titles and pages of the folders that lead from the root to this one, and of this one."""
    way = [*parents(folder), folder] if folder else []
    return [(folder_title(path), links.folder(path)) for path in way]
