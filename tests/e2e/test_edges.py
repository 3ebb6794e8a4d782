"""Several edges: each block is cached by one of them; losing one affects only its own viewers."""

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from support.edges import Edge, EdgeCluster, edge_cluster
from support.load_clients import Account, Client, Film, crowd, seeks
from support.raw_http import Answer, ask
from support.server import BLOCK, until, write
from support.stack import docker, pause

pytestmark = [pytest.mark.slow, pytest.mark.stack]

BLOCKS = 30
SIZE = (BLOCKS - 1) * BLOCK + 4321
VIEWERS, SEEKS, DOWNLOADS = 30, 4, 9
MAX_RATIO = 1.1  # bytes from the service for each distinct byte that viewers received
# An edge that is too busy to answer a health check counts as lost for a moment, and its blocks are
# fetched by the others: the least of some attempts counts.
ATTEMPTS = 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeCluster]:
    media = tmp_path_factory.mktemp("cluster") / "media"
    media.mkdir()
    with edge_cluster(media) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _all_there(cluster: EdgeCluster) -> None:
    until(lambda: others_up(cluster, cluster.edges) or None, "each edge sees the others")


def others_up(cluster: EdgeCluster, edges: tuple[Edge, ...]) -> bool:
    """Return whether each of these edges sees the others as up."""
    counts = [edge.metric('reelay_edge_others{state="up"}') for edge in edges]
    return counts == [len(edges) - 1] * len(edges)


def uncached_film(cluster: EdgeCluster, blocks: int = BLOCKS) -> Film:
    """Write an uncached film."""
    name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(SIZE)[: blocks * BLOCK]
    write(cluster.stack.media, name, data)
    head = ask(cluster.edges[0].base, f"/media/{name}", method="HEAD")
    revision = head.headers["ETag"].strip('"')
    return Film(f"{name}?v={revision}", data)


def block(edge: Edge, film: Film, number: int) -> Answer:
    """Request a block from an edge; check its bytes."""
    first = number * BLOCK
    answer = ask(edge.base, f"/media/{film.target}", {"Range": f"bytes={first}-"})
    assert (answer.status, answer.body) == (206, film.data[first : first + BLOCK])
    return answer


def owners(cluster: EdgeCluster, film: Film) -> list[Edge]:
    """Return the owner of each block."""
    return [cluster.owner(film.target, first, BLOCK) for first in range(0, len(film.data), BLOCK)]


def warm(cluster: EdgeCluster, film: Film) -> None:
    """Cache each block of a film at its owner only."""
    for number, owner in enumerate(owners(cluster, film)):
        block(owner, film, number)


def test_each_block_is_fetched_and_cached_by_its_owner(cluster: EdgeCluster) -> None:
    film, fetched = uncached_film(cluster, 6), cluster.fetched()
    for number, owner in enumerate(owners(cluster, film)):
        first, second = (edge for edge in cluster.edges if edge != owner)
        # The owner fetches the block, whichever edge gets the request; then each edge caches it.
        states = [block(e, film, number).headers["X-Cache"] for e in (first, second, owner, first)]
        assert states == ["MISS", "PEER", "HIT", "HIT"]
    assert (fetched.media_requests, fetched.sent_bytes) == (6, 6 * BLOCK)


def test_ranges_and_downloads_share_cached_blocks(cluster: EdgeCluster) -> None:
    film, fetched = uncached_film(cluster, 6), cluster.fetched()
    warm(cluster, film)
    for edge in cluster.edges:
        for route, value, body in [
            ("media", "bytes=5-99", film.data[5:100]),
            ("media", f"bytes={BLOCK + 1}-", film.data[BLOCK + 1 : 2 * BLOCK]),
            ("download", f"bytes={BLOCK - 5}-{4 * BLOCK}", film.data[BLOCK - 5 : 4 * BLOCK + 1]),
            ("download", "bytes=0-", film.data),
        ]:
            for target in (film.target, film.target.partition("?")[0]):
                answer = ask(edge.base, f"/{route}/{target}", {"Range": value})
                assert (answer.status, answer.body) == (206, body)
    assert fetched.media_requests == 6


