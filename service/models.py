"""Immutable values that describe videos. They are stored and sent as JSON."""

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from service.records.frozen_model import FrozenModel


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
    kind: str = Field(
        description="video, audio, subtitle, data or attachment; a single picture beside sound or "
        "a film is an attachment"
    )
    codec: str = Field(description="FFmpeg's name of the codec, such as h264")
    codec_string: str | None = Field(
        default=None, description="The RFC 6381 codecs parameter, where there is one for it"
    )
    sample_entry: str | None = Field(
        default=None,
        description="The container's code for the codec, such as avc1, where it has one",
    )
    encryption: str | None = Field(
        default=None,
        description="The scheme that it is encrypted with: cenc, cens, cbc1, cbcs, fairplay, "
        "audible, webm, asf, scrambled (as by broadcasters and on DVDs) or another; null if it "
        "is not",
    )
    compression: str | None = Field(
        default=None,
        description="How Matroska compresses its frames once more: zlib, bzlib, lzo1x, header "
        "stripping or none; null if it says nothing",
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
    open_gops: bool | None = Field(
        default=None,
        description="Of H.264 in MP4: whether some key frames are no IDR pictures, if known",
    )
    interlaced: bool = Field(
        default=False, description="Whether the first frame is made of two fields"
    )
    channels: int | None = Field(default=None, description="Audio channels")
    sample_rate: int | None = Field(default=None, description="Audio samples per second")
    language: str | None = Field(default=None, description="As the container tells it (ISO 639)")
    title: str | None = Field(default=None, description="The stream's title tag")
    language_tag: str | None = Field(default=None, description="Of a sound: BCP 47")
    label: str | None = Field(
        default=None,
        description="Of a sound, for people: the language's own name, and what distinguishes it",
    )
    default: bool = Field(
        default=False,
        description="Whether the file marks it as the default; in an MP4, whether it is enabled",
    )
    forced: bool = Field(
        default=False, description="Whether subtitles are for those who understand the sound"
    )


BROWSER_VIDEO = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})
"""Video codecs that some browser decodes. Browsers skip tracks of other codecs."""

IMAGE_CODECS = frozenset(
    {"mjpeg", "ljpeg", "jpegls", "jpeg2000", "png", "apng", "gif", "bmp", "webp", "tiff", "targa"}
)
"""Codecs of image files, by FFmpeg's names. No browser decodes them as a video track."""


ENCRYPTED_FILE = "The file is encrypted: no browser plays it."
"""Why a file could not be probed if FFmpeg would need its decrypted pictures."""


@lru_cache(maxsize=64)
def is_mp4(container: str) -> bool:
    """Return whether a container is MP4 or QuickTime, which FFmpeg does not distinguish."""
    return "mp4" in container.split(",")


def film(container: str, streams: Sequence[Stream]) -> Stream | None:
    """Return the video stream that is described, shown on posters and judged, or None.

    It is the first of a codec that browsers decode, in MP4 the first that is enabled, else any
    moving picture, else the first video stream. `container` is FFmpeg's name.
    """
    videos = [stream for stream in streams if stream.kind == "video"]
    if len(videos) <= 1:
        return videos[0] if videos else None
    decoded = [stream for stream in videos if stream.codec in BROWSER_VIDEO]
    enabled = [stream for stream in decoded if stream.default and is_mp4(container)]
    moving = [stream for stream in videos if stream.codec not in IMAGE_CODECS]
    return next(iter([*enabled, *decoded, *moving, *videos]), None)


