"""An edge that keeps a block by its second use: REELAY_CACHE_MIN_USES."""

import secrets
import threading
from collections.abc import Iterator

import pytest
from support.load_clients import Account, Client, Film, crowd
from support.raw_http import ask
from support.server import BLOCK, until, write
from support.service_counters import Fetched
from support.stack import Stack, running

pytestmark = pytest.mark.stack

BLOCKS, VIEWERS = 3, 20


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("uses") / "media"
    media.mkdir()
    with running(media, CACHE_MIN_USES="2") as stack:
        yield stack


def new_film(stack: Stack) -> Film:
    name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(BLOCKS * BLOCK)
    write(stack.media, name, data)
    return Film(name, data)


def cached_files(stack: Stack) -> int:
    return len(stack.run("nginx", "find", "/var/cache/nginx/blocks", "-type", "f").split())


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": f"bytes=0-{BLOCK - 1}"},
        {"Range": f"bytes={BLOCK + 7}-"},
        {"Range": f"bytes={BLOCK + 7}-{BLOCK + 99}"},
    ],
    ids=["a whole block", "to the end of a block", "a part of a block"],
)
def test_a_block_is_kept_by_its_second_use(own_stack: Stack, headers: dict[str, str]) -> None:
    film, before = new_film(own_stack), cached_files(own_stack)
    caches, kept = [], []
    for _ in range(3):
        answer = ask(own_stack.base, f"/media/{film.target}", headers)
        assert answer.status == 206
        first = int(answer.headers["Content-Range"].split()[1].partition("-")[0])
        assert answer.body == film.data[first : first + len(answer.body)]
        caches.append(answer.headers["X-Cache"])
        kept.append(cached_files(own_stack) - before)
    assert (caches, kept) == (["BYPASS", "MISS", "HIT"], [0, 1, 1])


def test_a_response_of_several_blocks_is_kept_whole_by_its_second_use(own_stack: Stack) -> None:
    film, before = new_film(own_stack), cached_files(own_stack)
    kept = []
    for _ in range(2):
        answer = ask(own_stack.base, f"/download/{film.target}")
        assert (answer.status, answer.body) == (200, film.data)
        kept.append(cached_files(own_stack) - before)
    assert kept == [0, BLOCKS]


def test_a_viewer_of_a_whole_film_makes_the_edge_write_nothing(own_stack: Stack) -> None:
    film, account, before = new_film(own_stack), Account(), cached_files(own_stack)
    viewer = Client(own_stack.base, film, account)
    viewer.play(0, len(film.data))
    viewer.close()
    account.assert_flawless()
    assert cached_files(own_stack) == before


def test_a_crowd_causes_two_fetches_per_block_at_most(own_stack: Stack) -> None:
    """The first use is passed on while the second is fetched; all others wait for that."""
    film, account, fetched = new_film(own_stack), Account(), Fetched(own_stack)
    barrier = threading.Barrier(VIEWERS)

    def open_it() -> None:
        client = Client(own_stack.base, film, account)
        barrier.wait()
        client.play(0, len(film.data))
        client.close()

    with crowd([open_it] * VIEWERS):
        pass
    account.assert_flawless()
    assert account.received == VIEWERS * len(film.data)
    until(lambda: fetched.sent_bytes >= 2 * len(film.data) or None, "the service has counted")
    assert (fetched.media_requests, fetched.sent_bytes) == (2 * BLOCKS, 2 * len(film.data))
