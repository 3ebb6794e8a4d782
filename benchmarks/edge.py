"""Compare the edge's warm cache with the same nginx serving the same file statically.

    .venv/bin/python benchmarks/edge.py [--only static|cold|access|counting|steps]
        [--rounds N] [--seconds S] [--connections C] [--blocks KIB,...]

Needs a Docker engine and wrk. Starts its own stack, fills the cache, and requests the same spans
from both over TLS in turn with wrk: whole blocks, arbitrary offsets to the block's end, and spans
of 64 KiB. Prints the median of the ratios (edge to static) with their range, and the ratio of
nginx's processor time per request.

Then it requests blocks that the edge has not cached, each also from the service alone, in turns.
Prints the median of the first byte's time and of the ratios (edge to service), and what 4 MiB cost.
`--blocks` names sizes of blocks, each with a stack of its own, to show what smaller ones would
give.

Then it compares spans of 64 KiB by a share link, and by a session, at an edge with access control
with those of an edge that is open to everybody: the ratio of each pair, and of the processor time.
Then it compares them at an edge that counts what viewers get (nginx/snippets/delivery.conf) with
those of one that does not. Last it compares them at edges that lack one step each with those of the
whole edge, which shows what each step costs.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Before this folder, whose service.py is no package.
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from film import write_film  # noqa: E402
from support.raw_http import ask, connect  # noqa: E402
from support.service_counters import Fetched  # noqa: E402
from support.shared_links import KeyHolder  # noqa: E402
from support.stack import Stack, running  # noqa: E402

BLOCK = 4 * 1024**2
SIZE = 64 * BLOCK
COLD = 16 * BLOCK
"""Bytes of a round of cold blocks."""
SPAN = str(64 * 1024)
KINDS = {str(BLOCK): "whole blocks of 4 MiB", "seek": "arbitrary seeks", SPAN: "spans of 64 KiB"}
NGINX = HERE.parent / "nginx"
# Edges without one step: the file, what is replaced in it, and by what.
STEPS = {
    # For URLs with a revision, and spans within a block: what njs/cache_lookup.js redirects to.
    "an edge that looks nothing up": (
        "snippets/media-lookup.conf",
        r"js_import.*\njs_content.*",
        f"""slice {BLOCK};
        include snippets/proxy-headers.conf;
        include snippets/cache-read-only.conf;
        include snippets/media-response-headers.conf;
        add_header X-Cache $cache_status always;
        proxy_cache blocks;
        proxy_cache_key $request_uri|$slice_range;
        proxy_set_header Range $slice_range;
        include snippets/internal-proxy.conf;
        proxy_pass http://fetcher$request_uri;""",
    ),
    "an edge without an access log": (
        "snippets/access-log.conf",
        r"access_log /dev/stdout json .*",
        "access_log off;",
    ),
    "an edge that logs line by line": ("snippets/access-log.conf", r" buffer=4k flush=1s", ""),
    "an edge without limits": ("templates/edge.conf.template", r"\n    limit_(?:conn|req) .*", ""),
    "an edge without its own headers": ("snippets/response-headers.conf", r"(?m)^add_header.*", ""),
}
EDGE, STATIC = 8443, 8444
"""Ports of the container."""


@dataclass(frozen=True)
class Run:
    """Measurements by wrk and the kernel."""

    requests: float
    """Per second."""
    sent: float
    """Bytes per second."""
    processor: float
    """Seconds of nginx's processor time per request."""


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--blocks", default="4096", help="KiB, for cold blocks")
    parser.add_argument("--only", choices=("static", "cold", "access", "counting", "steps"))
    options = parser.parse_args()
    if options.only in (None, "cold"):
        compare_cold(options)
    if options.only == "cold":
        return 0
    with measured_stack() as stack:
        load = Load(stack, options.connections, options.seconds)
        if options.only in (None, "static"):
            print(
                f"{'':22} {'edge/static':>11} {'spread':>12} {'edge':>12} {'static':>12} {'CPU':>6}"
            )
            for kind in KINDS:
                compare(load, kind, options.rounds)
        if options.only in (None, "access"):
            with measured_stack(PASSWORD="secret") as controlled:  # noqa: S106 # not a real one
                compare_access(load, controlled, options)
        if options.only in (None, "counting"):
            with measured_stack(HERE / "uncounted.yml") as uncounted:
                plain = Load(uncounted, options.connections, options.seconds)
                compare_loads(
                    {"an edge that does not count": plain, "an edge that counts": load}, options
                )
        if options.only in (None, "steps"):
            with ExitStack() as stacks:
                loads = {"the whole edge": load}
                for step, (file, pattern, replacement) in STEPS.items():
                    override = stacks.enter_context(changed(file, pattern, replacement))
                    lacking = stacks.enter_context(measured_stack(override))
                    loads[step] = Load(lacking, options.connections, options.seconds)
                compare_loads(loads, options)
    return 0


