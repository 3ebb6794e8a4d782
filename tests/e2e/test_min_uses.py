"""Where the edge keeps blocks: on disk at once, by the second fetch, or never."""

import contextlib
import secrets
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from support.edges import Edge, edge_cluster
from support.load_clients import Account, Client, Film, crowd
from support.raw_http import Answer, ask
from support.server import BLOCK, until, write
from support.service_counters import Fetched
from support.stack import Stack, docker, failing_replica, restart_edge, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

BLOCKS, VIEWERS = 3, 20
MEMORY = 8 * BLOCK
KEPT = 6  # three quarters of these blocks: nginx/docker-entrypoint.d/10-settings.envsh
AT_ONCE, BY_THE_SECOND, NEVER = "1", "2", "0"


@pytest.fixture(scope="module", params=[AT_ONCE, BY_THE_SECOND, NEVER])
def own_stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("uses") / "media"
    media.mkdir()
    with running(media, CACHE_MIN_USES=request.param, CACHE_MEMORY=str(MEMORY)) as stack:
        yield stack


@pytest.fixture
def uses(own_stack: Stack) -> str:
    return own_stack.settings["CACHE_MIN_USES"]


def new_film(stack: Stack, blocks: int = BLOCKS) -> Film:
    name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(blocks * BLOCK)
    write(stack.media, name, data)
    return Film(name, data)


def files(edge: str, folder: str) -> int:
    """Return how many blocks a container has in a folder."""
    return len(docker("exec", edge, "find", folder, "-type", "f", "-size", "+4k").split())


def on_disk(stack: Stack) -> int:
    return files(stack.containers("nginx")[0], "/var/cache/nginx")


def in_memory(stack: Stack) -> int:
    return files(stack.containers("nginx")[0], "/srv/memory")


def get(stack: Stack, film: Film, headers: dict[str, str]) -> Answer:
    """Request a part of a film; check its bytes."""
    answer = ask(stack.base, f"/media/{film.target}", headers)
    assert answer.status == 206
    first = int(answer.headers["Content-Range"].split()[1].partition("-")[0])
    assert answer.body == film.data[first : first + len(answer.body)]
    return answer


def watch(stack: Stack, film: Film) -> None:
    account = Account()
    viewer = Client(stack.base, film, account)
    viewer.play(0, len(film.data))
    viewer.close()
    account.assert_flawless()


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": f"bytes=0-{BLOCK - 1}"},
        {"Range": f"bytes={BLOCK + 7}-"},
        {"Range": f"bytes={BLOCK + 7}-{BLOCK + 99}"},
    ],
    ids=["a whole block", "to the end of a block", "a part of a block"],
)
def test_a_block_is_fetched_once(own_stack: Stack, uses: str, headers: dict[str, str]) -> None:
    film, before, fetched = new_film(own_stack), on_disk(own_stack), Fetched(own_stack)
    caches, written = [], []
    for _ in range(3):
        caches.append(get(own_stack, film, headers).headers["X-Cache"])
        written.append(on_disk(own_stack) - before)
    assert caches == ["MISS", "HIT", "HIT"]
    assert written == ([1, 1, 1] if uses == AT_ONCE else [0, 0, 0])
    until(lambda: fetched.media_requests or None, "the service has counted")
    assert fetched.media_requests == 1


def test_a_block_that_left_memory_is_written_by_its_second_fetch(
    own_stack: Stack, uses: str
) -> None:
    if uses == AT_ONCE:
        pytest.skip("no block is in memory")
    film, before = new_film(own_stack), on_disk(own_stack)
    block = {"Range": f"bytes=0-{BLOCK - 1}"}
    assert get(own_stack, film, block).headers["X-Cache"] == "MISS"
    # Blocks leave memory in the order in which they came.
    watch(own_stack, new_film(own_stack, KEPT - 1))
    assert get(own_stack, film, block).headers["X-Cache"] == "HIT"
    watch(own_stack, new_film(own_stack, KEPT))
    assert on_disk(own_stack) == before
    assert [get(own_stack, film, block).headers["X-Cache"] for _ in "12"] == ["MISS", "HIT"]
    # The next films remove it from memory, and not from disk.
    watch(own_stack, new_film(own_stack, KEPT))
    last = get(own_stack, film, block).headers["X-Cache"]
    written = on_disk(own_stack) - before
    assert (last, written) == (("HIT", 1) if uses == BY_THE_SECOND else ("MISS", 0))


def test_a_viewer_of_a_film_that_is_longer_than_the_memory(own_stack: Stack, uses: str) -> None:
    film, before, fetched = new_film(own_stack, 4 * KEPT), on_disk(own_stack), Fetched(own_stack)
    watch(own_stack, film)
    assert on_disk(own_stack) - before == (4 * KEPT if uses == AT_ONCE else 0)
    until(lambda: fetched.sent_bytes >= len(film.data) or None, "the service has counted")
    assert fetched.sent_bytes == len(film.data)
    if uses != AT_ONCE:
        assert in_memory(own_stack) == KEPT


def test_a_download_is_written_by_its_second_fetch(own_stack: Stack, uses: str) -> None:
    film, before, written = new_film(own_stack, 2 * KEPT), on_disk(own_stack), []
    for _ in range(2):
        answer = ask(own_stack.base, f"/download/{film.target}")
        assert (answer.status, answer.body) == (200, film.data)
        written.append(on_disk(own_stack) - before)
    # The second half of the film was still in memory.
    assert written == {
        AT_ONCE: [2 * KEPT, 2 * KEPT],
        BY_THE_SECOND: [0, KEPT],
        NEVER: [0, 0],
    }[uses]  # fmt: skip


