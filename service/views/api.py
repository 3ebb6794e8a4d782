"""The library as JSON. Its models are the schema: `/openapi.json` is made from them."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field
from quart import Response
from quart_schema import document_response, validate_querystring

from service.errors import NotFoundError
from service.library.catalogue import Page, Sort
from service.library.library import Library
from service.library.video import Value, Video
from service.views import links

MOST_PER_PAGE = 200
_MOST_RENDERED = 1000  # answers; each has some 1,000 characters


class VideosQuery(BaseModel):
    """What may be asked of a listing."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[str, Field(max_length=200, description="Words that title or path must hold")] = ""
    sort: Annotated[Sort, Field(description="What to sort by; a minus sign: downwards")] = "name"
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE, description="Videos on a page")] = 50
    cursor: Annotated[str | None, Field(description="Where the page before ended")] = None


class VideoItem(Video):
    """A video, and where to find it. Media are named by revision: those URLs never change."""

    watch_url: str
    media_url: str
    download_url: str

    @classmethod
    def of(cls, video: Video) -> "VideoItem":
        """Add the links to a video."""
        return cls(
            **dict(video),
            watch_url=links.watch(video.path),
            media_url=links.media(video),
            download_url=links.download(video.path, video.revision),
        )


class VideosPage(Value):
    """A page of a listing."""

    videos: tuple[VideoItem, ...]
    total: int = Field(description="Videos on all pages")
    next_url: str | None = Field(description="The next page, if there is one")


class ApiViews:
    """`/api/videos` and `/api/videos/<path>`."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._rendered: dict[str, tuple[Video, str]] = {}
        """The latest answers to `video`, and of what they tell: the same as long as that is."""

    @validate_querystring(VideosQuery)
    @document_response(VideosPage)
    async def videos(self, query_args: VideosQuery) -> Response:
        """List videos: searched, sorted, a page at a time."""
        asked = query_args
        page = self._library.catalogue.page(asked.q, asked.sort, asked.limit, asked.cursor)
        videos = tuple(VideoItem.of(video) for video in page.videos)
        next_url = next_page("/api/videos", asked, page)
        listing = VideosPage(videos=videos, total=page.total, next_url=next_url)
        return _json(listing.model_dump_json())

    @document_response(VideoItem)
    async def video(self, path: str) -> Response:
        """Describe one video."""
        video = find(self._library, path)
        described, text = self._rendered.get(path, (None, ""))
        if described is not video:
            text = VideoItem.of(video).model_dump_json()
            if len(self._rendered) >= _MOST_RENDERED:
                self._rendered.clear()
            self._rendered[path] = (video, text)
        return _json(text)


def _json(text: str) -> Response:
    """Answer with what a model was rendered to: it was checked when it was made."""
    return Response(text, content_type="application/json")


def next_page(base: str, asked: VideosQuery, page: Page) -> str | None:
    """Give the URL on which a listing goes on, if it does."""
    if page.next_cursor is None:
        return None
    following = asked.model_copy(update={"cursor": page.next_cursor})
    return f"{base}?{urlencode(following.model_dump(exclude_defaults=True))}"


def find(library: Library, path: str) -> Video:
    """Look a video up in the library. Raises NotFoundError."""
    video = library.catalogue.get(path)
    if video is None:
        raise NotFoundError("There is no such video in the library.")
    return video
