"""What a server's transports take before their writers have to wait."""

import asyncio

from service.loop import Loop


async def _limits() -> tuple[int, int]:
    found: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.set_result(writer.transport.get_write_buffer_limits())
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        _, writer = await asyncio.open_connection(host, port)
        limits = await found
        writer.close()
    return limits


def test_a_writer_waits_until_the_kernel_has_all() -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(_limits()) == (0, 0)
