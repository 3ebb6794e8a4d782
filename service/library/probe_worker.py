"""The process that opens files, alone with the library that parses them: what crashes, hangs or
eats memory here takes nothing else along. One JSON request a line on standard input, one JSON
answer a line on standard output; the end of input is the end of the process."""

import json
import math
import os
import resource
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.logging

from service.library.codecs import SampleEntry, codec_string
from service.storage.boxes import index_at_front
from service.storage.layout import layout_of

MEMORY = 1 << 29
"""Bytes of address space a file may cost beyond what the process has after its imports."""

ALARM = 120
"""Seconds a file may take when nothing else is said on the command line. The parent gives up long
before; this ends a worker that hangs and whose parent is gone."""

LONGEST_TITLE = 500
LONGEST_LANGUAGE = 35  # RFC 5646 §4.4.1

# FFmpeg would otherwise open playlists, which name other files and hosts, and pictures and text.
FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,m4v,h264,hevc,obu,ivf,dv,mxf,nut,rm,wtv,"
    "mp3,aac,flac,wav,w64,aiff,caf,ac3,eac3,dts,amr,ape,wv"
)
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}

# Tags that are no UTF-8 must not fail the file; PyAV escapes them unasked since 19.
ESCAPED: dict[str, Any] = (
    {} if int(av.__version__.split(".")[0]) > 18 else {"metadata_errors": "surrogateescape"}  # noqa: PLR2004
)

# libavcodec/defs.h AV_PROFILE_*, by the names of libavcodec/profiles.c, which is what PyAV gives.
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


class UnreadableError(Exception):
    """A file that cannot be probed; its message is the sentence that says why."""


def main() -> None:
    """Answer requests until standard input ends."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else ALARM
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # nothing a library prints may get between the answers
        limit_process()
        for line in sys.stdin.buffer:
            signal.alarm(seconds)  # its default action ends the process, in C code as well
            answer = json.dumps(answer_to(json.loads(line)["path"]), allow_nan=False)
            signal.alarm(0)
            try:
                answers.write(answer.encode() + b"\n")
                answers.flush()
            except BrokenPipeError:
                os._exit(1)  # nobody is left to be told


def limit_process() -> None:
    """Bound what this process may take of the machine and silence FFmpeg."""
    av.logging.set_level(None)
    os.nice(10)
    with suppress(OSError):  # where memory runs out, this is the process to end (Linux)
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = Path("/proc/self/statm")
    if pages.exists():  # elsewhere than on Linux, address space is not told and not limited
        used = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def answer_to(path: str) -> dict[str, Any]:
    """Give the answer to a request for the file at `path`."""
    try:
        # Opened by number: neither the name nor its extension reaches FFmpeg, content decides.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return {"metadata": _metadata_of(descriptor)}
        finally:
            os.close(descriptor)
    except UnreadableError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"problem": "Reading the file takes more memory than is allowed."}
    except FileNotFoundError:
        return {"problem": "The file is gone."}
    except PermissionError:
        return {"problem": "The file may not be read: permission denied."}
    except OSError as error:
        return {"problem": f"The file could not be read: {error.strerror or 'input/output error'}."}


def _metadata_of(descriptor: int) -> dict[str, Any]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("This is not a regular file.")
    if status.st_size == 0:
        raise UnreadableError("The file is empty.")
    with open(descriptor, "rb", closefd=False) as file:
        return metadata_of(file, status.st_size)


def metadata_of(file: BinaryIO, size: int) -> dict[str, Any]:
    """Give what `file` tells of itself, in the fields of `service.library.video.Metadata`.

    Raises UnreadableError, MemoryError and OSError.
    """
    try:
        with av.open(file, options=OPTIONS, **ESCAPED) as container:
            told = _container(container, size)
            name = container.format.name
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise UnreadableError(_what_is_wrong(file, size)) from error
    is_mp4 = "mp4" in name.split(",")
    if is_mp4 and not told["streams"]:
        raise UnreadableError(_what_is_wrong(file, size))  # FFmpeg takes a moov cut off for one
    if not any(stream["kind"] in {"video", "audio"} for stream in told["streams"]):
        raise UnreadableError("There is no picture and no sound in this file.")
    if is_mp4:
        told["index_at_front"] = index_at_front(file, size)
        told["fast_start"] = layout_of(file, size) is not None
    return told


def _what_is_wrong(file: BinaryIO, size: int) -> str:
    file.seek(0)
    start = file.read(1 << 16)
    if not any(start):
        return "The file begins with nothing but zeros: there is no video in it, or not yet."
    if index_at_front(file, size) is False:
        return "The MP4's index (moov) is missing or damaged: the file is incomplete."
    if start[4:8] in {b"ftyp", b"moov"}:
        return "The MP4 is damaged or incomplete."
    return "This is no video or audio file of a kind that is known here."


def _container(container: Any, size: int) -> dict[str, Any]:
    # AV_TIME_BASE is a microsecond
    duration = container.duration / 1_000_000 if container.duration else None
    if duration is not None and duration <= 0:
        duration = None
    bit_rate = container.bit_rate or (round(size * 8 / duration) if duration else 0)
    titles = (text for key, text in container.metadata.items() if key.lower() == "title")
    return {
        "container": container.format.name,
        "duration": duration,
        "bit_rate": bit_rate if bit_rate > 0 else None,
        "title": _text(next(titles, ""), LONGEST_TITLE) or None,
        "streams": [_stream(stream) for stream in container.streams],
    }


def _stream(stream: Any) -> dict[str, Any]:
    context = stream.codec_context  # None where FFmpeg has no decoder
    told: dict[str, Any] = {
        "kind": _kind(stream),
        "codec": context.codec.canonical_name if context else "unknown",
    }
    language = _text(stream.metadata.get("language", ""), LONGEST_LANGUAGE)
    if language and language.lower() != "und":
        told["language"] = language
    if context is None:
        return told
    if told["kind"] == "video":
        rate = float(stream.average_rate or 0)
        told["frame_rate"] = rate if rate > 0 and math.isfinite(rate) else None
    if stream.type == "video":
        told |= {"width": context.width or None, "height": context.height or None}
    if told["kind"] == "audio":
        told |= {"channels": context.channels or None, "sample_rate": context.sample_rate or None}
    if told["kind"] in {"video", "audio"}:
        told["codec_string"] = _codec_string(told, context)
    return told


def _text(tag: str, longest: int) -> str:
    """Give a tag without its escaped bytes, which no JSON reader would take."""
    return tag.encode(errors="surrogateescape").decode(errors="replace").strip()[:longest]


def _kind(stream: Any) -> str:
    if stream.type == "video" and stream.disposition & av.stream.Disposition.attached_pic:
        return "attachment"  # cover art
    kinds = {"video", "audio", "subtitle", "attachment"}
    return stream.type if stream.type in kinds else "data"


def _codec_string(told: dict[str, Any], context: Any) -> str | None:
    try:
        tag = context.codec_tag
    except UnicodeDecodeError:  # PyAV takes the four bytes for ASCII
        tag = ""
    picture = getattr(context, "format", None) if told["kind"] == "video" else None
    return codec_string(
        told["codec"],
        context.extradata or b"",
        PROFILES.get((told["codec"], context.profile or "")),
        getattr(context, "level", None),  # PyAV has it since 16
        SampleEntry(
            tag=tag,
            bit_depth=picture.components[0].bits if picture else None,
            width=told.get("width"),
            height=told.get("height"),
            frame_rate=told.get("frame_rate"),
        ),
    )


if __name__ == "__main__":
    main()
