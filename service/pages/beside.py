"""What stands beside a video on its page: its season, and what comes before and after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.catalogue.catalogue import Catalogue
from service.items.video_items import VideoItems
from service.items.video_models import VideoItem
from service.listing.parsed_titles import name_in_series, short_number
from service.listing.paths import parent
from service.listing.series import Series, parsed_name
from service.models import Video

MAX_EPISODES = 48
"""Episodes in the list, around the current one: each has about 600 bytes of HTML."""

_Rel = Literal["next", "prev", ""]


@dataclass(frozen=True, slots=True)
class Row:
    """A link to a video."""

    video: VideoItem
    word: str
    """Before its title, such as `Next` or `E2`."""
    title: str
    rel: _Rel
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A list of videos below a heading."""

    heading: str
    rows: Sequence[Row]
    is_season: bool = False


def beside(catalogue: Catalogue, items: VideoItems, path: str) -> list[Section]:
    """Return the lists of videos for the page of one."""
    previous, following = catalogue.neighbours(path)
    rels: dict[str, _Rel] = {}
    if previous:
        rels[previous.path] = "prev"
    if following:
        rels[following.path] = "next"
    sections = []
    series = catalogue.series.of_video(path)
    season = _season(series, path) if series and rels else None
    if season:
        heading, videos = season
        rows = [
            Row(
                items.get(video),
                short_number(parsed_name(video)),
                name_in_series(video.title, parsed_name(video)),
                rels.pop(video.path, ""),
                is_current=video.path == path,
            )
            for video in videos
        ]
        sections.append(Section(heading, rows, is_season=True))
    words = {"next": "Next", "prev": "Previous"}
    rest = [
        Row(items.get(video), words[rels[video.path]], video.title, rels[video.path])
        for video in (following, previous)
        if video and video.path in rels
    ]
    if rest:
        heading = "In this folder" if series is None else "In this series"
        sections.append(Section(heading, rest))
    return sections


def is_continued(catalogue: Catalogue, path: str, following: str) -> bool:
    """Return whether the next video is of the same series or album, so that it plays by itself."""
    series = catalogue.series.of_video(path)
    if series is not None:
        return series is catalogue.series.of_video(following)
    folder = parent(path)
    return folder == parent(following) and catalogue.kinds.album(folder) is not None


def _season(series: Series, path: str) -> tuple[str, Sequence[Video]] | None:
    """Return the heading and the episodes around one; None if its season has no other."""
    for season in series.seasons:
        paths = [video.path for video in season.videos]
        if path in paths and len(paths) > 1:
            first = max(0, min(paths.index(path) - MAX_EPISODES // 2, len(paths) - MAX_EPISODES))
            heading = season.title if len(series.seasons) > 1 else series.title
            return heading, season.videos[first : first + MAX_EPISODES]
    return None
