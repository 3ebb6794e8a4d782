"""Measure the effect of slow clients on other clients, and the memory that they cost.

    .venv/bin/python benchmarks/slow.py [--slow 1000] [--headerless 500] [--seconds 60] [--rounds 3]
    .venv/bin/python benchmarks/slow.py --url https://localhost/media/film.mp4 --container NAME

Viewers request random spans of 64 KiB at a steady rate, in turn undisturbed and while slow clients
read 1 KiB/s each and others never finish their headers. Clients that are cut off reconnect. Prints
the 99th percentile of the viewers' response times, errors, and the largest growth of memory per
slow client.

Without --url it starts its own service without an edge. With --url, the memory is that of --pid
with its children, or of --container by its cgroup, including kernel buffers but not cached files.
Start an edge with REELAY_CONNECTIONS_PER_CLIENT=0 and REELAY_REQUESTS_PER_CLIENT=0, as all clients
have one address.

The slow clients are one process and the viewers another. The time of a request counts from when it
was due, so that it includes waiting for the request before it.
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
from slow_clients import Results, run_slow_clients, run_viewers
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
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
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
        crowd = context.Process(target=run_slow_clients, args=(options, theirs), daemon=True)
        crowd.start()
        ours.recv()  # all are connected
        time.sleep(WARM_UP)  # and have been answered
        beside = in_viewers(context, options, options.seconds)
        growth = beside.memory - before
        ours.send("end")
        load = ours.recv()
        crowd.join()
        quiet.append(alone.p99)
        loaded.append(beside.p99)
        if before and options.slow:
            growths.append(growth / options.slow / 1024)
        print(f"{number + 1:<6} {alone.p99 * 1e3:7.1f} ms {beside.p99 * 1e3:8.1f} ms"
              f" {beside.p99 / alone.p99:6.2f} {alone.p50 * 1e3:5.1f}, {beside.p50 * 1e3:.1f} ms"
              f" {alone.errors:>3},{beside.errors:>3}"
              f" {growths[-1] if growths else float('nan'):16.1f}  {load}", flush=True)  # fmt: skip
        time.sleep(7)  # the server closes the connections of the slow clients
    alone_p99, loaded_p99 = statistics.median(quiet), statistics.median(loaded)
    ratio = loaded_p99 / alone_p99
    print(f"median {alone_p99 * 1e3:7.1f} ms {loaded_p99 * 1e3:8.1f} ms {ratio:6.2f}")
    if growths:  # later rounds find free memory that the first one left behind
        print(f"memory: at most {max(growths):.1f} KiB more for each slow client")


def in_viewers(context: "multiprocessing.context.SpawnContext", options: argparse.Namespace,
               seconds: float) -> Results:  # fmt: skip
    ours, theirs = context.Pipe()
    process = context.Process(target=run_viewers, args=(options, seconds, theirs), daemon=True)
    process.start()
    peak = memory(options)
    while not ours.poll(1):
        peak = max(peak, memory(options))
    results: Results = ours.recv()
    process.join()
    results.memory = peak
    return results


# Memory


def memory(options: argparse.Namespace) -> int:
    """Return the memory in bytes; 0 without a process or a container."""
    if options.container:
        return of_container(options.container)
    if options.pid:
        return sum(private(pid) for pid in with_children(options.pid))
    return 0


def of_container(name: str) -> int:
    """Return the memory of its processes and of kernel buffers in bytes, by cgroup v2 or v1."""
    description = json.loads(subprocess.check_output(["docker", "inspect", name]))[0]
    lines = Path(f"/proc/{description['State']['Pid']}/cgroup").read_text().splitlines()
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
    """Return the private memory of a process in bytes."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(line[1]) for line in lines) * 1024


def with_children(pid: int) -> list[int]:
    pids = [pid]
    for parent in pids:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            pids += map(int, task.read_text().split())
    return pids


@contextlib.contextmanager
def own_service() -> Iterator[tuple[str, int]]:
    """Run a service with a film of random bytes."""
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder, "media")
        media.mkdir()
        write_film(media / "film.mp4", SIZE)
        settings = {"LOG_LEVEL": "warning", "MAX_PARTIAL_SIZE": "4MiB"}
        with serve(media, log=subprocess.DEVNULL, **settings) as server:
            time.sleep(2)  # until the film is probed
            yield f"{server.base}/media/film.mp4", server.process.pid


if __name__ == "__main__":
    sys.exit(main())
