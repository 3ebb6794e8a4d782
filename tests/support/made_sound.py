"""Films with clicks in their sound, and the MP4s that are made of them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from service.made_sound.with_sound import FilmWithSound, make_sound
from service.protocol.ranges import Span
from service.representations.interleaving import Source, map_span
from service.storage.span_reader import span_reader
from support.ffmpeg_fixtures import ffmpeg
from support.server import write
from support.sounds import CLICKS, SECONDS, click_times, file_samples

FRAME = 1001 / 24000
"""Seconds that a picture is shown."""

PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=160x90:rate=24000/1001:duration={SECONDS}")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "24", "-bf", "2", "-pix_fmt", "yuv420p",
        "-threads", "1")  # fmt: skip


def film(path: Path, *arguments: str | Path, picture: Sequence[str] = X264) -> Path:
    """Make a film whose sound has clicks. `arguments` are for its sound."""
    return ffmpeg(path, *PICTURE, *CLICKS, "-map", "0:v", "-map", "1:a", *picture, *arguments)


@dataclass(frozen=True)
class Made:
    """What was made of a file, and the MP4 that it is."""

    film: FilmWithSound
    sound: bytes
    mp4: Path

    @property
    def data(self) -> bytes:
        return self.mp4.read_bytes()


def make(path: Path, mp4: Path) -> Made:
    """Make sound for a file, and write the MP4 that players get. Raises DeclinedError."""
    sound = bytearray()
    size = path.stat().st_size
    with path.open("rb") as file:
        made = make_sound(file, size, span_reader(file), sound.extend)
    whole = Span(0, len(made.header) + size + len(sound))
    sources = {
        Source.HEADER: made.header,
        Source.FILE: path.read_bytes(),
        Source.INSERTED: bytes(sound),
    }
    with mp4.open("wb") as output:
        for source, span in map_span(made.interleaving, len(made.header), size, whole):
            output.write(sources[source][span.start : span.end])
    return Made(made, bytes(sound), mp4)


def _ffmpeg(path: Path, level: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["ffmpeg", "-nostdin", "-v", level, "-i", str(path), *arguments, "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


def complaints(path: Path) -> str:
    """Return what FFmpeg says while it reads and decodes a whole file."""
    return _ffmpeg(path, "warning", "-map", "0:v", "-map", "0:a:0", "-f", "null").stderr


def picture_hashes(path: Path) -> list[str]:
    """Return the digests of the decoded pictures, in the order in which they are shown."""
    as_they_are = ("-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5")
    lines = _ffmpeg(path, "error", *as_they_are).stdout.splitlines()
    return [line.split(",")[-1].strip() for line in lines if line[0] != "#"]


def clicks_of(path: Path) -> list[float]:
    """Return when the clicks of the first sound of a file are heard, on its clock."""
    start, samples = file_samples(str(path))
    return click_times(samples, start)


def about(times: Sequence[float], by: float = FRAME) -> list[object]:
    """Return these times, to a tolerance of a picture."""
    return [pytest.approx(time, abs=by) for time in times]


def damage_sound(path: Path, first: float, last: float) -> None:
    """Overwrite the packets of the first sound of a file that are between two times in seconds."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            if packet.size and first < float((packet.pts or 0) * (packet.time_base or 1)) < last:
                at = data.index(bytes(packet), packet.pos)
                data[at : at + packet.size] = b"\xff" * packet.size
    write(path.parent, path.name, bytes(data))
