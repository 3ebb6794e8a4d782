"""What happens when the cache's disk is full: all is served as before, only not from the cache."""

import secrets
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fetched import Fetched
from server import BLOCK, until, write
from stack import Stack
from viewers import Account, Client, Film, crowd, seeks
from wire import ask

pytestmark = pytest.mark.stack

DISK = 3 * BLOCK  # as in small-disk.yml; REELAY_CACHE_SIZE is 10 GiB
BLOCKS = 12
SIZE = (BLOCKS - 1) * BLOCK + 4321
VIEWERS = 20
TRIES = 5  # MOST_CUT_SHORT in njs/edge.js, and the one that is too many
FOLDER = "/var/cache/nginx/blocks"


@pytest.fixture(scope="module")
def cramped(stack: Stack) -> Iterator[Stack]:
    stack.files = (Path(__file__).parent / "small-disk.yml",)
    try:
        stack.up()
        yield stack
    finally:
        stack.files = ()
        stack.up()


@pytest.fixture(params=["three blocks", "none"])
def room(cramped: Stack, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Leave room for a quarter of a film, or for nothing."""
    if request.param == "none":
        fill_up(cramped)
    yield cramped
    inside(cramped, f"rm -f {FOLDER}/other")


def inside(stack: Stack, command: str) -> str:
    return stack.compose("exec", "-T", "nginx", "sh", "-c", command)


def fill_up(stack: Stack) -> None:
    """Leave no byte to the cache."""
    inside(stack, f"empty-cache; head -c {DISK} /dev/zero 2>/dev/null >{FOLDER}/other || true")
    assert int(inside(stack, f"df --output=avail {FOLDER} | tail -n 1")) == 0


def new_film(stack: Stack) -> Film:
    name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(SIZE)
    write(stack.media, name, data)
    return Film(name, data)


@pytest.mark.parametrize("door", ["media", "download"])
def test_one_viewer_gets_every_byte_and_waits_for_nothing(room: Stack, door: str) -> None:
    film, account, fetched = new_film(room), Account(), Fetched(room)
    client = Client(room.base, film, account)
    started = time.monotonic()
    if door == "media":
        client.play(0, SIZE)
    else:
        client.download()
    client.close()
    took = time.monotonic() - started
    account.assert_flawless()
    assert account.received == SIZE
    # The shortest of the timeouts that a block could run into is 15 seconds.
    assert took < 10
    # Each block once, but for one that is tried again before the cache is given up for 5 seconds.
    tried = TRIES * (1 + took // 5)
    until(lambda: fetched.media_requests >= BLOCKS or None, "the service has counted")
    assert fetched.media_requests <= BLOCKS + tried


def test_many_viewers_get_every_byte(room: Stack) -> None:
    films, account = [new_film(room) for _ in range(2)], Account()

    def view(number: int) -> None:
        film = films[number % 2]
        client = Client(room.base, film, account)
        client.download()
        for offset in seeks(film, number, 3):
            client.play(offset, 2 * BLOCK)
        client.close()

    with crowd([partial(view, number) for number in range(VIEWERS)]):
        pass
    account.assert_flawless()
    assert account.distinct() == SIZE  # the two films alike


def test_the_cache_works_again_when_there_is_room(cramped: Stack) -> None:
    fill_up(cramped)
    film = new_film(cramped)

    def state(block: int) -> str:
        value = {"Range": f"bytes={block * BLOCK}-"}
        answer = ask(cramped.base, f"/media/{film.target}", value)
        assert answer.body == film.data[block * BLOCK :][:BLOCK]
        return answer.headers["X-Cache"]

    for block in range(BLOCKS):
        state(block)
    inside(cramped, f"rm {FOLDER}/other")
    until(lambda: state(0) == "HIT" or None, "a block comes into the cache")
