"""Open and hold connections with unfinished requests or handshakes; it runs in a container.

python half_open.py HOST COUNT
"""

import asyncio
import contextlib
import resource
import sys

# The header of a record of 512 bytes and the start of a ClientHello (RFC 8446 §5.1, §4.1.2).
PARTIAL_HANDSHAKE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20)

BEGINNINGS = [(8080, b"GET / HT"), (8443, PARTIAL_HANDSHAKE), (8080, b""), (8443, b"")]
PAUSE = 20  # seconds until a closed connection is reopened
MAX_OPENING = 200  # connections being opened at once: more would overflow the listen queue


async def hold(
    host: str, port: int, beginning: bytes, turn: asyncio.Semaphore, opened: asyncio.Semaphore
) -> None:
    """Open a connection, begin a request or a handshake on it, and wait until it closes."""
    async with turn:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            return
    opened.release()
    with contextlib.suppress(OSError):
        writer.write(beginning)
        await reader.read(1)
    writer.close()


async def keep_holding(
    host: str, number: int, turn: asyncio.Semaphore, opened: asyncio.Semaphore
) -> None:
    """Keep one connection open; reopen it after a pause when it closes."""
    while True:
        await hold(host, *BEGINNINGS[number % len(BEGINNINGS)], turn, opened)
        await asyncio.sleep(PAUSE)


async def main(host: str, count: int) -> None:
    """Print "held" once COUNT connections have been opened."""
    turn, opened = asyncio.Semaphore(MAX_OPENING), asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(keep_holding(host, number, turn, opened))
        for _ in range(count):
            await opened.acquire()
        sys.stdout.write("held\n")
        sys.stdout.flush()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
