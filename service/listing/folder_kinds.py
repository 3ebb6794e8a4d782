"""Folders with an order of their own: albums by disc and track, clips of a camera by date."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from service.listing.dates import stated_date
from service.models import Video
from service.naming.dates import date_in_name

MAX_TRACKS = 1000
"""Videos of an album. A folder with more videos is not an album."""

_MIN_VIDEOS = 2

_NUMBER = re.compile(r"\s*(\d{1,4})(?:\s*/\s*\d{1,4})?\s*")
_CAMERA_NAME = re.compile(
    r"(?:img|vid|mvi|mov|dsc[nf]?|gopr|g[hx]\d\d|pxl|dji|sam|wp|clip)[-_ ]?\d{3}", re.IGNORECASE
)
_CAMERA_TAGS = frozenset(
    {"make", "model", "com.apple.quicktime.make", "com.apple.quicktime.model"}
    | {"com.android.manufacturer", "com.android.model", "com.android.version"}
)


@dataclass(frozen=True, slots=True)
class Album:
    """The videos of a folder whose tags have the numbers of tracks."""

    videos: tuple[Video, ...]
    """By disc and track."""
    artist: str | None
    """If the tracks agree."""
    year: str | None
    """As above."""
    has_discs: bool
    """Whether the tracks are of several discs."""

    def neighbours(self, video: Video) -> tuple[Video | None, Video | None]:
        """Return the tracks before and after one."""
        at = self.videos.index(video)
        before = self.videos[at - 1] if at else None
        return before, self.videos[at + 1] if at + 1 < len(self.videos) else None

    def track(self, video: Video) -> str:
        """Return the number of a track in words."""
        disc, track = track_number(video) or (0, 0)
        return f"Disc {disc}, track {track}" if self.has_discs else f"Track {track}"


def track_number(video: Video) -> tuple[int, int] | None:
    """Return the numbers of disc and track of a video's tags; None without a track."""
    tags = {tag.name: tag.text for tag in video.metadata.tags} if video.metadata else {}
    track = _NUMBER.fullmatch(tags.get("track") or tags.get("tracknumber") or "")
    disc = _NUMBER.fullmatch(tags.get("disc") or tags.get("discnumber") or "")
    return (int(disc[1]) if disc else 1, int(track[1])) if track else None


def album(videos: Sequence[Video]) -> Album | None:
    """Return the album that consists of the videos of a folder; None if they are no album.

    Each has the number of a track, and they are not episodes of a series.
    """
    if not _MIN_VIDEOS <= len(videos) <= MAX_TRACKS:
        return None
    numbers = [(track_number(video), video) for video in videos]
    if any(number is None or _is_named(video) for number, video in numbers):
        return None
    ordered = sorted(numbers, key=lambda pair: (pair[0] or (0, 0), pair[1].path))
    tracks = tuple(video for _, video in ordered)
    artists, years = set(map(_artist, tracks)), set(map(_year, tracks))
    return Album(
        tracks,
        artists.pop() if len(artists) == 1 else None,
        years.pop() if len(years) == 1 else None,
        has_discs=len({number[0] for number, _ in numbers if number}) > 1,
    )


def are_clips(videos: Iterable[Video]) -> bool:
    """Return whether the videos of a folder are clips of a camera.

    No video is an episode or a film. More than half have a date, and a name or tags as
    cameras write them.
    """
    some = list(videos)
    if len(some) < _MIN_VIDEOS or any(_is_named(video) for video in some):
        return False
    return 2 * sum(map(_is_clip, some)) > len(some)


class FolderKinds:
    """Which folders are albums, and which are clips."""

    def __init__(
        self, folders: Mapping[str, Sequence[Video]], previous: "FolderKinds | None" = None
    ) -> None:
        """Examine the videos of each folder, unless they are those of `previous`."""
        self._kinds: dict[str, tuple[tuple[Video, ...], Album | Literal["clips"] | None]] = {}
        known = previous._kinds if previous else {}  # noqa: SLF001 # of the same class
        for path, some in folders.items():
            videos = tuple(some)
            known_videos, kind = known.get(path, ((), None))
            if known_videos != videos:
                kind = album(videos) or ("clips" if are_clips(videos) else None)
            self._kinds[path] = videos, kind

    def album(self, folder: str) -> Album | None:
        """Return the album that a folder is."""
        _, kind = self._kinds.get(folder, ((), None))
        return kind if isinstance(kind, Album) else None

    def is_clips(self, folder: str) -> bool:
        """Return whether a folder has clips of a camera."""
        return folder in self._kinds and self._kinds[folder][1] == "clips"


def _is_named(video: Video) -> bool:
    return video.metadata is not None and video.metadata.parsed_name is not None


def _is_clip(video: Video) -> bool:
    name = video.path.rpartition("/")[2]
    if len(stated_date(video) or "") < len("1994-05-01"):
        return False
    if date_in_name(name) or _CAMERA_NAME.match(name):
        return track_number(video) is None
    tags = video.metadata.tags if video.metadata else ()
    return any(tag.name in _CAMERA_TAGS for tag in tags)


def _artist(video: Video) -> str | None:
    tags = {tag.name: tag.text for tag in video.metadata.tags} if video.metadata else {}
    return tags.get("album_artist") or tags.get("artist")


def _year(video: Video) -> str | None:
    """Return the year of a date that a tag states; a time is that of encoding."""
    created = video.metadata.created if video.metadata else None
    return created[:4] if created and "T" not in created else None
