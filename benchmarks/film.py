"""The films that clients request."""

import os
import subprocess
import time
from pathlib import Path

_CHUNK = 4 * 1024**2


def write_film(path: Path, size: int) -> None:
    """Write a file of `size` random bytes, a multiple of 4 MiB."""
    chunk = os.urandom(_CHUNK)
    with path.open("wb") as file:
        for _ in range(size // _CHUNK):
            file.write(chunk)
    aged = time.time() - 60  # older than a file that counts as just changed
    os.utime(path, (aged, aged))


def write_matroska(path: Path, sample: Path, size: int) -> None:
    """Write a Matroska file of at least `size` bytes that repeats a sample. Needs ffmpeg."""
    repeat = ["-stream_loop", "-1", "-i", str(sample), "-fs", str(size + _CHUNK), "-c", "copy"]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *repeat, str(path)], check=True)
    aged = time.time() - 60
    os.utime(path, (aged, aged))
