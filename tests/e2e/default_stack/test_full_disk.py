"""With a full disk the edge serves everything as before, uncached."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support.load_clients import Account, Client, Film, crowd, seeks
from support.raw_http import ask
from support.server import BLOCK, until, write
from support.service_counters import Fetched
from support.stack import Stack, failing_replica

pytestmark = [pytest.mark.slow, pytest.mark.stack]

DISK = 3 * BLOCK  # as in small-disk.yml; REELAY_CACHE_SIZE is 10 GiB
BLOCKS = 12
SIZE = (BLOCKS - 1) * BLOCK + 4321
VIEWERS = 20
FOLDER = "/var/cache/nginx/blocks"


@pytest.fixture(scope="module")
def cramped(stack: Stack) -> Iterator[Stack]:
    before = stack.files
    stack.files = (*before, Path(__file__).parent / "small-disk.yml")
    try:
        stack.up()
        yield stack
    finally:
        stack.files = before
        stack.up()


@pytest.fixture(params=["three blocks", "none"])
def little_space(cramped: Stack, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Leave space for a quarter of a film or none at all."""
    if request.param == "none":
        fill_up(cramped)
    yield cramped
    inside(cramped, f"rm -f {FOLDER}/other")


def inside(stack: Stack, command: str) -> str:
    return stack.run("nginx", "sh", "-c", command)


def fill_up(stack: Stack) -> None:
    """Fill the disk of the cache completely."""
    inside(stack, f"empty-cache; head -c {DISK} /dev/zero 2>/dev/null >{FOLDER}/other || true")
    assert int(inside(stack, f"df --output=avail {FOLDER} | tail -n 1")) == 0


def new_film(stack: Stack) -> Film:
    name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(SIZE)
    write(stack.media, name, data)
    return Film(name, data)


def seconds_of_answers(stack: Stack, film: Film) -> list[float]:
    """Return the seconds of each answer, once all of the film is logged, a bit later."""
    lines = [line for line in stack.events("nginx") if film.target in line["uri"]]
    is_logged = sum(line["bytes"] for line in lines) >= SIZE
    return [line["seconds"] for line in lines] if is_logged else []


@pytest.mark.parametrize("route", ["media", "download"])
def test_one_viewer_gets_every_byte_without_a_timeout(little_space: Stack, route: str) -> None:
    film, account, fetched = new_film(little_space), Account(), Fetched(little_space)
    client = Client(little_space.base, film, account)
    if route == "media":
        client.play(0, SIZE)
    else:
        client.download()
    client.close()
    assert (account.wrong, account.statuses) == ([], [])
    assert len(account.broken) <= 1  # the download during which the disk was found full
    assert account.distinct() == SIZE
    # The shortest timeout that could apply to a block is 15 seconds.
    seconds = until(lambda: seconds_of_answers(little_space, film), "answers are logged")
    assert max(seconds) < 15
    # Each block once, except the one that is tried five times before the edge stops caching.
    assert fetched.sent_bytes <= SIZE + 6 * BLOCK


def test_many_viewers_get_every_byte(little_space: Stack) -> None:
    """A download with some cached blocks ends at an uncacheable one, and is resumed."""
    films, account = [new_film(little_space) for _ in range(2)], Account()

    def view(number: int) -> None:
        film = films[number % 2]
        client = Client(little_space.base, film, account)
        client.download()
        for offset in seeks(film, number, 3):
            client.play(offset, 2 * BLOCK)
        client.close()

    with crowd([partial(view, number) for number in range(VIEWERS)]):
        pass
    assert (account.wrong, account.statuses) == ([], [])
    assert len(account.broken) < VIEWERS
    assert account.distinct() == SIZE  # spans of both films are counted together


def test_the_cache_works_again_once_there_is_space(cramped: Stack) -> None:
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
    until(lambda: state(0) == "HIT" or None, "a block is cached")


def test_an_interrupted_uncached_answer_is_resumed(
    cramped: Stack, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """An uncached answer ends when its replica fails: players and curl request the rest."""
    film, account = new_film(cramped), Account()
    saved = tmp_path / "film.mp4"
    with failing_replica(cramped):
        until(lambda: ask(cramped.base, "/").status == 200 or None, "it gets requests")
        fill_up(cramped)
        clients = [Client(cramped.base, film, account) for _ in range(2)]
        clients[0].play(0, SIZE)
        clients[1].download()
        url = f"{cramped.base}/download/{film.target}"
        curl = ["curl", "--insecure", "--silent", "--continue-at", "-", "--output", str(saved), url]
        calls = 1
        while subprocess.run(curl, check=False).returncode and calls < 3 * BLOCKS:
            calls += 1
    for client in clients:
        client.close()
    assert (account.wrong, account.statuses, account.distinct()) == ([], [], SIZE)
    assert saved.read_bytes() == film.data
    assert len(account.broken) + calls > 1  # else nothing was interrupted
    record_property("answers that broke", len(account.broken) + calls - 1)
