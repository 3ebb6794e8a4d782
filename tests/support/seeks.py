"""A film whose shade tells the second that is shown, and seeks in it in a browser."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.clock_films import second_of_shade
from support.ffmpeg_fixtures import H264

LENGTH = 16  # seconds

NOISY = "geq=lum='16+12*T',noise=alls=6:allf=t:all_seed=1,format=yuv420p"

# The shade of second t is 16 + 12 t of 255; noise makes the file several blocks long.
SHADES = (
    "-f", "lavfi", "-i", f"color=gray:size=160x90:rate=25:duration={LENGTH},format=gray,{NOISY}",
)  # fmt: skip
SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LENGTH}")
CODECS = (*H264, "-preset", "ultrafast", "-crf", "10", "-g", "25", "-bf", "2")


@contextmanager
def unmade(derived: Path) -> Iterator[None]:
    """Keep a service from making anything, as if another replica were at it."""
    locks = derived / "locks"
    locks.mkdir(parents=True)
    with ExitStack() as held:
        for number in range(256):
            for name in (f"{number:02x}", f"large-{number:02x}"):
                lock = held.enter_context((locks / name).open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


SEEK = """async (second) => {
    const video = document.querySelector("video");
    const wait = (type) => new Promise((resolve) =>
        video.addEventListener(type, resolve, { once: true }));
    if (video.readyState < 1) await wait("loadedmetadata");
    const seeked = wait("seeked");
    video.currentTime = second;
    await seeked;
    while (video.readyState < 2) await wait("canplay");
    await new Promise((resolve) => setTimeout(resolve, 300));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [64, 36];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 64, 36);
    const pixels = context.getImageData(0, 0, 64, 36).data;
    let sum = 0;
    for (let at = 0; at < pixels.length; at += 4) sum += pixels[at];
    return { shade: sum / (pixels.length / 4), at: video.currentTime, duration: video.duration,
             source: video.currentSrc };
}"""
SECONDS = (0, 4.5, 9.5, 2.5, 15)


def check_seeks(page: Any, url: str) -> None:
    for second in SECONDS:
        seen = page.evaluate(SEEK, second)
        assert seen["source"].endswith(url)
        assert abs(seen["duration"] - LENGTH) < 0.1
        assert abs(seen["at"] - second) < 0.01
        assert abs(second_of_shade(seen["shade"]) - second) < 0.3, second
