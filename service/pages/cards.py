"""The cards of videos and folders on the library page."""

from dataclasses import dataclass

from service.api import links
from service.api.video_items import VideoItems
from service.api.video_models import Picture, VideoItem
from service.artefacts.metadata import ArtefactKind
from service.library.catalogue import Catalogue
from service.library.folder_samples import sample_videos
from service.library.folders import Folder, parent, parents
from service.library.titles import folder_title
from service.models import Video
from service.pages.formatting import format_size

# Names of resolutions by their lines.
_NAMES = {4320: "8K", 2160: "4K"}
_LINES = (4320, 2160, 1440, 1080, 720, 576, 480, 360, 240, 144)
_TOLERANCE = 0.97  # encoders crop a few lines and round to multiples of 16
_ASPECT_16_9 = 16 / 9
_MIN_CROPPED_ASPECT = 1.2  # narrower pictures are shown whole instead of cropped to 16:9

_SAMPLE_VIDEOS = 4  # for a folder's picture, as some have no poster

# The watch page asks the browser itself whether it supports these.
_BROWSER_DEPENDENT = frozenset({"video_codec", "audio_codec"})


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a video."""

    video: VideoItem
    folder: str
    """Its path; "" for the root."""
    folder_label: str
    """The titles of the folder and its parent."""
    details: str
    resolution: str | None
    picture: Picture | None
    """The narrowest of the poster, which is wider than any card."""
    letterboxed: bool
    """Whether the poster is shown whole, because it is too narrow to crop it to 16:9."""
    unplayable: str | None
    """Why no browser plays it, if that is certain."""
    may_not_play: bool
    """Whether most browsers do not play it."""


@dataclass(frozen=True, slots=True)
class FolderCard:
    """The card of a folder."""

    path: str
    title: str
    count: int
    url: str
    picture: Picture | None
    letterboxed: bool
    placeholder_style: int
    """One of six styles for a card without a picture."""


def card(video: VideoItem) -> Card:
    """Return the card of a video."""
    picture = video.poster.pictures[0] if video.poster.pictures else None
    issues = [finding for finding in video.findings if finding.severity == "unplayable"]
    certain = [finding for finding in issues if finding.code not in _BROWSER_DEPENDENT]
    failed = video.state == "failed"
    folder = parent(video.path)
    return Card(
        video=video,
        folder=folder,
        folder_label=" / ".join(folder_title(path) for path in [*parents(folder), folder][-2:]),
        details=details(video),
        resolution=resolution(video),
        picture=picture,
        letterboxed=_is_letterboxed(picture),
        unplayable=certain[0].sentence if certain and not failed else None,
        may_not_play=bool(issues) and not certain,
    )


def folder_card(folder: Folder, catalogue: Catalogue, items: VideoItems) -> FolderCard:
    """Return the card of a folder, with the first poster of its videos."""
    videos = sample_videos(catalogue, folder.path, _SAMPLE_VIDEOS)
    items.prioritise((video.path for video in videos[:1]), [ArtefactKind.POSTER])
    posters = (items.get(video).poster.pictures for video in videos)
    picture = next((pictures[0] for pictures in posters if pictures), None)
    return FolderCard(
        path=folder.path,
        title=folder.title,
        count=folder.videos,
        url=links.folder(folder.path),
        picture=picture,
        letterboxed=_is_letterboxed(picture),
        placeholder_style=len(folder.path) % 6,
    )


def details(video: Video) -> str:
    """Return the size of a video in pixels and bytes."""
    pixels = [f"{video.picture.width}×{video.picture.height}"] if video.picture else []
    return " · ".join([*pixels, format_size(video.size)])


def resolution(video: Video) -> str | None:
    """Return the common name of a video's resolution.

    `1080p` is what fills a screen of 1920 by 1080, including wide films and upright videos.
    """
    stream = video.picture
    if stream is None:
        return None
    sides = sorted((stream.width or 0, stream.height or 0))
    lines = max(sides[0], sides[1] / _ASPECT_16_9)
    name = next((line for line in _LINES if lines >= line * _TOLERANCE), None)
    return _NAMES.get(name, f"{name}p") if name else None


def _is_letterboxed(picture: Picture | None) -> bool:
    return picture is not None and picture.width < _MIN_CROPPED_ASPECT * picture.height
