"""An edge with more viewers than it can send to: REELAY_OVERLOAD_DELAY."""

import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.load_clients import Account, Client, Film, crowd
from support.raw_http import Answer, ask
from support.server import until, write
from support.stack import Stack, docker, running

pytestmark = [pytest.mark.stack, pytest.mark.slow]

BLOCK = 4 * 1024**2  # a response takes many turns of the worker, as those of real players do
VIEWERS = 96
"""More responses than the edge has in progress without a crowd (nginx/njs/event_loop.js)."""
FEW = 8
CORES = "0.2"


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("overload") / "media"
    media.mkdir()
    with running(media, MAX_PARTIAL_SIZE=str(BLOCK), OVERLOAD_DELAY="50") as stack:
        yield stack


@pytest.fixture(scope="module")
def film(own_stack: Stack) -> Film:
    film = Film("film.mp4", secrets.token_bytes(2 * BLOCK))
    write(own_stack.media, film.target, film.data)
    for first in (0, BLOCK):
        assert ask(own_stack.base, "/media/film.mp4", {"Range": f"bytes={first}-"}).status == 206
    return film


@contextmanager
def watching(stack: Stack, film: Film, viewers: int) -> Iterator[Account]:
    """Run viewers that request the second block of a film repeatedly, while the edge has CORES."""
    account, stopped = Account(), threading.Event()

    def watch() -> None:
        client = Client(stack.base, film, account)
        while not stopped.is_set():
            client.fetch("media", {"Range": f"bytes={BLOCK}-"})
        client.close()

    edge = stack.container("nginx")["Id"]
    docker("update", "--cpus", CORES, edge)
    try:
        with crowd([watch] * viewers):
            try:
                yield account
            finally:
                stopped.set()
                docker("update", "--cpus", "2", edge)
    finally:
        docker("update", "--cpus", "2", edge)


def open_film(stack: Stack, accept: str = "*/*") -> Answer:
    headers = {"Range": "bytes=0-99", "Accept": accept}
    return ask(stack.base, "/media/film.mp4", headers)


def metric(stack: Stack, name: str) -> list[float]:
    """Return the values of a metric of the edge."""
    lines = ask(stack.operator, "/edge/metrics").body.decode().splitlines()
    return [float(line.split()[-1]) for line in lines if re.match(rf"{name}[{{ ]", line)]


def is_late(stack: Stack) -> bool:
    return max(metric(stack, "reelay_edge_event_loop_delay_seconds")) > 0.05


def test_new_films_have_to_wait_while_a_crowd_watches(own_stack: Stack, film: Film) -> None:
    def refused(accept: str) -> Answer:
        """Open the film until that is refused."""
        answers: list[Answer] = []

        def is_refused() -> bool:
            answers.append(open_film(own_stack, accept))
            return answers[-1].status == 503

        until(is_refused, "an overloaded edge begins no more films")
        return answers[-1]

    refusals = "reelay_edge_overload_refusals_total"
    before = metric(own_stack, refusals)[0]
    with watching(own_stack, film, VIEWERS) as account:
        problem, page = refused("*/*"), refused("text/html")
        answered = account.answers
        until(lambda: account.answers >= answered + VIEWERS, "those who watch go on")
    account.assert_flawless()
    for answer in (problem, page):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert answer.headers["Cache-Control"] == "no-store"
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert json.loads(problem.body)["status"] == 503
    assert "<h1>Too many viewers</h1>" in page.body.decode()
    assert metric(own_stack, refusals)[0] >= before + 2
    until(lambda: open_film(own_stack).status == 206, "the edge begins films again")


def test_few_viewers_are_not_refused_however_slow_the_edge_is(own_stack: Stack, film: Film) -> None:
    with watching(own_stack, film, FEW) as account:
        until(lambda: is_late(own_stack), "the edge is late")
        assert open_film(own_stack).status == 206
    account.assert_flawless()
