"""Simulate several edges: their number, their size, and the load of the store.

    .venv/bin/python benchmarks/scaling.py
    .venv/bin/python benchmarks/scaling.py --viewers 5000 --rate 6 --catalogue 20 --cache 2

Without arguments, print the tables of docs/scaling.md. With arguments, print a plan for a number of
concurrent viewers, a bit rate of films in Mbit/s, a catalogue in TB, and a cache in TB per edge.
Needs only the standard library; prints the same numbers each time.

Each viewer uses one edge, watches a film from its start, one block in each step, and leaves at some
block; then a new viewer chooses a film by Zipf's law. Full edges evict the least recently used
block, as nginx does. The owner of a block is computed as in nginx/njs/block_owner.js.
"""

import argparse
import hashlib
import itertools
import math
import random
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

FILMS, LENGTH = 1_200, 25
"""The catalogue: films, and blocks per film. Real ones have more; only proportions count."""
VIEWERS = 240
STEPS = 130_000
"""Blocks requested while the caches fill, and again while they are counted."""
SKEW = 0.8
"""Zipf's exponent: half of all viewers watch a tenth of the films."""
FINISH = 0.4
"""The share of viewers who watch a film to its end; the others leave at a random block."""
PEER_CACHE_SHARE = 1 / 8
"""The share of a cache for blocks of other edges: nginx/docker-entrypoint.d/10-settings.envsh."""

USABLE_SHARE = 0.7
"""The planned share of an edge's bandwidth; the rest is for flash crowds."""

Block = tuple[int, int]
"""Number of the film, and of the block in it."""


class Cache:
    """A cache of `capacity` blocks that evicts the least recently used ones."""

    def __init__(self, capacity: float, *, evicts_itself: bool = True) -> None:
        self._capacity, self._evicts_itself = int(capacity), evicts_itself
        self._blocks: OrderedDict[Block, None] = OrderedDict()

    def has(self, block: Block) -> bool:
        """Return whether the block is in the cache, and mark it as used."""
        if block not in self._blocks:
            return False
        self._blocks.move_to_end(block)
        return True

    def keep(self, block: Block) -> None:
        self._blocks[block] = None
        if self._evicts_itself:
            self.evict()

    def evict(self) -> None:
        """Evict the least recently used blocks above the limit, as nginx does every ten seconds."""
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)


def owner_of(name: str, edges: Sequence[str]) -> str:
    """Return the owner of the block with this name, as in nginx/njs/block_owner.js."""
    return max(edges, key=lambda edge: hashlib.md5(f"{edge} {name}".encode()).hexdigest())  # noqa: S324 # no secret


@dataclass
class Edges:
    """Edges with caches of `capacity` blocks each."""

    names: list[str]
    capacity: float
    peer_share: float | None = PEER_CACHE_SHARE
    """The share of the capacity for blocks of other edges; None if edges do not share."""
    name_of: Callable[[Block], str] = lambda block: f"/media/{block[0]}.mp4|{block[1]}"
    evict_themselves: bool = True
    """Whether caches evict as soon as they are full, else only when `evict` is called."""
    counted: Counter[str] = field(default_factory=Counter)
    """HIT, PEER and MISS as in X-Cache, and `moved` for blocks copied from edge to edge."""

    def __post_init__(self) -> None:
        self._own: dict[str, Cache] = {}
        self._peer_cache: dict[str, Cache] = {}
        self._owners: dict[Block, str] = {}
        for name in self.names:
            self._open(name)

    def _open(self, name: str) -> None:
        part = self.peer_share or 0
        self._own[name] = Cache(self.capacity * (1 - part), evicts_itself=self.evict_themselves)
        self._peer_cache[name] = Cache(self.capacity * part, evicts_itself=self.evict_themselves)

    def lose(self, name: str) -> None:
        """Remove an edge with its cache."""
        self.names.remove(name)
        self._owners.clear()

    def gain(self, name: str) -> None:
        """Add an edge with an empty cache."""
        self.names.append(name)
        self._open(name)
        self._owners.clear()

    def evict(self) -> None:
        for cache in (*self._own.values(), *self._peer_cache.values()):
            cache.evict()

    def owner(self, block: Block) -> str:
        if block not in self._owners:
            self._owners[block] = owner_of(self.name_of(block), self.names)
        return self._owners[block]

    def ask(self, edge: str, block: Block) -> str:
        """Serve a block to a viewer of this edge; return its source."""
        source = self._source(edge, block)
        self.counted[source] += 1
        return source

    def _source(self, edge: str, block: Block) -> str:
        owner = edge if self.peer_share is None else self.owner(block)
        if owner != edge:
            if self._peer_cache[edge].has(block):
                return "HIT"
            self._peer_cache[edge].keep(block)
            self.counted["moved"] += 1
        if self._own[owner].has(block):
            return "HIT" if owner == edge else "PEER"
        self._own[owner].keep(block)
        return "MISS"

    def share(self, *source: str) -> float:
        """Return the share of the requested blocks from these sources."""
        requested = sum(self.counted[word] for word in ("HIT", "PEER", "MISS"))
        return sum(self.counted[word] for word in source) / requested


