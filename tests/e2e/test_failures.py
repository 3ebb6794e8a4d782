"""Replicas die, stop and restart while many clients read, without failed requests."""

import fcntl
import http.client
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import pytest
from support.load_clients import Account, Client, Film, crowd, seeks
from support.raw_http import ask
from support.server import BLOCK, until, write
from support.stack import EDGE_WAIT, Stack, docker, failing_replica, pause, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

DOWNLOADS, PLAYERS = 100, 20
FILMS, SIZE = 10, 12 * BLOCK + 777
# Bytes of a film of the crowd, and bytes a second of each client: all read for eight seconds.
CROWD_SIZE, RATE = 4 * BLOCK + 777, 0.5 * BLOCK
REPLICAS = 3


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("replicated") / "media"
    media.mkdir()
    with running(media, DRAIN_DELAY="1") as stack:
        stack.up("--scale", f"service={REPLICAS}")
        yield stack


def kill(stack: Stack) -> None:
    docker("kill", "--signal", "KILL", stack.containers("service")[0])


def freeze_and_kill(stack: Stack) -> None:
    """Kill a replica during its answers: freeze it first, so that none can finish."""
    name = stack.containers("service")[0]
    pause(name)
    time.sleep(2)
    docker("kill", "--signal", "KILL", name)


def stop(stack: Stack) -> None:
    docker("stop", "--time", "30", stack.containers("service")[0])


def restart_all(stack: Stack) -> None:
    for name in stack.containers("service"):
        docker("restart", "--time", "30", name)
        until(partial(healthy, name), f"{name} is healthy", pause=0.2)


def scale(stack: Stack) -> None:
    for number in (1, REPLICAS):
        stack.up("--no-recreate", "--scale", f"service={number}")


def healthy(name: str) -> bool | None:
    return docker("inspect", "--format", "{{.State.Health.Status}}", name) == "healthy" or None


def films(stack: Stack, size: int = SIZE) -> list[Film]:
    """Write uncached films."""
    new = []
    for _ in range(FILMS):
        name, data = f"{secrets.token_hex(4)}.mp4", secrets.token_bytes(size)
        write(stack.media, name, data)
        new.append(Film(name, data))
    return new


@dataclass
class Crowd:
    """100 downloads and 20 players of some films."""

    stack: Stack
    films: list[Film]

    def run_during(self, event: Callable[[Stack], None]) -> Account:
        account, over = Account(), False
        # The engine's proxy of a published port would take much processor time.
        base = f"https://{self.stack.address('nginx')}:8443"

        def download(number: int) -> None:
            while True:
                client = Client(base, self.films[number % FILMS], account, RATE)
                client.download()
                client.close()
                if over:
                    return

        def play(number: int) -> None:
            film = self.films[number % FILMS]
            client = Client(base, film, account, RATE)
            while not over:
                for offset in seeks(film, number, 3):
                    client.play(offset, BLOCK)
            client.close()

        works = [partial(download, number) for number in range(DOWNLOADS)]
        works += [partial(play, number) for number in range(PLAYERS)]
        with crowd(works):
            try:
                until(lambda: len(account.readers) == DOWNLOADS + PLAYERS, "all are reading")
                event(self.stack)
                before = account.answers
                until(lambda: account.answers > before, "answers go on")
            finally:
                over = True
        return account


@pytest.mark.parametrize("event", [kill, freeze_and_kill, stop, restart_all, scale])
def test_failing_and_restarting_replicas_interrupt_no_client(
    replicated: Stack, event: Callable[[Stack], None]
) -> None:
    """Blocks in the cache need no replica: default_stack/test_edge.py."""
    replicated.up("--scale", f"service={REPLICAS}")
    account = Crowd(replicated, films(replicated, CROWD_SIZE)).run_during(event)
    account.assert_flawless()


def test_restarting_the_only_replica_interrupts_no_client(replicated: Stack) -> None:
    """Unless it takes longer than the edge waits: then clients are told when to come back."""
    replicated.up("--scale", "service=1")
    seconds = 0.0

    def restart(stack: Stack) -> None:
        nonlocal seconds
        began = time.monotonic()
        restart_all(stack)
        seconds = time.monotonic() - began

    account = Crowd(replicated, films(replicated, CROWD_SIZE)).run_during(restart)
    assert account.answers
    assert (account.wrong, account.broken) == ([], [])
    assert set(account.statuses) <= ({503} if seconds > EDGE_WAIT else set())


@pytest.fixture
def failing(replicated: Stack) -> Iterator[str]:
    with failing_replica(replicated) as name:
        yield name


def test_a_truncated_block_is_fetched_again_before_it_is_sent(
    replicated: Stack, failing: str
) -> None:
    """Simulate replicas that die during every block, one after another."""
    film = films(replicated)[0]
    until(lambda: ask(replicated.base, f"/media/{film.target}").status < 500 or None, "it answers")
    account = Account()
    clients = [Client(replicated.base, film, account) for _ in range(20)]
    downloads = [client.download for client in clients[::2]]
    watched = [partial(client.play, 0, SIZE) for client in clients[1::2]]
    with crowd([*downloads, *watched]):
        pass
    for client in clients:
        client.close()
    account.assert_flawless()
    cut = [line for line in docker("logs", failing).splitlines() if line.startswith("cut")]
    assert len(cut) == len(range(0, SIZE, BLOCK))


