"""A film that is long enough to be sent in fragments, and what browsers show of it."""

import os
import struct
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page

from support.clock_films import second_of_shade
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.firefox import Tab
from support.mp4_boxes import boxes
from support.seeks import SEEK

MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
LENGTH = 16  # seconds of a loop
LOOPS = 100  # half an hour, whose header has more than 1 MiB
# With more pictures in a quarter of the time, so that sound that is made takes a quarter, too.
FAST_RATE, FAST_LOOPS = 200, 24

SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LENGTH}")
# The shade of second t of each loop is 16 + 12 t of 255.
SHADE = "format=gray,geq=lum='16+12*T',scale=160:90,format=yuv420p"


def _make_loop(folder: Path, rate: int = 25) -> Path:
    """Make a loop with so many pictures a second and a key frame each second."""
    shades = ("-f", "lavfi", "-i", f"color=gray:size=16x9:rate={rate}:duration={LENGTH}")
    codecs = ("-vf", SHADE, *H264, "-preset", "ultrafast", "-crf", "10", "-g", str(rate),
              "-bf", "2", *AAC)  # fmt: skip
    return ffmpeg(folder / "loop.mkv", *shades, *SOUND, *codecs)


def make_long_film(path: Path, rate: int = 25, loops: int = LOOPS) -> Path:
    loop = _make_loop(path.parent, rate)
    ffmpeg(path, "-stream_loop", str(loops - 1), "-i", loop, "-c", "copy")
    loop.unlink()
    os.utime(path, (MODIFIED, MODIFIED))
    return path


def add_second_sound(path: Path, film: Path) -> Path:
    """Copy a long film with a second sound. The index of an MP4 is at the end."""
    other = ("-f", "lavfi", "-i", f"sine=frequency=880:sample_rate=48000:duration={LENGTH}")
    loop = ffmpeg(path.parent / "loop.m4a", *other, *AAC, "-b:a", "32k")
    ffmpeg(path, "-i", film, "-stream_loop", str(LOOPS - 1), "-i", loop,
           "-map", "0", "-map", "1", "-c", "copy",
           "-disposition:a:0", "default", "-disposition:a:1", "0")  # fmt: skip
    loop.unlink()
    os.utime(path, (MODIFIED, MODIFIED))
    return path


def make_long_transport_stream(path: Path) -> Path:
    """Make a film of twice the length, whose copy has a header of more than 1 MiB."""
    loop = _make_loop(path.parent)
    # 750 frames of sound take the 16 s of the picture. With one more, its clock would be too fast.
    exact = ffmpeg(path.parent / "exact.mkv", "-i", loop, "-c", "copy",
                   "-bsf:a", rf"noise=drop=eq(n\,{LENGTH * 48_000 // 1024})")  # fmt: skip
    ffmpeg(path, "-stream_loop", str(2 * LOOPS - 1), "-i", exact, "-c", "copy")
    loop.unlink()
    exact.unlink()
    return path


class Segment(NamedTuple):
    start: int
    end: int
    time: float


def segments(head: bytes) -> list[Segment]:
    """Return the segments by the index at the end of the head (ISO/IEC 14496-12 §8.16.3)."""
    index = dict(boxes(head))[b"sidx"]
    timescale, earliest, offset = struct.unpack_from(">IQQ", index, 8)
    found, start, time = [], len(head) + offset, earliest
    for size, length, _ in struct.iter_unpack(">III", index[32:]):
        found.append(Segment(start, start + size, time / timescale))
        start, time = start + size, time + length
    return found


END = """async () => {
    const video = document.querySelector("video");
    video.currentTime = video.duration - 1;
    await new Promise((resolve, reject) => {
        video.addEventListener("ended", resolve, { once: true });
        video.addEventListener("error", reject, { once: true });
        video.play();
    });
    return video.currentTime;
}"""
# Seconds: 20 before the position and 30 after it, twice as much at twice the speed, 10 more before
# anything is removed, and a segment.
MAX_BUFFERED = 20 + 2 * 30 + 2 * 10 + 2
BUFFERED = """() => {
    const { buffered } = document.querySelector("video");
    let sum = 0;
    for (let at = 0; at < buffered.length; at += 1) sum += buffered.end(at) - buffered.start(at);
    return sum;
}"""


def check_playback(page: Page | Tab, loops: int = LOOPS) -> None:
    """Check the picture at six seconds, from another one of the loops each, and the end."""
    for loop, second in enumerate((0, 4.5, 9.5, 2.5, 15, 7.5)):
        # The sound of each loop is a frame of 21 ms longer, so the loops are, too.
        before = loop * (loops - 1) // 5 * (LENGTH + 0.001)
        seen = page.evaluate(SEEK, before + second)
        assert seen["source"].startswith("blob:")
        assert abs(seen["duration"] - LENGTH * loops) < 3
        assert abs(seen["at"] - before - second) < 0.01
        assert abs(second_of_shade(seen["shade"]) - second) < 0.3, second
        assert page.evaluate(BUFFERED) <= MAX_BUFFERED
    assert abs(page.evaluate(END) - seen["duration"]) < 0.2
