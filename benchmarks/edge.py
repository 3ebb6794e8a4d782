"""How close the edge's warm cache comes to the same nginx serving the same file statically.

    python benchmarks/edge.py [--rounds N] [--seconds S] [--connections C]

Starts a stack of its own (`docker compose`, engine needed), fills the cache, and lets wrk ask both for
the same spans over TLS in turns: whole blocks, seeks to arbitrary offsets (to the block's end), and spans of
64 KiB. Prints the median of the rounds' ratios, edge to static, with their spread, and the processor time that
nginx took for a request.
"""

import argparse
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BLOCK = 4 * 1024**2
SIZE = 64 * BLOCK
KINDS = {"block": "whole blocks, 4 MiB", "seek": "arbitrary seeks", "span": "spans of 64 KiB"}
TARGETS = {"block": 0.97, "seek": 0.90, "span": 0.80}


@dataclass(frozen=True)
class Run:
    """What wrk and the kernel measured."""

    requests_per_second: float
    bytes_per_second: float
    processor: float
    """Seconds of nginx's processor time a request."""
    p99: float
    """Seconds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        media.chmod(0o755)
        write_film(media / "film.mp4")
        stack = Stack(media)
        try:
            stack.up()
            revision = stack.warm()
            print(f"{'':22} {'edge/static':>12} {'spread':>13} {'edge':>14} {'static':>14}"
                  f" {'CPU/req edge':>13} {'static':>8} {'ratio':>6}")
            for kind in options.kinds:
                measure(stack, kind, revision, options)
        finally:
            stack.down()
    return 0


def write_film(path: Path) -> None:
    """Write SIZE bytes that do not compress; what they are does not matter."""
    chunk = os.urandom(BLOCK)
    with path.open("wb") as file:
        for _ in range(SIZE // BLOCK):
            file.write(chunk)
    path.chmod(0o644)
    aged = time.time() - 60  # older than the time for which a file counts as changing
    os.utime(path, (aged, aged))


def measure(stack: "Stack", kind: str, revision: str, options: argparse.Namespace) -> None:
    edge, static = [], []
    for number in range(options.rounds + 1):
        pair = [
            (edge, lambda: stack.load(kind, 8443, f"/media/film.mp4?v={revision}", "capped",
                                      number, options)),
            (static, lambda: stack.load(kind, 8444, "/media/film.mp4", "", number, options)),
        ]  # fmt: skip
        for runs, run in pair if number % 2 else reversed(pair):
            result = run()
            if number:  # the first warms up
                runs.append(result)
    what = "requests_per_second" if kind == "span" else "bytes_per_second"
    ratios = sorted(getattr(e, what) / getattr(s, what) for e, s in zip(edge, static, strict=True))
    median = statistics.median(ratios)
    cpu_edge = statistics.median(run.processor for run in edge)
    cpu_static = statistics.median(run.processor for run in static)

    def shown(runs: list[Run]) -> str:
        value = statistics.median(getattr(run, what) for run in runs)
        return f"{value:,.0f} /s" if kind == "span" else f"{value / 1e6:,.0f} MB/s"

    print(f"{KINDS[kind]:22} {median:12.3f} {ratios[0]:6.3f}-{ratios[-1]:.3f} {shown(edge):>14}"
          f" {shown(static):>14} {cpu_edge * 1e6:10.0f} µs {cpu_static * 1e6:5.0f} µs"
          f" {cpu_edge / cpu_static:6.2f}", flush=True)


class Stack:
    """The compose stack with the static server beside it."""

    def __init__(self, media: Path) -> None:
        self.https, http, operator = (free_port() for _ in range(3))
        self._project = f"reelay-benchmark-{secrets.token_hex(3)}"
        self._environment = os.environ | {
            "REELAY_MEDIA_DIR": str(media),
            "REELAY_BIND": "127.0.0.1",
            "REELAY_HTTP_PORT": str(http),
            "REELAY_HTTPS_PORT": str(self.https),
            "REELAY_OPERATOR_PORT": str(operator),
            "REELAY_SETTLE_TIME": "0",
            "REELAY_MAX_PARTIAL_SIZE": str(BLOCK),
            "REELAY_CONNECTIONS_PER_CLIENT": "0",
            "REELAY_REQUESTS_PER_CLIENT": "0",
            "BENCHMARK_FOLDER": str(HERE.resolve()),
        }

    def compose(self, *words: str) -> str:
        command = ["docker", "compose", "--project-name", self._project,
                   "--file", "docker-compose.yml", "--file", "benchmarks/compose.yml", *words]  # fmt: skip
        done = subprocess.run(command, cwd=HERE.parent, env=self._environment, text=True,
                              capture_output=True, check=False)  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def up(self) -> None:
        self.compose("build")
        self.compose("up", "--detach", "--wait")
        self.host = self.address()

    def down(self) -> None:
        self.compose("down", "--volumes", "--rmi", "local", "--timeout", "10")

    def warm(self) -> str:
        """Bring every block into the cache; give the revision."""
        import ssl

        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE

        def get(target: str, span: str) -> tuple[str, str]:
            request = urllib.request.Request(
                f"https://localhost:{self.https}{target}", headers={"Range": span}
            )
            with urllib.request.urlopen(request, context=trusting) as response:
                response.read()
                return response.headers["ETag"].strip('"'), response.headers["X-Cache"]

        revision, _ = get("/media/film.mp4", "bytes=0-0")
        for _ in range(2):
            states = [get(f"/media/film.mp4?v={revision}", f"bytes={first}-")[1]
                      for first in range(0, SIZE, BLOCK)]  # fmt: skip
        if set(states) != {"HIT"}:
            raise SystemExit(f"not all blocks are cached: {states}")
        return revision

    def address(self) -> str:
        """Give the edge's own address: a published port has Docker's proxy in between."""
        name = self.compose("ps", "--quiet", "nginx").strip()
        (told,) = json.loads(subprocess.check_output(["docker", "inspect", name]))
        (network,) = told["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def processor(self) -> float:
        """Seconds of processor time that the edge's container has taken."""
        name = self.compose("ps", "--quiet", "nginx").strip()
        told = json.loads(subprocess.check_output(["docker", "inspect", name]))
        leader = told[0]["State"]["Pid"]
        total = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
                group = (status.parent / "cgroup").read_text()
            except OSError:
                continue
            if name in group or int(status.parent.name) == leader or int(fields[1]) == leader:
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def load(self, kind: str, port: int, path: str, capped: str, seed: int,
             options: argparse.Namespace) -> Run:  # fmt: skip
        before = self.processor()
        done = subprocess.run(
            ["wrk", "--threads", "1", "--connections", str(options.connections),
             "--duration", f"{options.seconds:g}", "--script", str(HERE / "ranges.lua"),
             f"https://{self.host}:{port}/", "--", kind, str(SIZE), str(BLOCK),
             capped, path, str(seed)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
        duration, requests, sent, errors, p99 = (int(word) for word in line.split()[1:])
        if errors:
            raise SystemExit(f"wrk saw {errors} errors: {done.stdout}")
        seconds = duration / 1e6
        cost = (self.processor() - before) / requests
        return Run(requests / seconds, sent / seconds, cost, p99 / 1e6)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
