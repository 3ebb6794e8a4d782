"""Folders with an order of their own: albums by disc and track, clips of a camera by date."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


class TrackFacts(NamedTuple):
    """What a video says of the kind of its folder."""

    disc: int | None
    track: int | None
    """The number of its tag; None if it has none."""
    artist: str | None
    year: str | None
    is_named: bool
    """Whether it is an episode or a film."""
    is_clip: bool
    """Whether it has a date, and a name or tags as cameras write them."""


def track_facts(video: Video) -> TrackFacts:
    """Return what a video says of the kind of its folder."""
    disc, track = track_number(video) or (None, None)
    return TrackFacts(disc, track, _artist(video), _year(video), _is_named(video), _is_clip(video))


@dataclass(frozen=True, slots=True)
class Album:
    """The videos of a folder whose tags have the numbers of tracks."""

    videos: Sequence[Video]
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


def is_album(facts: Sequence[TrackFacts]) -> bool:
    """Return whether the videos of a folder are an album.

    Each has the number of a track, and they are not episodes of a series.
    """
    if not _MIN_VIDEOS <= len(facts) <= MAX_TRACKS:
        return False
    return all(one.track is not None and not one.is_named for one in facts)


def are_clips(facts: Sequence[TrackFacts]) -> bool:
    """Return whether the videos of a folder are clips of a camera.

    No video is an episode or a film. More than half are clips.
    """
    if len(facts) < _MIN_VIDEOS or any(one.is_named for one in facts):
        return False
    return 2 * sum(one.is_clip for one in facts) > len(facts)


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