@contextmanager
def changed(file: str, pattern: str, replacement: str) -> Iterator[Path]:
    """Make a file for Compose with which the edge has a changed file of nginx/."""
    text, count = re.subn(pattern, replacement, (NGINX / file).read_text(encoding="utf-8"))
    if not count:
        raise SystemExit(f"nginx/{file} has nothing that matches {pattern}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "changed").write_text(text, encoding="utf-8")
        mount = f"{path}/changed:/etc/nginx/{file}:ro"
        override = path / "override.yml"
        override.write_text(json.dumps({"services": {"nginx": {"volumes": [mount]}}}))
        yield override


@contextmanager
def measured_stack(*files: Path, names: int = 0, **settings: str) -> Iterator[Stack]:
    """Run a stack with a film, and the static server; `files` are of Compose.

    The film has so many other names: cold0.mp4, cold1.mp4 and so on.
    """
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        media.chmod(0o755)
        write_film(media / "film.mp4", SIZE)
        for number in range(names):
            (media / f"cold{number}.mp4").hardlink_to(media / "film.mp4")
        os.environ["BENCHMARK_FOLDER"] = str(HERE)
        settings = {"MAX_PARTIAL_SIZE": str(BLOCK)} | settings
        with running(media, HERE / "compose.yml", *files, **settings) as stack:
            yield stack


class Load:
    """Run wrk against the edge or the static server, with random spans of the film."""

    def __init__(
        self, stack: Stack, connections: int, seconds: float, prefix: str = "", cookie: str = ""
    ) -> None:
        """Prepare requests below a share link's `prefix`, or with a `cookie`."""
        self._host = stack.address("nginx")
        self._cgroup = stack.container("nginx")["Id"]
        bounds = ["--connections", str(connections), "--duration", f"{seconds:g}"]
        self._options = ["--threads", "1", *bounds, "--script", str(HERE / "ranges.lua")]
        self._film, self._cookie = f"{prefix}/media/film.mp4", cookie
        self._revision = warm(stack, self._film, {"Cookie": cookie} if cookie else {})

    def __call__(self, port: int, kind: str, seed: int) -> Run:
        target, capped = "/media/film.mp4", "no"
        if port == EDGE:
            target, capped = f"{self._film}?v={self._revision}", "capped"
        arguments = [kind, str(SIZE), str(BLOCK), capped, target, str(seed), self._cookie]
        before = processor(self._cgroup)
        command = ["wrk", *self._options, f"https://{self._host}:{port}/", "--", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
        duration, requests, sent, errors = (int(word) for word in line.split()[1:])
        if errors:
            raise SystemExit(f"wrk saw {errors} errors: {done.stdout}")
        seconds = duration / 1e6
        return Run(
            requests / seconds, sent / seconds, (processor(self._cgroup) - before) / requests
        )


def processor(container: str) -> float:
    """Return the seconds of processor time that a container's processes have taken."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if container in (process / "cgroup").read_text():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        except OSError:
            continue  # it has ended
    return total / os.sysconf("SC_CLK_TCK")


def warm(stack: Stack, target: str, headers: dict[str, str]) -> str:
    """Cache every block of the film; return its revision."""
    first_byte = ask(stack.base, target, headers | {"Range": "bytes=0-0"})
    revision = first_byte.headers["ETag"].strip('"')
    for expected in ("MISS", "HIT"):
        for first in range(0, SIZE, BLOCK):
            span = headers | {"Range": f"bytes={first}-"}
            answer = ask(stack.base, f"{target}?v={revision}", span)
            if expected == "HIT" and answer.headers["X-Cache"] != expected:
                raise SystemExit(f"the block at {first} is not cached")
    return revision


def compare(load: Load, kind: str, rounds: int) -> None:
    """Run both in turn; print the ratios of the pairs."""
    edge, static = [], []
    for number in range(rounds + 1):
        pair = {EDGE: edge, STATIC: static}
        for port in sorted(pair, reverse=bool(number % 2)):
            run = load(port, kind, number)
            if number:  # the first warms up
                pair[port].append(run)
    small = kind == SPAN

    def rate(run: Run) -> float:
        return run.requests if small else run.sent

    def formatted(runs: list[Run]) -> str:
        value = statistics.median(map(rate, runs))
        return f"{value:,.0f} /s" if small else f"{value / 1e6:,.0f} MB/s"

    ratios = sorted(rate(e) / rate(s) for e, s in zip(edge, static, strict=True))
    cost = statistics.median(
        e.processor / s.processor for e, s in zip(edge, static, strict=True) if s.processor
    )
    spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
    print(f"{KINDS[kind]:22} {statistics.median(ratios):11.3f} {spread:>12}"
          f" {formatted(edge):>12} {formatted(static):>12} {cost:6.2f}", flush=True)  # fmt: skip


def compare_access(opened: Load, stack: Stack, options: argparse.Namespace) -> None:
    keys, bounds = KeyHolder.of(stack), (options.connections, options.seconds)
    loads = {
        "an open library": opened,
        "a share link": Load(stack, *bounds, prefix=keys.link("vfilm.mp4")),
        "a session": Load(stack, *bounds, cookie=keys.cookie()["Cookie"]),
    }
    compare_loads(loads, options)


def compare_loads(loads: dict[str, Load], options: argparse.Namespace) -> None:
    """Run spans of 64 KiB in turn; print the ratios of the pairs with the first load."""
    runs: dict[str, list[Run]] = {name: [] for name in loads}
    base, *others = loads
    names = [base, *others]
    for number in range(options.rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            run = loads[name](EDGE, SPAN, number)
            if number:  # the first warms up
                runs[name].append(run)
    for name in others:
        pairs = list(zip(runs[name], runs[base], strict=True))
        ratios = sorted(run.requests / first.requests for run, first in pairs)
        cost = statistics.median(run.processor / first.processor for run, first in pairs)
        print(f"spans of 64 KiB by {name}, to those by {base}:"
              f" {statistics.median(ratios):.3f} ({ratios[0]:.2f}-{ratios[-1]:.2f}),"
              f" processor time {cost:.3f}", flush=True)  # fmt: skip


def compare_cold(options: argparse.Namespace) -> None:
    """Compare first bytes of cold blocks with the service's own, for each size of blocks."""
    print(f"{'cold blocks':12} {'edge/service':>12} {'spread':>12} {'edge':>8} {'service':>8}"
          f"   CPU of 4 MiB: {'edge':>8} {'service':>8} {'warm':>8} {'requests':>8}",
          flush=True)  # fmt: skip
    for kibibytes in map(int, options.blocks.split(",")):
        block = str(kibibytes * 1024)
        with measured_stack(names=options.rounds + 1, MAX_PARTIAL_SIZE=block) as stack:
            cold = Cold(stack, kibibytes * 1024)
            rounds = [cold.measure(number) for number in range(options.rounds + 1)][1:]
        edge, alone, edge_cost, service_cost, warm_cost, requests = (
            statistics.median(column) for column in zip(*rounds, strict=True)
        )
        ratios = sorted(edge / alone for edge, alone, *_ in rounds)
        spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
        print(f"{kibibytes:8} KiB {statistics.median(ratios):12.2f} {spread:>12}"
              f" {edge:5.1f} ms {alone:5.1f} ms {'':15} {edge_cost:5.1f} ms {service_cost:5.1f} ms"
              f" {warm_cost:5.1f} ms {requests:8.1f}", flush=True)  # fmt: skip


class Cold:
    """Request blocks of films that the edge has not cached, and the same ones from the service."""

    def __init__(self, stack: Stack, block: int) -> None:
        self._stack, self._block = stack, block
        self._names = {name: stack.container(name)["Id"] for name in ("nginx", "service")}
        # Not the published port, as the engine's proxy would take time.
        self._edge = f"https://{stack.address('nginx')}:{EDGE}"
        self._service = f"http://{stack.address('service')}:8000"

    def measure(self, number: int) -> tuple[float, ...]:
        """Request a new film; return the medians of the first bytes' times and what 4 MiB cost.

        Times are in ms: first bytes of the edge and of the service alone, processor time of the
        edge and of the service for cold blocks, and of the edge for the same blocks again. The
        last number is the edge's requests to the service.
        """
        target = f"/media/cold{number}.mp4"
        tag = ask(self._service, target, {"Range": "bytes=0-0"}).headers["ETag"]
        target += "?v=" + tag.strip('"')
        alone: list[float] = []
        edge: list[float] = []
        with closing(connect(self._service)) as service, closing(connect(self._edge)) as viewer:
            service.connect()
            viewer.connect()
            for first in range(0, COLD, self._block):
                turns = [(service, alone), (viewer, edge)]
                for connection, times in turns if first // self._block % 2 else turns[::-1]:
                    times.append(first_byte(connection, target, first))
            fetched, used = Fetched(self._stack), [self._processor()]
            for _ in ("cold", "warm"):
                for first in range(COLD, SIZE, self._block):
                    first_byte(viewer, target, first)
                used.append(self._processor())
        parts = (SIZE - COLD) / BLOCK
        cold, again = (
            [(now - then) * 1e3 / parts for now, then in zip(after, before, strict=True)]
            for before, after in pairwise(used)
        )
        return (statistics.median(edge) * 1e3, statistics.median(alone) * 1e3, *cold, again[0],
                fetched.media_requests / parts)  # fmt: skip

    def _processor(self) -> list[float]:
        return [processor(container) for container in self._names.values()]


def first_byte(connection: http.client.HTTPConnection, target: str, first: int) -> float:
    """Request the rest of a block from a position; return the seconds until its first byte."""
    started = time.perf_counter()
    connection.request("GET", target, headers={"Range": f"bytes={first}-"})
    response = connection.getresponse()
    response.read(1)
    seconds = time.perf_counter() - started
    response.read()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
