"""The player alone, for embedding in other sites."""

from quart import Response, render_template, request

from service.api.video_items import VideoItems
from service.api.videos import get_video
from service.library.library import Library
from service.pages.player import parse_timestamp, player_context


class EmbedPage:
    """`/embed/<path>`."""

    def __init__(self, library: Library, items: VideoItems, policy: str) -> None:
        """`policy` is the page's Content-Security-Policy, with the sites that may embed it."""
        self._library = library
        self._items = items
        self._policy = policy

    async def show(self, path: str) -> Response:
        """Play a video from `?t=`; with `?autoplay=1` at once and muted."""
        video = self._items.get(get_video(self._library, path))
        self._items.prioritise([path])
        page = await render_template(
            "embed.html",
            **player_context(video, parse_timestamp(request.args.get("t"))),
            autoplay=request.args.get("autoplay") == "1",
        )
        response = Response(page, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = self._policy
        return response
