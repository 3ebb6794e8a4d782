"""Measure growth with the library: start, memory, listings, and a scan without changes.

    .venv/bin/python benchmarks/growth.py [--videos N,...] [--asked N] [--probing S]

Makes a library of each size from hard links to the sample clip, 100 per folder, and starts the
service on it. First without artefacts: it probes for at most S seconds, while /healthz is requested
continually, whose slowest answer shows how long the event loop was blocked. The missing probe
results are then written into the artefact store, as all clips are the same. Then with everything
derived: a start for which the catalogue has nothing of these results, and one for which it has all,
consecutive listings on one connection, and scans triggered by a file next to the videos. Memory per
video is the growth over an empty library. Searches are different ones in turns, as the result of
the latest one is kept.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from support.server import Server, start, until  # noqa: E402

from service.artefact_store.folder import FolderArtefactStore  # noqa: E402
from service.artefacts.probe_cache import ProbeCache  # noqa: E402
from service.storage.local.folder import LocalStorage  # noqa: E402

FOLDER_VIDEOS = 100
"""Videos per folder."""
MAX_LINKS = 50_000
"""Links to one file: ext4 has at most 65,000."""
QUOTA = 1 << 30
"""Bytes of the artefact store, more than needed."""
SCANS = 3
TIMEOUT = 600  # seconds
WORDS = (
    "A Long Way Home",
    "The Third Man",
    "Überfahrt",
    "Night on Earth",
    "Ран",
    "Amélie",
    "七人の侍",
)

PAGE = "/api/videos?limit=50"
LISTINGS = {
    "/api/videos?limit=50": PAGE,
    "  a later page of it": "",  # the server sets its cursor
    "  a search that finds few": f"{PAGE}&q=way+episode+042",
    "  a search that finds all": f"{PAGE}&q=series+mp4",
    "/": "/",
}


SEARCHES = [
    "/api/videos?limit=50&q=" + words
    for words in (
        *("way+episode+042", "series+mp4", "man", "7", "e", "long+way+home", "habror", "epsode"),
        *(
            "third+man+1",
            "series+7",
            "uberfahrt",
            "amelie+100",
            "001.mp4",
            "-",
            "%D0%A0%D0%B0%D0%BD",
        ),
    )
]


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--videos", default="100,1000,10000")
    parser.add_argument("--asked", type=int, default=200, help="times that a listing is asked for")
    parser.add_argument("--probing", type=float, default=20, help="seconds of probing at most")
    options = parser.parse_args()
    sizes = [0, *map(int, options.videos.split(","))]
    columns = []
    for videos in sizes:
        with tempfile.TemporaryDirectory() as folder:
            library = Library(Path(folder), videos)
            library.make()
            library.measure_underived(options.probing)
            library.measure_derived(options.asked)
            columns.append(library)
    empty = columns[0]
    for library in columns[1:]:
        each = (library.memory - empty.memory) / library.videos
        library.figures["memory a video"] = f"{each / 1024:.1f} KiB"
    print_table(columns)
    return 0


@dataclass
class Library:
    """A library of some size, and its measurements."""

    root: Path
    videos: int
    memory: int = 0
    """Bytes."""
    figures: dict[str, str] = field(default_factory=dict)

    def make(self) -> None:
        """Link the clip, without its title so that each video is listed by its file name."""
        data = (HERE.parent / "media/sample.mp4").read_bytes().replace(b"\xa9nam", b"free")
        aged = time.time() - 3600
        (self.root / "media").mkdir()
        for number in range(self.videos):
            if number % MAX_LINKS == 0:
                clip = self.root / f"clip-{number}.mp4"
                clip.write_bytes(data)
                os.utime(clip, (aged, aged))
            series, episode = divmod(number, FOLDER_VIDEOS)
            folder = self.root / f"media/Series {series + 1}"
            folder.mkdir(exist_ok=True)
            title = f"{WORDS[series % len(WORDS)]} - episode {episode + 1:03}"
            (folder / f"{title}.mp4").hardlink_to(clip)

    def measure_underived(self, limit: float) -> None:
        """Start without artefacts, and measure the probing."""
        with started(self.root) as (server, took):
            self.figures["start to ready, nothing derived"] = seconds(took)
            before = time.monotonic()
            with Watch(server) as watch, suppress(AssertionError):
                until(lambda: pending(server) == 0 or None, "probed", limit)
            until(lambda: self.has_result() or self.videos == 0, "a result is stored")
            spent = time.monotonic() - before
            probed = server.metric("reelay_probes_total")
        self.figures["  slowest /healthz while probing"] = watch.slowest
        self.figures["  probes a second"] = f"{probed / spent:.0f}"

    def measure_derived(self, requests: int) -> None:
        """Start with everything derived; measure listings and scans."""
        self.derive()
        with started(self.root) as (server, took):
            self.figures["start to ready, the catalogue lost"] = seconds(took)
            self.figures["  processor time until then"] = seconds(processor_time(server))
        with started(self.root) as (server, took):
            self.figures["start to ready, all derived"] = seconds(took)
            self.figures["  its processor time"] = seconds(processor_time(server))
            for title, target in LISTINGS.items():
                times = ask_often(server, [target or later_page(server)], requests)
                self.figures[title] = formatted(times)
            self.figures["searches"] = formatted(ask_often(server, SEARCHES, requests))
            self.memory = server.resident()
            self.figures["memory"] = f"{self.memory >> 20} MiB"
            with Watch(server) as watch:
                before = processor_time(server)
                scans = [self.scan(server) for _ in range(SCANS)]
                spent = (processor_time(server) - before) / SCANS
            self.figures["a scan that finds nothing new"] = seconds(statistics.median(scans))
            self.figures["  processor time meanwhile"] = seconds(spent)
            self.figures["  slowest /healthz meanwhile"] = watch.slowest
            self.figures["  probes"] = f"{server.metric('reelay_probes_total'):.0f}"
            if pending(server):
                raise SystemExit("not everything was derived")

    def has_result(self) -> bool:
        """Return whether the result of a probe is stored, and not only counted."""
        return any(path.is_file() for path in (self.root / "derived/metadata").rglob("*"))

    def derive(self) -> None:
        """Write the missing probe results."""
        cache, missing, sample = (
            ProbeCache(FolderArtefactStore(self.root / "derived", QUOTA)),
            [],
            None,
        )
        for entry in LocalStorage(self.root / "media").list_entries():
            record = cache.load(entry.path, entry.revision)
            sample = sample or record
            if record is None:
                missing.append(entry)
        for entry in missing:
            if sample:
                cache.save(entry.path, entry.revision, sample)

    def scan(self, server: Server) -> float:
        """Trigger a scan by a change of a file that is not a video; return its seconds."""
        count, before = (server.metric(f"reelay_scan_seconds_{of}") for of in ("count", "sum"))
        (self.root / "media/notes.txt").write_text(str(count))
        until(lambda: server.metric("reelay_scan_seconds_count") > count or None, "a scan", TIMEOUT)
        return server.metric("reelay_scan_seconds_sum") - before


@contextmanager
def started(root: Path) -> Iterator[tuple[Server, float]]:
    """Run the service; yield it and the seconds until it was ready."""
    before = time.monotonic()
    with start(root / "media", RESCAN_INTERVAL="86400", LOG_LEVEL="warning") as server:
        until(lambda: server.answers("/readyz") or None, "it is ready", TIMEOUT, pause=0.005)
        yield server, time.monotonic() - before


class Watch:
    """Request /healthz continually, which needs only the event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._times: list[float] = []

    @property
    def slowest(self) -> str:
        return f"{max(self._times) * 1e3:.0f} ms"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.is_set():
            self._times += ask_often(self._server, ["/healthz"], 20, pause=0.002)