class Audience:
    """Viewers who watch one film after another, each at one edge."""

    def __init__(self, *, viewers: int = VIEWERS, films: int = FILMS, length: int = LENGTH) -> None:
        self._random = random.Random(7)  # noqa: S311 # the same in each run
        self._films, self._length = films, length
        self._weights = list(itertools.accumulate((rank + 1) ** -SKEW for rank in range(films)))
        self._watching = [self._begin(middle=True) for _ in range(viewers)]

    def _begin(self, *, middle: bool = False) -> tuple[int, int, int]:
        (film,) = self._random.choices(range(self._films), cum_weights=self._weights)
        finishes = self._random.random() < FINISH
        end = self._length if finishes else self._random.randint(1, self._length)
        return film, self._random.randrange(end) if middle else 0, end

    def all_open(self, film: int, part: float) -> None:
        """Start one film for this share of all viewers."""
        for number in range(int(len(self._watching) * part)):
            self._watching[number] = film, 0, self._length

    def asks(self, steps: int) -> Iterator[tuple[int, Block]]:
        """Yield `steps` requests: the next block of each viewer in turn."""
        for step in range(steps):
            number = step % len(self._watching)
            film, at, end = self._watching[number]
            yield number, (film, at)
            self._watching[number] = (film, at + 1, end) if at + 1 < end else self._begin()


def play(edges: Edges, audience: Audience, steps: int) -> Edges:
    """Run the requests of the audience through the edges; count them anew."""
    edges.counted.clear()
    for number, block in audience.asks(steps):
        edges.ask(edges.names[number % len(edges.names)], block)
    return edges


def named(number: int) -> list[str]:
    return [f"edge-{n + 1}:9146" for n in range(number)]


def settled(number: int, part: float, peer_share: float | None = PEER_CACHE_SHARE) -> Edges:
    """Simulate edges with room for this share of the catalogue each; count once they are warm."""
    edges, audience = Edges(named(number), part * FILMS * LENGTH, peer_share), Audience()
    play(edges, audience, STEPS)
    return play(edges, audience, STEPS)


def percent(part: float) -> str:
    return f"{100 * part:.1f} %"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n")
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")


def by_room() -> None:
    rows = []
    for part in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3):
        alone, together = settled(3, part, None), settled(3, part)
        saved = 1 - together.share("MISS") / alone.share("MISS")
        rows.append([percent(part), percent(alone.share("MISS")), percent(together.share("MISS")),
                     percent(saved), percent(together.share("moved"))])  # fmt: skip
    table(
        "Three edges, by the part of the catalogue that one of them has room for",
        ["an edge's room", "store, each alone", "store, together", "saved", "from edge to edge"],
        rows,
    )


def by_peer_share() -> None:
    rows = []
    for part in (0, 1 / 16, 1 / 8, 1 / 4, 1 / 2):
        edges = settled(3, 0.1, part)
        rows.append([f"{part:.3f}", percent(edges.share("MISS")), percent(edges.share("moved"))])
    table(
        "Three edges with room for a tenth of the catalogue, by the share for other edges' blocks",
        ["share for other edges' blocks", "store", "from edge to edge"],
        rows,
    )


def by_number() -> None:
    rows = []
    for number in (1, 2, 3, 5, 10):
        alone, together = settled(number, 0.05, None), settled(number, 0.05)
        rows.append([str(number), percent(alone.share("MISS")), percent(together.share("MISS")),
                     percent(together.share("moved"))])  # fmt: skip
    table(
        "Edges with room for a twentieth of the catalogue each, by their number",
        ["edges", "store, each alone", "store, together", "from edge to edge"],
        rows,
    )


