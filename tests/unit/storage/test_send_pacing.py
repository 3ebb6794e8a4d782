"""How much is sent at a time, by what was taken before."""

import asyncio

import pytest

from service.storage.send_pacing import _MOST_CONNECTIONS, _MOST_LARGE, LARGE, SMALL, Paces, Pieces

AT_ONCE, IN_A_SECOND = 0.001, 1.0
BOTH_KERNELS = 256 * 1024  # what they take for a client that reads nothing (pieces.py)


def test_pieces_are_small_for_as_long_as_the_kernels_may_be_all_that_takes_them() -> None:
    pieces, sent = Pieces(), 0
    while sent <= BOTH_KERNELS:
        assert pieces.size == SMALL
        pieces.taken(SMALL, AT_ONCE)
        sent += SMALL


def test_pieces_are_large_for_a_client_that_takes_them() -> None:
    pieces = Pieces()
    for _ in range(5):
        pieces.taken(pieces.size, AT_ONCE)
    assert pieces.size == LARGE
    pieces.taken(LARGE, AT_ONCE)
    assert pieces.size == LARGE


def test_a_client_that_grows_slow_gets_small_pieces_again() -> None:
    pieces = Pieces()
    for _ in range(9):
        pieces.taken(pieces.size, AT_ONCE)
    pieces.taken(LARGE, IN_A_SECOND)
    assert pieces.size == SMALL
    pieces.taken(SMALL, AT_ONCE)
    assert pieces.size == SMALL


def test_a_slow_client_never_gets_a_large_one() -> None:
    pieces = Pieces()
    for _ in range(99):
        pieces.taken(pieces.size, IN_A_SECOND)
        assert pieces.size == SMALL


def prompt(paces: Paces, client: int) -> Pieces:
    """Give the pieces of a client that has taken all so far at once."""
    pieces = paces.of(client)
    for _ in range(9):
        pieces.taken(pieces.size, AT_ONCE)
    return pieces


def test_large_pieces_that_nobody_takes_make_those_of_all_others_small() -> None:
    paces, held = Paces(), 0
    stopped = [prompt(paces, client) for client in range(1000)]
    for pieces in stopped:
        size = pieces.size
        pieces.hold(size)
        held += size
    assert held < 1000 * SMALL + 80 * 1024**2  # far from 1000 * LARGE
    assert prompt(paces, 2000).size == SMALL
    stopped[0].hold(-LARGE)
    assert prompt(paces, 2000).size == LARGE


@pytest.mark.parametrize("end", [asyncio.CancelledError, ConnectionError])
async def test_what_was_given_to_a_client_that_goes_is_not_held(end: type[BaseException]) -> None:
    paces, given = Paces(), asyncio.Event()

    async def taking() -> None:
        given.set()
        await left.wait()
        raise end

    left = asyncio.Event()
    giving = asyncio.create_task(prompt(paces, 1).give(_MOST_LARGE, taking()))
    await given.wait()
    assert prompt(paces, 2).size == SMALL
    left.set()
    with pytest.raises(end):
        await giving
    assert prompt(paces, 2).size == LARGE


async def test_what_a_client_took_promptly_counts_for_its_next_piece() -> None:
    pieces = Pieces()
    for _ in range(5):
        await pieces.give(SMALL, asyncio.sleep(0))
    assert pieces.size == LARGE
    await pieces.give(LARGE, asyncio.sleep(0.3))
    assert pieces.size == SMALL


def test_a_connections_next_response_begins_as_its_last_one_ended_and_no_others() -> None:
    paces = Paces()
    prompt(paces, 1)
    assert paces.of(1).size == LARGE
    assert paces.of(2).size == SMALL


def test_of_too_many_connections_the_one_that_asked_longest_ago_is_forgotten() -> None:
    paces = Paces()
    for client in (1, 2):
        prompt(paces, client)
    for client in range(3, _MOST_CONNECTIONS + 1):
        paces.of(client)
    paces.of(1)  # asks again
    paces.of(_MOST_CONNECTIONS + 1)  # is one too many
    assert paces.of(1).size == LARGE
    assert paces.of(2).size == SMALL
