"""Compare the speed of the service with other Python servers and nginx on the same file.

    .venv/bin/pip install -e '.[benchmark]'
    .venv/bin/python benchmarks/service.py [--rounds N] [--seconds S] [--connections C,...]
                                           [--work NAME,...] [--without PEER,...]

Needs wrk, and a Docker engine for nginx (NGINX_IMAGE names its image). Starts all servers on
loopback, one process each (nginx: one worker), and runs wrk on them in turn, in a random order each
round. Prints for each workload the rates, the median of the ratios of the service to each peer with
their spread, and the processor time of the server's processes per request and per GiB; finally the
peak memory of each. `bare` is a minimal ASGI application: the cost of Hypercorn itself. `zerocopy`
is another one, which lets the kernel send the file (docs/hypercorn-zero-copy.patch; needs `patch`).
`as file` is the service again, asked for a file that is sent as it is.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from film import write_film, write_matroska  # noqa: E402
from support.server import free_port, serve, until  # noqa: E402

BLOCK = 4 * 1024**2
SIZE = 256 * BLOCK
FILM = "/media/film.mp4"
OURS = "service"
MATROSKA = "/media/film.mkv"
MINIMAL_PEERS = ("bare", "zerocopy")
FILE_PEERS = ("tutorial", "starlette", "aiohttp", "nginx")


@dataclass(frozen=True)
class Workload:
    """A kind of requests to the service and to its peers (the servers it is compared with)."""

    title: str
    kind: str
    """The kind of requests in ranges.lua."""
    peers: tuple[str, ...]
    target: str = FILM
    peers_target: str = FILM


WORKLOADS = {
    "64k": Workload("spans of 64 KiB", "65536", (*MINIMAL_PEERS, *FILE_PEERS)),
    "1m": Workload("spans of 1 MiB", "1048576", (*MINIMAL_PEERS, *FILE_PEERS)),
    "4m": Workload("blocks of 4 MiB", str(BLOCK), (*MINIMAL_PEERS, *FILE_PEERS)),
    "whole": Workload("the whole file, 1 GiB", "whole", FILE_PEERS),
    "mp4": Workload("spans of 1 MiB of a Matroska file as MP4", "1048576", ("as file",), MATROSKA),
    "json": Workload(
        "one video's JSON", "whole", ("tutorial",), "/api/videos/sample.mp4", "/constant"
    ),
    "page": Workload("the library's page", "whole", ("tutorial",), "/", "/"),
}


# Whether a film has been probed, and whether it is sent as MP4.
READY = {("probed", "none"), ("probed", "ready")}


@dataclass(frozen=True)
class Run:
    """Measurements by wrk and the kernel."""

    requests: float
    """Per second."""
    sent: float
    """Bytes per second."""
    processor: float
    """The server's processor time in seconds, in clock ticks of 10 ms, during `seconds`."""
    seconds: float

    def rate(self, work: Workload) -> float:
        """Return the rate to compare: bytes for films, as not all responses finish in time."""
        return self.sent if work.target in {FILM, MATROSKA} else self.requests


@dataclass
class Server:
    """A server to compare."""

    name: str
    port: int
    cgroup: str = ""
    """A part of the name of its processes' control group; if empty, `root` is their parent."""
    root: int = 0
    peak: int = 0
    """The peak memory in bytes."""
    runs: list[Run] = field(default_factory=list)

    def processes(self) -> Iterator[Path]:
        """Yield its processes."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.cgroup:
                    ours = self.cgroup in (process / "cgroup").read_text()
                else:
                    parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                    ours = self.root in (int(process.name), parent)
                if ours:
                    yield process

    def processor(self) -> float:
        """Return the seconds of processor time that its processes have taken."""
        total = 0
        for process in self.processes():
            with suppress(OSError):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def record_memory(self) -> None:
        """Record the peak resident memory since the last call, and reset it."""
        now = 0
        for process in self.processes():
            with suppress(OSError, IndexError):  # a process that has just ended
                status = (process / "status").read_text()
                now += 1024 * int(status.partition("VmHWM:")[2].split()[0])
                (process / "clear_refs").write_text("5")
        self.peak = max(self.peak, now)


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="whole seconds")
    parser.add_argument("--connections", default="1,8,64")
    parser.add_argument("--work", default=",".join(WORKLOADS))
    parser.add_argument("--without", default="")
    options = parser.parse_args()
    left_out = set(options.without.split(","))
    works = options.work.split(",")
    peers = {peer for name in works for peer in WORKLOADS[name].peers}
    with servers({OURS, *peers} - left_out, matroska="mp4" in works) as running:
        for name in works:
            for connections in map(int, options.connections.split(",")):
                compare(running, WORKLOADS[name], connections, options.rounds, options.seconds)
        memory = ", ".join(f"{s.name} {s.peak / 1e6:.0f} MB" for s in running.values())
        print(f"\npeak memory: {memory}")
    return 0


@contextmanager
def servers(names: Iterable[str], *, matroska: bool) -> Iterator[dict[str, Server]]:
    """Run all servers on one folder with one film, and with one in Matroska if that is wanted."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        media = folder / "media"
        media.mkdir()
        write_film(media / "film.mp4", SIZE)
        shutil.copy2(HERE.parent / "media" / "sample.mp4", media)
        if matroska:
            write_matroska(media / "film.mkv", media / "sample.mp4", SIZE)
        running = {}
        for name in sorted(names):
            start = {OURS: service, "as file": service, "nginx": nginx}.get(name, peer)
            running[name] = stack.enter_context(start(name, media))
        yield running


