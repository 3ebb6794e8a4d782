"""One-second videos made by FFmpeg."""

import hashlib
import os
import shutil
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1")
TINY_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=96x54:rate=5:duration=1")
"""For films of which only names and pages matter: their posters take a third of the time."""
SOUND = ("-f", "lavfi", "-i", "sine=duration=1")
H264 = ("-c:v", "libx264", "-profile:v", "high", "-level", "3.0", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-ac", "2")


@cache
def encoders() -> frozenset[str]:
    listing = subprocess.run(
        ["ffmpeg", "-hide_banner", "-encoders"], check=True, capture_output=True, text=True
    )
    return frozenset(line.split()[1] for line in listing.stdout.splitlines() if " " in line.strip())


# How encoders work unless a test says otherwise: tests need a film of a codec, not a good one.
_FAST = {
    "libaom-av1": {"-usage": "realtime", "-cpu-used": "8"},
    "libvpx": {"-deadline": "realtime", "-cpu-used": "8"},
    "libvpx-vp9": {"-deadline": "realtime", "-cpu-used": "8"},
    "libx264": {"-preset": "veryfast"},
    "libx265": {"-preset": "ultrafast"},
}

KEPT = Path(__file__).parents[2] / "build" / "tests"
"""What takes long to make is kept here for all processes and runs, under a name that tells how it
was made. It may be deleted."""
_SMALL = 4 * 1024 * 1024  # bytes


@cache
def _version() -> str:
    command = ["ffmpeg", "-version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _told(word: str | Path) -> str:
    """Return an argument as a key has it: a file by its name and content."""
    if not isinstance(word, Path):
        return word
    return f"{hashlib.sha256(word.read_bytes()).hexdigest()} {word.name}"


def _names_its_inputs(arguments: tuple[str | Path, ...]) -> bool:
    """Return whether all inputs are synthetic, or files that are small enough to look at."""
    inputs = [word for option, word in pairwise(arguments) if option == "-i"]
    files = [word for word in arguments if isinstance(word, Path)]
    return (
        sum(isinstance(word, str) for word in inputs) == arguments.count("lavfi")
        and all(file.is_file() for file in files)
        and sum(file.stat().st_size for file in files) <= _SMALL
    )


def _kept_file(path: Path, arguments: list[str | Path]) -> Path:
    words = (_version(), path.suffix, tuple(map(_told, arguments)))
    return KEPT / "films" / f"{hashlib.sha256(repr(words).encode()).hexdigest()}{path.suffix}"


def _keep(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(file)


def _with_fast_encoders(arguments: tuple[str | Path, ...]) -> list[str | Path]:
    words: list[str | Path] = []
    for word in arguments:
        words.append(word)
        if words[-2:-1] == ["-c:v"] and isinstance(word, str):
            for option, value in _FAST.get(word, {}).items():
                words += [] if option in arguments else [option, value]
    return words


def ffmpeg(path: Path, *arguments: str | Path, stdin: bytes = b"") -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg, which makes the files of this test, is not on PATH")
    words = _with_fast_encoders(arguments)
    kept = _kept_file(path, words) if not stdin and _names_its_inputs(arguments) else None
    if kept and kept.exists():
        path.write_bytes(kept.read_bytes())
        return path
    for option, name in pairwise(arguments):
        if option in {"-c:v", "-c:a"} and name != "copy" and name not in encoders():
            pytest.skip(f"this ffmpeg has no encoder {name}")
    quiet = ["-v", "error", "-y", *([] if stdin else ["-nostdin"])]
    command = ["ffmpeg", *quiet, *words, path]
    subprocess.run(command, check=True, timeout=600, input=stdin)
    if kept and path.stat().st_size <= _SMALL:
        _keep(kept, path.read_bytes())
    return path


def mp4(path: Path, *arguments: str) -> Path:
    return ffmpeg(path, *PICTURE, *SOUND, *H264, *AAC, *arguments)


def ten_seconds(path: Path) -> Path:
    """Make a film of ten seconds and about 5 MB, with a key frame each second.

    At a constant rate of bits, a small picture takes as many bytes, and less time to decode.
    """
    picture = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=10")
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
    rate = ("-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "2M")
    return ffmpeg(path, *picture, *codec, *rate, "-x264-params", "nal-hrd=cbr")
