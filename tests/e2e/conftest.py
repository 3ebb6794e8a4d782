"""Fixtures of the end-to-end tests.

Tests in a folder of this one share a stack, which only one process of pytest-xdist starts.
"""

from pathlib import Path

import pytest
from support.ffmpeg_fixtures import AAC, ffmpeg


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a video of one minute and about 60 MB, more than a browser buffers; moov is in front.

    At a constant rate of bits, a small picture takes as many bytes, and less time to decode.
    """
    picture = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=10")
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=10")
    rate = ("-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "4M")
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "nal-hrd=cbr",
             "-pix_fmt", "yuv420p", "-g", "50")  # fmt: skip
    film = tmp_path_factory.mktemp("long") / "film.mp4"
    part = ffmpeg(film.with_name("part.mp4"), *picture, *sound, *codec, *rate, *AAC)
    ffmpeg(film, "-stream_loop", "5", "-i", part, "-c", "copy", "-movflags", "+faststart")
    assert 50e6 < film.stat().st_size < 80e6
    return film
