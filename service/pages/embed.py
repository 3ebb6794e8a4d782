"""The player alone, for embedding in other sites."""

import json

from markupsafe import escape
from quart import Response, render_template, request

from service.api.videos import get_video
from service.items import links
from service.items.video_items import VideoItems
from service.items.video_models import VideoItem
from service.library.visible import VisibleLibrary
from service.pages.player import player_context, read_start

# More marks would form a solid bar.
_MAX_MARKS = 100


class EmbedPage:
    """`/embed/<path>`."""

    def __init__(self, library: VisibleLibrary, items: VideoItems, policy: str) -> None:
        """`policy` is the page's Content-Security-Policy, with the sites that may embed it."""
        self._library = library
        self._items = items
        self._policy = policy

    async def show(self, path: str) -> Response:
        """Play a video from `?t=`, with the sound `?sound=`; with `?autoplay=1` muted, at once."""
        video = self._items.get(get_video(self._library, path))
        sound = self._items.choose_sound(video, request.args.get("sound"))
        self._items.prioritise([path])
        page = await render_template(
            "embed.html",
            **player_context(video, read_start(video, request.args.get("t")), sound),
            chapter_marks=chapter_marks(video),
            autoplay=request.args.get("autoplay") == "1",
        )
        response = Response(page, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = self._policy
        return response


def chapter_marks(video: VideoItem) -> str:
    """Return the chapters for the seek bar as JSON; there is no list of them beside the player."""
    if len(video.chapters) > _MAX_MARKS:
        return ""
    marks = [{"start": chapter.start, "title": chapter.title} for chapter in video.chapters]
    return json.dumps(marks, ensure_ascii=False) if marks else ""


def embed_code(url: str, title: str) -> str:
    """Return the HTML that embeds a player in another site. `url` is the player's path here."""
    return (
        f'<iframe src="{escape(links.absolute(url))}" '
        f'title="{escape(title)}" width="640" height="360" loading="lazy" '
        'allow="fullscreen; picture-in-picture" allowfullscreen></iframe>'
    )
