"""The simulation behind docs/scaling.md, in cases whose results can be derived."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "scaling.py"
NAMES = [f"/media/{film}.mp4|{number}" for film in range(100) for number in range(50)]
TEN = [f"edge-{number}:9146" for number in range(10)]


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    """Load the module from its file, as benchmarks are not a package."""
    spec = importlib.util.spec_from_file_location("scaling", FILE)
    assert spec
    assert spec.loader
    module = sys.modules["scaling"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_edges_own_equal_shares(scaling: ModuleType) -> None:
    owned = Counter(scaling.owner_of(name, TEN) for name in NAMES)
    # Of 5,000 names each has 500, with a standard deviation of 21.
    assert all(400 < owned[edge] < 600 for edge in TEN)


def test_losing_or_adding_an_edge_moves_only_its_own_share(scaling: ModuleType) -> None:
    rest = [edge for edge in TEN if edge != "edge-3:9146"]
    moved = 0
    for name in NAMES:
        of_ten, of_nine = scaling.owner_of(name, TEN), scaling.owner_of(name, rest)
        moved += of_ten != of_nine
        assert of_ten in {of_nine, "edge-3:9146"}
    assert moved


@pytest.mark.parametrize("together", [True, False])
def test_caches_that_hold_everything_request_each_block_from_the_store_once(
    scaling: ModuleType,
    together: bool,  # noqa: FBT001 # a column of the table
) -> None:
    peer_share = 1 / 8 if together else None
    edges = scaling.Edges(scaling.named(3), 1e9, peer_share)
    audience = scaling.Audience(viewers=30, films=20, length=10)
    requested = [(number % 3, block) for number, block in audience.asks(5000)]
    for number, block in requested:
        edges.ask(edges.names[number], block)
    pairs, blocks = set(requested), {block for _, block in requested}
    elsewhere = {(n, b) for n, b in pairs if edges.owner(b) != edges.names[n]}
    assert edges.counted["MISS"] == len(blocks if together else pairs)
    assert edges.counted["moved"] == (len(elsewhere) if together else 0)
    assert edges.share("HIT", "PEER", "MISS") == 1


def test_the_least_recently_used_block_is_evicted_first(scaling: ModuleType) -> None:
    cache = scaling.Cache(2)
    cache.keep((0, 0))
    cache.keep((0, 1))
    assert cache.has((0, 0))
    cache.keep((0, 2))
    assert [cache.has((0, number)) for number in range(3)] == [True, False, True]
