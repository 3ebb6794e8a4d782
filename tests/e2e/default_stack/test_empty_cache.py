"""One command empties the cache while nginx runs, without interrupting viewers."""

import secrets
import threading
from functools import partial

import pytest
from support.http_contract import Origin
from support.load_clients import Account, Client, Film, crowd, seeks
from support.server import BLOCK, write
from support.service_counters import Fetched
from support.stack import Stack

pytestmark = pytest.mark.stack

SIZE = 6 * BLOCK + 99
FOLDER = "/var/cache/nginx/blocks"
COMMAND = ("exec", "-T", "nginx", "empty-cache")  # as in docs/deployment.md; -T: no terminal


def on_disk(stack: Stack) -> tuple[int, int]:
    """Return the number and the total size of the files in the cache."""
    command = f"find {FOLDER} -type f -printf '%s\\n'"
    sizes = stack.run("nginx", "sh", "-c", command).split()
    return len(sizes), sum(map(int, sizes))


def new_film(stack: Stack) -> Film:
    name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(SIZE)
    write(stack.media, name, data)
    return Film(name, data)


def test_emptying_the_cache_makes_the_next_request_a_miss(stack: Stack, origin: Origin) -> None:
    film, fetched = new_film(stack), Fetched(stack)

    def state(value: str) -> str:
        answer = origin.get(f"/media/{film.target}", Range=value)
        first, last = answer.span()
        assert answer.body == film.data[first : last + 1]
        return answer.headers["X-Cache"]

    assert [state("bytes=0-"), state("bytes=0-"), state("bytes=5-9")] == ["MISS", "HIT", "HIT"]
    files, size = on_disk(stack)
    assert files
    assert size > BLOCK
    stack.compose(*COMMAND)
    assert on_disk(stack) == (0, 0)
    assert [state("bytes=0-"), state("bytes=0-"), state("bytes=5-9")] == ["MISS", "HIT", "HIT"]
    assert on_disk(stack)[0] == 1
    assert fetched.media_requests == 2


def test_emptying_the_cache_interrupts_no_viewer(stack: Stack) -> None:
    films, account, stopped = [new_film(stack) for _ in range(3)], Account(), threading.Event()

    def view(number: int) -> None:
        film = films[number % 3]
        client = Client(stack.base, film, account, rate=4 * BLOCK)
        while not stopped.is_set():
            client.download()
            for offset in seeks(film, number, 2):
                client.play(offset, 2 * BLOCK)
        client.close()

    since = stack.run("nginx", "date", "+%s")
    with crowd([partial(view, number) for number in range(20)]):
        try:
            for _ in range(8):
                stack.compose(*COMMAND)
        finally:
            stopped.set()
    account.assert_flawless()
    lines = stack.lines("nginx", "--since", since)
    assert [line for line in lines if "[crit]" in line or "[alert]" in line] == []
