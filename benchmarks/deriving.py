"""Measure how long a library takes to probe and derive, and how that slows viewers.

    .venv/bin/python benchmarks/deriving.py [--pairs N] [--seconds S] [--rate R] [--files N]
                                            [--added N]

Needs FFmpeg, which makes a dozen films of several codecs, containers and lengths; the library has
300 copies of them. Three parts:

- The service starts without artefacts or viewers: seconds until it is ready, and until all videos
  are listed, probed and derived.
- The same while viewers request spans of 64 KiB at a steady rate. In every other window of some
  seconds the worker processes are stopped (SIGSTOP). Two consecutive windows are a pair, with
  alternating order, so that other work of the machine affects both.
- A restart with everything derived; then 1,000 small files are moved in at once, in pairs as
  before.

The time of a span counts from when it was due if the span before it on its connection was late.
"""

import argparse
import http.client
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from film import write_film  # noqa: E402
from support.server import Server, start, until  # noqa: E402

BLOCK = 4 * 1024**2
SPAN = 64 * 1024
WATCHED = "watched.mp4"
WATCHED_SIZE = 64 * BLOCK
VIEWERS = 16
TIMEOUT = 3600  # seconds
SAMPLE = HERE.parent / "media/sample.mp4"
KINDS = ("poster", "captions", "storyboard")

_MOVING = "testsrc2=rate=25:duration=10:size="
_H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "32", "-pix_fmt", "yuv420p")
_AAC = ("-c:a", "aac", "-b:a", "96k")
SUBTITLES = "".join(
    f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\nThe line of second {n}\n\n" for n in range(1, 10)
)


@dataclass(frozen=True)
class Film:
    """A film to make: ten seconds, repeated `times` times."""

    name: str
    size: str
    codecs: tuple[str, ...]
    times: int = 1
    text: str = ""
    """The codec of its subtitles, if any."""


FILMS = (
    Film("short.mp4", "1280x720", (*_H264, *_AAC, "-t", "1")),
    Film("episode.mp4", "1280x720", (*_H264, "-g", "50", *_AAC), 6, "mov_text"),
    Film("film.mp4", "1920x1080", (*_H264, "-g", "100", *_AAC), 18),
    Film("film.mkv", "1920x1080", (*_H264, "-g", "125", *_AAC), 12, "subrip"),
    Film("phone.mov", "1280x720", (*_H264, *_AAC), 2),
    Film("web.webm", "1280x720", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8",
                                  "-c:a", "libopus"), 6, "webvtt"),
    Film("small.webm", "640x360", ("-c:v", "libsvtav1", "-preset", "12", "-c:a", "libopus"), 3),
    Film("hevc.mp4", "1280x720", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                                  "log-level=error", "-tag:v", "hvc1", *_AAC), 6),
    Film("broadcast.ts", "720x576", ("-c:v", "mpeg2video", "-b:v", "3M", "-c:a", "mp2"), 6),
    Film("song.m4a", "", ("-vn", *_AAC), 20),
    Film("song.mp3", "", ("-vn", "-c:a", "libmp3lame"), 20),
)  # fmt: skip


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--added", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3, help="of a window")
    parser.add_argument("--rate", type=int, default=200, help="spans a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.rate, options.seconds)
        bench.make(options.files)
        bench.derive_alone()
        bench.derive_under_viewers(options.pairs)
        bench.restart_and_add(options.added)
    return 0


def make_films(folder: Path) -> list[Path]:
    """Make one file of each kind, and two that are not films."""
    text = folder / "text.srt"
    text.write_text(SUBTITLES)
    files = []
    for film in FILMS:
        file = folder / film.name
        part = file.with_name(f"part{file.suffix}")
        picture = ("-f", "lavfi", "-i", f"{_MOVING}{film.size}") if film.size else ()
        subtitles = ("-i", text, "-c:s", film.text) if film.text else ()
        ffmpeg(*picture, "-f", "lavfi", "-i", "sine=duration=10", *subtitles, *film.codecs, part)
        ffmpeg("-stream_loop", film.times - 1, "-i", part, "-map", 0, "-c", "copy", file)
        part.unlink()
        files.append(file)
    text.unlink()
    for name, data in (("zeros.mp4", b"\0" * 100_000), ("text.mp4", b"This is no film.\n" * 100)):
        files.append(folder / name)
        files[-1].write_bytes(data)
    return files


def ffmpeg(*arguments: object) -> None:
    """Run FFmpeg."""
    words = [str(argument) for argument in arguments]
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-y", *words],
        env=os.environ | {"SVT_LOG": "1"},  # no greeting
        check=True,
    )