@contextmanager
def service(name: str, media: Path) -> Iterator[Server]:
    """Run the service, and wait until the sample is probed, and the Matroska file is an MP4."""
    with serve(media, log=subprocess.DEVNULL, MAX_PARTIAL_SIZE=str(BLOCK)) as running:
        port = int(running.base.rpartition(":")[2])

        def is_ready(file: Path) -> bool | None:
            url = f"http://127.0.0.1:{port}/api/videos/{file.name}"
            with urlopen(url) as answer:
                video = json.load(answer)
            return (video["state"], video["remux"]["state"]) in READY or None

        for file in sorted({media / "sample.mp4", *media.glob("*.mkv")}):
            until(lambda: is_ready(file), f"{file.name} is examined")  # noqa: B023 # called at once
        yield Server(name, port, root=running.process.pid)


@contextmanager
def peer(name: str, media: Path) -> Iterator[Server]:
    """Run a server of peers.py."""
    port = free_port()
    command = [sys.executable, str(HERE / "peers.py"), name, str(port), str(media)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield Server(name, port, root=process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def nginx(name: str, media: Path) -> Iterator[Server]:
    """Run nginx in a container that shares the machine's network."""
    port = free_port()
    settings = media.parent / "nginx.conf"
    settings.write_text(
        "worker_processes 1; events {} http { access_log off; sendfile on;"
        f" keepalive_requests 1000000; server {{ listen 127.0.0.1:{port}; root /; }} }}"
    )
    image = os.environ.get("NGINX_IMAGE", "nginx:1.30")
    docker = shutil.which("docker") or sys.exit("needs Docker for nginx, or --without nginx")
    mounts = [f"--volume={media}:/media:ro", f"--volume={settings}:/etc/nginx/nginx.conf:ro"]
    run = [docker, "run", "--detach", "--rm", "--network=host", *mounts, "--entrypoint=nginx"]
    container = subprocess.run(
        [*run, image, "-g", "daemon off;"], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        wait_for(port)
        yield Server(name, port, cgroup=container)
    finally:
        subprocess.run([docker, "rm", "--force", container], capture_output=True, check=True)


def wait_for(port: int) -> None:
    """Wait until a process listens on the port."""

    def listens() -> bool | None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return None
        return True

    until(listens, f"a process listens on {port}")


def measure(server: Server, work: Workload, connections: int, seconds: int, seed: int) -> Run:
    """Run wrk on a server."""
    target = work.target if server.name == OURS else work.peers_target
    arguments = [work.kind, str(SIZE), str(BLOCK), "no", target, str(seed)]
    bounds = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}"]
    script = ["--timeout", "30", "--script", str(HERE / "ranges.lua")]
    before = server.processor()
    url = f"http://127.0.0.1:{server.port}/"
    done = subprocess.run(
        ["wrk", *bounds, *script, url, "--", *arguments], capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    duration, requests, sent, errors = (int(word) for word in line.split()[1:])
    if errors:
        raise SystemExit(f"wrk saw {errors} errors of {server.name}: {done.stdout}")
    took = duration / 1e6
    return Run(requests / took, sent / took, server.processor() - before, took)


def compare(
    running: dict[str, Server], work: Workload, connections: int, rounds: int, seconds: int
) -> None:
    """Run all servers in turn; print the ratios of the rounds."""
    names = [name for name in (OURS, *work.peers) if name in running]
    for name in names:
        running[name].runs.clear()
    for number in range(rounds + 1):
        for name in random.sample(names, len(names)):
            run = measure(running[name], work, connections, seconds, number)
            running[name].record_memory()
            if number:  # the first warms up
                running[name].runs.append(run)
    plural = "s" if connections > 1 else ""
    print(f"\n{work.title}, {connections} connection{plural}")
    print(f"{'':10} {'rate':>12} {'service is':>11} {'spread':>12} {'ms/request':>11} {'s/GiB':>7}")
    ours = [run.rate(work) for run in running[OURS].runs]
    for name in names:
        runs = running[name].runs
        rates = [run.rate(work) for run in runs]
        ratios = sorted(mine / its for mine, its in zip(ours, rates, strict=True))
        times = "" if name == OURS else f"{statistics.median(ratios):.2f} x"
        spread = "" if name == OURS else f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
        processor = sum(run.processor for run in runs)
        sent = sum(run.sent * run.seconds for run in runs)
        answered = sum(run.requests * run.seconds for run in runs)
        if work.kind.isdigit():
            answered = sent / int(work.kind)
        rate = statistics.median(rates)
        film = work.target in {FILM, MATROSKA}
        shown = f"{rate / 1e6:,.0f} MB/s" if film else f"{rate:,.0f} /s"
        each = "" if film and work.kind == "whole" else f"{processor / answered * 1e3:.2f}"
        per_gib = f"{processor / sent * 1024**3:.2f}" if film else ""
        print(f"{name:10} {shown:>12} {times:>11} {spread:>12} {each:>11} {per_gib:>7}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
