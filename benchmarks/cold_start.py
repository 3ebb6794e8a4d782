"""Measure the start of the containers: from nothing to ready.

    .venv/bin/python benchmarks/cold_start.py [--starts N] [--videos N]

Needs a Docker engine. Builds the images, makes a library, and starts N times each, without
volumes of an earlier start: a container that does nothing, which is the engine's own share; the
service, from `docker run` until `/readyz` answers 200; the edge, until `/edge/healthz` does; and
the stack, until `docker compose up --wait` returns. Prints the median, the shortest and the longest
time, and the processor time of the container until then.
"""

import argparse
import http.client
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from support.server import until  # noqa: E402
from support.stack import Stack, docker, require_engine  # noqa: E402

ALONE = (
    "--no-healthcheck",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges:true",
    "--init",
)
EDGE_FOLDERS = ("--tmpfs=/run/nginx:uid=101,gid=101,mode=755", "--tmpfs=/tmp")


@dataclass(frozen=True)
class Start:
    """One start."""

    seconds: float
    processor: float = 0.0
    """Seconds of processor time of all of the container's processes until it was ready."""


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--starts", type=int, default=9)
    parser.add_argument("--videos", type=int, default=100)
    options = parser.parse_args()
    require_engine()
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        make_library(media, options.videos)
        with built(media) as stack:
            kinds = kinds_of_start(stack)
            starts: dict[str, list[Start]] = {kind: [] for kind in kinds}
            for _ in range(options.starts):
                for kind, start in kinds.items():
                    starts[kind].append(start())
    print(f"{'':40} {'seconds':>8} {'spread':>14} {'CPU s':>8}")
    for kind, measured in starts.items():
        times = sorted(one.seconds for one in measured)
        cost = statistics.median(one.processor for one in measured)
        print(f"{kind:40} {statistics.median(times):8.2f} {times[0]:6.2f} to {times[-1]:.2f}"
              f" {cost or '':8.4}")  # fmt: skip
    return 0


def make_library(media: Path, videos: int) -> None:
    """Link the sample clip."""
    media.chmod(0o755)
    clip = media / "clip 0001.mp4"
    clip.write_bytes((HERE.parent / "media/sample.mp4").read_bytes())
    clip.chmod(0o644)
    aged = time.time() - 3600
    os.utime(clip, (aged, aged))
    for number in range(2, videos + 1):
        (media / f"clip {number:04}.mp4").hardlink_to(clip)


@contextmanager
def built(media: Path) -> Iterator[Stack]:
    """Build the images of a stack; remove them afterwards."""
    stack = Stack(media)
    try:
        stack.compose("build")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--rmi", "local")


def kinds_of_start(stack: Stack) -> dict[str, Callable[[], Start]]:
    service, edge = (f"{stack.project}-{name}" for name in ("service", "nginx"))
    served = ("--volume", f"{stack.media}:/media:ro", "--tmpfs=/tmp")
    volumes = ("--volume=/var/cache/reelay", "--volume=/var/lib/reelay")
    return {
        "a container that does nothing": lambda: _run(service, "sleep", "60"),
        "the service, to /readyz": lambda: _run(*served, *volumes, service, ready="8000/readyz"),
        "the edge, to /edge/healthz": lambda: _run(
            *EDGE_FOLDERS,
            *("--volume=/var/cache/nginx", "--volume=/etc/nginx/tls"),
            *("--env=REELAY_SERVICE=localhost", "--env=REELAY_KEY="),
            edge,
            ready="9145/edge/healthz",
        ),
        "the stack, `docker compose up --wait`": lambda: _up(stack),
    }


def _run(*words: str, ready: str = "") -> Start:
    """Run a container until `ready`, a port and a path, answers 200; remove it."""
    before = time.monotonic()
    name = docker("run", "--detach", *ALONE, *words)
    try:
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
        if ready:
            port, _, path = ready.partition("/")
            until(
                lambda: _answers(address, int(port), f"/{path}") or None, "it is ready", 60, 0.005
            )
        return Start(time.monotonic() - before, _processor(name))
    finally:
        docker("rm", "--force", "--volumes", name)


def _answers(address: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _up(stack: Stack) -> Start:
    before = time.monotonic()
    stack.up()
    took = time.monotonic() - before
    stack.compose("down", "--volumes", "--timeout", "1")
    return Start(took)


def _processor(container: str) -> float:
    """Return the seconds of processor time of its processes, and of those that have ended."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if container in (process / "cgroup").read_text(encoding="ascii"):
                fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                total += sum(map(int, fields[11:15]))  # proc_pid_stat(5): utime to cstime
    return total / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
