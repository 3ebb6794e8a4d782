"""What slow clients cost the others, and the memory of whoever serves them.

    .venv/bin/python benchmarks/slow.py [--slow 1000] [--headerless 500] [--seconds 60] [--rounds 3]
    .venv/bin/python benchmarks/slow.py --url https://localhost/media/film.mp4 --container NAME

Viewers ask for random spans of 64 KiB, at a steady rate, by turns undisturbed and while slow
clients read 1 KiB/s each and others never finish their headers. Whoever is cut comes again. Prints
the 99th percentile of the viewers' answers, errors, and the most that memory grew by for each slow
client.

Without --url a service of its own is started, without an edge. With it, --pid (its children are
counted too) or --container (as its cgroup counts: the kernel's buffers too, cached files not) says
whose memory to read. An edge is to be started with REELAY_CONNECTIONS_PER_CLIENT=0 and
REELAY_REQUESTS_PER_CLIENT=0: all of these have one address.

The slow clients are one process and the viewers another. A request's time counts from when it was
due, so that a wait for the one before is not left out.
"""

import argparse
import contextlib
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from film import write_film
from slow_clients import Seen, be_slow, be_viewers
from support.server import serve

SIZE = 256 * 1024**2

WARM_UP = 3  # seconds, not counted


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", help="of a film of 1 MiB or more")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--container")
    parser.add_argument("--slow", type=int, default=1000)
    parser.add_argument("--headerless", type=int, default=500)
    parser.add_argument("--whole", action="store_true", help="slow clients ask without a range")
    parser.add_argument("--viewers", type=int, default=8)
    parser.add_argument("--rate", type=float, default=10, help="spans a second for each viewer")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        if options.url is None:
            options.url, options.pid = stack.enter_context(own_service())
        measure(options)
    return 0


def measure(options: argparse.Namespace) -> None:
    context = multiprocessing.get_context("spawn")
    in_viewers(context, options, WARM_UP)
    quiet, loaded, growths = [], [], []
    print(f"{'round':6} {'p99 alone':>10} {'p99 loaded':>11} {'ratio':>6} {'p50':>14} {'errors':>7}"
          f" {'KiB/slow client':>16}  slow clients")  # fmt: skip
    for number in range(options.rounds):
        alone = in_viewers(context, options, options.seconds)
        before = memory(options)
        ours, theirs = context.Pipe()
        crowd = context.Process(target=be_slow, args=(options, theirs), daemon=True)
        crowd.start()
        ours.recv()  # all are connected
        time.sleep(WARM_UP)  # and have been answered
        beside = in_viewers(context, options, options.seconds)
        growth = beside.memory - before
        ours.send("end")
        told = ours.recv()
        crowd.join()
        quiet.append(alone.p99)
        loaded.append(beside.p99)
        if before and options.slow:
            growths.append(growth / options.slow / 1024)
        print(f"{number + 1:<6} {alone.p99 * 1e3:7.1f} ms {beside.p99 * 1e3:8.1f} ms"
              f" {beside.p99 / alone.p99:6.2f} {alone.p50 * 1e3:5.1f}, {beside.p50 * 1e3:.1f} ms"
              f" {alone.errors:>3},{beside.errors:>3}"
              f" {growths[-1] if growths else float('nan'):16.1f}  {told}", flush=True)  # fmt: skip
        time.sleep(7)  # those who are gone are let go
    alone_p99, loaded_p99 = statistics.median(quiet), statistics.median(loaded)
    ratio = loaded_p99 / alone_p99
    print(f"median {alone_p99 * 1e3:7.1f} ms {loaded_p99 * 1e3:8.1f} ms {ratio:6.2f}")
    if growths:  # later rounds find free memory that the first one left behind
        print(f"memory: at most {max(growths):.1f} KiB more for each slow client")


def in_viewers(context: "multiprocessing.context.SpawnContext", options: argparse.Namespace,
               seconds: float) -> Seen:  # fmt: skip
    ours, theirs = context.Pipe()
    process = context.Process(target=be_viewers, args=(options, seconds, theirs), daemon=True)
    process.start()
    most = memory(options)
    while not ours.poll(1):
        most = max(most, memory(options))
    seen: Seen = ours.recv()
    process.join()
    seen.memory = most
    return seen


# Whose memory


def memory(options: argparse.Namespace) -> int:
    """Return the memory in bytes; 0 without a process or a container."""
    if options.container:
        return of_container(options.container)
    if options.pid:
        return sum(private(pid) for pid in with_children(options.pid))
    return 0


def of_container(name: str) -> int:
    """Count its processes' own memory and the kernel's buffers, by cgroup v2 or v1."""
    told = json.loads(subprocess.check_output(["docker", "inspect", name]))[0]
    lines = Path(f"/proc/{told['State']['Pid']}/cgroup").read_text().splitlines()
    groups = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    folder = Path("/sys/fs/cgroup/memory" + groups["memory"] if "memory" in groups
                  else "/sys/fs/cgroup" + groups[""])  # fmt: skip
    lines = (folder / "memory.stat").read_text().splitlines()
    counted = {key: int(value) for key, value in map(str.split, lines)}
    if "memory" not in groups:
        return counted["anon"] + counted["kernel"] + counted["sock"]
    files = ("memory.kmem.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes")
    return counted["total_rss"] + sum(int((folder / name).read_text()) for name in files)


def private(pid: int) -> int:
    """Return the bytes that would be free without this process."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(line[1]) for line in lines) * 1024


def with_children(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


@contextlib.contextmanager
def own_service() -> Iterator[tuple[str, int]]:
    """Run a service on a film of random bytes."""
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder, "media")
        media.mkdir()
        write_film(media / "film.mp4", SIZE)
        settings = {"LOG_LEVEL": "warning", "MAX_PARTIAL_SIZE": "4MiB"}
        with serve(media, log=subprocess.DEVNULL, **settings) as server:
            time.sleep(2)  # the film has been looked at
            yield f"{server.base}/media/film.mp4", server.process.pid


if __name__ == "__main__":
    sys.exit(main())
