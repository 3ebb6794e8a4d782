"""The chapters of a video as a list of links. A video may have a thousand, so that their HTML is
written once for each video, and not in the template."""

from cachetools import LRUCache
from markupsafe import Markup, escape

from service.api.video_items import VideoItem
from service.models import Chapter
from service.pages.filmstrip import current_index
from service.pages.formatting import format_duration
from service.pages.player import format_timestamp

# Videos whose chapters are remembered; a thousand chapters take some 200 KB.
_MAX_CACHED_VIDEOS = 50

_CURRENT = ' aria-current="true"'


class ChapterLists:
    """The lists, and the HTML of the latest."""

    def __init__(self) -> None:
        self._rows: LRUCache[str, tuple[VideoItem, list[str]]] = LRUCache(_MAX_CACHED_VIDEOS)
        """By path: what they were made of, and a row for each chapter."""

    def rows(self, video: VideoItem, position: float | None) -> Markup:
        """Return the members of the list; the chapter that plays at this second is marked."""
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
