"""What the library knows of a video. Values only: the JSON interface is made of these, so that
what is documented, what is stored and what is sent cannot differ."""

from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Value(BaseModel):
    """An immutable value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stream(Value):
    """One elementary stream of a container."""

    kind: str = Field(description="video, audio, subtitle, data or attachment")
    codec: str = Field(description="FFmpeg's name of the codec, such as h264")
    codec_string: str | None = Field(
        default=None, description="The RFC 6381 codecs parameter, where there is one for it"
    )
    width: int | None = Field(default=None, description="Coded width in pixels")
    height: int | None = Field(default=None, description="Coded height in pixels")
    frame_rate: float | None = Field(default=None, description="Average frames per second")
    channels: int | None = Field(default=None, description="Audio channels")
    sample_rate: int | None = Field(default=None, description="Audio samples per second")
    language: str | None = Field(default=None, description="As the container tells it (ISO 639)")


@lru_cache(maxsize=1024)
def _shared(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    """Give one object for all that are equal.

    The files of a library are of a few kinds. Streams of their own take 10,000 videos 23 MB, and
    make the garbage collector hold everything up for nearly twice as long.
    """
    return streams


class Metadata(Value):
    """What probing a file told."""

    container: str = Field(description="FFmpeg's name of the container, such as mov,mp4,m4a")
    duration: float | None = Field(description="Seconds")
    bit_rate: int | None = Field(description="Bits per second over the whole file")
    title: str | None = Field(default=None, description="The container's title tag")
    index_at_front: bool | None = Field(
        default=None,
        description="Whether an MP4's index (moov) precedes its media data; null elsewhere",
    )
    streams: Annotated[tuple[Stream, ...], AfterValidator(_shared)]


class State(StrEnum):
    """How far probing has come."""

    PENDING = "pending"
    PROBED = "probed"
    FAILED = "failed"


class Video(Value):
    """One playable file of the library."""

    path: str = Field(description="Relative to the library's root, with / between folders")
    title: str
    content_type: str
    size: int = Field(description="Bytes")
    revision: str = Field(description="The strong entity tag of the bytes, without its quotes")
    modified: float = Field(description="Seconds since 1970-01-01T00:00:00Z")
    state: State
    problem: str | None = Field(default=None, description="Why probing failed")
    metadata: Metadata | None = None
