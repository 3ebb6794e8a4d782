"""`/api/videos`: the library as JSON. Its models are the schema in `/openapi.json`."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field
from quart import Response, request
from quart_schema import document_querystring, document_response, validate_querystring

from service.catalogue.catalogue import Page, Sort
from service.errors import NotFoundError
from service.http.documents import Document
from service.items import links
from service.items.video_items import VideoItems
from service.items.video_models import VideoItem
from service.library.visible import VisibleLibrary
from service.listing.folders import Folder
from service.models import Video
from service.records.frozen_model import FrozenModel
from service.records.sized_lru_cache import SizedLRUCache

MAX_PER_PAGE = 200
MAX_FOLDER_LENGTH = 4096  # characters; Linux's PATH_MAX
MAX_QUERY_LENGTH = 200  # characters

# Approximate bytes of JSON of a page: a longer one is shortened and links to the next. MAX_PER_PAGE
# usual films take 1 MB.
_MAX_PAGE_BYTES = 2 * 1024**2

_MAX_RENDERED_BYTES = 4 * 1024**2  # of cached responses; a film's has about 3,000


class ListingQuery(BaseModel):
    """The query that all listings have in common."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[
        str,
        Field(
            max_length=MAX_QUERY_LENGTH,
            description="Words that must all be in title, path, year or tags; at most the longest "
            "ten. s1e2 and 1x02 find that episode. If nothing has a word of five letters or more, "
            "one typo in it is forgiven",
        ),
    ] = ""
    limit: Annotated[int, Field(ge=1, le=MAX_PER_PAGE, description="Maximum entries on a page")] = (
        50
    )
    folder: Annotated[
        str | None,
        Field(
            max_length=MAX_FOLDER_LENGTH,
            description="The content of this folder (empty: the root), for a search also of those "
            "below; without it: all videos",
        ),
    ] = None
    cursor: Annotated[str | None, Field(description="The end of the previous page")] = None


class VideoQuery(BaseModel):
    """The query of a video."""

    model_config = ConfigDict(extra="ignore")

    sound: Annotated[
        str | None,
        Field(description="The number of a sound. If browsers lack it, it is made next"),
    ] = None


class VideosQuery(ListingQuery):
    """The query of a listing for programs."""

    sort: Annotated[Sort, Field(description="What to sort by; descending with a minus sign")] = (
        "name"
    )


class FolderItem(FrozenModel):
    """A folder with videos in it or in folders below."""

    path: str = Field(description="Relative to the library's root, with / between folders")
    title: str
    count: int = Field(description="Videos in it and in all folders below")
    url: str = Field(description="Its page")

    @classmethod
    def from_folder(cls, folder: Folder) -> "FolderItem":
        """Return a folder with its link."""
        url = links.folder(folder.path)
        return cls(path=folder.path, title=folder.title, count=folder.videos, url=url)


class VideosPage(FrozenModel):
    """A page of a listing."""

    folders: tuple[FolderItem, ...] = Field(
        description="In a listing of a folder: the folders directly in it, before any video"
    )
    videos: tuple[VideoItem, ...]
    total: int = Field(description="Videos on all pages")
    approximate: bool = Field(
        description="Whether nothing has the words of the search, and a typo was forgiven"
    )
    next_url: str | None = Field(description="The next page, if there is one")


class ApiViews:
    """`/api/videos` and `/api/videos/<path>`."""

    def __init__(self, library: VisibleLibrary, items: VideoItems) -> None:
        self._library = library
        self._items = items
        self._rendered: SizedLRUCache[tuple[str, str], tuple[VideoItem, Document]] = SizedLRUCache(
            _MAX_RENDERED_BYTES
        )
        """The latest responses of `video` with the item that each was rendered from, by the prefix
        of their links and the path."""

    @validate_querystring(VideosQuery)
    @document_response(VideosPage)
    async def videos(self, query_args: VideosQuery) -> Response:
        """List videos: search, sort, in pages."""
        query = query_args
        page = list_videos(self._library, query)
        items = list(self._items_within_limit(page))
        if len(items) < len(page.videos):
            limit = len(page.folders) + len(items)
            page = list_videos(self._library, query.model_copy(update={"limit": limit}))
        listing = VideosPage(
            folders=tuple(FolderItem.from_folder(folder) for folder in page.folders),
            videos=tuple(items),
            total=page.total,
            approximate=page.is_approximate,
            next_url=next_page_url(f"{links.prefix()}/api/videos", query, page),
        )
        return Document.from_text(listing.model_dump_json()).to_response()

    # Documented, but not validated: that takes a tenth of the time, and a sound is checked anyway.
    @document_querystring(VideoQuery)
    @document_response(VideoItem)
    async def video(self, path: str) -> Response:
        """Describe one video."""
        video = get_video(self._library, path)
        self._items.choose_sound(video, request.args.get("sound"))
        return self._document(video).to_response()

    def document(self, path: str) -> Document | None:
        """Return the JSON of a video; None if the library does not have it."""
        video = self._library.catalogue.get(path)
        return None if video is None else self._document(video)

    def _document(self, video: Video) -> Document:
        item = self._items.get(video)
        key = links.prefix(), video.path
        cached_item, document = self._rendered.get(key) or (None, None)
        if cached_item is not item or document is None:
            document = Document.from_text(item.model_dump_json())
            self._rendered.put(key, (item, document), len(document.body))
        return document

    def _items_within_limit(self, page: Page) -> Iterator[VideoItem]:
        """Yield the items of a page up to _MAX_PAGE_BYTES, at least one."""
        bytes_left = _MAX_PAGE_BYTES
        for number, video in enumerate(page.videos):
            item, size = self._items.get_with_size(video)
            bytes_left -= size
            if bytes_left < 0 and number:
                return
            yield item


def list_videos(library: VisibleLibrary, query: VideosQuery) -> Page:
    """Return a page of the catalogue. Raises InvalidRequestError, NotFoundError."""
    return library.catalogue.page(query.q, query.sort, query.limit, query.cursor, query.folder)


def next_page_url(base: str, query: VideosQuery, page: Page) -> str | None:
    """Return the URL of a listing's next page, if there is one."""
    if page.next_cursor is None:
        return None
    following = query.model_copy(update={"cursor": page.next_cursor})
    return f"{base}?{urlencode(following.model_dump(exclude_defaults=True))}"


def get_video(library: VisibleLibrary, path: str) -> Video:
    """Return a video of the library. Raises NotFoundError."""
    video = library.catalogue.get(path)
    if video is None:
        raise NotFoundError("There is no such video in the library.")
    return video
