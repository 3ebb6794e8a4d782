"""The service sends each byte once, however many clients watch, seek, leave and resume."""

import random
import secrets
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from support.load_clients import Account, Client, Film, crowd, seeks
from support.server import BLOCK, until, write
from support.service_counters import Fetched
from support.stack import Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

SIZE = 52 * BLOCK + 54_321
VIEWERS, SEEKS, DOWNLOADS = 50, 5, 20
WATCHED = 2 * BLOCK  # bytes from each offset
MAX_RATIO = 1.05  # bytes from the service for each distinct byte that viewers received


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("fetches") / "media"
    media.mkdir()
    with running(media) as stack:
        yield stack


def edge(stack: Stack) -> str:
    """Return the edge's own address: the engine's proxy of a published port takes time, too."""
    return f"https://{stack.address('nginx')}:8443"


def uncached_film(stack: Stack) -> Film:
    """Write a film of random bytes, of which the edge has cached nothing."""
    name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(SIZE)
    write(stack.media, name, data)
    return Film(name, data)


def watch(base: str, film: Film, account: Account, seed: int) -> None:
    """Start at a random offset and seek five times; abort one of four answers."""
    rng = random.Random(seed)  # noqa: S311
    client = Client(base, film, account)
    for offset in seeks(film, seed, 1 + SEEKS):
        client.play(offset, WATCHED, leaves=lambda: rng.random() < 0.25)
    client.close()


def resume(base: str, film: Film, account: Account, seed: int) -> None:
    """Fetch the rest of a download from an arbitrary offset."""
    (offset,) = seeks(film, seed, 1)
    client = Client(base, film, account)
    end = client.fetch("download", {"Range": f"bytes={offset}-"})
    client.close()
    assert end == SIZE


def test_viewers_and_downloads_cause_one_fetch_per_byte(
    own_stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    film, account, fetched = uncached_film(own_stack), Account(), Fetched(own_stack)
    with crowd([partial(watch, edge(own_stack), film, account, n) for n in range(VIEWERS)]):
        pass
    account.assert_flawless()
    assert fetched.sent_bytes / account.distinct() <= MAX_RATIO
    with crowd([partial(resume, edge(own_stack), film, account, n) for n in range(DOWNLOADS)]):
        pass
    account.assert_flawless()
    ratio = fetched.sent_bytes / account.distinct()
    record_property("bytes to viewers", account.received)
    record_property("fetched per byte", ratio)
    assert ratio <= MAX_RATIO


def test_concurrent_viewers_of_an_uncached_film_cause_one_fetch_per_block(own_stack: Stack) -> None:
    film, account, fetched = uncached_film(own_stack), Account(), Fetched(own_stack)
    base, barrier = edge(own_stack), threading.Barrier(VIEWERS)

    def open_it() -> None:
        client = Client(base, film, account)
        barrier.wait()
        client.play(0, 3 * BLOCK)
        client.close()

    with crowd([open_it] * VIEWERS):
        pass
    account.assert_flawless()
    assert account.received == VIEWERS * 3 * BLOCK
    until(lambda: fetched.sent_bytes >= 3 * BLOCK or None, "the service has counted")
    assert (fetched.media_requests, fetched.sent_bytes) == (3, 3 * BLOCK)


def test_blocks_requested_by_leaving_viewers_are_still_cached(own_stack: Stack) -> None:
    film, account, fetched = uncached_film(own_stack), Account(), Fetched(own_stack)
    for number in range(8):  # each leaves an uncached block after its first bytes
        client = Client(own_stack.base, film, account)
        client.play(number * BLOCK + 5, BLOCK, leaves=lambda: True)
        client.close()
    viewer = Client(own_stack.base, film, account)
    viewer.play(0, 8 * BLOCK)
    viewer.close()
    account.assert_flawless()
    until(lambda: fetched.sent_bytes >= 8 * BLOCK or None, "the service has counted")
    assert (fetched.media_requests, fetched.sent_bytes) == (8, 8 * BLOCK)
