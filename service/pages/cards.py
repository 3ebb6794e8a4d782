"""What the library page shows of a video and of a folder: values for templates, and their words."""

from dataclasses import dataclass

from service.api import links
from service.api.video_items import Picture, VideoItem, VideoItems
from service.artefacts.metadata import ArtefactKind
from service.library.catalogue import Catalogue
from service.library.folder_samples import stand_ins
from service.library.folders import Folder, parent, parents
from service.library.titles import folder_title
from service.models import Video
from service.pages.formatting import format_size

# Lines of a picture, and what that is called.
_NAMES = {4320: "8K", 2160: "4K"}
_LINES = (4320, 2160, 1440, 1080, 720, 576, 480, 360, 240, 144)
_TOLERANCE = 0.97  # of these: encoders crop a few lines, and round to multiples of 16
_ASPECT_16_9 = 16 / 9
_MIN_CROPPED_ASPECT = 1.2  # narrower pictures are shown whole instead of cropped to 16:9

_SAMPLE_VIDEOS = 4  # to show a folder by: of some there is no picture

# Whether a browser knows a codec it says itself, on the page that plays the video.
_BROWSER_DEPENDENT = frozenset({"video_codec", "audio_codec"})


@dataclass(frozen=True, slots=True)
class Card:
    """A video as the library page shows it."""

    video: VideoItem
    folder: str
    """Its path; "" for the root."""
    folder_label: str
    """What people call that: the titles of the folder and of the one that it is in."""
    details: str
    resolution: str | None
    picture: Picture | None
    """The narrowest of the poster's, which is wider than any card."""
    letterboxed: bool
    """Whether the poster is shown whole, for it is not of a screen's shape."""
    unplayable: str | None
    """Why browsers do not play it, where that is sure."""
    may_not_play: bool
    """Whether it depends on the browser, which is likely not to play it."""


@dataclass(frozen=True, slots=True)
class FolderCard:
    """A folder as the library page shows it."""

    path: str
    title: str
    count: int
    url: str
    picture: Picture | None
    letterboxed: bool
    placeholder_style: int
    """One of six, where there is no picture."""


def card(video: VideoItem) -> Card:
    """Say of a video what a card shows."""
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
    """Show a folder by the first poster of what is in it."""
    videos = stand_ins(catalogue, folder.path, _SAMPLE_VIDEOS)
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
    """Say exactly how large a video is."""
    pixels = [f"{video.picture.width}×{video.picture.height}"] if video.picture else []
    return " · ".join([*pixels, format_size(video.size)])


def resolution(video: Video) -> str | None:
    """Say how sharp a video is as people do: `1080p` is what fills a screen of 1920 by 1080, be it
    a wide film of fewer lines or one that stands upright.
    """
    stream = video.picture
    if stream is None:
        return None
    sides = sorted((stream.width or 0, stream.height or 0))
    lines = max(sides[0], sides[1] / _ASPECT_16_9)
    name = next((known for known in _LINES if lines >= known * _TOLERANCE), None)
    return _NAMES.get(name, f"{name}p") if name else None


def _is_letterboxed(picture: Picture | None) -> bool:
    return picture is not None and picture.width < _MIN_CROPPED_ASPECT * picture.height
