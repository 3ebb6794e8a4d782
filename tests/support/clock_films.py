"""Films whose own clocks begin at any time. Their grey shade tells which second is shown."""

import struct
from pathlib import Path

from support.ffmpeg_fixtures import AAC, H264, ffmpeg

LENGTH = 16  # seconds
CHAPTERS = {0: "First", 4: "Second", 9: "Third"}
"""Titles by their starts in seconds from the first picture."""

# The shade of second t is 16 + 12 t of 255. A key frame a second.
_PICTURE = (
    "-f", "lavfi", "-i",
    f"color=gray:size=64x48:rate=10:duration={LENGTH},format=gray,geq=lum='16+12*T',format=yuv420p",
)  # fmt: skip
_SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LENGTH}")
_H264 = (*H264, "-preset", "ultrafast", "-crf", "10", "-g", "10", *AAC)
_VP8 = ("-c:v", "libvpx", "-b:v", "500k", "-crf", "10", "-g", "10", "-c:a", "libopus")


def second_of_shade(shade: float) -> float:
    """Return which second of a film has a grey shade, from 0 to 255."""
    return (shade - 16) / 12


def cues(separator: str) -> str:
    """Return a cue for each second, as `cue 7`, with the separator of its decimals.

    It begins early, so that it is shown at the whole second, also if that is a frame off.
    """
    starts = ["00:00:00.000", *(f"00:00:{second:02}.800" for second in range(LENGTH))]
    return "\n".join(
        f"{second + 1}\n{starts[second]} --> 00:00:{second:02}.700\n".replace(".", separator)
        + f"cue {second}\n"
        for second in range(LENGTH)
    )


def film(folder: Path, name: str, start: float, *options: str) -> Path:
    """Write a film whose first picture has a time of `start` seconds, with captions and chapters.

    The options are FFmpeg's. Chapters are on the file's own clock.
    """
    path = folder / name
    base, scratch = folder.parent / f"base{path.suffix}", folder.parent
    if not base.exists():
        ffmpeg(base, *_PICTURE, *_SOUND, *(_VP8 if path.suffix == ".webm" else _H264))
    (scratch / "cues.srt").write_text(cues(","), encoding="utf-8")
    ends = [*list(CHAPTERS)[1:], LENGTH]
    (scratch / "chapters.txt").write_text(
        ";FFMETADATA1\n"
        + "".join(
            f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={round((start + second) * 1000)}\n"
            f"END={round((start + end) * 1000)}\ntitle={title}\n"
            for (second, title), end in zip(CHAPTERS.items(), ends, strict=True)
        ),
        encoding="utf-8",
    )
    text = {".mkv": "srt", ".webm": "webvtt"}.get(path.suffix, "mov_text")
    inputs = ("-i", base, "-i", scratch / "cues.srt", "-i", scratch / "chapters.txt")
    return ffmpeg(
        path, *inputs, "-map", "0", "-map", "1", "-map_metadata", "2", "-map_chapters", "2",
        "-c", "copy", "-c:s", text, "-output_ts_offset", str(start), *options,
    )  # fmt: skip


def film_with_late_picture(folder: Path, name: str, delay: float) -> Path:
    """Write an MP4 whose sound begins at 0, and whose picture begins `delay` seconds later."""
    base = folder.parent / "base.mp4"
    if not base.exists():
        ffmpeg(base, *_PICTURE, *_SOUND, *_H264)
    return ffmpeg(
        folder / name, "-itsoffset", str(delay), "-i", base, "-i", base, "-map", "0:v",
        "-map", "1:a", "-c", "copy", "-movflags", "+faststart",
    )  # fmt: skip


def tell_length(path: Path) -> None:
    """Write into a Matroska file the length of its film, as mkvmerge does, not its end."""
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Duration (RFC 9559 §5.1.2.10), eight bytes
    struct.pack_into(">d", data, at, LENGTH * 1000)
    path.write_bytes(data)


def fragmented_film(folder: Path, name: str, start: float) -> Path:
    """Write a fragmented MP4 whose fragments begin at `start` seconds, as of a live stream."""
    path = folder / name
    flags = "+frag_keyframe+empty_moov+default_base_moof"
    ffmpeg(path, *_PICTURE, *_SOUND, *_H264, "-movflags", flags)
    data = bytearray(path.read_bytes())
    scales, position = [], -1
    while (position := data.find(b"mdhd", position + 1)) >= 0:  # §8.4.2, in version 0
        scales.append(struct.unpack_from(">I", data, position + 16)[0])
    while (position := data.find(b"tfdt", position + 1)) >= 0:  # §8.8.12, in version 1
        track = struct.unpack_from(">I", data, data.rfind(b"tfhd", 0, position) + 8)[0]
        (time,) = struct.unpack_from(">Q", data, position + 8)
        struct.pack_into(">Q", data, position + 8, time + round(start * scales[track - 1]))
    path.write_bytes(data)
    return path


def broadcast_film(folder: Path, name: str, start: float) -> Path:
    """Write a transport stream whose first picture has a time of `start` seconds."""
    at = ("-output_ts_offset", str(start), "-muxdelay", "0", "-muxpreload", "0")
    return ffmpeg(folder / name, *_PICTURE, *_SOUND, *_H264, *at)
