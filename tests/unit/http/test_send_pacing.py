"""Chunk sizes by how fast a client reads."""

import asyncio

import pytest

from service.http import send_pacing
from service.http.send_pacing import (
    _MAX_BUFFERED,
    _MAX_CONNECTIONS,
    ChunkSizer,
    ChunkSizerRegistry,
)
from service.storage.base import MAX_CHUNK, MIN_CHUNK

AT_ONCE, IN_A_SECOND = 0.001, 1.0
BOTH_KERNELS = (
    256 * 1024
)  # what the kernels buffer for a client that reads nothing (send_pacing.py)


def test_chunks_are_small_while_the_kernels_may_buffer_them_all() -> None:
    sizer, sent = ChunkSizer(), 0
    while sent <= BOTH_KERNELS:
        assert sizer.length() == MIN_CHUNK
        sizer.record_send(MIN_CHUNK, AT_ONCE)
        sent += MIN_CHUNK


def test_chunks_are_large_for_a_fast_client() -> None:
    sizer = ChunkSizer()
    for _ in range(5):
        sizer.record_send(sizer.length(), AT_ONCE)
    assert sizer.length() == MAX_CHUNK
    sizer.record_send(MAX_CHUNK, AT_ONCE)
    assert sizer.length() == MAX_CHUNK


def test_a_client_that_becomes_slow_gets_small_chunks_again() -> None:
    sizer = ChunkSizer()
    for _ in range(9):
        sizer.record_send(sizer.length(), AT_ONCE)
    sizer.record_send(MAX_CHUNK, IN_A_SECOND)
    assert sizer.length() == MIN_CHUNK
    sizer.record_send(MIN_CHUNK, AT_ONCE)
    assert sizer.length() == MIN_CHUNK


def test_a_slow_client_never_gets_a_large_chunk() -> None:
    sizer = ChunkSizer()
    for _ in range(99):
        sizer.record_send(sizer.length(), IN_A_SECOND)
        assert sizer.length() == MIN_CHUNK


def prompt(sizers: ChunkSizerRegistry, client: int) -> ChunkSizer:
    """Return the sizer of a fast client."""
    sizer = sizers.of(client)
    for _ in range(9):
        sizer.record_send(sizer.length(), AT_ONCE)
    return sizer


def test_many_unread_large_chunks_make_all_others_small() -> None:
    sizers, buffered = ChunkSizerRegistry(), 0
    stopped = [prompt(sizers, client) for client in range(1000)]
    for sizer in stopped:
        size = sizer.length()
        sizer.add_buffered(size)
        buffered += size
    assert buffered < 1000 * MIN_CHUNK + 80 * 1024**2  # far from 1000 * MAX_CHUNK
    assert prompt(sizers, 2000).length() == MIN_CHUNK
    stopped[0].add_buffered(-MAX_CHUNK)
    assert prompt(sizers, 2000).length() == MAX_CHUNK


@pytest.mark.parametrize("end", [asyncio.CancelledError, ConnectionError])
async def test_chunks_of_a_client_that_disconnects_are_not_counted(
    end: type[BaseException],
) -> None:
    sizers, started = ChunkSizerRegistry(), asyncio.Event()

    async def taking() -> None:
        started.set()
        await left.wait()
        raise end

    left = asyncio.Event()
    giving = asyncio.create_task(prompt(sizers, 1).track_send(_MAX_BUFFERED, taking()))
    await started.wait()
    assert prompt(sizers, 2).length() == MIN_CHUNK
    left.set()
    with pytest.raises(end):
        await giving
    assert prompt(sizers, 2).length() == MAX_CHUNK


async def test_fast_sends_make_the_next_chunk_large(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0

    class Clock:
        monotonic = staticmethod(lambda: now)

    async def sending(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(send_pacing, "time", Clock)
    sizer = ChunkSizer()
    for _ in range(5):
        await sizer.track_send(MIN_CHUNK, sending(AT_ONCE))
    assert sizer.length() == MAX_CHUNK
    await sizer.track_send(MAX_CHUNK, sending(IN_A_SECOND))
    assert sizer.length() == MIN_CHUNK


def test_the_next_response_of_a_connection_keeps_its_chunk_size() -> None:
    sizers = ChunkSizerRegistry()
    prompt(sizers, 1)
    assert sizers.of(1).length() == MAX_CHUNK
    assert sizers.of(2).length() == MIN_CHUNK


def test_the_least_recently_used_connection_is_dropped() -> None:
    sizers = ChunkSizerRegistry()
    for client in (1, 2):
        prompt(sizers, client)
    for client in range(3, _MAX_CONNECTIONS + 1):
        sizers.of(client)
    sizers.of(1)  # requests again
    sizers.of(_MAX_CONNECTIONS + 1)  # exceeds the limit
    assert sizers.of(1).length() == MAX_CHUNK
    assert sizers.of(2).length() == MIN_CHUNK
