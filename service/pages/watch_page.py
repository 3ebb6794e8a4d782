"""The page that plays a video."""

from functools import partial

from markupsafe import escape
from quart import render_template, request

from service.api import links
from service.api.video_items import VideoItems
from service.api.video_models import VideoItem
from service.api.videos import get_video
from service.artefacts.metadata import ArtefactKind, ArtefactState, StoryboardMetadata
from service.artefacts.scheduler import ArtefactScheduler
from service.library.folders import parents
from service.library.library import Library
from service.library.titles import folder_title
from service.models import Video
from service.pages.chapter_list import ChapterLists
from service.pages.filmstrip import Filmstrip, filmstrip
from service.pages.formatting import summary
from service.pages.player import parse_timestamp, player_context
from service.pages.video_details import detail_rows, technical_rows

SPEEDS = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3)

# The keyboard shortcuts of keys.js, the same as on well-known video sites.
SHORTCUTS = (
    (("Space", "k"), "Play or pause"),
    (("←", "→"), "5 seconds back or on"),
    (("j", "l"), "10 seconds back or on"),
    (("0", "…", "9"), "To that tenth of the video"),
    ((",", "."), "A frame back or on, while paused"),
    (("<", ">"), "Slower or faster"),
    (("↑", "↓"), "Louder or softer, in the player"),
    (("m",), "Sound off or on"),
    (("c",), "Captions on or off"),
    (("f",), "Full screen"),
    (("t",), "Theatre width"),
    (("Shift", "N"), "Next in the folder"),
    (("Shift", "P"), "Previous in the folder"),
    (("?",), "This list"),
)


class WatchPage:
    """`/watch/<path>`."""

    def __init__(self, library: Library, items: VideoItems, scheduler: ArtefactScheduler) -> None:
        self._library = library
        self._items = items
        self._scheduler = scheduler
        self._chapters = ChapterLists()

    async def show(self, path: str) -> str:
        """Play a video from `?t=`."""
        video = self._items.get(get_video(self._library, path))
        self._items.prioritise([path])
        start = parse_timestamp(request.args.get("t"))
        previous, following = map(self._item, self._library.catalogue.neighbours(path))
        return await render_template(
            "watch.html",
            **player_context(video, start),
            filmstrip=await self._filmstrip(path, start),
            chapters=self._chapters.rows(video, start),
            details=summary(video),
            detail_rows=detail_rows(video, caption_labels(video)),
            technical_rows=technical_rows(video, is_remuxed=video.is_made_mp4),
            breadcrumbs=[(folder_title(folder), links.folder(folder)) for folder in parents(path)],
            previous=previous,
            following=following,
            embed_code=embed_code(video),
            copy_url=links.copy(path),
            can_be_made=video.copied.state in {ArtefactState.POSSIBLE, ArtefactState.FAILED},
            speeds=SPEEDS,
            shortcuts=SHORTCUTS,
        )

    def _item(self, video: Video | None) -> VideoItem | None:
        return self._items.get(video) if video else None

    async def _filmstrip(self, path: str, start: float | None) -> Filmstrip | None:
        source = self._scheduler.source(path)
        facts = await self._scheduler.load_metadata(path, ArtefactKind.STORYBOARD)
        if source is None or not isinstance(facts, StoryboardMetadata):
            return None
        if len(facts.layout.starts) == 1:
            return None  # one frame is no strip
        sheet_url = partial(links.sheet, path, version=source.storyboard or "")
        return filmstrip(facts.layout, sheet_url, start)


def caption_labels(video: VideoItem) -> tuple[str, ...]:
    """Return the labels of a video's captions."""
    return tuple(track.label for track in video.captions.tracks if track.kind != "chapters")


def embed_code(video: VideoItem) -> str:
    """Return the HTML that embeds the player in another site."""
    return (
        f'<iframe src="{escape(links.absolute(links.embed(video.path)))}" '
        f'title="{escape(video.title)}" width="640" height="360" loading="lazy" '
        'allow="fullscreen; picture-in-picture" allowfullscreen></iframe>'
    )