def flash_crowd() -> None:
    """Simulate half of all viewers opening one new film."""
    rows = []
    ways = {
        "each alone": None,
        "together": PEER_CACHE_SHARE,
        "no cache for other edges' blocks": 0.0,
    }
    for name, peer_share in ways.items():
        edges, audience = Edges(named(3), 0.1 * FILMS * LENGTH, peer_share), Audience()
        play(edges, audience, STEPS)
        audience.all_open(FILMS, 0.5)  # a film after the last one
        requested: Counter[str] = Counter()
        for number, block in audience.asks(VIEWERS * LENGTH):
            moved = edges.counted["moved"]
            source = edges.ask(edges.names[number % 3], block)
            if block[0] == FILMS:
                requested[source] += 1
                requested["moved"] += edges.counted["moved"] - moved
        viewers = requested["HIT"] + requested["PEER"] + requested["MISS"]
        rows.append([name, str(viewers // LENGTH), f"{requested['MISS'] / LENGTH:.2f}",
                     f"{requested['moved'] / LENGTH:.2f}"])  # fmt: skip
    table(
        "A flash crowd on one film, three edges: how often each of its blocks is sent",
        ["", "to viewers", "from the store", "from edge to edge"],
        rows,
    )


def lost_edge() -> None:
    """Simulate the loss of one of three edges, and its return with an empty cache."""
    audience = Audience()
    edges = Edges(named(3), 0.1 * FILMS * LENGTH)
    play(edges, audience, STEPS)
    window = STEPS // 5
    rows = [["three edges", percent(play(edges, audience, window).share("MISS"))]]
    blocks = [(film, number) for film in range(FILMS) for number in range(LENGTH)]
    before = {block: edges.owner(block) for block in blocks}
    lost = edges.names[1]
    edges.lose(lost)
    moved = [block for block in blocks if edges.owner(block) != before[block]]
    needless = sum(before[block] != lost for block in moved)
    by_rest = sum(hash(block) % 3 != hash(block) % 2 for block in blocks)  # of tuples of numbers
    rows.extend(
        [f"two, {when}", percent(play(edges, audience, window).share("MISS"))]
        for when in ("at once", "then", "later")
    )
    edges.gain(lost)
    back = sum(edges.owner(block) == before[block] for block in blocks)
    rows.extend(
        [f"three again, {when}", percent(play(edges, audience, window).share("MISS"))]
        for when in ("at once", "then", "later")
    )
    table("One of three edges is lost, and comes back empty", ["", "store"], rows)
    print(f"\nLost, it moves {percent(len(moved) / len(blocks))} of the blocks, of which"
          f" {needless} had another owner; by a modulus it would be"
          f" {percent(by_rest / len(blocks))}. Back, {percent(back / len(blocks))} have their"
          " old owner.")  # fmt: skip


def plan(options: argparse.Namespace) -> None:
    """Print the number of edges and replicas, and the traffic between them."""
    watched = options.viewers * options.rate * 1e6 / 8  # bytes a second
    usable = options.edge_rate * 1e9 / 8 * USABLE_SHARE
    part, edges = min(options.cache / options.catalogue, 1.0), 2
    while True:  # edges also send to each other
        simulated = settled(edges, part)
        missed, moved = simulated.share("MISS"), simulated.share("moved")
        if watched * (1 + moved) <= usable * (edges - 1):  # one may be lost
            break
        edges = max(edges + 1, math.ceil(watched / usable) + 1)
    store, between, block = watched * missed, watched * moved, options.block * 2**20
    replicas = math.ceil(store / (options.replica_rate * 1e6)) + 1
    month = 30 * 86400 * options.busy
    print(f"viewers           {options.viewers}: {watched / 1e6:,.0f} MB/s")
    print(f"edges             {edges}, of which one may be lost")
    print(f"replicas          {replicas}, of which one may be lost")
    print(f"from the store    {percent(missed)}: {store / block:,.0f} requests/s,"
          f" {store / 1e6:,.0f} MB/s")  # fmt: skip
    print(f"from edge to edge {percent(moved)}: {between / 1e6:,.0f} MB/s,"
          f" {between / edges / 1e6:,.0f} MB/s of each")  # fmt: skip
    print(f"a month of {options.busy * 720:.0f} such hours: {watched * month / 1e12:,.0f} TB to"
          f" viewers, {store * month / 1e12:,.0f} TB from the store in"
          f" {store * month / block / 1e6:,.0f} million requests, {between * month / 1e12:,.0f} TB"
          " from edge to edge")  # fmt: skip


def main() -> int:
    """Print the tables, or a plan."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--viewers", type=int, help="at a time, at the busiest")
    parser.add_argument("--rate", type=float, default=6, help="Mbit/s of a film")
    parser.add_argument("--catalogue", type=float, default=10, help="TB of films")
    parser.add_argument("--cache", type=float, default=1, help="TB of each edge")
    parser.add_argument("--block", type=float, default=4, help="MiB: REELAY_MAX_PARTIAL_SIZE")
    parser.add_argument("--edge-rate", type=float, default=8, help="Gbit/s that an edge can send")
    parser.add_argument("--replica-rate", type=float, default=500, help="MB/s of a replica")
    parser.add_argument("--busy", type=float, default=0.25, help="part of a month's hours")
    options = parser.parse_args()
    if options.viewers:
        plan(options)
        return 0
    print(f"{FILMS} films of {LENGTH} blocks, {VIEWERS} viewers, Zipf {SKEW}. Parts of what viewers"
          " ask for.")  # fmt: skip
    for each in (by_room, by_peer_share, by_number, flash_crowd, lost_edge):
        each()
    return 0


if __name__ == "__main__":
    sys.exit(main())
