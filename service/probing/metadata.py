"""Metadata of a media file, read with FFmpeg and bounded in number and length.

Use it in worker processes only."""

import math
from typing import Any, BinaryIO

import av

from service.containers.headers import HeaderFacts, read_headers
from service.models import ENCRYPTED_FILE, Stream, film, is_mp4
from service.mp4.boxes import moov_precedes_mdat
from service.mp4.fast_start_layout import fast_start_layout
from service.mp4.movie_header import read_movie_header
from service.probing.chapters import read_chapters
from service.probing.codecs import SampleEntry, codec_string
from service.probing.dates import creation_date
from service.probing.frame_timing import (
    TimingSample,
    is_variable_frame_rate,
    key_frame_interval,
    sample_timing,
)
from service.probing.open_gops import has_open_gops
from service.probing.read_limited_file import ReadLimitedFile
from service.probing.single_pictures import single_pictures
from service.probing.sound_layers import name_layer_two
from service.probing.tags import container_tags, legible, other_tags, title_tag
from service.probing.timeline import SAME_CLOCK, play_length, seconds_present, start_offset
from service.probing.unread_covers import unread_covers
from service.workers.process import TaskError

# These keep the longest response below the limit of the worker pool, even if JSON escapes every
# character as twelve. What exceeds a number is named among the omissions; a text that is cut ends
# with an ellipsis.
MAX_STREAMS = 1000  # FFmpeg reads no more (max_streams)
MAX_STREAM_TITLE_LENGTH = 100
MAX_BRAND_LENGTH = 4  # ISO/IEC 14496-12 §4.3
MAX_LANGUAGE_LENGTH = 35  # RFC 5646 §4.4.1

# Without this list FFmpeg would open images, text, and playlists that name other files and hosts.
FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,m4v,h264,hevc,obu,ivf,dv,mxf,nut,rm,wtv,"
    "yuv4mpegpipe,nsv,nuv,pva,flic,bink,smk,dhav,"
    "mp3,aac,flac,wav,w64,aiff,caf,ac3,eac3,dts,dtshd,truehd,amr,ape,wv,au,"
    "tta,tak,mpc,mpc8,shn,mlp,voc,dsf,iff,oma,gxf"
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
        omissions: list[str] = []
        with unread_covers(omissions):
            opened = av.open(reader, options=OPTIONS, **TEXT_OPTIONS)
        with opened as container:
            start = start_offset(container)
            streams = read_streams(container, file)
            info = {**_container(container, omissions), "streams": streams}
            facts = read_headers(file, size, container)
            _add_facts(info, facts)
            _sample_video(container, reader, info)
            name_layer_two(container, reader, streams)
            info |= _times(container, reader, start, size)
            until = facts.complete_until(info["duration"])
            if until is None:
                until = seconds_present(container, reader, info["duration"])
            info["complete_until"] = None if until is None else round(until, 3)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        problem = _diagnose(file, size)
        kind = UnknownFormatError if problem == _UNKNOWN_FORMAT else UnreadableError
        raise kind(problem) from error
    if is_mp4(info["container"]) and not streams:
        raise UnreadableError(_diagnose(file, size))  # FFmpeg accepts a truncated moov
    if not any(stream["kind"] in {"video", "audio"} for stream in streams):
        raise UnreadableError("There is no picture and no sound in this file.")
    if is_mp4(info["container"]):
        info["index_at_front"] = moov_precedes_mdat(file, size)
        info["fast_start"] = fast_start_layout(file, size) is not None
    return info


def _diagnose(file: BinaryIO, size: int) -> str:
    file.seek(0)
    start = file.read(1 << 16)
    if not any(start):
        return "The file begins with nothing but zeros: there is no video in it, or not yet."
    if read_movie_header(file, size).encryption:
        return ENCRYPTED_FILE
    if moov_precedes_mdat(file, size) is False:
        return "The MP4's index (moov) is missing or damaged: the file is incomplete."
    if start[4:8] in {b"ftyp", b"moov"}:
        return "The MP4 is damaged or incomplete."
    return _UNKNOWN_FORMAT


def _container(container: Any, omissions: list[str]) -> dict[str, Any]:
    chapters = read_chapters(container, omissions)
    tags = container_tags(container)
    if len(container.streams) >= MAX_STREAMS:
        omissions.append(f"There are many streams: only the first {MAX_STREAMS} are examined.")
    return {
        "container": container.format.name,
        "title": title_tag(tags),
        "created": creation_date(tags, *(stream.metadata for stream in container.streams)),
        "tags": other_tags(tags, omissions),
        "chapters": [dict(chapter) for chapter in chapters],
        "omissions": omissions,
        "brand": legible(tags.get("major_brand", ""), MAX_BRAND_LENGTH) or None,
    }


