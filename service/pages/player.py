"""What the player itself needs to know, on whatever page it stands (templates/_player.html)."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from service.api import links
from service.api.video_items import VideoItem
from service.library.folders import parent
from service.models import Stream
from service.pages.video_details import codec_name

# 90, 90.5, 90s, 1m30s, 1h2m3s; as many digits as Python reads fast.
_TIMESTAMP = re.compile(
    r"(?:(?P<hours>[0-9]{1,4})h)?(?:(?P<minutes>[0-9]{1,6})m)?"
    r"(?:(?P<seconds>[0-9]{1,9}(?:\.[0-9]{1,6})?)s?)?",
    re.ASCII,
)
_MAX_LENGTH = 40  # characters

_STREAM_KINDS: tuple[Literal["video", "audio"], ...] = ("video", "audio")
_CONTAINERS = {"vp8": "webm", "vp9": "webm", "vorbis": "webm", "opus": "webm", "theora": "ogg"}
# Of codecs that have no RFC 6381 string here: what the browsers that play them know them by.
_CODEC_STRINGS = {"alac": "alac", "theora": "theora"}


def parse_timestamp(text: str | None) -> float | None:
    """Read a time in a video, as links have it (`?t=`), in seconds.

    None for what is none: people's links carry all sorts of things, and the video plays then from
    its beginning.
    """
    if not text or len(text) > _MAX_LENGTH or (match := _TIMESTAMP.fullmatch(text)) is None:
        return None
    seconds = float(match["seconds"] or 0)
    return seconds + 60 * int(match["minutes"] or 0) + 3600 * int(match["hours"] or 0)


def format_timestamp(seconds: float) -> str:
    """Write a time in a video as links have it: in seconds, no zero behind.

    To the millisecond, and not before it: a link to a chapter must not lead to the one before.
    """
    # What a float is off by makes no millisecond more.
    return f"{math.ceil(max(seconds, 0) * 1000 - 1e-6) / 1000:.3f}".rstrip("0").rstrip(".")


def display_size(picture: Stream) -> tuple[int, int]:
    """Give width and height as they are seen: pixels may be no squares, the picture turned."""
    width = round((picture.width or 0) * (picture.pixel_aspect or 1))
    height = picture.height or 0
    return (height, width) if picture.rotation in {90, 270} else (width, height)


@dataclass(frozen=True, slots=True)
class CodecQuery:
    """What a browser is asked whether it decodes it, and what people call that."""

    kind: Literal["video", "audio"]
    name: str
    content_type: str
    """With a codecs parameter, in a container in which browsers know the codec."""


def codec_queries(video: VideoItem) -> list[CodecQuery]:
    """Give what the viewer's own browser is to be asked: its first picture and its first sound."""
    streams = video.metadata.streams if video.metadata else ()
    first = {stream.kind: stream for stream in reversed(streams)}
    queries = []
    for kind in _STREAM_KINDS:
        stream = first.get(kind)
        if stream and (codecs := stream.codec_string or _CODEC_STRINGS.get(stream.codec)):
            container = _CONTAINERS.get(stream.codec, "mp4")
            content_type = f'{kind}/{container}; codecs="{codecs}"'
            if codecs == "mp3":  # without a container around it
                content_type = "audio/mpeg"
            queries.append(CodecQuery(kind, codec_name(stream.codec), content_type))
    return queries


def player_context(video: VideoItem, start: float | None) -> dict[str, Any]:
    """Give what `_player.html` needs; `start` in seconds."""
    picture = video.picture
    width, height = display_size(picture) if picture else (0, 0)
    return {
        "video": video,
        "api_url": links.api(video.path),
        "audio_only": video.content_type.startswith("audio/"),
        # The stage's shape is decided before a byte of media has come.
        "portrait": height > width,
        "start": None if start is None else format_timestamp(start),
        "picture": picture,
        "codec_queries": codec_queries(video),
        "playlist_url": links.playlist(video.path),
        "folder_url": links.folder(parent(video.path)),
    }
