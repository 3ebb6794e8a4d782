"""Measure what the edge writes for viewers of a film, by REELAY_CACHE_MIN_USES.

    .venv/bin/python benchmarks/cache_writes.py [--mebibytes N] [--rounds N] [--uses 1,2,0]
        [--media FOLDER] [--cache FOLDER] [--cold] [--in-root-group]

Needs a Docker engine. For each value, three viewers watch a film, one after another, as fast as
they can. Prints for each viewer the bytes that the edge wrote to its disk and those that the
service sent, for each byte that the viewer got; processor time of both for each GiB; and the time
to the first byte of a block, the median and the longest. Medians of the rounds, each with another
film.

With `--cold` neither the films nor the cached blocks are in the page cache when a viewer begins,
and what was to be written has been written. A slow disk is a loop device in a file, of which both
folders are, and which is limited by control groups of version 1:

    losetup --direct-io=on /dev/loop0 file; mkfs.ext4 /dev/loop0; mount /dev/loop0 folder
    echo '7:0 10485760' > /sys/fs/cgroup/blkio/blkio.throttle.write_bps_device

The kernel writes back in the root group, and limits of a group are of its own processes alone. So
`--in-root-group` moves the processes of the containers there.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from film import write_film  # noqa: E402
from support.raw_http import connect  # noqa: E402
from support.service_counters import Fetched  # noqa: E402
from support.stack import Stack, running  # noqa: E402

BLOCK = 4 * 1024**2
VIEWERS = ("first", "second", "third")


@dataclass(frozen=True)
class View:
    """What one viewer of the whole film costs; bytes are for each byte that the viewer got."""

    written: float
    fetched: float
    edge: float
    """Seconds of processor time for each GiB."""
    service: float
    first_byte: float
    """Milliseconds, the median of all blocks."""
    longest: float
    rate: float
    """MB a second."""


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mebibytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uses", default="1,2,0", help="values of REELAY_CACHE_MIN_USES")
    parser.add_argument("--media", type=Path, help="where to write the films")
    parser.add_argument("--cache", type=Path, help="an empty folder for the edge's cache")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--in-root-group", action="store_true")
    options = parser.parse_args()
    size = options.mebibytes * 1024**2
    print(f"{'uses, viewer':12} {'written':>8} {'fetched':>8} {'edge s/GiB':>11}"
          f" {'service s/GiB':>14} {'first byte ms':>14} {'longest':>8} {'MB/s':>6}")  # fmt: skip
    for uses in options.uses.split(","):
        views: dict[str, list[View]] = {viewer: [] for viewer in VIEWERS}
        with stack_with(uses, options, size) as stack:
            for number in range(options.rounds):
                film = stack.media / f"film{number}.mp4"
                for viewer in VIEWERS:
                    if options.cold:
                        forget_pages([film, *(options.cache or Path("/nonexistent")).rglob("*")])
                    views[viewer].append(watch(stack, f"/media/{film.name}", size))
        for viewer, measured in views.items():
            middle = [statistics.median(one) for one in zip(*map(astuple, measured), strict=True)]
            written, fetched, edge, service, first_byte, longest, rate = middle
            print(f"{uses + ', ' + viewer:12} {written:8.2f} {fetched:8.2f} {edge:11.2f}"
                  f" {service:14.2f} {first_byte:14.1f} {longest:8.0f} {rate:6.0f}",
                  flush=True)  # fmt: skip
    return 0


@contextmanager
def stack_with(uses: str, options: argparse.Namespace, size: int) -> Iterator[Stack]:
    """Start a stack with one setting and a film for each round."""
    with tempfile.TemporaryDirectory(dir=options.media) as folder:
        media = Path(folder) / "media"
        media.mkdir()
        media.parent.chmod(0o755)
        for number in range(options.rounds):
            write_film(media / f"film{number}.mp4", size)
        files = []
        if options.cache:
            shutil.rmtree(options.cache, ignore_errors=True)
            (options.cache / "blocks").mkdir(parents=True)
            for path in (options.cache, options.cache / "blocks"):
                os.chown(path, 101, 101)
            volumes = {"volumes": [f"{options.cache}:/var/cache/nginx"]}
            files.append(Path(folder) / "cache.json")
            files[0].write_text(json.dumps({"services": {"nginx": volumes}}), encoding="utf-8")
        with running(
            media, *files, MAX_PARTIAL_SIZE=str(BLOCK), CACHE_MIN_USES=uses, SOUND="off"
        ) as stack:
            if options.in_root_group:
                for name in ("nginx", "service"):
                    for process in processes(stack.container(name)["Id"]):
                        group = Path("/sys/fs/cgroup/blkio/cgroup.procs")
                        group.write_text(process.name, encoding="ascii")
            yield stack


def forget_pages(paths: list[Path]) -> None:
    """Write what is to be written, and remove files from the page cache."""
    os.sync()
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def watch(stack: Stack, target: str, size: int) -> View:
    """Request the film block by block on one connection."""
    names = {name: stack.container(name)["Id"] for name in ("nginx", "service")}
    fetched = Fetched(stack)
    before = {name: usage(id_) for name, id_ in names.items()}
    began, first_bytes, position = time.perf_counter(), [], 0
    connection = connect(stack.base)
    while position < size:
        asked = time.perf_counter()
        connection.request("GET", target, headers={"Range": f"bytes={position}-"})
        response = connection.getresponse()
        position += len(response.read(1))
        first_bytes.append(time.perf_counter() - asked)
        while part := response.read(1024**2):
            position += len(part)
    took = time.perf_counter() - began
    connection.close()
    after = {name: usage(id_) for name, id_ in names.items()}
    spent = {name: (after[name][0] - before[name][0]) * 1024**3 / size for name in names}
    return View(
        (after["nginx"][1] - before["nginx"][1]) / size,
        fetched.sent_bytes / size,
        spent["nginx"],
        spent["service"],
        statistics.median(first_bytes) * 1e3,
        max(first_bytes) * 1e3,
        size / took / 1e6,
    )


def usage(container: str) -> tuple[float, int]:
    """Return the seconds of processor time of its processes, and the bytes that they wrote."""
    ticks = written = 0
    for process in processes(container):
        with suppress(OSError):  # it has ended
            fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            lines = (process / "io").read_text(encoding="ascii").splitlines()
            counts = dict(line.split(": ") for line in lines)
            ticks += int(fields[11]) + int(fields[12])
            written += int(counts["write_bytes"])  # proc_pid_io(5)
    return ticks / os.sysconf("SC_CLK_TCK"), written


def processes(container: str) -> Iterator[Path]:
    """Yield the folder in `/proc` of each process of a container."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if container in (process / "cgroup").read_text(encoding="ascii"):
                yield process


if __name__ == "__main__":
    sys.exit(main())
