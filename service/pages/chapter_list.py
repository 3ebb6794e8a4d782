"""A video's chapters as a list of links. Their HTML is cached, as there may be a thousand."""

from cachetools import LRUCache
from markupsafe import Markup, escape

from service.items.video_models import VideoItem
from service.models import Chapter
from service.pages.filmstrip import current_index
from service.pages.formatting import format_duration
from service.pages.player import format_timestamp

# Videos; a thousand chapters take about 200 KB.
_MAX_CACHED_VIDEOS = 50

_CURRENT = ' aria-current="true"'


class ChapterLists:
    """Renders and caches the lists."""

    def __init__(self) -> None:
        self._rows: LRUCache[str, tuple[VideoItem, list[str]]] = LRUCache(_MAX_CACHED_VIDEOS)
        """By path: the item that was rendered, and a row for each chapter."""

    def rows(self, video: VideoItem, position: float | None) -> Markup:
        """Return the rows of the list. The chapter at `position`, in seconds, is marked."""
        if not video.chapters:
            return Markup()
        cached_video, rows = self._rows.get(video.path, (None, []))
        if cached_video is not video:
            rows = [_row(chapter) for chapter in video.chapters]
            self._rows[video.path] = (video, rows)
        number = current_index(tuple(chapter.start for chapter in video.chapters), position)
        if number is not None:
            rows = rows.copy()
            rows[number] = _row(video.chapters[number], _CURRENT)
        return Markup("\n".join(rows))  # noqa: S704 # each row is escaped


def _row(chapter: Chapter, attribute: str = "") -> str:
    timestamp = format_timestamp(chapter.start)
    return (
        f'<li><a href="?t={timestamp}" data-t="{timestamp}"{attribute}>'
        f"<span>{format_duration(chapter.start)}</span> <bdi>{escape(chapter.title)}</bdi></a></li>"
    )
