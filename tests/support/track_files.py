"""Short files with several tracks. A track's tone or width tells which of them plays."""

from pathlib import Path

from support.ffmpeg_fixtures import ffmpeg

TONES = (440, 880, 1760)
"""Hertz of the first, second and third sound track."""

WIDTHS = (160, 320, 480)
"""Pixels of the first, second and third video track."""

_ENCODERS = {
    "h264": ("libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast"),
    "hevc": (
        "libx265",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=none",
    ),
    "vp8": ("libvpx", "-deadline", "realtime"),
    "vp9": ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p"),
    "mjpeg": ("mjpeg", "-pix_fmt", "yuvj420p"),
    "mp3": ("libmp3lame",),
    "opus": ("libopus",),
    "vorbis": ("libvorbis",),
    "dts": ("dca", "-ac", "2"),
    "truehd": ("truehd", "-ac", "2"),
    "pcm": ("pcm_s16le",),
    "pcm24": ("pcm_s24le",),
    "float": ("pcm_f32le",),
}


def tracks_file(
    path: Path, *tracks: str, flags: str = "", more: tuple[str, ...] = (), seconds: int = 2
) -> Path:
    """Make a file. A track is `v:CODEC`, `a:CODEC`, or `i:CODEC` for a single picture.

    `-` at its end takes the default disposition away. `flags` has a digit for each track of an MP4:
    whether it is enabled, as FFmpeg always enables one of each kind. `more` are FFmpeg's options.
    """
    inputs: list[str] = []
    options: list[str] = []
    counts = {"v": 0, "a": 0}
    for number, track in enumerate(tracks):
        kind, codec = track.rstrip("-").split(":")
        output = "a" if kind == "a" else "v"
        place = counts[output]
        counts[output] += 1
        if kind == "a":
            source = f"sine=frequency={TONES[place]}:duration={seconds}:sample_rate=48000"
        else:
            rate, length = (10, seconds) if kind == "v" else (1, 1)
            size = f"{WIDTHS[place]}x{WIDTHS[place] // 2}"
            source = f"testsrc2=size={size}:rate={rate}:duration={length}"
        inputs += ["-f", "lavfi", "-i", source]
        encoder, *settings = _ENCODERS.get(codec, (codec,))
        options += ["-map", str(number), f"-c:{output}:{place}", encoder]
        for name, value in zip(settings[::2], settings[1::2], strict=True):
            options += [f"{name}:{output}:{place}", value]
        options += [f"-disposition:{output}:{place}", "0" if track.endswith("-") else "default"]
    ffmpeg(path, *inputs, *options, "-strict", "-2", *more)
    if flags:
        enable(path, flags)
    return path


def enable(path: Path, flags: str) -> None:
    """Set which tracks of an MP4 are enabled (ISO/IEC 14496-12 §8.3.2, the lowest flag of tkhd)."""
    data = bytearray(path.read_bytes())
    position = -1
    for flag in flags:
        position = data.index(b"tkhd", position + 1)
        data[position + 7] = data[position + 7] & ~1 | int(flag)
    path.write_bytes(data)
