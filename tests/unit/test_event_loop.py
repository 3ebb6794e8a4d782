"""The write buffers of the event loop's servers, and its lag."""

import asyncio

import pytest

from service import event_loop
from service.event_loop import LowBufferLoop


async def _limits() -> tuple[int, int]:
    limits_read: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        limits_read.set_result(writer.transport.get_write_buffer_limits())
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        _, writer = await asyncio.open_connection(host, port)
        limits = await limits_read
        writer.close()
    return limits


def test_a_writer_waits_until_the_kernel_has_accepted_everything() -> None:
    with asyncio.Runner(loop_factory=LowBufferLoop) as runner:
        assert runner.run(_limits()) == (0, 0)


async def test_a_blocked_loop_is_reported_with_its_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    lags: list[float] = []
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)

    async def watch() -> None:
        async for _ in event_loop.monitor_lag(lags.append):
            pass

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)  # its timer is set
    now += 1  # the loop is blocked for a second
    while not lags:  # noqa: ASYNC110 # a list sets no event
        await asyncio.sleep(0)
    watching.cancel()
    assert lags == [1 - event_loop._LAG_INTERVAL]  # noqa: SLF001
