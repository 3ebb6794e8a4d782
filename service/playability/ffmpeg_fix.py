"""The FFmpeg command that makes a file play in browsers. Pure.
Law: what can be copied is copied, the input is never overwritten, and what comes out holds nothing
that no browser plays. The command reads no file but the one it names."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from service.models import Metadata, Stream
from service.playability.browser_support import WEBM, is_matroska

# What goes into an MP4 as it is, because browsers play it there, if not all of them.
_MP4_CODECS = frozenset({"h264", "hevc", "av1", "vp9", "aac", "mp3", "opus", "flac", "ac3", "eac3"})
_COVER_CODECS = frozenset({"mjpeg", "png"})
_TEXT_SUBTITLES = frozenset({"mov_text", "subrip", "webvtt", "ass", "ssa", "text"})
"""Subtitles that FFmpeg writes as others; those that are pictures stay behind."""

_MAX_STEM_BYTES = 240  # bytes; a name has 255 at most (NAME_MAX), and an ending is added

KEY_FRAME_INTERVAL = 4
"""Seconds between key frames in what is encoded: what is common on the web."""

# ITU-R BT.2390 §5.4 leaves the curve open; Hable's is what FFmpeg's manual shows.
_TO_SDR = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,tonemap=hable,"
    "zscale=transfer=bt709:matrix=bt709:range=tv"
)
_HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})  # ITU-R BT.2100: PQ and HLG


@dataclass(frozen=True, slots=True)
class TranscodeOptions:
    """What is to be encoded anew, and how."""

    streams: frozenset[int] = frozenset()
    """By their index in the input."""
    frame_rate: int | None = None
    """Frames per second to give the picture; None leaves them as they are."""
    max_bit_rate: int | None = None
    """Bits per second that the picture may take."""


STREAM_COPY = TranscodeOptions()


def command(path: str, metadata: Metadata, options: TranscodeOptions = STREAM_COPY) -> str:
    """Give the command, quoted for a POSIX shell. Its output stands beside `path`."""
    webm = _fits_webm(metadata, options)
    kept = [stream for stream in metadata.streams if _is_kept(stream, webm=webm)]
    has_video = any(stream.kind == "video" for stream in kept)
    arguments = ["ffmpeg", "-n"]  # not to overwrite what is there
    if metadata.container == "avi":
        arguments += ["-fflags", "+genpts"]  # AVI has no times of presentation, MP4 needs them
    arguments += [*_demuxer(metadata), "-i", _safe_path(path)]
    for stream in kept:
        arguments += ["-map", f"0:{stream.index}"]
    arguments += ["-c", "copy", *_encoders(kept, options, webm=webm)]
    if not webm:
        arguments += ["-strict", "-2"] if _needs_strict(kept) else []
        arguments += ["-movflags", "+faststart"]
        arguments += [] if has_video else ["-f", "mp4"]  # what .m4a means to FFmpeg takes no MP3
    arguments.append(_output_path(path, "webm" if webm else "mp4" if has_video else "m4a"))
    return shlex.join(arguments)


def _fits_webm(metadata: Metadata, options: TranscodeOptions) -> bool:
    av_streams = [stream for stream in metadata.streams if stream.kind in {"video", "audio"}]
    return (
        (is_matroska(metadata) or metadata.container == "ogg")
        and all(stream.codec in WEBM for stream in av_streams)
        and not options.streams
    )


def _is_kept(stream: Stream, *, webm: bool) -> bool:
    match stream.kind:
        case "video" | "audio":
            return True
        case "subtitle":
            return stream.codec in _TEXT_SUBTITLES
        case "attachment":
            return stream.codec in _COVER_CODECS and not webm
        case _:
            return False


def _encoders(kept: list[Stream], options: TranscodeOptions, *, webm: bool) -> list[str]:
    """Give the options of those that are not just copied; what comes last counts."""
    arguments = []
    video_streams = [stream for stream in kept if stream.kind in {"video", "attachment"}]
    audio_streams = [stream for stream in kept if stream.kind == "audio"]
    allowed = WEBM if webm else _MP4_CODECS
    for specifier, stream in _with_specifiers("v", video_streams):
        if stream.kind == "attachment":
            continue
        if stream.index in options.streams or stream.codec not in allowed:
            arguments += _reencode_video(specifier, stream, options)
        elif stream.codec == "hevc":
            arguments += [f"-tag:{specifier}", "hvc1"]  # FFmpeg writes hev1, which Safari refuses
    for specifier, stream in _with_specifiers("a", audio_streams):
        if stream.index in options.streams or stream.codec not in allowed:
            arguments += [
                f"-c:{specifier}",
                "aac",
                f"-b:{specifier}",
                "192k" if _is_stereo(stream) else "384k",
            ]
    subtitle_codecs = {stream.codec for stream in kept if stream.kind == "subtitle"}
    subtitle_codec = "webvtt" if webm else "mov_text"
    if subtitle_codecs - {subtitle_codec}:
        arguments += ["-c:s", subtitle_codec]
    return arguments


def _with_specifiers(kind: str, streams: list[Stream]) -> Iterable[tuple[str, Stream]]:
    """Name each as FFmpeg does in the output: by its kind alone where there is one."""
    for number, stream in enumerate(streams):
        yield (kind if len(streams) == 1 else f"{kind}:{number}"), stream


def _is_stereo(stream: Stream) -> bool:
    return (stream.channels or 2) <= 2  # noqa: PLR2004 - channels


def _reencode_video(specifier: str, stream: Stream, options: TranscodeOptions) -> list[str]:
    # 20 is a little better than x264's default: what was encoded once loses by the second time.
    arguments = [
        f"-c:{specifier}",
        "libx264",
        f"-crf:{specifier}",
        "20",
        f"-pix_fmt:{specifier}",
        "yuv420p",
    ]
    arguments += [f"-force_key_frames:{specifier}", f"expr:gte(t,n_forced*{KEY_FRAME_INTERVAL})"]
    filters = []
    if stream.interlaced:
        filters.append("bwdif=mode=send_frame")
    if stream.transfer in _HDR_TRANSFERS:
        filters.append(_TO_SDR)
    if (stream.width or 0) % 2 or (stream.height or 0) % 2:
        filters.append("pad=ceil(iw/2)*2:ceil(ih/2)*2")  # 4:2:0 halves both sides
    if filters:
        arguments += [f"-filter:{specifier}", ",".join(filters)]
    if options.frame_rate:
        arguments += [f"-r:{specifier}", str(options.frame_rate)]
    if options.max_bit_rate:
        bits = str(options.max_bit_rate)
        arguments += [f"-maxrate:{specifier}", bits, f"-bufsize:{specifier}", bits]
    return arguments


def _needs_strict(kept: list[Stream]) -> bool:
    return any(stream.codec == "flac" for stream in kept)  # in MP4 an experiment before FFmpeg 6


def _demuxer(metadata: Metadata) -> list[str]:
    """Give the options that make FFmpeg read a file as it was probed, and nothing else.

    Left to itself it would choose a demuxer by content and name, which may be that of a playlist
    (HLS, DASH, concat) or of a series of pictures: those open the files that the input names. So
    the demuxer is the one that the streams were found with; FFmpeg takes any of its names.
    """
    name = metadata.container.partition(",")[0]
    return ["-f", name, "-protocol_whitelist", "file"]


def _safe_path(path: str) -> str:
    """Keep FFmpeg from taking a name for an option, a protocol or standard input.

    A protocol is whatever stands before a colon and has no slash in it, and `subfile,` with its
    options (libavformat/avio.c, url_find_protocol).
    """
    return path if path.startswith(("/", "./", "../")) else f"./{path}"


def _output_path(path: str, extension: str) -> str:
    pure = PurePosixPath(path)
    stem = pure.stem.encode(errors="surrogateescape")[:_MAX_STEM_BYTES]
    name = stem.decode(errors="ignore") if len(stem) == _MAX_STEM_BYTES else pure.stem
    return _safe_path(str(pure.with_name(f"{name}.fixed.{extension}")))
