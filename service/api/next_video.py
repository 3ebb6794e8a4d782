"""The next episode of a series, for pages that show it."""

from pydantic import Field
from quart import Response
from quart_schema import document_response

from service.api.videos import get_video
from service.http.documents import Document
from service.items.video_items import VideoItems
from service.items.video_models import VideoItem
from service.library.visible import VisibleLibrary
from service.records.frozen_model import FrozenModel


class NextVideo(FrozenModel):
    """The next episode of a series."""

    video: VideoItem | None = Field(
        description="null after the last episode, and for a video that is no episode"
    )


class NextVideoView:
    """`/api/next/<path>`."""

    def __init__(self, library: VisibleLibrary, items: VideoItems) -> None:
        self._library = library
        self._items = items

    @document_response(NextVideo)
    async def show(self, path: str) -> Response:
        """Describe the episode after one."""
        video = get_video(self._library, path)
        catalogue = self._library.catalogue
        _, following = catalogue.neighbours(video.path)
        series = catalogue.series.of_video(video.path)
        item = None
        if following and series and catalogue.series.of_video(following.path) is series:
            item = self._items.get(following)
        return Document.from_text(NextVideo(video=item).model_dump_json()).to_response()
