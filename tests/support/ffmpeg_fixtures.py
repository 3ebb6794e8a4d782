"""One-second videos made by FFmpeg."""

import shutil
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1")
SOUND = ("-f", "lavfi", "-i", "sine=duration=1")
H264 = ("-c:v", "libx264", "-profile:v", "high", "-level", "3.0", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-ac", "2")


@cache
def encoders() -> frozenset[str]:
    listing = subprocess.run(
        ["ffmpeg", "-hide_banner", "-encoders"], check=True, capture_output=True, text=True
    )
    return frozenset(line.split()[1] for line in listing.stdout.splitlines() if " " in line.strip())


# Small files that depend only on their arguments: each is made once for all tests.
_cache: dict[tuple[str | Path, ...], bytes] = {}
_SMALL = 4 * 1024 * 1024  # bytes


def ffmpeg(path: Path, *arguments: str | Path) -> Path:
    is_synthetic = arguments.count("-i") == arguments.count("lavfi")
    key = (path.suffix, *arguments)
    if is_synthetic and key in _cache:
        path.write_bytes(_cache[key])
        return path
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg, which makes the files of this test, is not on PATH")
    for option, name in pairwise(arguments):
        if option in {"-c:v", "-c:a"} and name != "copy" and name not in encoders():
            pytest.skip(f"this ffmpeg has no encoder {name}")
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, path], check=True, timeout=600
    )
    if is_synthetic and path.stat().st_size <= _SMALL:
        _cache[key] = path.read_bytes()
    return path


def mp4(path: Path, *arguments: str) -> Path:
    return ffmpeg(path, *PICTURE, *SOUND, *H264, *AAC, *arguments)


def ten_seconds(path: Path) -> Path:
    """Make a film of ten seconds and about 5 MB, with a key frame each second."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=10")
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
    rate = ("-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "2M")
    return ffmpeg(path, *picture, *codec, *rate, "-x264-params", "nal-hrd=cbr")
