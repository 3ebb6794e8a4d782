"""The pages. Each puts values of the library into a template; none decides anything."""

from dataclasses import dataclass

from pydantic import ConfigDict
from quart import render_template
from quart_schema import validate_querystring

from service.library.catalogue import SORTS
from service.library.facts import Kind
from service.library.folders import parents
from service.library.library import Library
from service.library.titles import folder_title
from service.library.video import Metadata, Stream, Video
from service.views import links
from service.views.api import FolderItem, VideosQuery, find, look_up, next_page
from service.views.items import Items, VideoItem

_SORT_LABELS = {
    "name": "Name",
    "-name": "Name, backwards",
    "date": "Oldest first",
    "-date": "Newest first",
    "duration": "Shortest first",
    "-duration": "Longest first",
    "size": "Smallest first",
    "-size": "Largest first",
}


class LibraryQuery(VideosQuery):
    """What may be asked of the library page; what people's links carry besides is not minded."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True, slots=True)
class Card:
    """A video as the library page shows it."""

    video: VideoItem
    details: str


class PageViews:
    """`/` and `/watch/<path>`."""

    def __init__(self, library: Library, items: Items) -> None:
        self._library = library
        self._items = items

    @validate_querystring(LibraryQuery)
    async def library(self, query_args: LibraryQuery) -> str:
        """List the library."""
        asked = query_args
        page = look_up(self._library, asked)
        self._items.look_at((video.path for video in page.videos), [Kind.POSTER])
        cards = [Card(self._items.of(video), details(video)) for video in page.videos]
        return await render_template(
            "library.html",
            cards=cards,
            progress=self._items.progress(),
            folders=[FolderItem.of(folder) for folder in page.folders],
            folder=asked.folder,
            has_folders=bool(self._library.catalogue.folders.directly_in("")),
            crumbs=crumbs(asked.folder or ""),
            total=page.total,
            query=asked.q,
            sort=asked.sort,
            sorts=[(sort, _SORT_LABELS[sort]) for sort in SORTS],
            next_url=next_page("/", asked, page),
        )

    async def watch(self, path: str) -> str:
        """Play one video."""
        video = self._items.of(find(self._library, path))
        self._items.look_at([path])
        streams = video.metadata.streams if video.metadata else ()
        return await render_template(
            "watch.html",
            video=video,
            facts=facts(video),
            streams=[describe_stream(stream) for stream in streams],
            audio_only=video.content_type.startswith("audio/"),
        )


def crumbs(folder: str) -> list[tuple[str, str]]:
    """Give titles and pages of the folders that lead from the root to this one, and of this one."""
    way = [*parents(folder), folder] if folder else []
    return [(folder_title(path), links.folder(path)) for path in way]


def details(video: Video) -> str:
    """Say the most interesting things of a video in one line."""
    parts = []
    if video.metadata:
        if video.metadata.duration is not None:
            parts.append(duration(video.metadata.duration))
        pictures = (s for s in video.metadata.streams if s.kind == "video" and s.width and s.height)
        parts += [f"{stream.width}×{stream.height}" for stream in pictures][:1]
    return " · ".join([*parts, size(video.size)])


def facts(video: Video) -> list[tuple[str, str]]:
    """Say everything about a video, as labels and values."""
    rows = [("Size", size(video.size)), ("Type", video.content_type)]
    if video.metadata:
        rows = [*_metadata_facts(video.metadata), *rows]
    return [*rows, ("File", video.path), ("Revision", video.revision)]


def _metadata_facts(metadata: Metadata) -> list[tuple[str, str]]:
    rows = []
    if metadata.duration is not None:
        rows.append(("Length", duration(metadata.duration)))
    if metadata.bit_rate is not None:
        rows.append(("Bit rate", f"{metadata.bit_rate / 1e6:.2f} Mbit/s"))
    rows.append(("Container", metadata.container))
    if metadata.index_at_front is not None:
        behind = "at the end; players get it in front" if metadata.fast_start else "at the end"
        rows.append(("Index", "at the front" if metadata.index_at_front else behind))
    return rows


def describe_stream(stream: Stream) -> str:
    """Say in a line what a stream is."""
    parts = [f"{stream.kind}: {stream.codec}"]
    if stream.codec_string:
        parts[0] += f" ({stream.codec_string})"
    if stream.width and stream.height:
        parts.append(f"{stream.width}×{stream.height}")
    if stream.frame_rate:
        parts.append(f"{stream.frame_rate:g} frames/s")
    if stream.channels:
        parts.append(f"{stream.channels} channel{'s' if stream.channels > 1 else ''}")
    if stream.sample_rate:
        parts.append(f"{stream.sample_rate / 1000:g} kHz")
    if stream.language:
        parts.append(stream.language)
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Write a time as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Write a number of bytes in decimal units, as file managers do."""
    units = iter(("B", "kB", "MB"))
    unit = next(units)
    while count >= 999.5 and unit != "GB":  # noqa: PLR2004 # what would be rounded up to 1000
        count /= 1000
        unit = next(units, "GB")
    whole = unit == "B" or count >= 9.95  # noqa: PLR2004 # what would be rounded up to 10.0
    return f"{count:.0f} {unit}" if whole else f"{count:.1f} {unit}"
