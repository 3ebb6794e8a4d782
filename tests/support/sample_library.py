"""A realistic library of videos, made by FFmpeg for the tests of the pages."""

from itertools import count
from pathlib import Path
from urllib.parse import quote

from support.ffmpeg_fixtures import AAC, ffmpeg
from support.server import write

LONG, SHORT = 60, 20  # seconds
SERIES = "Series/The Lighthouse/Season 1"
EPISODES = [f"{SERIES}/ep {number}.mp4" for number in range(1, 13)]
CAPTIONED = "Films/Harbour at Dawn (2024).mp4"
"""One minute with a key frame each second, English and German captions, three chapters."""
PLAIN = "Films/Tides.mp4"
PORTRAIT = "Films/Tower.mp4"
HEVC = "Films/Paper Lanterns.mp4"
AUDIO = "Music/Nocturne.m4a"
ARABIC = "Films/رحلة إلى البحر.mp4"
BROKEN = "Films/Broken.mp4"
PLAYABLE = [CAPTIONED, PLAIN, PORTRAIT, ARABIC, AUDIO, *EPISODES]


def title(episode: int) -> str:
    """Return the title of an episode of the series."""
    return f"The Lighthouse · S1 E{episode}"


def watch(path: str) -> str:
    """Return the target of a video's page."""
    return f"/watch/{quote(path)}"


PAGES = {
    "library": "/",
    "videos": "/videos",
    "folders": "/?folder=",
    "folder": f"/?folder={quote(SERIES, safe='')}",
    "series": "/series/The%20Lighthouse",
    "search": "/?q=tides",
    "nothing-found": "/?q=xyzzy",
    "watch": watch(CAPTIONED),
    "watch-at": f"{watch(CAPTIONED)}?t=30",
    "watch-episode": watch(EPISODES[1]),
    "watch-audio": watch(AUDIO),
    "watch-portrait": watch(PORTRAIT),
    "watch-hevc": watch(HEVC),
    "watch-broken": watch(BROKEN),
    "watch-arabic": watch(ARABIC),
    "embed": f"/embed/{quote(CAPTIONED)}",
    "embed-audio": f"/embed/{quote(AUDIO)}",
    "error-400": "/?sort=weight",
    "error-404": "/watch/none.mp4",
    "error-410": f"/media/{quote(PLAIN)}?v=0",
}
"""One target for each kind of page, except that of an empty library."""

_CHAPTERS = """;FFMETADATA1
title=Harbour at Dawn
[CHAPTER]
TIMEBASE=1/1
START=0
END=20
title=The quay
[CHAPTER]
TIMEBASE=1/1
START=20
END=40
title=Nets and ropes
[CHAPTER]
TIMEBASE=1/1
START=40
END=60
title=Out to sea
"""
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_COLOURS = (
    ("0x0b3954", "0xff6663", "0xffd6a5"),
    ("0x1b1b3a", "0x693668", "0xffb347"),
    ("0x004e64", "0x25a18e", "0xd8f3dc"),
    ("0x3d0e1e", "0xb5446e", "0xffe5d9"),
    ("0x10002b", "0x5a189a", "0x9bf6ff"),
    ("0x14213d", "0xfca311", "0xe5e5e5"),
)
_source_numbers = count()


def _video_source(seconds: int, size: str = "640x360") -> tuple[str, ...]:
    """Return an FFmpeg source of moving gradients; each call has other colours."""
    number = next(_source_numbers)
    first, second, third = _COLOURS[number % len(_COLOURS)]
    width, height = (int(side) // 4 for side in size.split("x"))
    kind = ("linear", "radial", "circular")[number % 3]
    source = (
        f"gradients=size={width}x{height}:rate=10:duration={seconds}:n=3:c0={first}:c1={second}"
        f":c2={third}:speed=0.03:seed={number + 1}:type={kind}"
        f",scale={size.replace('x', ':')}"  # a pixel of a gradient takes ten times as long
    )
    return ("-f", "lavfi", "-i", source)


def _audio_source(seconds: int) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency=330:duration={seconds}")


def _film(path: Path, seconds: int, *more: str | Path, size: str = "640x360") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs = (*_video_source(seconds, size), *_audio_source(seconds))
    return ffmpeg(path, *inputs, *more, *_H264, "-g", "10", *AAC, "-movflags", "+faststart")


def fill(folder: Path) -> None:
    """Create the library in a folder that does not exist yet."""
    source_folder = folder.parent / "cinema"
    source_folder.mkdir(parents=True)
    chapters = source_folder / "chapters.txt"
    chapters.write_text(_CHAPTERS, encoding="utf-8")
    with_chapters = ("-i", chapters, "-map_metadata", "2", "-map", "0", "-map", "1")
    films = {
        CAPTIONED: _film(source_folder / "captioned.mp4", LONG, *with_chapters),
        PLAIN: _film(source_folder / "plain.mp4", LONG),
        PORTRAIT: _film(source_folder / "portrait.mp4", SHORT, size="360x640"),
        ARABIC: _film(source_folder / "arabic.mp4", SHORT),
        HEVC: ffmpeg(
            source_folder / "hevc.mp4",
            *_video_source(SHORT),
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-x265-params",
            "log-level=error",
            "-tag:v",
            "hvc1",
        ),
        AUDIO: ffmpeg(
            source_folder / "audio.m4a", *_audio_source(SHORT), *AAC, "-metadata", "title=Nocturne"
        ),
    }
    episodes = [_film(source_folder / f"episode-{number}.mp4", SHORT) for number in range(3)]
    for number, episode in enumerate(EPISODES):
        films[episode] = episodes[number % 3]
    for name, file in films.items():
        write(folder, name, file.read_bytes())
    write(folder, BROKEN, b"This is no film.\n" * 100)
    captions = "WEBVTT\n\n" + "".join(
        f"00:{second:02}.000 --> 00:{second:02}.900\n{{}} {second}\n\n" for second in range(LONG)
    )
    stem = CAPTIONED.removesuffix(".mp4")
    write(folder, f"{stem}.en.vtt", captions.replace("{}", "Second").encode())
    write(folder, f"{stem}.de.vtt", captions.replace("{}", "Sekunde").encode())
