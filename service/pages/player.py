"""The values of the player's template, _player.html."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from service.access.grants import current_grant
from service.artefacts.status import ArtefactState
from service.browsers.browser_support import is_3gpp
from service.browsers.names import codec_name
from service.browsers.track_choice import common_sound
from service.items import links
from service.items.video_models import SoundChoiceItem, VideoItem
from service.listing.paths import parent
from service.models import Stream
from service.playability.defects import NEVER_PLAYED
from service.protocol.media_types import is_accepted_by_browsers

# As many digits as Python reads fast.
_TIMESTAMPS = (
    # 90, 90.5, 90s, 1m30s, 1h2m3s
    re.compile(
        r"(?:(?P<hours>[0-9]{1,4})h)?(?:(?P<minutes>[0-9]{1,6})m)?"
        r"(?:(?P<seconds>[0-9]{1,9}(?:\.[0-9]{1,6})?)s?)?",
        re.ASCII,
    ),
    # 1:10, 00:01:10, 100:00.5: as WebVTT writes times, with any number of digits in front
    re.compile(
        r"(?:(?P<hours>[0-9]{1,4}):(?=[0-5][0-9]:))?(?P<minutes>[0-9]{1,6}):"
        r"(?P<seconds>[0-5][0-9](?:\.[0-9]{1,6})?)",
        re.ASCII,
    ),
)
_MAX_LENGTH = 40  # characters

# Pixels of a window that is larger than any, and the widest picture for 1 pixel of its height.
_MAX_WINDOW = 7680
_MAX_RATIO = 5

SPEEDS = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3)

_STREAM_KINDS: tuple[Literal["video", "audio"], ...] = ("video", "audio")
_CONTAINERS = {"vp8": "webm", "vp9": "webm", "vorbis": "webm", "opus": "webm", "theora": "ogg"}
# Names that browsers use for codecs without an RFC 6381 string.
_CODEC_STRINGS = {"alac": "alac", "theora": "theora"}


def parse_timestamp(text: str | None) -> float | None:
    """Return the seconds of a link's `?t=`, or None if it is missing or invalid."""
    if not text or len(text) > _MAX_LENGTH:
        return None
    match = next(filter(None, (form.fullmatch(text) for form in _TIMESTAMPS)), None)
    if match is None:
        return None
    seconds = float(match["seconds"] or 0)
    return seconds + 60 * int(match["minutes"] or 0) + 3600 * int(match["hours"] or 0)


@dataclass(frozen=True, slots=True)
class Start:
    """Where playback begins according to a link, in seconds."""

    second: float | None
    beyond_end: float | None = None
    """The second that the link names, if it is after the end of the video."""


def read_start(video: VideoItem, text: str | None) -> Start:
    """Return where playback begins by a link's `?t=`."""
    second = parse_timestamp(text)
    duration = video.served.duration if video.served else None
    if second and duration and second >= duration:
        return Start(None, beyond_end=second)
    return Start(second)


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


def canvas_size(width: int, height: int) -> tuple[int, int]:
    """Return a size in pixels with the proportions of the picture, as large as any window.

    16:9 if the size is not known. Pictures that are extremely wide or tall are bounded.
    """
    if not width or not height:
        width, height = 16, 9
    ratio = min(max(width / height, 1 / _MAX_RATIO), _MAX_RATIO)
    if ratio >= 1:
        return _MAX_WINDOW, round(_MAX_WINDOW / ratio)
    return round(_MAX_WINDOW * ratio), _MAX_WINDOW


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
            finding.viewer_sentence
            for finding in video.findings
            if finding.severity == "unplayable" and finding.code in NEVER_PLAYED
        ),
        None,
    )


def _artist(video: VideoItem) -> str | None:
    """Return who made it, by the file's tags."""
    tags = {tag.name: tag.text for tag in video.metadata.tags} if video.metadata else {}
    return next((tags[name] for name in ("artist", "album_artist") if tags.get(name)), None)


def _artwork(video: VideoItem) -> str:
    """Return the still as JSON, as MediaMetadata in browsers takes it."""
    pictures = [
        {"src": picture.url, "sizes": f"{picture.width}x{picture.height}", "type": "image/webp"}
        for picture in video.player_pictures
    ]
    return json.dumps(pictures) if pictures else ""


def container_type(video: VideoItem) -> str:
    """Return the media type that the browser is asked about for the sake of the container.

    It is that of the bytes, as far as it may be refused: a file may have another's extension.
    """
    if video.metadata and is_3gpp(video.metadata):
        return "video/3gpp"
    unplayable = any(f.code == "container" and f.severity == "unplayable" for f in video.findings)
    return video.content_type if unplayable else ""


def sound_choices(video: VideoItem) -> tuple[SoundChoiceItem, ...]:
    """Return the sounds among which viewers choose; empty if there are fewer than two."""
    choices = tuple(sound for sound in video.sounds if sound.state is not ArtefactState.NONE)
    return choices if len(choices) > 1 else ()


def _usual_sound(sounds: tuple[SoundChoiceItem, ...]) -> SoundChoiceItem | None:
    """Return the sound that players get without a choice; None if there are no sounds."""
    return next((one for one in sounds if one.default), sounds[0] if sounds else None)


def player_context(
    video: VideoItem, start: Start, sound: SoundChoiceItem | None = None
) -> dict[str, Any]:
    """Return the values of `_player.html`. `sound` is the one to play."""
    picture, sounds = video.picture, sound_choices(video)
    is_ready = sound is not None and sound.state is ArtefactState.READY
    played = sound if sound and is_ready and sound.url else None
    width, height = display_size(picture) if picture else (0, 0)
    folder = parent(video.path)
    return {
        "video": video,
        "media_url": played.url if played else video.media_url,
        "fragments": played.fragments if played else video.fragments,
        "sound": sound,
        "sounds": sounds,
        "current_sound": sound
        or next((one for one in sounds if one.default), next(iter(sounds), None)),
        "sounds_json": json.dumps([one.model_dump(mode="json") for one in sounds]),
        "api_url": links.api(video.path),
        "source_type": video.media_type if is_accepted_by_browsers(video.media_type) else "",
        "container_type": container_type(video),
        "audio_only": video.content_type.startswith("audio/"),
        # The shape of the stage is needed before any media arrives.
        "portrait": height > width,
        "shape": canvas_size(width, height),
        "start": None if start.second is None else format_timestamp(start.second),
        "beyond_end": start.beyond_end,
        "artist": _artist(video),
        "artwork": _artwork(video),
        "speeds": SPEEDS,
        "clock_start": video.served.start if video.served else 0.0,
        "picture": picture,
        "codec_queries": codec_queries(video),
        "never_played": _never_played(video),
        "playlist_url": links.playlist(video.path) if video.download_url else None,
        "folder_url": links.folder(folder) if current_grant().contains_folder(folder) else None,
    }
