"""Metadata of a media file, read with FFmpeg and bounded in number and length.

Use it in worker processes only."""

import math
from collections.abc import Mapping
from typing import Any, BinaryIO

import av

from service.mp4.boxes import moov_precedes_mdat
from service.mp4.fast_start_layout import fast_start_layout
from service.probing.chapters import read_chapters, shorten
from service.probing.codecs import SampleEntry, codec_string
from service.probing.frame_timing import (
    TimingSample,
    is_variable_frame_rate,
    key_frame_interval,
    sample_timing,
)
from service.probing.read_limited_file import ReadLimitedFile
from service.workers.process import TaskError

# These keep the longest response below the limit of the worker pool, even if JSON escapes every
# character as twelve. What exceeds a number is named among the omissions; a text that is cut ends
# with an ellipsis.
MAX_STREAMS = 1000  # FFmpeg reads no more (max_streams)
MAX_TAGS = 200  # MusicBrainz Picard writes some 60
MAX_TITLE_LENGTH = 500
MAX_STREAM_TITLE_LENGTH = 100
MAX_TAG_LENGTH = 300
MAX_BRAND_LENGTH = 4
MAX_TAG_NAME_LENGTH = 100
MAX_LANGUAGE_LENGTH = 35  # RFC 5646 §4.4.1

# Without this list FFmpeg would open images, text, and playlists that name other files and hosts.
FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,m4v,h264,hevc,obu,ivf,dv,mxf,nut,rm,wtv,"
    "mp3,aac,flac,wav,w64,aiff,caf,ac3,eac3,dts,truehd,amr,ape,wv,au"
)
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}

# Tags in another encoding than UTF-8 must not be errors; since PyAV 19 this is the default.
TEXT_OPTIONS: dict[str, Any] = (
    {} if int(av.__version__.split(".")[0]) > 18 else {"metadata_errors": "surrogateescape"}  # noqa: PLR2004
)

# AV_PROFILE_* of libavcodec/defs.h, by their names in libavcodec/profiles.c, which PyAV returns.
PROFILES = {
    **{("vp9", f"Profile {number}"): number for number in range(4)},
    ("aac", "Main"): 0,
    ("aac", "LC"): 1,
    ("aac", "SSR"): 2,
    ("aac", "LTP"): 3,
    ("aac", "HE-AAC"): 4,
    ("aac", "LD"): 22,
    ("aac", "HE-AACv2"): 28,
    ("aac", "ELD"): 38,
    ("aac", "xHE-AAC"): 41,
}

# ISO/IEC 23091-2 §8.2, TransferCharacteristics, by the names of libavutil/pixdesc.c.
TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}

# Tags about how the file was made, not about its content: brands of MP4 (ISO/IEC 14496-12 §4.3),
# tags that FFmpeg, mkvmerge and QuickTime add by default, and the statistics of Matroska.
IGNORED_TAGS = frozenset(
    {"title", "encoder", "software", "encoded_by", "encoding_tool", "major_brand", "minor_version"}
    | {"compatible_brands", "creation_time", "handler_name", "vendor_id", "duration", "language"}
    | {"writing_app", "muxing_app", "bps", "number_of_frames", "number_of_bytes"}
)


class UnreadableError(TaskError):
    """A file that cannot be probed; the message says why, as a sentence."""


class UnknownFormatError(UnreadableError):
    """A file in which there is no trace of a picture or a sound."""


_UNKNOWN_FORMAT = "This is no video or audio file of a kind that is known here."


def read_metadata(file: BinaryIO, size: int) -> dict[str, Any]:
    """Return the metadata of `file`, with the fields of `service.models.Metadata`.

    Raises UnreadableError, MemoryError and OSError.
    """
    try:
        reader = ReadLimitedFile(file)
        with av.open(reader, options=OPTIONS, **TEXT_OPTIONS) as container:
            info = _container(container, size)
            name = container.format.name
            _sample_video(container, reader, info)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        problem = _diagnose(file, size)
        kind = UnknownFormatError if problem == _UNKNOWN_FORMAT else UnreadableError
        raise kind(problem) from error
    is_mp4 = "mp4" in name.split(",")
    if is_mp4 and not info["streams"]:
        raise UnreadableError(_diagnose(file, size))  # FFmpeg accepts a truncated moov
    if not any(stream["kind"] in {"video", "audio"} for stream in info["streams"]):
        raise UnreadableError("There is no picture and no sound in this file.")
    if is_mp4:
        info["index_at_front"] = moov_precedes_mdat(file, size)
        info["fast_start"] = fast_start_layout(file, size) is not None
    return info


def _diagnose(file: BinaryIO, size: int) -> str:
    file.seek(0)
    start = file.read(1 << 16)
    if not any(start):
        return "The file begins with nothing but zeros: there is no video in it, or not yet."
    if moov_precedes_mdat(file, size) is False:
        return "The MP4's index (moov) is missing or damaged: the file is incomplete."
    if start[4:8] in {b"ftyp", b"moov"}:
        return "The MP4 is damaged or incomplete."
    return _UNKNOWN_FORMAT


