"""The page that plays a video."""

from functools import partial

from quart import render_template, request

from service.access.grants import current_grant
from service.api.videos import get_video
from service.artefacts.metadata import ArtefactKind, StoryboardMetadata
from service.artefacts.status import ArtefactState
from service.items import links
from service.items.video_items import VideoItems
from service.items.video_models import VideoItem
from service.library.visible import VisibleLibrary
from service.listing.paths import parent, parents
from service.listing.titles import folder_title
from service.models import Video
from service.pages.beside import beside, is_continued
from service.pages.chapter_list import ChapterLists
from service.pages.description import describe
from service.pages.embed import embed_code
from service.pages.filmstrip import Filmstrip, filmstrip
from service.pages.formatting import summary
from service.pages.player import player_context, read_start
from service.pages.share_form import Shared
from service.pages.video_details import detail_rows, technical_rows
from service.scheduling.reader import ArtefactReader
from service.scheduling.scheduler import ArtefactScheduler

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
    (("a",), "The next sound, if there are several"),
    (("f",), "Full screen"),
    (("t",), "Theatre width"),
    (("Shift", "N"), "Next in the folder"),
    (("Shift", "P"), "Previous in the folder"),
    (("?",), "This list"),
)


class WatchPage:
    """`/watch/<path>`."""

    def __init__(
        self,
        library: VisibleLibrary,
        items: VideoItems,
        scheduler: ArtefactScheduler,
        reader: ArtefactReader,
    ) -> None:
        self._library = library
        self._items = items
        self._scheduler = scheduler
        self._reader = reader
        self._chapters = ChapterLists()

    async def show(self, path: str) -> str:
        """Play a video from `?t=` with the sound `?sound=`; `?filmstrip=1` adds its filmstrip."""
        video = self._items.get(get_video(self._library, path))
        sound = self._items.choose_sound(video, request.args.get("sound"))
        self._items.prioritise([path])
        start = read_start(video, request.args.get("t"))
        previous, following = map(self._item, self._library.catalogue.neighbours(path))
        description = describe(video)
        return await render_template(
            "watch.html",
            **player_context(video, start, sound),
            filmstrip=await self._filmstrip(path, start.second)
            if "filmstrip" in request.args
            else None,
            chapters=self._chapters.rows(video, start.second),
            details=summary(video),
            description=description.text,
            detail_rows=[*description.rows, *detail_rows(video, caption_labels(video))],
            technical_rows=technical_rows(video, is_remuxed=video.is_made_mp4),
            breadcrumbs=self._breadcrumbs(path),
            beside=beside(self._library.catalogue, self._items, path),
            previous=previous,
            following=following,
            goes_on=following is not None
            and is_continued(self._library.catalogue, path, following.path),
            embed_code=embed_code(links.embed(path), video.title),
            copy_url=links.copy(path),
            owner_notes=owner_notes(video),
            share=Shared("path", path, video.title),
            can_be_made=video.copied.state in {ArtefactState.POSSIBLE, ArtefactState.FAILED},
            shortcuts=SHORTCUTS,
        )

    def _breadcrumbs(self, path: str) -> list[tuple[str, str]]:
        """Return the titles and links of a video's series, or of its folders.

        A share link shows those that it opens.
        """
        grant = current_grant()
        if not grant.contains_folder(parent(path)):
            return []
        series = self._library.catalogue.series.of_video(path)
        if series is not None:
            return [(series.title, links.series(series.title))]
        return [
            (folder_title(folder), links.folder(folder))
            for folder in parents(path)
            if grant.contains_folder(folder)
        ]

    def _item(self, video: Video | None) -> VideoItem | None:
        return self._items.get(video) if video else None

    async def _filmstrip(self, path: str, start: float | None) -> Filmstrip | None:
        source = self._scheduler.source(path)
        facts = await self._reader.load_metadata(path, ArtefactKind.STORYBOARD)
        if source is None or not isinstance(facts, StoryboardMetadata):
            return None
        if len(facts.layout.starts) == 1:
            return None  # one frame is no strip
        sheet_url = partial(links.sheet, path, version=source.storyboard or "")
        return filmstrip(facts.layout, sheet_url, start)


def owner_notes(video: VideoItem) -> list[str]:
    """Return sentences for the owner about what is being made or could not be made."""
    notes = []
    for name, item in (
        ("Poster", video.poster),
        ("Captions", video.captions),
        ("Filmstrip", video.storyboard),
    ):
        if item.state is ArtefactState.WAITING and video.state != "pending":
            notes.append(f"{name}: being made.")
        elif item.state is ArtefactState.FAILED:
            notes.append(f"{name}: could not be made. {item.problem}")
    return [*notes, *video.poster.problems, *video.captions.problems]


def caption_labels(video: VideoItem) -> tuple[str, ...]:
    """Return the labels of a video's captions."""
    return tuple(track.label for track in video.captions.tracks if track.kind != "chapters")
