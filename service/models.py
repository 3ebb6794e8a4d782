"""Immutable values that describe videos. They are stored and sent as JSON."""

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class FrozenModel(BaseModel):
    """An immutable value that rejects unknown fields."""

    # Responses contain every field, and their schema says so.
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_serialization_defaults_required=True
    )


class Tag(FrozenModel):
    """A tag of a container."""

    name: str = Field(description="In lower case")
    text: str


class Chapter(FrozenModel):
    """A named part of a video."""

    start: float = Field(description="Seconds")
    end: float = Field(description="Seconds")
    title: str


class Stream(FrozenModel):
    """One elementary stream of a container."""

    index: int = Field(default=0, description="Its place in the container, from 0")
    kind: str = Field(description="video, audio, subtitle, data or attachment")
    codec: str = Field(description="FFmpeg's name of the codec, such as h264")
    codec_string: str | None = Field(
        default=None, description="The RFC 6381 codecs parameter, where there is one for it"
    )
    width: int | None = Field(default=None, description="Coded width in pixels")
    height: int | None = Field(default=None, description="Coded height in pixels")
    pixel_aspect: float | None = Field(
        default=None, description="A pixel's width over its height, where that is not 1"
    )
    rotation: int | None = Field(
        default=None, description="Degrees clockwise to turn the picture by: 90, 180 or 270"
    )
    bit_depth: int | None = Field(default=None, description="Bits of a colour component")
    transfer: str | None = Field(
        default=None, description="FFmpeg's name of the transfer characteristic, as smpte2084 (PQ)"
    )
    frame_rate: float | None = Field(default=None, description="Average frames per second")
    variable_frame_rate: bool | None = Field(
        default=None, description="Whether frames last differently long, where that can be told"
    )
    key_frame_interval: float | None = Field(
        default=None, description="Seconds between key frames, at most, where that can be told"
    )
    interlaced: bool = Field(
        default=False, description="Whether the first frame is made of two fields"
    )
    channels: int | None = Field(default=None, description="Audio channels")
    sample_rate: int | None = Field(default=None, description="Audio samples per second")
    language: str | None = Field(default=None, description="As the container tells it (ISO 639)")
    title: str | None = Field(default=None, description="The stream's title tag")
    default: bool = Field(default=False, description="Whether players choose it unasked")
    forced: bool = Field(
        default=False, description="Whether subtitles are for those who understand the sound"
    )


@lru_cache(maxsize=1024)
def _interned(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    """Return the same object for all equal values.

    The files of a library are of few kinds. With an object for each of 10,000 videos, streams take
    23 MB, and the garbage collector pauses the process for nearly twice as long.
    """
    return streams


class Metadata(FrozenModel):
    """The result of probing a file."""

    container: str = Field(description="FFmpeg's name of the container, such as mov,mp4,m4a")
    brand: str | None = Field(
        default=None,
        description="An MP4's major brand (ISO/IEC 14496-12 §4.3), such as isom or 3gp4",
    )
    duration: float | None = Field(description="Seconds")
    bit_rate: int | None = Field(description="Bits per second over the whole file")
    title: str | None = Field(default=None, description="The container's title tag")
    tags: tuple[Tag, ...] = Field(
        default=(), description="The container's other tags, such as artist or genre"
    )
    chapters: tuple[Chapter, ...] = ()
    omissions: tuple[str, ...] = Field(
        default=(), description="Sentences that say what of the file is left out, and why"
    )
    index_at_front: bool | None = Field(
        default=None,
        description="Whether an MP4's index (moov) precedes its media data; null elsewhere",
    )
    fast_start: bool = Field(
        default=False,
        description="Whether players are given the file with its index moved to the front",
    )
    streams: Annotated[tuple[Stream, ...], AfterValidator(_interned)]


class ProbeState(StrEnum):
    """The progress of probing a video."""

    PENDING = "pending"
    PROBED = "probed"
    FAILED = "failed"


class Finding(FrozenModel):
    """A property of a file that viewers may notice."""

    code: str = Field(description="What it is, in a word that stays the same")
    severity: Literal["unplayable", "warning", "hint"] = Field(
        description="unplayable: browsers cannot play it; warning: some cannot, or badly; "
        "hint: it could be better"
    )
    sentence: str = Field(description="The finding, in plain words")
    command: str | None = Field(default=None, description="The FFmpeg command that would fix it")


class Track(FrozenModel):
    """A text track of a video, as WebVTT."""

    name: str = Field(description="What its URL ends with, without .vtt")
    kind: Literal["subtitles", "captions", "descriptions", "chapters"]
    label: str = Field(description="For people: the language's own name, and what else tells it")
    language: str | None = Field(default=None, description="BCP 47")
    forced: bool = False
    default: bool = False
    source: Literal["file", "container"] = Field(
        description="A file beside the video, or the video itself"
    )


class Video(FrozenModel):
    """A video file of the library."""

    path: str = Field(description="Relative to the library's root, with / between folders")
    title: str
    content_type: str
    size: int = Field(description="Bytes")
    revision: str = Field(description="The strong entity tag of the bytes, without its quotes")
    modified: float = Field(description="Seconds since 1970-01-01T00:00:00Z")
    state: ProbeState
    problem: str | None = Field(default=None, description="Why probing failed")
    metadata: Metadata | None = None

    @property
    def picture(self) -> Stream | None:
        """What browsers show of it: the first picture."""
        streams = self.metadata.streams if self.metadata else ()
        return next((s for s in streams if s.kind == "video" and s.width and s.height), None)