@dataclass
class Pairs:
    """Seconds that spans took in windows with running and with stopped workers, by pair."""

    busy: list[list[float]] = field(default_factory=list)
    rest: list[list[float]] = field(default_factory=list)

    def show(self, title: str) -> None:
        """Print percentiles of all spans, and the median of the ratios of the pairs."""
        if not self.busy:
            print(f"{title}: over before it could be measured", flush=True)
            return
        print(f"{title}, {len(self.busy)} pairs of windows")
        for name, windows in (("busy", self.busy), ("at rest", self.rest)):
            every = [taken for window in windows for taken in window]
            print(f"  {name:8} p50 {percentile(every, 50) * 1e3:6.2f} ms"
                  f"   p99 {percentile(every, 99) * 1e3:6.2f} ms"
                  f"   slowest {max(every) * 1e3:6.1f} ms   {len(every)} spans")  # fmt: skip
        for which in (50, 99):
            ratios = sorted(
                percentile(busy, which) / percentile(rest, which)
                for busy, rest in zip(self.busy, self.rest, strict=True)
            )
            print(f"  ratio of p{which}s: median {statistics.median(ratios):.2f},"
                  f" {ratios[0]:.2f} to {ratios[-1]:.2f}", flush=True)  # fmt: skip


def percentile(values: list[float], which: int) -> float:
    """Return a percentile by the nearest-rank method."""
    return sorted(values)[max(0, -(-len(values) * which // 100) - 1)]


class Bench:
    """A folder with a library, and the measurements on it."""

    def __init__(self, root: Path, rate: int, seconds: float) -> None:
        self.root = root
        self.media = root / "media"
        self.rate = rate
        self.seconds = seconds
        self.listed = 0

    def make(self, files: int) -> None:
        """Make the library: every third film has sidecar captions, every tenth a sidecar image."""
        originals = self.root / "originals"
        originals.mkdir()
        films = make_films(originals)
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=800x600", "-frames:v", 1, originals / "a.jpg")
        aged = time.time() - 86400
        for number in range(files):
            film = films[number % len(films)]
            folder = self.media / f"Folder {number // 50 + 1}"
            folder.mkdir(parents=True, exist_ok=True)
            copy = folder / f"{film.stem} {number:03}{film.suffix}"
            shutil.copyfile(film, copy)
            os.utime(copy, (aged, aged + number))
            if number % 3 == 0:
                copy.with_suffix(".en.srt").write_text(SUBTITLES)
            if number % 10 == 0:
                shutil.copyfile(originals / "a.jpg", copy.with_suffix(".jpg"))
        write_film(self.media / WATCHED, WATCHED_SIZE)
        self.listed = files + 1
        size = sum(file.stat().st_size for file in self.media.rglob("*"))
        print(f"{files} files of {len(films)} kinds, {size / 1e9:.1f} GB", flush=True)

    @contextmanager
    def started(self, derived: str) -> Iterator[tuple[Server, float]]:
        """Run the service; yield it and the time of its start."""
        before = time.monotonic()
        settings = {
            "DERIVED": str(self.root / derived),
            "MAX_PARTIAL_SIZE": str(BLOCK),
            "LOG_LEVEL": "error",
            "RESCAN_INTERVAL": "86400",
        }
        with start(self.media, log=subprocess.DEVNULL, **settings) as server:
            until(lambda: server.answers("/readyz") or None, "it is ready", TIMEOUT, 0.005)
            print(f"  ready after {time.monotonic() - before:.1f} s")
            yield server, before

    def derive_alone(self) -> None:
        """Derive everything without viewers; print how long each step took."""
        print("\nNothing derived yet, nobody watching")
        with self.started("derived") as (server, before):
            for title, done in (
                ("listed", lambda: videos(server) >= self.listed),
                ("probed", lambda: not pending(server)),
                ("derived", lambda: not pending(server) and not waiting(server)),
            ):
                until(lambda done=done: done() or None, title, TIMEOUT, 0.25)
                print(f"  all {title} after {time.monotonic() - before:.1f} s", flush=True)
            for kind in KINDS:
                series = partial('reelay_derived{{kind="{}",state="{}"}}'.format, kind)
                ready, failed = (server.metric(series(state)) for state in ("ready", "failed"))
                print(f"  {kind}: {ready:.0f}, and {failed:.0f} failed")
            print(f"  {server.metric('reelay_derived_bytes') / 1e6:.0f} MB kept")

    def derive_under_viewers(self, pairs: int) -> None:
        """Derive everything again with viewers, for that many pairs of windows."""
        print(f"\nThe same with {VIEWERS} viewers, {self.rate} spans of 64 KiB a second")
        with self.started("derived again") as (server, _):
            self.measure(server, "probing", pairs, lambda: bool(pending(server)))
            until(lambda: not pending(server) or None, "probed", TIMEOUT)
            self.measure(server, "deriving", pairs, lambda: bool(waiting(server)))

    def restart_and_add(self, added: int) -> None:
        """Start with everything derived; then move files in."""
        print("\nStarted again with everything derived")
        small = [self.root / f"new/new {number:04}.mp4" for number in range(added)]
        small[0].parent.mkdir()
        aged = time.time() - 3600
        for number, file in enumerate(small):
            shutil.copyfile(SAMPLE, file)
            os.utime(file, (aged, aged + number))
        with self.started("derived") as (server, _):
            until(lambda: not waiting(server) or None, "all is derived", TIMEOUT)
            probes = server.metric("reelay_probes_total")
            built = server.metric("reelay_derivations_total")
            print(f"  {probes:.0f} probes, {built:.0f} derivations")
            at_rest = self.watch(server)
            before = time.monotonic()
            (self.root / "new").rename(self.media / "new")
            first = self.watch(server)
            print(f"\n{added} files added at once")
            for name, window in (("before", at_rest), ("first window", first)):
                print(f"  {name:12} p50 {percentile(window, 50) * 1e3:6.2f} ms"
                      f"   p99 {percentile(window, 99) * 1e3:6.2f} ms"
                      f"   slowest {max(window) * 1e3:6.1f} ms")  # fmt: skip
            whole = self.listed + added
            until(lambda: videos(server) >= whole or None, "all are listed", TIMEOUT)
            print(f"  all listed after {time.monotonic() - before:.1f} s at most", flush=True)
            self.measure(server, "probing", 1000, lambda: bool(pending(server)))

    def measure(self, server: Server, title: str, pairs: int, active: Callable[[], bool]) -> None:
        """Measure pairs of windows while the service is active, and print them."""
        results = Pairs()
        for number in range(pairs):
            windows = {}
            for stopped in (False, True) if number % 2 else (True, False):
                with stopped_workers(server.process.pid) if stopped else nullcontext():
                    windows[stopped] = self.watch(server)
            if not active():
                break  # the service may have been idle for a part of the window
            results.busy.append(windows[False])
            results.rest.append(windows[True])
        results.show(title)

    def watch(self, server: Server) -> list[float]:
        """Run viewers for one window; return the seconds that each span took."""
        taken: list[float] = []
        begin = time.perf_counter() + 0.1
        viewers = [
            threading.Thread(target=self._view, args=(server, begin, number, taken))
            for number in range(VIEWERS)
        ]
        for viewer in viewers:
            viewer.start()
        for viewer in viewers:
            viewer.join()
        if len(taken) != int(self.rate * self.seconds / VIEWERS) * VIEWERS:
            raise SystemExit("a viewer failed")
        return taken

    def _view(self, server: Server, begin: float, number: int, taken: list[float]) -> None:
        choose = random.Random(number)  # noqa: S311 # no secret
        connection = http.client.HTTPConnection(server.base.removeprefix("http://"), timeout=60)
        connection.connect()
        each = VIEWERS / self.rate
        for turn in range(int(self.rate * self.seconds / VIEWERS)):
            due = begin + (turn + number / VIEWERS) * each
            pause = due - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
                due = time.perf_counter()
            block = choose.randrange(WATCHED_SIZE // BLOCK) * BLOCK
            first = block + choose.randrange(BLOCK - SPAN)
            headers = {"Range": f"bytes={first}-{first + SPAN - 1}"}
            connection.request("GET", f"/media/{WATCHED}", headers=headers)
            response = connection.getresponse()
            if response.status != http.client.PARTIAL_CONTENT or len(response.read()) != SPAN:
                return
            taken.append(time.perf_counter() - due)
        connection.close()


@contextmanager
def stopped_workers(pid: int) -> Iterator[None]:
    """Stop the worker processes of a service for the block."""
    stopped: set[int] = set()
    try:
        for _ in range(3):
            for worker in workers(pid) - stopped:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGSTOP)
                stopped.add(worker)
            time.sleep(0.1)  # another one may be starting
        yield
    finally:
        for worker in stopped:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)


def workers(pid: int) -> set[int]:
    """Return the worker processes of a service.

    Omit those that are still starting: the service waits for them, so viewers would wait, too.
    """
    listing = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return {int(line.split()[0]) for line in listing.splitlines() if ".library.worker" in line}


def videos(server: Server) -> float:
    """Return the number of listed videos."""
    return server.metric("reelay_videos{")


def pending(server: Server) -> float:
    """Return the number of videos that are not probed yet."""
    return server.metric('reelay_videos{state="pending"}')


def waiting(server: Server) -> float:
    """Return the number of waiting artefacts, including one that may be in progress."""
    return sum(server.metric(f'reelay_derived{{kind="{kind}",state="waiting"}}') for kind in KINDS)


if __name__ == "__main__":
    sys.exit(main())
