"""The values of the player's template, _player.html."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from service.api import links
from service.api.video_models import VideoItem
from service.library.folders import parent
from service.models import Stream
from service.playability.browser_support import is_3gpp
from service.playability.defects import NEVER_PLAYED
from service.playability.names import codec_name
from service.playability.track_choice import common_sound
from service.protocol.media_types import is_accepted_by_browsers

# 90, 90.5, 90s, 1m30s, 1h2m3s; as many digits as Python reads fast.
_TIMESTAMP = re.compile(
    r"(?:(?P<hours>[0-9]{1,4})h)?(?:(?P<minutes>[0-9]{1,6})m)?"
    r"(?:(?P<seconds>[0-9]{1,9}(?:\.[0-9]{1,6})?)s?)?",
    re.ASCII,
)
_MAX_LENGTH = 40  # characters

_STREAM_KINDS: tuple[Literal["video", "audio"], ...] = ("video", "audio")
_CONTAINERS = {"vp8": "webm", "vp9": "webm", "vorbis": "webm", "opus": "webm", "theora": "ogg"}
# Names that browsers use for codecs without an RFC 6381 string.
_CODEC_STRINGS = {"alac": "alac", "theora": "theora"}


def parse_timestamp(text: str | None) -> float | None:
    """Return the seconds of a link's `?t=`, or None if it is missing or invalid."""
    if not text or len(text) > _MAX_LENGTH or (match := _TIMESTAMP.fullmatch(text)) is None:
        return None
    seconds = float(match["seconds"] or 0)
    return seconds + 60 * int(match["minutes"] or 0) + 3600 * int(match["hours"] or 0)


def format_timestamp(seconds: float) -> str:
    """Return a time for a link, in seconds without trailing zeros.

    It is rounded up to a millisecond, so that a link to a chapter does not start in the previous.
    """
    # The subtraction keeps a float's error from adding a millisecond.
    return f"{math.ceil(max(seconds, 0) * 1000 - 1e-6) / 1000:.3f}".rstrip("0").rstrip(".")


def display_size(picture: Stream) -> tuple[int, int]:
    """Return the displayed width and height, after the pixel aspect ratio and rotation."""
    width = round((picture.width or 0) * (picture.pixel_aspect or 1))
    height = picture.height or 0
    return (height, width) if picture.rotation in {90, 270} else (width, height)


@dataclass(frozen=True, slots=True)
class CodecQuery:
    """A codec that the browser is asked about, and its common name."""

    kind: Literal["video", "audio"]
    name: str
    content_type: str
    """With a codecs parameter, in a container in which browsers support the codec."""


def codec_queries(video: VideoItem) -> list[CodecQuery]:
    """Return the queries for the film, and for the sound that browsers play."""
    metadata = video.served
    if metadata is None:
        return []
    chosen = {"video": metadata.film, "audio": common_sound(video.path, metadata)}
    queries = []
    for kind in _STREAM_KINDS:
        stream = chosen[kind]
        if kind == "audio" and video.is_sound_due:
            continue  # it plays in silence for a moment, as the page says
        if stream and (codecs := stream.codec_string or _CODEC_STRINGS.get(stream.codec)):
            is_mp4 = video.is_made_mp4
            container = "mp4" if is_mp4 else _CONTAINERS.get(stream.codec, "mp4")
            content_type = f'{kind}/{container}; codecs="{codecs}"'
            if codecs == "mp3":  # without a container around it
                content_type = "audio/mpeg"
            queries.append(CodecQuery(kind, codec_name(stream.codec), content_type))
    return queries


def _never_played(video: VideoItem) -> str | None:
    """Return why no browser plays the file, whatever codecs it decodes; None if some may."""
    return next(
        (
            finding.sentence
            for finding in video.findings
            if finding.severity == "unplayable" and finding.code in NEVER_PLAYED
        ),
        None,
    )


def container_type(video: VideoItem) -> str:
    """Return the media type that the browser is asked about for the sake of the container.

    It is that of the bytes, as far as it may be refused: a file may have another's extension.
    """
    if video.metadata and is_3gpp(video.metadata):
        return "video/3gpp"
    unplayable = any(f.code == "container" and f.severity == "unplayable" for f in video.findings)
    return video.content_type if unplayable else ""


def player_context(video: VideoItem, start: float | None) -> dict[str, Any]:
    """Return the values of `_player.html`. `start` is in seconds."""
    picture = video.picture
    width, height = display_size(picture) if picture else (0, 0)
    return {
        "video": video,
        "api_url": links.api(video.path),
        "source_type": video.media_type if is_accepted_by_browsers(video.media_type) else "",
        "container_type": container_type(video),
        "audio_only": video.content_type.startswith("audio/"),
        # The shape of the stage is needed before any media arrives.
        "portrait": height > width,
        "start": None if start is None else format_timestamp(start),
        "clock_start": video.served.start if video.served else 0.0,
        "picture": picture,
        "codec_queries": codec_queries(video),
        "never_played": _never_played(video),
        "playlist_url": links.playlist(video.path),
        "folder_url": links.folder(parent(video.path)),
    }
