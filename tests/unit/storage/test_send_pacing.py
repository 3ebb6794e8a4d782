"""How much is sent at a time, by what was taken before."""

import asyncio

import pytest

from service.storage.send_pacing import (
    _MAX_BUFFERED,
    _MAX_CONNECTIONS,
    MAX_CHUNK,
    MIN_CHUNK,
    ChunkSizer,
    ChunkSizerRegistry,
)

AT_ONCE, IN_A_SECOND = 0.001, 1.0
BOTH_KERNELS = 256 * 1024  # what they take for a client that reads nothing (pieces.py)


def test_pieces_are_small_for_as_long_as_the_kernels_may_be_all_that_takes_them() -> None:
    sizer, sent = ChunkSizer(), 0
    while sent <= BOTH_KERNELS:
        assert sizer.size == MIN_CHUNK
        sizer.record_send(MIN_CHUNK, AT_ONCE)
        sent += MIN_CHUNK


def test_pieces_are_large_for_a_client_that_takes_them() -> None:
    sizer = ChunkSizer()
    for _ in range(5):
        sizer.record_send(sizer.size, AT_ONCE)
    assert sizer.size == MAX_CHUNK
    sizer.record_send(MAX_CHUNK, AT_ONCE)
    assert sizer.size == MAX_CHUNK


def test_a_client_that_grows_slow_gets_small_pieces_again() -> None:
    sizer = ChunkSizer()
    for _ in range(9):
        sizer.record_send(sizer.size, AT_ONCE)
    sizer.record_send(MAX_CHUNK, IN_A_SECOND)
    assert sizer.size == MIN_CHUNK
    sizer.record_send(MIN_CHUNK, AT_ONCE)
    assert sizer.size == MIN_CHUNK


def test_a_slow_client_never_gets_a_large_one() -> None:
    sizer = ChunkSizer()
    for _ in range(99):
        sizer.record_send(sizer.size, IN_A_SECOND)
        assert sizer.size == MIN_CHUNK


def prompt(sizers: ChunkSizerRegistry, client: int) -> ChunkSizer:
    """Give the pieces of a client that has taken all so far at once."""
    sizer = sizers.of(client)
    for _ in range(9):
        sizer.record_send(sizer.size, AT_ONCE)
    return sizer


def test_large_pieces_that_nobody_takes_make_those_of_all_others_small() -> None:
    sizers, buffered = ChunkSizerRegistry(), 0
    stopped = [prompt(sizers, client) for client in range(1000)]
    for sizer in stopped:
        size = sizer.size
        sizer.add_buffered(size)
        buffered += size
    assert buffered < 1000 * MIN_CHUNK + 80 * 1024**2  # far from 1000 * LARGE
    assert prompt(sizers, 2000).size == MIN_CHUNK
    stopped[0].add_buffered(-MAX_CHUNK)
    assert prompt(sizers, 2000).size == MAX_CHUNK


@pytest.mark.parametrize("end", [asyncio.CancelledError, ConnectionError])
async def test_what_was_given_to_a_client_that_goes_is_not_held(end: type[BaseException]) -> None:
    sizers, started = ChunkSizerRegistry(), asyncio.Event()

    async def taking() -> None:
        started.set()
        await left.wait()
        raise end

    left = asyncio.Event()
    giving = asyncio.create_task(prompt(sizers, 1).track_send(_MAX_BUFFERED, taking()))
    await started.wait()
    assert prompt(sizers, 2).size == MIN_CHUNK
    left.set()
    with pytest.raises(end):
        await giving
    assert prompt(sizers, 2).size == MAX_CHUNK


async def test_what_a_client_took_promptly_counts_for_its_next_piece() -> None:
    sizer = ChunkSizer()
    for _ in range(5):
        await sizer.track_send(MIN_CHUNK, asyncio.sleep(0))
    assert sizer.size == MAX_CHUNK
    await sizer.track_send(MAX_CHUNK, asyncio.sleep(0.3))
    assert sizer.size == MIN_CHUNK


def test_a_connections_next_response_begins_as_its_last_one_ended_and_no_others() -> None:
    sizers = ChunkSizerRegistry()
    prompt(sizers, 1)
    assert sizers.of(1).size == MAX_CHUNK
    assert sizers.of(2).size == MIN_CHUNK


def test_of_too_many_connections_the_one_that_asked_longest_ago_is_forgotten() -> None:
    sizers = ChunkSizerRegistry()
    for client in (1, 2):
        prompt(sizers, client)
    for client in range(3, _MAX_CONNECTIONS + 1):
        sizers.of(client)
    sizers.of(1)  # asks again
    sizers.of(_MAX_CONNECTIONS + 1)  # is one too many
    assert sizers.of(1).size == MAX_CHUNK
    assert sizers.of(2).size == MIN_CHUNK