def _container(container: Any, size: int) -> dict[str, Any]:
    # AV_TIME_BASE is a microsecond
    duration = container.duration / 1_000_000 if container.duration else None
    if duration is not None and duration <= 0:
        duration = None
    bit_rate = container.bit_rate or (round(size * 8 / duration) if duration else 0)
    titles = (text for key, text in container.metadata.items() if key.lower() == "title")
    omissions: list[str] = []
    chapters = read_chapters(container, omissions)
    tags = _tags(container.metadata)
    if len(tags) > MAX_TAGS:
        omissions.append(f"There are {len(tags)} tags: only the first {MAX_TAGS} are shown.")
    if len(container.streams) >= MAX_STREAMS:
        omissions.append(f"There are many streams: only the first {MAX_STREAMS} are examined.")
    return {
        "container": container.format.name,
        "brand": _text(container.metadata.get("major_brand", ""), MAX_BRAND_LENGTH) or None,
        "duration": duration,
        "bit_rate": bit_rate if bit_rate > 0 else None,
        "title": _text(next(titles, ""), MAX_TITLE_LENGTH) or None,
        "tags": tags[:MAX_TAGS],
        "chapters": [dict(chapter) for chapter in chapters],
        "omissions": omissions,
        "streams": [_stream(stream) for stream in list(container.streams)[:MAX_STREAMS]],
    }


def _tags(metadata: Mapping[str, str]) -> list[dict[str, str]]:
    info: dict[str, str] = {}
    for key, value in metadata.items():
        name = _text(key, MAX_TAG_NAME_LENGTH).lower()
        text = _text(value, MAX_TAG_LENGTH)
        if name and text and name not in IGNORED_TAGS and not name.startswith("_"):
            info.setdefault(name, text)
    return [{"name": name, "text": text} for name, text in sorted(info.items())]


def _stream(stream: Any) -> dict[str, Any]:
    context = stream.codec_context  # None where FFmpeg has no decoder
    disposition = stream.disposition
    info: dict[str, Any] = {
        "index": stream.index,
        "kind": _kind(stream),
        "codec": context.codec.canonical_name if context else "unknown",
        "title": _text(stream.metadata.get("title", ""), MAX_STREAM_TITLE_LENGTH) or None,
        "default": bool(disposition & av.stream.Disposition.default),
        "forced": bool(disposition & av.stream.Disposition.forced),
    }
    language = _text(stream.metadata.get("language", ""), MAX_LANGUAGE_LENGTH)
    if language and language.lower() != "und":
        info["language"] = language
    if context is None:
        return info
    if stream.type == "video":
        info |= {"width": context.width or None, "height": context.height or None}
    if info["kind"] == "video":
        info |= _video_fields(stream, context)
    if info["kind"] == "audio":
        info |= {"channels": context.channels or None, "sample_rate": context.sample_rate or None}
    if info["kind"] in {"video", "audio"}:
        info["codec_string"] = _codec_string(info, context)
    return info


def _video_fields(stream: Any, context: Any) -> dict[str, Any]:
    rate = float(stream.average_rate or 0)
    aspect = float(stream.sample_aspect_ratio or 1)
    return {
        "frame_rate": rate if rate > 0 and math.isfinite(rate) else None,
        "pixel_aspect": aspect if aspect != 1 and math.isfinite(aspect) and aspect > 0 else None,
        "bit_depth": context.format.components[0].bits if context.format else None,
        "transfer": TRANSFERS.get(context.color_trc),
    }


def _sample_video(container: Any, reader: ReadLimitedFile, info: dict[str, Any]) -> None:
    """Add what the first video stream's frames show: their timing and rotation."""
    position = next(
        (n for n, stream in enumerate(info["streams"]) if stream["kind"] == "video"), None
    )
    if position is None or container.streams[position].codec_context is None:
        return
    stream, video_stream = container.streams[position], info["streams"][position]
    timing: TimingSample = sample_timing(container, stream, reader)
    video_stream["key_frame_interval"] = key_frame_interval(timing)
    video_stream["variable_frame_rate"] = is_variable_frame_rate(timing)
    if timing.frame is not None:
        # VideoFrame.rotation is counter-clockwise. Other angles than quarter turns are ignored.
        clockwise = -round(timing.frame.rotation) % 360
        video_stream["rotation"] = clockwise if clockwise in {90, 180, 270} else None
        video_stream["interlaced"] = bool(timing.frame.interlaced_frame)


def _text(tag: str, max_length: int) -> str:
    """Return a tag without surrogate escapes, which are not valid in JSON."""
    return shorten(
        tag.encode(errors="surrogateescape").decode(errors="replace").strip(), max_length
    )


def _kind(stream: Any) -> str:
    if stream.type == "video" and stream.disposition & av.stream.Disposition.attached_pic:
        return "attachment"  # cover art
    kinds = {"video", "audio", "subtitle", "attachment"}
    return stream.type if stream.type in kinds else "data"


def _codec_string(info: dict[str, Any], context: Any) -> str | None:
    try:
        tag = context.codec_tag
    except UnicodeDecodeError:  # PyAV decodes the four bytes as ASCII
        tag = ""
    return codec_string(
        info["codec"],
        context.extradata or b"",
        PROFILES.get((info["codec"], context.profile or "")),
        getattr(context, "level", None),  # new in PyAV 16
        SampleEntry(
            tag=tag,
            bit_depth=info.get("bit_depth"),
            width=info.get("width"),
            height=info.get("height"),
            frame_rate=info.get("frame_rate"),
        ),
    )