def request_blocks(stack: Stack, film: Film, numbers: range) -> list[str]:
    """Request blocks of a film; check their bytes, and return their X-Cache."""
    states = []
    for number in numbers:
        answer = ask(stack.base, f"/media/{film.target}", {"Range": f"bytes={number * BLOCK}-"})
        assert answer.body == film.data[number * BLOCK :][:BLOCK]
        states.append(answer.headers["X-Cache"])
    return states


def test_truncated_files_do_not_disable_the_cache_for_others(
    replicated: Stack, failing: str
) -> None:
    """Truncated answers, as of files being rewritten, must not count as a full disk."""
    sound, *damaged = films(replicated)[:4]
    for film in damaged:
        (replicated.media / film.target).rename(replicated.media / f"damaged-{film.target}")
        film.target = f"damaged-{film.target}"
    until(lambda: ask(replicated.base, "/").status == 200 or None, "it gets requests")
    broken = 0
    for film in damaged:
        for number in range(3):
            headers = {"Range": f"bytes={number * BLOCK}-"}
            with pytest.raises(http.client.IncompleteRead):
                ask(replicated.base, f"/media/{film.target}", headers)
            broken += 1
        assert set(request_blocks(replicated, sound, range(broken - 3, broken))) == {"MISS"}
    assert request_blocks(replicated, sound, range(broken)) == ["HIT"] * broken
    rest = ask(replicated.base, f"/download/{sound.target}", {"Range": f"bytes={broken * BLOCK}-"})
    assert (rest.headers["X-Cache"], rest.body) == ("MISS", sound.data[broken * BLOCK :])
    cut = [line for line in docker("logs", failing).splitlines() if "/damaged" in line]
    assert len(cut) <= broken * 7  # five or six tries for the cache, one for the viewer


def test_a_retried_request_has_one_x_cache_field(replicated: Stack, failing: str) -> None:
    film = films(replicated)[0]
    (replicated.media / film.target).rename(replicated.media / f"unanswered-{film.target}")
    until(lambda: ask(replicated.base, "/").status == 200 or None, "it gets requests")
    # RFC 9110 §14.1.1: an invalid range is ignored.
    answer = ask(replicated.base, f"/media/unanswered-{film.target}", {"Range": "bytes=5-4"})
    assert (answer.status, answer.body) == (200, film.data)
    assert answer.headers.get_all("X-Cache") == ["BYPASS"]


def lease(file: BinaryIO) -> bool:
    """Return whether the file is leased: nobody else may have it open (fcntl(2), F_SETLEASE)."""
    with suppress(BlockingIOError):
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        return True
    return False


def test_an_unreadable_file_does_not_affect_other_requests(replicated: Stack) -> None:
    """All replicas answer 503 for it. None of them may count as failed."""
    replicated.up("--scale", f"service={REPLICAS}")
    film, other = films(replicated)[:2]
    target, over = f"/media/{film.target}", threading.Event()
    # A process that opens a file leased by another one gets EWOULDBLOCK (fcntl(2)).
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        with (replicated.media / film.target).open("r+b") as leased:
            until(partial(lease, leased), "no replica has the new file open")

            def request_repeatedly() -> Counter[int]:
                statuses: Counter[int] = Counter()
                while not over.is_set():
                    statuses[ask(replicated.base, target, {"Range": "bytes=-9"}).status] += 1
                return statuses

            with ThreadPoolExecutor(2) as pool:
                futures = [pool.submit(request_repeatedly) for _ in range(2)]
                try:
                    pages = Counter(ask(replicated.base, "/").status for _ in range(100))
                    states = request_blocks(replicated, other, range(6))
                finally:
                    over.set()
            assert set(sum((future.result() for future in futures), Counter())) == {503}
    finally:
        signal.signal(signal.SIGIO, before)
    assert pages == {200: 100}
    assert states == ["MISS"] * 6


def test_requests_to_a_frozen_replica_are_retried_on_another(replicated: Stack) -> None:
    replicated.up("--scale", f"service={REPLICAS}")
    film = films(replicated)[0]
    frozen = replicated.containers("service")[0]
    pause(frozen)
    try:
        with ThreadPoolExecutor(12) as pool:
            ranges = [{"Range": f"bytes={number * BLOCK}-"} for number in range(12)]
            answers = list(
                pool.map(lambda span: ask(replicated.base, f"/media/{film.target}", span), ranges)
            )
    finally:
        docker("unpause", frozen)
        until(partial(healthy, frozen), f"{frozen} is healthy", pause=0.2)
    assert [answer.status for answer in answers] == [206] * 12
    assert b"".join(answer.body for answer in answers) == film.data[: 12 * BLOCK]
