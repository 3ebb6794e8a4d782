"""Playlists for players outside the browser: extended M3U, whose addresses are whole, so that they
can be saved and opened elsewhere."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, Field
from quart import Response
from quart_schema import validate_querystring

from service.api import links
from service.api.videos import MAX_FOLDER_LENGTH, get_video
from service.http.documents import Document
from service.library.catalogue import Sort
from service.library.library import Library
from service.library.titles import folder_title
from service.models import Video
from service.protocol.disposition import attachment

# Players expect this ending and type; what is in it is UTF-8, which all that matter guess.
_CONTENT_TYPE = "audio/x-mpegurl; charset=utf-8"

_MAX_CACHED_ENTRIES = 4000  # entries: some 400 bytes each
_MAX_ENTRIES = 1000  # entries: more is no evening's programme, and takes others' time to write
_MAX_LENGTH = 1024**2  # characters: as many entries with names as films have take 200,000


class FolderQuery(BaseModel):
    """What may be asked of a folder's playlist; what people's links carry besides is not minded."""

    model_config = ConfigDict(extra="ignore")

    folder: Annotated[str, Field(max_length=MAX_FOLDER_LENGTH)] = ""
    sort: Sort = "name"


class PlaylistViews:
    """`/playlists/<path>.m3u` and `/playlists?folder=…`."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._entries: LRUCache[str, _Entry] = LRUCache(_MAX_CACHED_ENTRIES)
        """By path: those of the latest playlists."""

    async def video(self, path: str) -> Response:
        """Give a playlist of one video."""
        video = get_video(self._library, path)
        return self._response([video], video.title, PurePosixPath(path).stem)

    @validate_querystring(FolderQuery)
    async def folder(self, query_args: FolderQuery) -> Response:
        """Give a playlist of what is directly in a folder."""
        path = query_args.folder
        page = self._library.catalogue.page("", query_args.sort, _MAX_ENTRIES, None, path)
        name = path.rpartition("/")[2] or "Library"
        return self._response(page.videos, folder_title(path) if path else "Library", name)

    def _response(self, videos: Iterable[Video], title: str, name: str) -> Response:
        lines = ["#EXTM3U", f"#PLAYLIST:{_single_line(title)}"]
        characters_left = _MAX_LENGTH
        for video in videos:
            entry = self._entry(video)
            url = links.absolute(entry.link)
            characters_left -= len(entry.information) + len(url)
            if characters_left < 0:
                break
            lines += (entry.information, url)
        response = Document.from_text("\n".join([*lines, ""]), _CONTENT_TYPE).to_response()
        response.headers["Content-Disposition"] = attachment(f"{name}.m3u")
        return response

    def _entry(self, video: Video) -> "_Entry":
        entry = self._entries.get(video.path)
        if entry is None or entry.video is not video:
            length = video.metadata.duration if video.metadata else None
            information = (
                f"#EXTINF:{-1 if length is None else round(length)},{_single_line(video.title)}"
            )
            entry = self._entries[video.path] = _Entry(video, information, links.media(video))
        return entry


class _Entry(NamedTuple):
    """A video in a playlist: written once, as a playlist has up to _MAX_ENTRIES of them."""

    video: Video
    information: str
    link: str


def _single_line(text: str) -> str:
    """Write a title so that it cannot be taken for two lines."""
    return " ".join(text.split())
