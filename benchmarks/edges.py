"""Measure what three edges fetch from the service and each other; compare it with scaling.py.

    .venv/bin/python benchmarks/edges.py [--requests N] [--rate R]

Needs a Docker engine. Runs three edges and two replicas (deploy/compose/edges.yml) with viewers
at all edges, and runs the same requests in the simulation of benchmarks/scaling.py:
with caches that hold everything; after an edge is lost; and with caches for a tenth of the
catalogue each, at a limited rate, as nginx evicts only every ten seconds.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from scaling import Audience, Block, Edges  # noqa: E402
from support.edges import EdgeCluster, edge_cluster  # noqa: E402
from support.raw_http import ask, connect  # noqa: E402
from support.server import until, write  # noqa: E402

BLOCK = 64 * 1024
FILMS, LENGTH = 160, 20
VIEWERS = 60
ROOM = FILMS * LENGTH // 10
"""Blocks that fit into a small cache."""
LABELS = {
    "HIT": "the viewer's edge had it",
    "PEER": "another edge had it",
    "MISS": "from the service",
    "moved": "from edge to edge",
}
EVICTION_INTERVAL = 10
"""Seconds between evictions by nginx."""


class Run:
    """An audience that watches through real and through simulated edges."""

    def __init__(self, cluster: EdgeCluster, room: float) -> None:
        self._cluster = cluster
        self._connections = {edge.name: connect(edge.base) for edge in cluster.edges}
        self._targets = [self._target(number) for number in range(FILMS)]
        self._audience = Audience(viewers=VIEWERS, films=FILMS, length=LENGTH)
        names = [f"{edge.name}:9146" for edge in cluster.edges]
        self.predicted = Edges(names, room, name_of=self._name, evict_themselves=False)
        self.measured: Counter[str] = Counter()

    def _target(self, number: int) -> str:
        head = ask(self._cluster.edges[0].base, f"/media/{number}.mp4", method="HEAD")
        revision = head.headers["ETag"].strip('"')
        return f"/media/{number}.mp4?v={revision}"

    def _name(self, block: Block) -> str:
        film, number = block
        return f"{self._targets[film]}|bytes={number * BLOCK}-{(number + 1) * BLOCK - 1}"

    def play(self, title: str, requests: int, rate: float | None = None) -> None:
        """Send the audience's requests to both; print the counts of each."""
        self.predicted.counted.clear()
        self.measured.clear()
        before, began = self._from_edges(), time.monotonic()
        for count, (viewer, block) in enumerate(self._audience.asks(requests)):
            name = self.predicted.names[viewer % len(self.predicted.names)]
            self.predicted.ask(name, block)
            self.measured[self._ask(name.partition(":")[0], block)] += 1
            if rate:
                time.sleep(max(0.0, began + count / rate - time.monotonic()))
                if count % int(rate * EVICTION_INTERVAL) == 0:
                    self.predicted.evict()
        self.measured["moved"] = int(self._from_edges() - before)
        if title:
            self._print(title, requests)

    def _ask(self, name: str, block: Block) -> str:
        connection, (film, number) = self._connections[name], block
        headers = {"Range": f"bytes={number * BLOCK}-"}
        connection.request("GET", self._targets[film], headers=headers)
        response = connection.getresponse()
        if len(response.read()) != BLOCK:
            raise SystemExit(f"{name} answers {response.status}")
        return str(response.headers["X-Cache"])

    def _from_edges(self) -> float:
        series = 'reelay_edge_blocks_total{source="edge"}'
        running = (
            edge for edge in self._cluster.edges if f"{edge.name}:9146" in self.predicted.names
        )
        return sum(edge.metric(series) for edge in running)

    def _print(self, title: str, requests: int) -> None:
        print(f"\n{title}: {requests} requests\n\n| | predicted | measured |\n| --- | --- | --- |")
        for word, label in LABELS.items():
            ways = (self.predicted.counted[word], self.measured[word])
            print(f"| {label} | " + " | ".join(f"{100 * n / requests:.1f} %" for n in ways) + " |")

    def lose(self, number: int) -> None:
        """Stop an edge, and wait until the others notice."""
        edge = self._cluster.edges[number]
        self._cluster.stack.compose("stop", edge.service)
        self.predicted.lose(f"{edge.name}:9146")
        rest = [other for other in self._cluster.edges if other != edge]
        series = 'reelay_edge_others{state="silent"}'
        until(lambda: all(other.metric(series) == 1 for other in rest) or None, "they notice")


@contextmanager
def stack(**settings: str) -> Iterator[EdgeCluster]:
    """Run the edges with uncached films."""
    chance = random.Random(3)  # noqa: S311 # the same films in each run
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        media.chmod(0o755)
        for number in range(FILMS):
            write(media, f"{number}.mp4", chance.randbytes(LENGTH * BLOCK))
        with edge_cluster(media, MAX_PARTIAL_SIZE=str(BLOCK), **settings) as cluster:
            yield cluster


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=100, help="requests a second, small caches")
    options = parser.parse_args()
    with stack() as cluster:
        run = Run(cluster, FILMS * LENGTH)
        run.play("Caches that hold everything", options.requests)
        run.lose(1)
        run.play("One of the three is lost", options.requests // 2)
    with stack(CACHE_SIZE=str(ROOM * BLOCK)) as cluster:
        run = Run(cluster, ROOM)
        run.play("", options.requests, options.rate)
        run.play("Caches for a tenth of the catalogue each", options.requests, options.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