@lru_cache(maxsize=1024)
def _interned(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    """Return the same object for all equal values.

    The files of a library are of few kinds. With an object for each of 10,000 videos, streams take
    23 MB, and the garbage collector pauses the process for nearly twice as long.
    """
    return streams


class ParsedName(FrozenModel):
    """The episode of a series, or the film, that the name of a file certainly means."""

    series: str | None = Field(default=None, description="The title of an episode's series")
    season: int | None = Field(default=None, description="0 for specials; null if it has none")
    episodes: tuple[int, ...] = Field(
        default=(), description="The numbers of the episodes in the file, ascending"
    )
    episode_title: str | None = None
    aired: str | None = Field(
        default=None, description="The date of an episode that has no number, as 1994-05-01"
    )
    film: str | None = Field(default=None, description="The title of a film")
    edition: str | None = Field(default=None, description="Which cut or part of the film it is")
    year: int | None = Field(
        default=None, description="Of the film, or the one in which the series began"
    )


class Metadata(FrozenModel):
    """The result of probing a file."""

    container: str = Field(description="FFmpeg's name of the container, such as mov,mp4,m4a")
    duration: float | None = Field(description="Seconds from the first picture or sound")
    start: float = Field(
        default=0.0,
        description="Seconds on the file's own clock at which its first picture or sound is; 0 if "
        "less than 0.05. All other times are counted from there",
    )
    bit_rate: int | None = Field(description="Bits per second over the whole file")
    title: str | None = Field(default=None, description="The container's title tag")
    created: str | None = Field(
        default=None,
        description="When it was recorded or published, by its tags, as an ISO 8601 date or time: "
        "1994, 1994-05, 1994-05-01 or 1994-05-01T12:00:00+02:00",
    )
    parsed_name: ParsedName | None = Field(
        default=None,
        description="The episode or film that its name means; null if unsure",
    )
    tags: tuple[Tag, ...] = Field(
        default=(), description="The container's other tags, such as artist or genre"
    )
    chapters: tuple[Chapter, ...] = ()
    omissions: tuple[str, ...] = Field(
        default=(), description="Sentences that say what of the file is left out, and why"
    )
    brand: str | None = Field(
        default=None,
        description="The major brand of an MP4 (ISO/IEC 14496-12 §4.3), such as isom or 3gp4; of "
        "QuickTime qt; null elsewhere",
    )
    index_at_front: bool | None = Field(
        default=None,
        description="Whether an MP4's index (moov) precedes its media data; null elsewhere",
    )
    index_size: int | None = Field(
        default=None, description="Bytes of an MP4's index; null elsewhere"
    )
    fast_start: bool = Field(
        default=False,
        description="Whether players are given the file with its index in front, a clock that "
        "begins at 0 and delays that all browsers read alike, where its own bytes differ",
    )
    compressed_index: bool = Field(
        default=False, description="Whether an MP4's index is compressed (QuickTime's cmov)"
    )
    index_cut: bool = Field(
        default=False, description="Whether the end of an MP4's index (moov) is missing"
    )
    fragmented: bool = Field(
        default=False,
        description="Whether an MP4 is fragmented (ISO/IEC 14496-12 §8.8); false where it was "
        "probed by a release before this field",
    )
    has_seek_index: bool | None = Field(
        default=None, description="Whether a Matroska file has an index (Cues); null elsewhere"
    )
    complete_until: float | None = Field(
        default=None,
        description="Seconds of it, about, that are in the file, where its end is missing",
    )
    streams: Annotated[tuple[Stream, ...], AfterValidator(_interned)]

    @property
    def sounds(self) -> tuple[Stream, ...]:
        """The sounds, in the order of the file. Their numbers begin with 1."""
        return tuple(stream for stream in self.streams if stream.kind == "audio")

    @property
    def film(self) -> Stream | None:
        """The video stream that is described, shown on posters and judged."""
        return film(self.container, self.streams)


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
    sentence: str = Field(description="The finding, for the owner of the file")
    viewer_sentence: str | None = Field(
        default=None, description="What it means for viewers; null if it does not concern them"
    )
    command: str | None = Field(
        default=None,
        description="The FFmpeg command that would fix it. It is the same for all findings of a "
        "file: one command fixes them all",
    )


class Track(FrozenModel):
    """A text track of a video, as WebVTT."""

    name: str = Field(description="What its URL ends with, without .vtt")
    kind: Literal["subtitles", "captions", "descriptions", "chapters"]
    label: str = Field(description="For people: the language's own name, and what distinguishes it")
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
        """The video stream that viewers see, if its size is known."""
        stream = self.metadata.film if self.metadata else None
        return stream if stream and stream.width and stream.height else None
