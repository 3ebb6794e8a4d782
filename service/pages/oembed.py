"""oEmbed 1.0: the HTML by which other sites embed a video that they link to."""

from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field
from quart import Response
from quart_schema import validate_querystring

from service.api.videos import get_video
from service.errors import HTTPError, NotFoundError
from service.http.documents import Document
from service.items import links
from service.items.video_items import VideoItems
from service.library.visible import VisibleLibrary
from service.pages.link_preview import LinkPreview, link_preview

_MAX_SIDE = 10_000  # pixels a side
_MAX_URL_LENGTH = 16_384  # characters; each byte of the longest path may be escaped


class OembedQuery(BaseModel):
    """The query. Other parameters, which links may carry, are ignored."""

    model_config = ConfigDict(extra="ignore")

    url: Annotated[str, Field(max_length=_MAX_URL_LENGTH)]
    maxwidth: Annotated[int, Field(ge=1)] = _MAX_SIDE
    maxheight: Annotated[int, Field(ge=1)] = _MAX_SIDE
    format: str = "json"


class Oembed(BaseModel):
    """The response (oEmbed §2.3.4)."""

    version: Literal["1.0"] = "1.0"
    type: Literal["video", "rich"]
    title: str
    provider_name: str = "Reelay"
    provider_url: str
    html: str
    width: int
    height: int
    thumbnail_url: str | None = None
    thumbnail_width: int | None = None
    thumbnail_height: int | None = None


class OembedView:
    """`/oembed`."""

    def __init__(self, library: VisibleLibrary, items: VideoItems) -> None:
        self._library = library
        self._items = items

    @validate_querystring(OembedQuery)
    async def show(self, query_args: OembedQuery) -> Response:
        """Send the HTML that embeds the video of the page `url`."""
        query = query_args
        if query.format != "json":
            raise HTTPError(501, "Only format=json is spoken here.", {})  # oEmbed §2.3.4.4
        video = get_video(self._library, _path(query.url))
        preview = link_preview(self._items.get(video))
        if preview is None:
            raise NotFoundError("It is not known under which address this library is.")
        return Document.from_text(
            _to_oembed(preview, query).model_dump_json(exclude_none=True)
        ).to_response()


def _path(url: str) -> str:
    """Return the path of the video that a page shows. Raises NotFoundError."""
    try:
        parts = urlsplit(url)
        is_own = f"{parts.scheme}://{parts.netloc}" == links.absolute("")
    except ValueError:  # not a URL
        is_own = False
    for page in ("watch", "embed"):
        prefix = f"{links.prefix()}/{page}/"
        if is_own and parts.path.startswith(prefix):
            return unquote(parts.path.removeprefix(prefix))
    raise NotFoundError("This is no page of a video of this library.")


def _to_oembed(preview: LinkPreview, query: OembedQuery) -> Oembed:
    width, height = preview.size
    # Compare integers: a float cannot hold one of 400 digits.
    scale = min(1, min(query.maxwidth, width) / width, min(query.maxheight, height) / height)
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    image = preview.image
    return Oembed(
        type="rich" if preview.audio_only else "video",
        title=preview.video.title,
        provider_url=links.absolute(links.home()),
        html=Markup(
            '<iframe src="{}" title="{}" width="{}" height="{}" '
            'allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>'
        ).format(preview.embed, preview.video.title, width, height),
        width=width,
        height=height,
        thumbnail_url=image.url if image else None,
        thumbnail_width=image.width if image else None,
        thumbnail_height=image.height if image else None,
    )
