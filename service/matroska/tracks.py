"""The tracks of a Matroska file (RFC 9559 §5.1.4) whose frames are looked for."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from service.matroska.elements import contents, number
from service.matroska.segment import track_storage

MAX_TRACKS = 200
"""Tracks that are examined. A disc has some 50."""

_TRACK_ENTRY, _TRACK_NUMBER, _TRACK_TYPE, _CODEC_ID = 0xAE, 0xD7, 0x83, 0x86
_CODEC_PRIVATE, _CODEC_DELAY, _DEFAULT_DURATION = 0x63A2, 0x56AA, 0x23E383
_LANGUAGE, _LANGUAGE_BCP47, _NAME = 0x22B59C, 0x22B59D, 0x536E
_FLAG_DEFAULT, _TIMESTAMP_SCALE = 0x88, 0x23314F
_ENCODINGS, _ENCODING, _COMPRESSION, _SETTINGS = 0x6D80, 0x6240, 0x5034, 0x4255

_KINDS: dict[int, Literal["video", "audio"]] = {1: "video", 2: "audio"}
_MAX_TEXT = 200  # characters


@dataclass(frozen=True, slots=True)
class MediaTrack:
    """A track of pictures or sound."""

    number: int
    kind: Literal["video", "audio"]
    codec_id: str
    private: bytes = b""
    default_duration: int = 0
    """Nanoseconds of a frame; 0 if the track does not say."""
    codec_delay: int = 0
    """Nanoseconds of sound to be dropped at the start."""
    language: str = "eng"
    name: str = ""
    is_default: bool = True
    obstacle: str | None = None
    """Why its frames are not stored as they are, as the end of a sentence; None if they are."""


def media_tracks(body: bytes) -> tuple[MediaTrack, ...]:
    """Return the tracks of pictures and sound in the content of Tracks."""
    return tuple(_media_tracks(body))


def _media_tracks(body: bytes) -> Iterator[MediaTrack]:
    for count, entry in enumerate(contents(body, _TRACK_ENTRY)):
        kind = _KINDS.get(number(entry, _TRACK_TYPE, 0))
        if count < MAX_TRACKS and kind is not None:
            yield MediaTrack(
                number=number(entry, _TRACK_NUMBER, 0),
                kind=kind,
                codec_id=_text(entry, _CODEC_ID, ""),
                private=next(contents(entry, _CODEC_PRIVATE), b""),
                default_duration=number(entry, _DEFAULT_DURATION, 0),
                codec_delay=number(entry, _CODEC_DELAY, 0),
                # §5.1.4.1.20: LanguageBCP47 takes precedence.
                language=_text(entry, _LANGUAGE_BCP47, "") or _text(entry, _LANGUAGE, "eng"),
                name=_text(entry, _NAME, ""),
                is_default=bool(number(entry, _FLAG_DEFAULT, 1)),
                obstacle=_obstacle(entry),
            )


def _text(entry: bytes, wanted: int, default: str) -> str:
    content = next(contents(entry, wanted), None)
    if content is None:
        return default
    return content.partition(b"\0")[0].decode("utf-8", "replace")[:_MAX_TEXT]


def _obstacle(entry: bytes) -> str | None:
    storage = track_storage(entry)
    if storage is not None and storage.encrypted:
        return "is encrypted"
    if storage is not None and storage.compression == "header stripping":
        settings = [
            setting
            for encodings in contents(entry, _ENCODINGS)
            for encoding in contents(encodings, _ENCODING)
            for parameters in contents(encoding, _COMPRESSION)
            for setting in contents(parameters, _SETTINGS)
        ]
        if any(settings):
            return "is stored without the first bytes of each frame"
    elif storage is not None and storage.compression not in {None, "none"}:
        return f"is compressed once more ({storage.compression})"
    if _float(next(contents(entry, _TIMESTAMP_SCALE), b"")) != 1.0:
        return "has a time scale of its own"
    return None


def _float(content: bytes) -> float:
    """Return a TrackTimestampScale, which is 1.0 by default."""
    formats = {4: ">f", 8: ">d"}
    code = formats.get(len(content))
    return float(struct.unpack(code, content)[0]) if code else 1.0
