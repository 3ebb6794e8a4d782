"""Measure what the edge writes for viewers of a film, by REELAY_CACHE_MIN_USES.

    .venv/bin/python benchmarks/cache_writes.py [--mebibytes N] [--rounds N]

Needs a Docker engine. For the first and the second request as the one by which a block is kept,
three viewers watch a film, one after another, as fast as they can. Prints for each viewer the bytes
that the edge wrote to its disk and those that the service sent, for each byte that the viewer got;
processor time of both for each GiB; and the time to the first byte of a block. Medians of the
rounds, each with another film.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
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
    rate: float
    """MB a second."""


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mebibytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size = options.mebibytes * 1024**2
    print(f"{'kept by, viewer':18} {'written':>8} {'fetched':>8} {'edge s/GiB':>11}"
          f" {'service s/GiB':>14} {'first byte ms':>14} {'MB/s':>6}")  # fmt: skip
    for uses in ("1", "2"):
        views: dict[str, list[View]] = {viewer: [] for viewer in VIEWERS}
        with tempfile.TemporaryDirectory() as folder:
            media = Path(folder)
            media.chmod(0o755)
            for number in range(options.rounds):
                write_film(media / f"film{number}.mp4", size)
            with running(media, MAX_PARTIAL_SIZE=str(BLOCK), CACHE_MIN_USES=uses) as stack:
                for number in range(options.rounds):
                    for viewer in VIEWERS:
                        views[viewer].append(watch(stack, f"/media/film{number}.mp4", size))
        for viewer, measured in views.items():
            middle = [statistics.median(one) for one in zip(*map(astuple, measured), strict=True)]
            written, fetched, edge, service, first_byte, rate = middle
            print(f"{uses + '. use, ' + viewer:18} {written:8.2f} {fetched:8.2f} {edge:11.2f}"
                  f" {service:14.2f} {first_byte:14.1f} {rate:6.0f}", flush=True)  # fmt: skip
    return 0


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
        size / took / 1e6,
    )


def usage(container: str) -> tuple[float, int]:
    """Return the seconds of processor time of its processes, and the bytes that they wrote."""
    ticks = written = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if container in (process / "cgroup").read_text(encoding="ascii"):
                fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
                lines = (process / "io").read_text(encoding="ascii").splitlines()
                counts = dict(line.split(": ") for line in lines)
                written += int(counts["write_bytes"])  # proc_pid_io(5)
    return ticks / os.sysconf("SC_CLK_TCK"), written


if __name__ == "__main__":
    sys.exit(main())