def ask_often(server: Server, targets: Sequence[str], times: int, pause: float = 0) -> list[float]:
    """Send consecutive requests for the targets in turns; return the seconds that each took."""
    connection = http.client.HTTPConnection(server.base.removeprefix("http://"), timeout=60)
    connection.connect()
    taken = []
    for number in range(times):
        target = targets[number % len(targets)]
        before = time.perf_counter()
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
        taken.append(time.perf_counter() - before)
        if response.status != 200:  # noqa: PLR2004 # OK
            raise SystemExit(f"{target} was answered {response.status}")
        time.sleep(pause)
    connection.close()
    return taken


def later_page(server: Server) -> str:
    """Return the URL of the page in the middle of the listing, or of the last page before it."""
    connection = http.client.HTTPConnection(server.base.removeprefix("http://"), timeout=60)
    target, seen = PAGE, 0
    while True:
        connection.request("GET", target)
        page = json.load(connection.getresponse())
        seen += len(page["videos"])
        if page["next_url"] is None or seen > page["total"] / 2:
            connection.close()
            return page["next_url"] or target
        target = page["next_url"]


def processor_time(server: Server) -> float:
    """Return the seconds of processor time that the service has used, in all its threads."""
    return server.metric("process_cpu_seconds_total")


def pending(server: Server) -> float:
    """Return the number of videos that are not probed yet."""
    return server.metric('reelay_videos{state="pending"}')


def seconds(value: float) -> str:
    """Format a time."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.0f} ms"


def formatted(times: list[float]) -> str:
    """Format the median, the 99th percentile and the first time, which may include preparations."""
    middle, high = statistics.median(times), statistics.quantiles(times, n=100)[-1]
    return f"{middle * 1e3:.1f} / {high * 1e3:.1f} / {times[0] * 1e3:.1f}"


def print_table(columns: list[Library]) -> None:
    """Print a line for each figure; of listings median, 99th percentile and first in ms."""
    print(f"{'videos':34}" + "".join(f"{library.videos:>20,}" for library in columns))
    for title in columns[-1].figures:
        values = (library.figures.get(title, "") for library in columns)
        print(f"{title:34}" + "".join(f"{value:>20}" for value in values))


if __name__ == "__main__":
    sys.exit(main())
