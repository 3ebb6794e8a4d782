"""Playlists for players outside the browser: extended M3U with absolute URLs.

They name `/download/`. Such players (FFmpeg, VLC) ask for `bytes=0-` and take the answer for the
whole file: from `/media/` they would get its first block."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, Field
from quart import Response
from quart_schema import validate_querystring

from service.api.videos import MAX_FOLDER_LENGTH, get_video
from service.catalogue.catalogue import Sort
from service.http.documents import Document
from service.items import links
from service.library.visible import VisibleLibrary
from service.listing.titles import folder_title
from service.models import Video
from service.protocol.disposition import attachment

# Players expect this type. The text is UTF-8, which the common players detect.
_CONTENT_TYPE = "audio/x-mpegurl; charset=utf-8"

_MAX_CACHED_ENTRIES = 4000  # about 400 bytes each
_MAX_ENTRIES = 1000  # more would block the event loop for too long
_MAX_LENGTH = 1024**2  # characters; 1,000 entries with usual names have 200,000


class FolderQuery(BaseModel):
    """The query of a folder's playlist. Other parameters, which links may carry, are ignored."""

    model_config = ConfigDict(extra="ignore")

    folder: Annotated[str, Field(max_length=MAX_FOLDER_LENGTH)] = ""
    sort: Sort | None = None


class PlaylistViews:
    """`/playlists/<path>.m3u` and `/playlists?folder=…`."""

    def __init__(self, library: VisibleLibrary) -> None:
        self._library = library
        self._entries: LRUCache[tuple[str, str], _Entry] = LRUCache(_MAX_CACHED_ENTRIES)
        """The entries by the prefix of their links and the path."""

    async def video(self, path: str) -> Response:
        """Send a playlist of one video."""
        video = get_video(self._library, path)
        return self._response([video], video.title, PurePosixPath(path).stem, total=1)

    @validate_querystring(FolderQuery)
    async def folder(self, query_args: FolderQuery) -> Response:
        """Send a playlist of the videos directly in a folder."""
        path = query_args.folder
        catalogue = self._library.catalogue
        sort: Sort = query_args.sort or ("date" if catalogue.kinds.is_clips(path) else "name")
        page = catalogue.page("", sort, _MAX_ENTRIES, None, path)
        album = None if query_args.sort else catalogue.kinds.album(path)
        name = path.rpartition("/")[2] or "Library"
        title = folder_title(path) if path else "Library"
        return self._response(album.videos if album else page.videos, title, name, page.total)

    def _response(self, videos: Iterable[Video], title: str, name: str, total: int) -> Response:
        """Return a playlist of `videos`. Its title says if there are more, `total` of them."""
        lines: list[str] = []
        characters_left = _MAX_LENGTH
        for video in videos:
            entry = self._entry(video)
            url = links.absolute(entry.link)
            characters_left -= len(entry.information) + len(url)
            if characters_left < 0:
                break
            lines += (entry.information, url)
        included = len(lines) // 2
        if included < total:
            title = f"{title} (the first {included} of {total} videos)"
        head = ["#EXTM3U", f"#PLAYLIST:{_single_line(title)}"]
        response = Document.from_text("\n".join([*head, *lines, ""]), _CONTENT_TYPE).to_response()
        response.headers["Content-Disposition"] = attachment(f"{name}.m3u")
        return response

    def _entry(self, video: Video) -> "_Entry":
        key = links.prefix(), video.path
        entry = self._entries.get(key)
        if entry is None or entry.video is not video:
            length = video.metadata.duration if video.metadata else None
            information = (
                f"#EXTINF:{-1 if length is None else round(length)},{_single_line(video.title)}"
            )
            entry = self._entries[key] = _Entry(
                video, information, links.download(video.path, video.revision)
            )
        return entry


class _Entry(NamedTuple):
    """A video's lines in a playlist, cached as building up to _MAX_ENTRIES of them is slow."""

    video: Video
    information: str
    link: str


def _single_line(text: str) -> str:
    """Return a title in one line."""
    return " ".join(text.split())