def _add_facts(info: dict[str, Any], facts: HeaderFacts) -> None:
    info["compressed_index"] = facts.compressed_index
    info["index_cut"] = facts.index_cut
    info["fragmented"] = facts.fragmented
    info["index_size"] = facts.index_size
    info["has_seek_index"] = facts.has_seek_index
    for stream in info["streams"]:
        stream["encryption"] = facts.encryption.get(stream["index"])
        stream["compression"] = facts.compression.get(stream["index"])


def _times(container: Any, reader: ReadLimitedFile, start: float, size: int) -> dict[str, Any]:
    duration = play_length(container, reader, start)
    told = (container.duration or 0) / 1_000_000  # AV_TIME_BASE is a microsecond
    bit_rate = container.bit_rate
    if duration is not None and (duration != told or not bit_rate):
        bit_rate = round(size * 8 / duration)
    return {
        "duration": duration,
        "start": start if start > SAME_CLOCK else 0.0,
        "bit_rate": bit_rate if bit_rate > 0 else None,
    }


def read_streams(container: Any, file: BinaryIO) -> list[dict[str, Any]]:
    """Return the streams of an open container, with the fields of `service.models.Stream`.

    `file` is what the container reads. Raises OSError and MemoryError.
    """
    options = {"options": OPTIONS, **TEXT_OPTIONS}
    covers = single_pictures(container, file, options)
    return [
        _stream(stream, is_cover=stream.index in covers)
        for stream in list(container.streams)[:MAX_STREAMS]
    ]


def film_index(container: Any, streams: list[dict[str, Any]]) -> int | None:
    """Return the index of the video stream that viewers see, or None."""
    chosen = film(container.format.name, [Stream.model_validate(stream) for stream in streams])
    return None if chosen is None else chosen.index


def _stream(stream: Any, *, is_cover: bool) -> dict[str, Any]:
    context = stream.codec_context  # None where FFmpeg has no decoder
    disposition = stream.disposition
    info: dict[str, Any] = {
        "index": stream.index,
        "kind": "attachment" if is_cover else _kind(stream),
        "codec": context.codec.canonical_name if context else "unknown",
        "title": legible(stream.metadata.get("title", ""), MAX_STREAM_TITLE_LENGTH) or None,
        "default": bool(disposition & av.stream.Disposition.default),
        "forced": bool(disposition & av.stream.Disposition.forced),
    }
    language = legible(stream.metadata.get("language", ""), MAX_LANGUAGE_LENGTH)
    if language and language.lower() != "und":
        info["language"] = language
    if context is None:
        return info
    info["sample_entry"] = _sample_entry(context) or None
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
    """Add what the frames of the film show: their timing and rotation."""
    position = film_index(container, info["streams"])
    if position is None or container.streams[position].codec_context is None:
        return
    if info["streams"][position]["encryption"]:
        return  # its frames cannot be decoded
    stream, video_stream = container.streams[position], info["streams"][position]
    timing: TimingSample = sample_timing(container, stream, reader)
    video_stream["key_frame_interval"] = key_frame_interval(timing)
    video_stream["variable_frame_rate"] = is_variable_frame_rate(timing)
    video_stream["open_gops"] = has_open_gops(container, stream, timing.keys, reader)
    if timing.frame is not None:
        # VideoFrame.rotation is counter-clockwise. Other angles than quarter turns are ignored.
        clockwise = -round(timing.frame.rotation) % 360
        video_stream["rotation"] = clockwise if clockwise in {90, 180, 270} else None
        video_stream["interlaced"] = bool(timing.frame.interlaced_frame)


def _kind(stream: Any) -> str:
    if stream.type == "video" and stream.disposition & av.stream.Disposition.attached_pic:
        return "attachment"  # cover art
    kinds = {"video", "audio", "subtitle", "attachment"}
    return stream.type if stream.type in kinds else "data"


def _sample_entry(context: Any) -> str:
    """Return the four characters of the container's code; empty if it has none."""
    try:
        tag = str(context.codec_tag)
    except UnicodeDecodeError:  # PyAV decodes the four bytes as ASCII
        return ""
    return tag if tag.isprintable() else ""


def _codec_string(info: dict[str, Any], context: Any) -> str | None:
    return codec_string(
        info["codec"],
        context.extradata or b"",
        PROFILES.get((info["codec"], context.profile or "")),
        getattr(context, "level", None),  # new in PyAV 16
        SampleEntry(
            tag=info["sample_entry"] or "",
            bit_depth=info.get("bit_depth"),
            width=info.get("width"),
            height=info.get("height"),
            frame_rate=info.get("frame_rate"),
        ),
    )
