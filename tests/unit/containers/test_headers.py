"""What the headers of real files say of an end that is missing."""

from pathlib import Path

import av
import pytest
from support.ffmpeg_fixtures import ffmpeg

from service.containers.headers import read_headers

SECONDS = 4.0
SILENT_FROM_HALF = "sine=duration=4,volume='if(lt(t,2),1,0)':eval=frame"
BLACK = "color=black:size=320x240:rate=10:duration=4"
NOISE = "testsrc2=size=320x240:rate=10:duration=4"
RAW = ("-c:v", "rawvideo", "-pix_fmt", "rgb24")
IN_FRONT = ("-movflags", "+faststart")  # otherwise the index is at the end
LIVE = ("-live", "1")  # no index, as written into a pipe


def complete_until(file: Path) -> float | None:
    with file.open("rb") as opened, av.open(str(file)) as container:
        return read_headers(opened, file.stat().st_size, container).complete_until(SECONDS)


@pytest.mark.parametrize(
    ("name", "source", "options"),
    [
        ("silent.mov", SILENT_FROM_HALF, ("-c:a", "pcm_s16le", *IN_FRONT)),
        ("black.mov", BLACK, (*RAW, *IN_FRONT)),
        (
            "black.mkv",
            BLACK,
            ("-c:v", "rawvideo", "-pix_fmt", "bgr24", "-allow_raw_vfw", "1", *LIVE),
        ),
    ],
)
def test_zeros_of_uncompressed_streams_are_silence_or_black(
    tmp_path: Path, name: str, source: str, options: tuple[str, ...]
) -> None:
    file = ffmpeg(tmp_path / name, "-f", "lavfi", "-i", source, *options)
    assert not any(file.read_bytes()[-(64 << 10) :])  # what is tested
    assert complete_until(file) is None


def test_zeros_of_a_compressed_stream_are_not_written(tmp_path: Path) -> None:
    options = ("-c:v", "mpeg4", "-b:v", "2M", *IN_FRONT)
    file = ffmpeg(tmp_path / "film.mp4", "-f", "lavfi", "-i", NOISE, *options)
    data = file.read_bytes()
    assert complete_until(file) is None
    file.write_bytes(data[: len(data) // 2].ljust(len(data), b"\0"))
    found = complete_until(file)
    assert found is not None
    assert SECONDS / 4 < found < SECONDS * 3 / 4
