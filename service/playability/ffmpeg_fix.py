"""The FFmpeg command that makes a file play in browsers.

It copies streams where possible, never overwrites its input, reads no other file, and drops or
re-encodes what no browser plays."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from service.browsers.browser_support import WEBM, is_matroska
from service.browsers.track_choice import default_sound
from service.browsers.transcode_options import STREAM_COPY, TranscodeOptions
from service.models import Metadata, Stream

# Codecs copied into an MP4 unchanged: at least some browsers play them there.
_MP4_CODECS = frozenset({"h264", "hevc", "av1", "vp9", "aac", "mp3", "opus", "flac", "ac3", "eac3"})
_MP4_SOUND = frozenset({"aac", "mp3", "opus", "flac"})
"""Sound that Chromium, Firefox and Safari play in MP4."""

# FFmpeg 5's demuxer of True Audio names no layout of mono sound, and AAC's encoder needs one.
_WITHOUT_LAYOUT = frozenset({"tta"})
_COVER_CODECS = frozenset({"mjpeg", "png"})
_TEXT_SUBTITLES = frozenset({"mov_text", "subrip", "webvtt", "ass", "ssa", "text"})
"""Text subtitles, which FFmpeg can convert; bitmap subtitles are dropped."""

_MAX_STEM_BYTES = 240  # a name has at most 255 bytes (NAME_MAX), extension included

KEY_FRAME_INTERVAL = 4
"""Seconds between key frames of re-encoded video: a common value on the web."""

# ITU-R BT.2390 §5.4 leaves the curve open; FFmpeg's manual uses Hable's.
_TO_SDR = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,tonemap=hable,"
    "zscale=transfer=bt709:matrix=bt709:range=tv"
)
_HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})  # ITU-R BT.2100: PQ and HLG


def command(path: str, metadata: Metadata, options: TranscodeOptions = STREAM_COPY) -> str:
    """Return the command, quoted for a POSIX shell. It writes its output beside `path`."""
    webm = _fits_webm(metadata, options)
    film, sound = metadata.film, _main_sound(metadata, webm=webm)
    # Firefox plays the first track that it knows, so those to play come first.
    kept = sorted(
        (stream for stream in metadata.streams if _is_kept(stream, webm=webm)),
        key=lambda stream: stream not in (film, sound),
    )
    if sound and not webm and sound.codec not in _MP4_SOUND:
        options = replace(options, streams=options.streams | {sound.index})
    has_video = any(stream.kind == "video" for stream in kept)
    arguments = ["ffmpeg", "-n"]  # never overwrite a file
    if metadata.container == "avi" or is_vfw(metadata):
        arguments += ["-fflags", "+genpts"]  # AVI has no presentation times, MP4 needs them
    arguments += [*_demuxer(metadata), "-i", _safe_path(path)]
    for stream in kept:
        arguments += ["-map", f"0:{stream.index}"]
    arguments += ["-c", "copy", *_encoders(kept, options, webm=webm), *_dispositions(kept)]
    if not webm:
        arguments += ["-strict", "-2"] if _needs_strict(kept) else []
        arguments += ["-movflags", "+faststart"]
        arguments += [] if has_video else ["-f", "mp4"]  # FFmpeg's muxer for .m4a takes no MP3
    arguments.append(_output_path(path, "webm" if webm else "mp4" if has_video else "m4a"))
    return shlex.join(arguments)


def _main_sound(metadata: Metadata, *, webm: bool) -> Stream | None:
    """Return the sound track to play: the default one, or one like it that need not be encoded.

    It has the same language. Files often have a stereo track beside the surround sound.
    """
    first = default_sound(metadata)
    playable = WEBM if webm else _MP4_SOUND
    if first is None or first.codec in playable:
        return first
    others = (
        stream for stream in metadata.streams
        if stream.kind == "audio"
        and stream.codec in playable
        and stream.language == first.language
    )  # fmt: skip
    return next(others, first)


def _dispositions(kept: list[Stream]) -> list[str]:
    """Return the options that enable the first track of each kind alone, and that mark covers.

    FFmpeg's muxer of MP4 enables tracks by the disposition `default` (libavformat/movenc.c), and
    enables one if no other of its kind is.
    """
    arguments = []
    pictures = [stream for stream in kept if stream.kind in {"video", "attachment"}]
    for number, stream in enumerate(pictures):
        if stream.kind == "attachment":
            arguments += [f"-disposition:v:{number}", "attached_pic"]
        elif len(pictures) > 1:
            arguments += [f"-disposition:v:{number}", "0" if number else "default"]
    sounds = [stream for stream in kept if stream.kind == "audio"]
    for number, _ in enumerate(sounds if len(sounds) > 1 else []):
        arguments += [f"-disposition:a:{number}", "0" if number else "default"]
    return arguments


def is_vfw(metadata: Metadata) -> bool:
    """Return whether a Matroska file stores video as AVI does (V_MS/VFW/FOURCC, RFC 9559)."""
    return is_matroska(metadata) and any(
        stream.kind == "video" and stream.sample_entry for stream in metadata.streams
    )


def _fits_webm(metadata: Metadata, options: TranscodeOptions) -> bool:
    av_streams = [stream for stream in metadata.streams if stream.kind in {"video", "audio"}]
    return (
        (is_matroska(metadata) or metadata.container == "ogg")
        and all(stream.codec in WEBM for stream in av_streams)
        and not options.streams
    )


def _is_kept(stream: Stream, *, webm: bool) -> bool:
    if stream.encryption:
        return False  # a copy would be ciphertext without a word of it
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
    """Return the options of streams that are not copied; later options override earlier ones."""
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
            if stream.codec in _WITHOUT_LAYOUT and stream.channels:
                arguments += [f"-ac:{specifier}", str(stream.channels)]
    subtitle_codecs = {stream.codec for stream in kept if stream.kind == "subtitle"}
    subtitle_codec = "webvtt" if webm else "mov_text"
    if subtitle_codecs - {subtitle_codec}:
        arguments += ["-c:s", subtitle_codec]
    return arguments


def _with_specifiers(kind: str, streams: list[Stream]) -> Iterable[tuple[str, Stream]]:
    """Pair each stream with its FFmpeg specifier: without a number if it is the only one."""
    for number, stream in enumerate(streams):
        yield (kind if len(streams) == 1 else f"{kind}:{number}"), stream


def _is_stereo(stream: Stream) -> bool:
    return (stream.channels or 2) <= 2  # noqa: PLR2004 - channels


def _reencode_video(specifier: str, stream: Stream, options: TranscodeOptions) -> list[str]:
    # 20 is a little better than x264's default, as encoding twice loses quality.
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
    return any(stream.codec == "flac" for stream in kept)  # experimental in MP4 before FFmpeg 6


def _demuxer(metadata: Metadata) -> list[str]:
    """Return the options that make FFmpeg read the file as it was probed, and no other file.

    By default it chooses a demuxer by content and name, perhaps one for playlists (HLS, DASH,
    concat) or image sequences, which open other files that the input names. So name the demuxer
    that found the streams; FFmpeg accepts any of its names.
    """
    name = metadata.container.partition(",")[0]
    return ["-f", name, "-protocol_whitelist", "file"]


def _safe_path(path: str) -> str:
    """Return `path` so that FFmpeg does not take it for an option, a protocol or standard input.

    FFmpeg takes text without a slash before a colon for a protocol, and `subfile,` with its options
    (libavformat/avio.c, url_find_protocol).
    """
    return path if path.startswith(("/", "./", "../")) else f"./{path}"


def _output_path(path: str, extension: str) -> str:
    pure = PurePosixPath(path)
    stem = pure.stem.encode(errors="surrogateescape")[:_MAX_STEM_BYTES]
    name = stem.decode(errors="ignore") if len(stem) == _MAX_STEM_BYTES else pure.stem
    return _safe_path(str(pure.with_name(f"{name}.fixed.{extension}")))
