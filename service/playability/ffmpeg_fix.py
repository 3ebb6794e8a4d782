"""The FFmpeg command that makes a file play in browsers. Pure.
Law: what can be copied is copied, the input is never overwritten, and what comes out holds nothing
that no browser plays. The command reads no file but the one it names."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from service.models import Metadata, Stream
from service.playability.browsers import WEBM, is_matroska

# What goes into an MP4 as it is, because browsers play it there, if not all of them.
_MP4 = frozenset({"h264", "hevc", "av1", "vp9", "aac", "mp3", "opus", "flac", "ac3", "eac3"})
_COVERS = frozenset({"mjpeg", "png"})
_TEXTS = frozenset({"mov_text", "subrip", "webvtt", "ass", "ssa", "text"})
"""Subtitles that FFmpeg writes as others; those that are pictures stay behind."""

_LONGEST_STEM = 240  # bytes; a name has 255 at most (NAME_MAX), and an ending is added

KEY_FRAME_INTERVAL = 4
"""Seconds between key frames in what is encoded: what is common on the web."""

# ITU-R BT.2390 §5.4 leaves the curve open; Hable's is what FFmpeg's manual shows.
_TO_SDR = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,tonemap=hable,"
    "zscale=transfer=bt709:matrix=bt709:range=tv"
)
_HDR = frozenset({"smpte2084", "arib-std-b67"})  # ITU-R BT.2100: PQ and HLG


@dataclass(frozen=True, slots=True)
class Encoding:
    """What is to be encoded anew, and how."""

    streams: frozenset[int] = frozenset()
    """By their index in the input."""
    frame_rate: int | None = None
    """Frames per second to give the picture; None leaves them as they are."""
    most_bits: int | None = None
    """Bits per second that the picture may take."""


COPY = Encoding()


def command(path: str, metadata: Metadata, encoding: Encoding = COPY) -> str:
    """Give the command, quoted for a POSIX shell. Its output stands beside `path`."""
    webm = _fits_webm(metadata, encoding)
    kept = [stream for stream in metadata.streams if _is_kept(stream, webm=webm)]
    pictured = any(stream.kind == "video" for stream in kept)
    words = ["ffmpeg", "-n"]  # not to overwrite what is there
    if metadata.container == "avi":
        words += ["-fflags", "+genpts"]  # AVI has no times of presentation, MP4 needs them
    words += [*_demuxer(metadata), "-i", _as_file(path)]
    for stream in kept:
        words += ["-map", f"0:{stream.index}"]
    words += ["-c", "copy", *_encoders(kept, encoding, webm=webm)]
    if not webm:
        words += ["-strict", "-2"] if _needs_leave(kept) else []
        words += ["-movflags", "+faststart"]
        words += [] if pictured else ["-f", "mp4"]  # what .m4a means to FFmpeg takes no MP3
    words.append(_beside(path, "webm" if webm else "mp4" if pictured else "m4a"))
    return shlex.join(words)


def _fits_webm(metadata: Metadata, encoding: Encoding) -> bool:
    played = [stream for stream in metadata.streams if stream.kind in {"video", "audio"}]
    return (
        (is_matroska(metadata) or metadata.container == "ogg")
        and all(stream.codec in WEBM for stream in played)
        and not encoding.streams
    )


def _is_kept(stream: Stream, *, webm: bool) -> bool:
    match stream.kind:
        case "video" | "audio":
            return True
        case "subtitle":
            return stream.codec in _TEXTS
        case "attachment":
            return stream.codec in _COVERS and not webm
        case _:
            return False


def _encoders(kept: list[Stream], encoding: Encoding, *, webm: bool) -> list[str]:
    """Give the options of those that are not just copied; what comes last counts."""
    words = []
    covers = [stream for stream in kept if stream.kind in {"video", "attachment"}]
    sounds = [stream for stream in kept if stream.kind == "audio"]
    allowed = WEBM if webm else _MP4
    for at, stream in _numbered("v", covers):
        if stream.kind == "attachment":
            continue
        if stream.index in encoding.streams or stream.codec not in allowed:
            words += _picture(at, stream, encoding)
        elif stream.codec == "hevc":
            words += [f"-tag:{at}", "hvc1"]  # FFmpeg writes hev1, which Safari refuses
    for at, stream in _numbered("a", sounds):
        if stream.index in encoding.streams or stream.codec not in allowed:
            words += [f"-c:{at}", "aac", f"-b:{at}", "192k" if _is_stereo(stream) else "384k"]
    texts = {stream.codec for stream in kept if stream.kind == "subtitle"}
    text = "webvtt" if webm else "mov_text"
    if texts - {text}:
        words += ["-c:s", text]
    return words


def _numbered(kind: str, streams: list[Stream]) -> Iterable[tuple[str, Stream]]:
    """Name each as FFmpeg does in the output: by its kind alone where there is one."""
    for number, stream in enumerate(streams):
        yield (kind if len(streams) == 1 else f"{kind}:{number}"), stream


def _is_stereo(stream: Stream) -> bool:
    return (stream.channels or 2) <= 2  # noqa: PLR2004 - channels


def _picture(at: str, stream: Stream, encoding: Encoding) -> list[str]:
    # 20 is a little better than x264's default: what was encoded once loses by the second time.
    words = [f"-c:{at}", "libx264", f"-crf:{at}", "20", f"-pix_fmt:{at}", "yuv420p"]
    words += [f"-force_key_frames:{at}", f"expr:gte(t,n_forced*{KEY_FRAME_INTERVAL})"]
    filters = []
    if stream.interlaced:
        filters.append("bwdif=mode=send_frame")
    if stream.transfer in _HDR:
        filters.append(_TO_SDR)
    if (stream.width or 0) % 2 or (stream.height or 0) % 2:
        filters.append("pad=ceil(iw/2)*2:ceil(ih/2)*2")  # 4:2:0 halves both sides
    if filters:
        words += [f"-filter:{at}", ",".join(filters)]
    if encoding.frame_rate:
        words += [f"-r:{at}", str(encoding.frame_rate)]
    if encoding.most_bits:
        bits = str(encoding.most_bits)
        words += [f"-maxrate:{at}", bits, f"-bufsize:{at}", bits]
    return words


def _needs_leave(kept: list[Stream]) -> bool:
    return any(stream.codec == "flac" for stream in kept)  # in MP4 an experiment before FFmpeg 6


def _demuxer(metadata: Metadata) -> list[str]:
    """Give the options that make FFmpeg read a file as it was probed, and nothing else.

    Left to itself it would choose a demuxer by content and name, which may be that of a playlist
    (HLS, DASH, concat) or of a series of pictures: those open the files that the input names. So
    the demuxer is the one that the streams were found with; FFmpeg takes any of its names.
    """
    name = metadata.container.partition(",")[0]
    return ["-f", name, "-protocol_whitelist", "file"]


def _as_file(path: str) -> str:
    """Keep FFmpeg from taking a name for an option, a protocol or standard input.

    A protocol is whatever stands before a colon and has no slash in it, and `subfile,` with its
    options (libavformat/avio.c, url_find_protocol).
    """
    return path if path.startswith(("/", "./", "../")) else f"./{path}"


def _beside(path: str, ending: str) -> str:
    pure = PurePosixPath(path)
    stem = pure.stem.encode(errors="surrogateescape")[:_LONGEST_STEM]
    name = stem.decode(errors="ignore") if len(stem) == _LONGEST_STEM else pure.stem
    return _as_file(str(pure.with_name(f"{name}.fixed.{ending}")))