def test_emptying_a_cache_also_empties_the_peer_cache(cluster: EdgeCluster) -> None:
    film = uncached_film(cluster, 1)
    (owner,) = owners(cluster, film)
    requester = next(edge for edge in cluster.edges if edge != owner)
    assert [block(requester, film, 0).headers["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]
    cluster.stack.compose("exec", "-T", requester.service, "empty-cache")
    assert block(requester, film, 0).headers["X-Cache"] == "PEER"


def ratio_of_a_crowd(cluster: EdgeCluster) -> float:
    """Return the bytes from the service for each distinct byte that viewers of all edges received.

    They watch a film that is not cached, and resume downloads of it.
    """
    shown, account, fetched = uncached_film(cluster), Account(), cluster.fetched()

    def watch(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        client = Client(cluster.edges[seed % 3].base, shown, account)
        for offset in seeks(shown, seed, 1 + SEEKS):
            client.play(offset, 2 * BLOCK, leaves=lambda: chance.random() < 0.25)
        client.close()

    def resume(seed: int) -> None:
        (offset,) = seeks(shown, seed, 1)
        client = Client(cluster.edges[seed % 3].base, shown, account)
        client.fetch("download", {"Range": f"bytes={offset}-"})
        client.close()

    works = [partial(watch, n) for n in range(VIEWERS)]
    with crowd(works + [partial(resume, n) for n in range(DOWNLOADS)]):
        pass
    account.assert_flawless()
    return fetched.sent_bytes / account.distinct()


def test_viewers_of_all_edges_cause_one_fetch_per_byte(
    cluster: EdgeCluster, record_property: Callable[[str, object], None]
) -> None:
    for _ in range(ATTEMPTS):
        ratio = ratio_of_a_crowd(cluster)
        if ratio <= MAX_RATIO:
            break
    record_property("fetched per byte", ratio)
    assert ratio <= MAX_RATIO


def test_concurrent_viewers_of_all_edges_cause_one_fetch_per_block(cluster: EdgeCluster) -> None:
    film, account, fetched = uncached_film(cluster), Account(), cluster.fetched()
    barrier = threading.Barrier(VIEWERS)

    def open_it(number: int) -> None:
        client = Client(cluster.edges[number % 3].base, film, account)
        barrier.wait()
        client.play(0, 3 * BLOCK)
        client.close()

    with crowd([partial(open_it, number) for number in range(VIEWERS)]):
        pass
    account.assert_flawless()
    assert account.received == VIEWERS * 3 * BLOCK
    assert (fetched.media_requests, fetched.sent_bytes) == (3, 3 * BLOCK)


def test_an_edge_logs_peer_requests_and_does_not_forward_them_to_other_edges(
    cluster: EdgeCluster,
) -> None:
    film = uncached_film(cluster, 6)
    number, owner = next(
        (n, owner) for n, owner in enumerate(owners(cluster, film)) if owner.name != "edge-1"
    )
    answer = block(cluster.edges[0], film, number)
    request_id = answer.headers["X-Request-ID"]

    def peer_log_line() -> str | None:
        lines = cluster.stack.compose("logs", "--no-log-prefix", owner.service).splitlines()
        return next((li for li in lines if '"event":"lent"' in li and request_id in li), None)

    assert film.target.partition("?")[0] in until(peer_log_line, "the owner logs the peer request")
    # An edge that is not the owner fetches a peer's block from the service, not from the owner.
    other = next(edge for edge in cluster.edges if edge != owner)
    before = owner.metric('reelay_edge_blocks_total{source="service"}')
    headers = {"Range": f"bytes={number * BLOCK}-{(number + 1) * BLOCK - 1}"}
    peer_base = f"http://{cluster.stack.address(other.service)}:9146"
    fetched = cluster.fetched()
    assert ask(peer_base, f"/media/{film.target}", headers).body == answer.body
    assert fetched.media_requests == 1
    assert owner.metric('reelay_edge_blocks_total{source="service"}') == before
    for target in ("/", f"/download/{film.target}", "/metrics", "/api/videos", "/edge/metrics"):
        assert ask(peer_base, target).status == 404


@pytest.mark.parametrize("header", ["X-Block-Owner", "X-Cache-Zone"])
def test_internal_header_fields_from_clients_are_ignored(cluster: EdgeCluster, header: str) -> None:
    film, fetched = uncached_film(cluster, 3), cluster.fetched()
    for value in ("edge_0", "service", "peer_cache", "x y"):
        for edge in cluster.edges:
            for span in (f"bytes={BLOCK}-", "bytes=7-"):
                headers = {"Range": span, header: value}
                first = int(span[6:-1])
                body = film.data[first : (first // BLOCK + 1) * BLOCK]
                assert ask(edge.base, f"/media/{film.target}", headers).body == body
    assert fetched.media_requests == 2


def test_all_edges_serve_cached_blocks_while_the_service_is_down(cluster: EdgeCluster) -> None:
    film = uncached_film(cluster, 6)
    warm(cluster, film)
    cluster.stack.compose("stop", "--timeout", "5", "service")
    try:
        for edge in cluster.edges:
            for number, owner in enumerate(owners(cluster, film)):
                expected = "HIT" if owner == edge else "PEER"
                assert block(edge, film, number).headers["X-Cache"] == expected
    finally:
        cluster.stack.up()


def killed_under_load(cluster: EdgeCluster, film: Film, lost: Edge) -> dict[str, Account]:
    """Kill an edge while viewers of all edges watch; return the results by edge."""
    accounts = {edge.name: Account() for edge in cluster.edges}
    rest = tuple(edge for edge in cluster.edges if edge != lost)
    stopped = threading.Event()

    def watch(number: int) -> None:
        edge, chance = cluster.edges[number % 3], random.Random(number)  # noqa: S311
        client = Client(edge.base, film, accounts[edge.name], rate=4 * BLOCK)
        while not stopped.is_set():
            client.fetch("media", {"Range": f"bytes={chance.randrange(SIZE)}-"})
        client.close()

    with crowd([partial(watch, number) for number in range(VIEWERS)]):
        try:
            time.sleep(2)  # so that all requests are in progress
            docker("kill", "--signal", "KILL", cluster.stack.container(lost.service)["Id"])
            until(lambda: others_up(cluster, rest) or None, "the others have noticed")
            time.sleep(2)
        finally:
            stopped.set()
    return accounts


def fetched_after_a_return(cluster: EdgeCluster) -> float:
    """Kill an edge under load; return how many blocks are fetched again once it is back."""
    film = uncached_film(cluster)
    warm(cluster, film)
    old_owners, fetched = owners(cluster, film), cluster.fetched()
    *rest, lost = cluster.edges
    accounts = killed_under_load(cluster, film, lost)
    for edge in rest:
        accounts[edge.name].assert_flawless()
    assert accounts[lost.name].wrong == []
    assert accounts[lost.name].broken != []  # else it was not killed under load
    for edge in rest:
        for number in range(BLOCKS):
            block(edge, film, number)
    # Only the blocks of the lost edge are fetched again: by their new owners, and by each edge
    # until it notices the loss.
    assert 0 < fetched.media_requests <= 3 * old_owners.count(lost)

    cluster.stack.up()
    until(lambda: others_up(cluster, cluster.edges) or None, "it is back")
    again = cluster.fetched()
    for number, owner in enumerate(old_owners):
        if owner == lost:  # its disk was not lost
            assert block(lost, film, number).headers["X-Cache"] == "HIT"
    for edge in cluster.edges:
        for number in range(BLOCKS):
            block(edge, film, number)
    return again.media_requests


def test_killing_an_edge_breaks_only_its_connections_and_moves_only_its_blocks(
    cluster: EdgeCluster,
) -> None:
    assert any(not fetched_after_a_return(cluster) for _ in range(ATTEMPTS))


def test_a_frozen_edge_does_not_stop_the_others(cluster: EdgeCluster) -> None:
    film, fetched = uncached_film(cluster), cluster.fetched()
    frozen, *rest = cluster.edges
    name = cluster.stack.container(frozen.service)["Id"]
    pause(name)
    try:
        for edge in rest:  # before and after they notice
            for number in range(BLOCKS):
                block(edge, film, number)
        until(lambda: others_up(cluster, tuple(rest)) or None, "they have noticed")
    finally:
        docker("unpause", name)
    assert fetched.media_requests <= BLOCKS + 2 * owners(cluster, film).count(frozen)


def test_limits_count_viewers_and_not_other_edges(cluster: EdgeCluster) -> None:
    film = uncached_film(cluster, 6)
    warm(cluster, film)
    edge, first = cluster.edges[0], {"Range": f"bytes=0-{BLOCK - 1}"}

    def limit(requests: str) -> None:
        cluster.stack.settings["REQUESTS_PER_CLIENT"] = requests
        cluster.stack.up("--no-deps", edge.service)

    limit("1")  # one a second, with a burst of five
    try:
        viewer = [ask(edge.base, f"/media/{film.target}", first).status for _ in range(20)]
        assert 429 in viewer
        peer_base = f"http://{cluster.stack.address(edge.service)}:9146"
        peer = [ask(peer_base, f"/media/{film.target}", first).status for _ in range(20)]
        assert peer == [206] * 20
    finally:
        limit("0")