def test_a_crowd_causes_one_fetch_of_each_block(own_stack: Stack, uses: str) -> None:
    film, account, fetched = new_film(own_stack), Account(), Fetched(own_stack)
    barrier, before = threading.Barrier(VIEWERS), on_disk(own_stack)

    def open_it() -> None:
        client = Client(own_stack.base, film, account)
        barrier.wait()
        client.play(0, len(film.data))
        client.close()

    with crowd([open_it] * VIEWERS):
        pass
    account.assert_flawless()
    assert account.received == VIEWERS * len(film.data)
    until(lambda: fetched.sent_bytes >= len(film.data) or None, "the service has counted")
    assert (fetched.media_requests, fetched.sent_bytes) == (BLOCKS, len(film.data))
    assert on_disk(own_stack) - before == (BLOCKS if uses == AT_ONCE else 0)


def test_a_viewer_does_not_notice_a_replica_that_dies(own_stack: Stack) -> None:
    """The replica breaks off each block once."""
    film = new_film(own_stack)
    with failing_replica(own_stack):
        watch(own_stack, film)


def test_an_emptied_cache_is_fetched_again(own_stack: Stack) -> None:
    film, block = new_film(own_stack), {"Range": f"bytes=0-{BLOCK - 1}"}
    get(own_stack, film, block)
    own_stack.run("nginx", "empty-cache")
    assert (on_disk(own_stack), in_memory(own_stack)) == (0, 0)
    assert [get(own_stack, film, block).headers["X-Cache"] for _ in "12"] == ["MISS", "HIT"]
    # Blocks that are gone already leave memory without a word.
    watch(own_stack, new_film(own_stack, 2 * KEPT))
    assert [line for line in own_stack.lines("nginx") if "stays in memory" in line] == []


def test_an_edge_that_starts_again_keeps_blocks_where_it_did(own_stack: Stack, uses: str) -> None:
    before = on_disk(own_stack)
    restart_edge(own_stack)
    film, block = new_film(own_stack), {"Range": f"bytes=0-{BLOCK - 1}"}
    assert [get(own_stack, film, block).headers["X-Cache"] for _ in "12"] == ["MISS", "HIT"]
    kept = (on_disk(own_stack) - before, in_memory(own_stack))
    assert kept == ((1, 0) if uses == AT_ONCE else (0, 1))


def test_memory_that_viewers_hold_is_full(own_stack: Stack, uses: str) -> None:
    """A block that was removed takes memory until all who are getting it have it."""
    if uses == AT_ONCE:
        pytest.skip("no block is in memory")
    held = 2 * MEMORY // BLOCK
    film, other, before = new_film(own_stack, held), new_film(own_stack), on_disk(own_stack)
    with contextlib.ExitStack() as viewers:
        for number in range(held):
            viewers.enter_context(stopped_viewer(own_stack, film, number))
        states = [
            get(own_stack, other, {"Range": f"bytes={BLOCK}-"}).headers["X-Cache"] for _ in "12"
        ]
        written = on_disk(own_stack) - before
        if uses == BY_THE_SECOND:
            assert (states, written > 0) == (["MISS", "HIT"], True)
        else:
            assert (states, written) == (["BYPASS", "BYPASS"], 0)
    # All of it: what has begun is sent to its end.
    watch(own_stack, film)


@contextlib.contextmanager
def stopped_viewer(stack: Stack, film: Film, block: int) -> Iterator[None]:
    """Request a block and take none of it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(60)
        plain.connect((stack.address("nginx"), 8443))
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            span = f"bytes={block * BLOCK}-{(block + 1) * BLOCK - 1}"
            lines = (f"GET /media/{film.target} HTTP/1.1", "Host: localhost", f"Range: {span}")
            client.sendall("\r\n".join((*lines, "", "")).encode())
            assert client.recv(1) == b"H"
            yield


def others_up(edge: Edge) -> float:
    return edge.metric('reelay_edge_others{state="up"}')


@pytest.mark.parametrize("uses", [BY_THE_SECOND, NEVER])
def test_of_several_edges_one_fetches_a_block(
    tmp_path_factory: pytest.TempPathFactory, uses: str
) -> None:
    media = tmp_path_factory.mktemp("edges") / "media"
    media.mkdir()
    with edge_cluster(media, CACHE_MIN_USES=uses, CACHE_MEMORY=str(MEMORY)) as cluster:
        for edge in cluster.edges:
            until(lambda edge=edge: others_up(edge) == 2 or None, "it sees the others")
        film, fetched = new_film(cluster.stack), cluster.fetched()
        revision = ask(cluster.edges[0].base, f"/media/{film.target}", method="HEAD").headers[
            "ETag"
        ]
        target = "{}?v={}".format(film.target, revision.strip('"'))
        states = []
        for first in range(0, len(film.data), BLOCK):
            owner = cluster.owner(target, first, BLOCK)
            others = [edge for edge in cluster.edges if edge != owner]
            for edge in (*others, owner, others[0]):
                answer = ask(edge.base, f"/media/{target}", {"Range": f"bytes={first}-"})
                assert answer.body == film.data[first : first + BLOCK]
                states.append(answer.headers["X-Cache"])
        # The first one gets it from its owner, which fetches it from the service.
        assert states == ["MISS", "PEER", "HIT", "HIT"] * BLOCKS
        assert fetched.media_requests == BLOCKS
        containers = [cluster.stack.containers(edge.service)[0] for edge in cluster.edges]
        assert [files(container, "/var/cache/nginx") for container in containers] == [0, 0, 0]
