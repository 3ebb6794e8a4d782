"""The page that plays a video: values of the library in a template. It decides nothing."""

from quart import render_template, request

from service.library.library import Library
from service.views.api import find
from service.views.items import Items
from service.views.phrases import describe_stream, facts
from service.views.player import moment, player


class WatchPage:
    """`/watch/<path>`."""

    def __init__(self, library: Library, items: Items) -> None:
        self._library = library
        self._items = items

    async def show(self, path: str) -> str:
        """Play one video."""
        video = self._items.of(find(self._library, path))
        self._items.look_at([path])
        streams = video.metadata.streams if video.metadata else ()
        return await render_template(
            "watch.html",
            **player(video, moment(request.args.get("t"))),
            facts=facts(video),
            streams=[describe_stream(stream) for stream in streams],
        )
