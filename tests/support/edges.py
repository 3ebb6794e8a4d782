"""Three edges and two replicas in containers (deploy/compose/edges.yml)."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.raw_http import ask
from support.server import free_port
from support.service_counters import Fetched
from support.stack import ROOT, Stack, address_of, running

COMPOSE = ROOT / "deploy" / "compose" / "edges.yml"


@dataclass(frozen=True)
class Edge:
    """One of the edges."""

    name: str
    """The host name by which the other edges reach it."""
    service: str
    """Name of the compose service."""
    base: str
    operator: str

    def metric(self, series: str) -> float:
        """Return the value of one series, named as in the text format."""
        text = ask(self.operator, "/edge/metrics").body.decode()
        (value,) = (line.split()[1] for line in text.splitlines() if line.startswith(series))
        return float(value)


@dataclass(frozen=True)
class EdgeCluster:
    """A stack with several edges."""

    stack: Stack
    edges: tuple[Edge, ...]

    def owner(self, target: str, first: int, size: int) -> Edge:
        """Return the owner of a block of `film.mp4?v=...`, as in nginx/njs/block_owner.js."""
        key = f"/media/{target}|bytes={first}-{first + size - 1}"
        return max(
            self.edges,
            key=lambda edge: hashlib.md5(f"{edge.name}:9146 {key}".encode()).hexdigest(),  # noqa: S324 # no secret
        )

    def fetched(self) -> Fetched:
        return FetchedFromAll(self.stack)


class FetchedFromAll(Fetched):
    """The counters of all replicas, added up."""

    def _read(self) -> dict[str, float]:
        total: dict[str, float] = {}
        for replica in self._stack.compose("ps", "--quiet", "service").split():
            text = ask(f"http://{address_of(replica)}:8000", "/metrics").body.decode()
            for line in text.splitlines():
                if line[0] != "#":
                    name, _, value = line.rpartition(" ")
                    total[name] = total.get(name, 0) + float(value)
        return total


@contextlib.contextmanager
def edge_cluster(media: Path, **settings: str) -> Iterator[EdgeCluster]:
    """Run three edges and two replicas over a folder."""
    ports = {
        f"REELAY_{kind}_PORT_{number}": str(free_port())
        for kind in ("HTTPS", "OPERATOR")
        for number in (2, 3)
    }
    with running(media, COMPOSE, variables=ports, **settings) as stack:
        others = (
            Edge(
                f"edge-{number}",
                f"edge-{number}",
                f"https://localhost:{ports[f'REELAY_HTTPS_PORT_{number}']}",
                f"http://127.0.0.1:{ports[f'REELAY_OPERATOR_PORT_{number}']}",
            )
            for number in (2, 3)
        )
        yield EdgeCluster(stack, (Edge("edge-1", "nginx", stack.base, stack.operator), *others))
