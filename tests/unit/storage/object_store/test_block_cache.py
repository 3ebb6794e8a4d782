import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

import pytest
from structlog.testing import capture_logs
from support.server import content

from service.errors import BadGatewayError, ChangedError
from service.metrics import Metrics
from service.protocol.ranges import Span
from service.storage.base import MIN_CHUNK, min_chunk_length
from service.storage.object_store.block_cache import BlockCache, ObjectVersion

BLOCK = 100_000
CHUNK = 10_000
SIZE = 10 * BLOCK + 777
DATA = content(SIZE)
FILM = ObjectVersion("film.mp4", '"tag"', "f-1", SIZE, 0.0)
OTHER = ObjectVersion("other.mp4", '"tag"', "f-1", SIZE, 0.0)
TIMEOUT = 120  # seconds, after which a test that waits for something fails


class Far:
    """A store that yields a chunk of a block when the test allows it."""

    def __init__(self) -> None:
        self.requests: list[Span] = []
        self.passed: list[Span] = []
        """Of those, the spans that are not cached."""
        self.versions: list[ObjectVersion] = []
        self.called_off: list[Span] = []
        self.held_up: dict[int, int] = {}
        """How many bytes are yielded of a span, by its start, until the entry is removed."""
        self.failing: dict[int, Exception] = {}
        """The error of a span, by its start."""

    async def fetch(
        self, version: ObjectVersion, span: Span, *, buffered: bool
    ) -> AsyncGenerator[bytes]:
        self.requests.append(span)
        if not buffered:
            self.passed.append(span)
        self.versions.append(version)
        try:
            for position in range(span.start, span.end, CHUNK):
                await until(partial(self._comes, span, position))
                if span.start in self.failing:
                    raise self.failing[span.start]
                yield DATA[position : min(position + CHUNK, span.end)]
        except (asyncio.CancelledError, GeneratorExit):
            self.called_off.append(span)
            raise

    def _comes(self, span: Span, position: int) -> bool:
        return position - span.start < self.held_up.get(span.start, SIZE)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 # the condition sets no asyncio.Event
            await asyncio.sleep(0.001)


async def let_others_run() -> None:
    """Run each task until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def blocks(far: Far, metrics: Metrics) -> AsyncIterator[BlockCache]:
    """Return a cache for four blocks."""
    blocks = BlockCache(far.fetch, BLOCK, 4 * BLOCK, metrics)
    yield blocks
    far.held_up.clear()
    blocks.close()


def block(number: int) -> Span:
    return Span(number * BLOCK, min(BLOCK, SIZE - number * BLOCK))


async def read(
    blocks: BlockCache, span: Span, version: ObjectVersion = FILM, block_origin: int = 0
) -> bytes:
    chunks = [chunk async for chunk in blocks.read(version, span, min_chunk_length, block_origin)]
    return b"".join(chunks)


def bytes_of(span: Span) -> bytes:
    return DATA[span.start : span.end]


def counted(metrics: Metrics, how: str) -> float:
    return metrics.registry.get_sample_value("reelay_blocks_total", {"how": how}) or 0


def held(metrics: Metrics) -> float:
    value = metrics.registry.get_sample_value("reelay_block_cache_bytes")
    assert value is not None
    return value


@pytest.mark.parametrize("block_origin", [0, 1, -777, BLOCK // 2, -3 * BLOCK - 1])
@pytest.mark.parametrize(
    "span",
    [
        Span(0, SIZE),
        Span(0, 1),
        Span(SIZE - 1, 1),
        block(0),
        block(1),
        block(10),
        Span(BLOCK - 1, 2),
        Span(BLOCK + 5, 3 * BLOCK),
        Span(10 * BLOCK - 5, 10),
        Span(7, 0),
    ],
    ids=str,
)
async def test_a_span_is_read_byte_for_byte(
    blocks: BlockCache, span: Span, block_origin: int
) -> None:
    for _ in range(2):  # fetched, and held
        assert await read(blocks, span, block_origin=block_origin) == bytes_of(span)


async def test_a_chunk_is_not_longer_than_the_sizer_allows(blocks: BlockCache) -> None:
    lengths = [len(chunk) async for chunk in blocks.read(FILM, block(0), min_chunk_length, 0)]
    assert max(lengths) <= MIN_CHUNK
    assert sum(lengths) == BLOCK


async def test_a_block_is_one_request_for_any_number_of_readers(
    blocks: BlockCache, far: Far
) -> None:
    spans = [Span(number * 9000, 10_000) for number in range(10)]
    results = await asyncio.gather(*(read(blocks, span) for span in spans))
    assert results == [bytes_of(span) for span in spans]
    assert far.requests == [block(0)]


async def test_blocks_are_aligned_to_the_block_origin(blocks: BlockCache, far: Far) -> None:
    await read(blocks, Span(5, 10), block_origin=-1000)
    await read(blocks, Span(BLOCK, 10), block_origin=-1000)
    assert far.requests == [Span(0, BLOCK - 1000), Span(BLOCK - 1000, BLOCK)]


async def test_the_first_bytes_do_not_wait_for_the_last(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = CHUNK  # only one chunk arrives
    async with aclosing(blocks.read(FILM, block(0), min_chunk_length, 0)) as chunks:
        assert await asyncio.wait_for(anext(chunks), TIMEOUT) == DATA[:CHUNK]


async def test_a_sequential_reader_finds_the_next_block_prefetched(
    blocks: BlockCache, far: Far, metrics: Metrics
) -> None:
    await read(blocks, block(0))
    assert far.requests == [block(0)]  # one read does not show a sequence
    await read(blocks, block(1))
    await until(lambda: block(2) in far.requests)
    await until(lambda: held(metrics) == 3 * BLOCK)
    assert await read(blocks, block(2)) == bytes_of(block(2))
    assert far.requests.count(block(2)) == 1
    assert counted(metrics, "ahead") >= 1


async def test_nothing_is_prefetched_for_random_access(blocks: BlockCache, far: Far) -> None:
    for number in (0, 5, 2, 7, 4):
        await read(blocks, block(number))
    await let_others_run()
    assert far.requests == [block(number) for number in (0, 5, 2, 7, 4)]


async def test_nothing_is_prefetched_after_the_last_block(blocks: BlockCache, far: Far) -> None:
    await read(blocks, Span(8 * BLOCK, SIZE - 8 * BLOCK))
    await let_others_run()
    assert far.requests == [block(8), block(9), block(10)]


async def test_an_unexpected_error_in_a_prefetch_is_logged(blocks: BlockCache, far: Far) -> None:
    far.failing[BLOCK] = RuntimeError("what no code expects")
    with capture_logs() as lines:
        async with aclosing(blocks.read(FILM, Span(0, SIZE), min_chunk_length, 0)) as chunks:
            await anext(chunks)
            await until(lambda: lines)
    (line,) = lines
    assert (line["event"], line["path"]) == ("a block could not be fetched", FILM.path)
    assert line["exc_info"]
    far.failing[BLOCK] = BadGatewayError("The object store failed.")  # its client has logged it
    with capture_logs() as lines:
        with pytest.raises(BadGatewayError):
            await read(blocks, block(1))
    assert lines == []


async def test_prefetches_do_not_delay_readers(blocks: BlockCache, far: Far) -> None:
    far.held_up[2 * BLOCK] = 0
    await read(blocks, Span(0, 2 * BLOCK))  # block 2 is requested and never arrives
    await until(lambda: block(2) in far.requests)
    for number in (5, 6, 7, 8, 9, 10):
        async with asyncio.timeout(TIMEOUT):
            assert await read(blocks, block(number), OTHER) == bytes_of(block(number))


async def test_the_cache_stays_within_its_limit(blocks: BlockCache, metrics: Metrics) -> None:
    async def reads_and_looks(version: ObjectVersion) -> None:
        async for _ in blocks.read(version, Span(0, SIZE), min_chunk_length, 0):
            assert held(metrics) <= 4 * BLOCK

    await asyncio.gather(*(reads_and_looks(FILM._replace(path=str(n))) for n in range(7)))
    assert held(metrics) > 0


async def test_bytes_are_passed_on_when_the_cache_is_full(
    blocks: BlockCache, far: Far, metrics: Metrics
) -> None:
    waiting = []
    for number in range(4):
        far.held_up[number * BLOCK] = 0
        waiting.append(asyncio.create_task(read(blocks, block(number))))
    await until(lambda: len(far.requests) == 4)
    span = Span(7 * BLOCK + 5, 50_000)
    assert await asyncio.wait_for(read(blocks, span), TIMEOUT) == bytes_of(span)
    assert far.requests[-1] == span  # no more than the requested bytes
    assert far.passed == [span]
    assert counted(metrics, "passed") == 1
    far.held_up.clear()
    assert await asyncio.gather(*waiting) == [bytes_of(block(number)) for number in range(4)]


async def test_everything_is_passed_on_if_no_block_fits(far: Far, metrics: Metrics) -> None:
    blocks = BlockCache(far.fetch, BLOCK, BLOCK - 1, metrics)
    assert await read(blocks, Span(5, 2 * BLOCK)) == bytes_of(Span(5, 2 * BLOCK))
    assert held(metrics) == 0


async def test_a_slow_client_continues_after_its_block_was_evicted(
    blocks: BlockCache, far: Far
) -> None:
    async with aclosing(blocks.read(FILM, block(0), min_chunk_length, 0)) as chunks:
        received = await anext(chunks)
        for number in range(5):
            await read(blocks, block(number), OTHER)
        async for chunk in chunks:
            received += chunk
    assert received == bytes_of(block(0))
    assert far.requests.count(block(0)) == 2  # its own and OTHER's: the rest is no block
    assert any(span.end == BLOCK and span.start > 0 for span in far.requests)


async def test_an_error_is_raised_to_all_waiting_readers_and_not_cached(
    blocks: BlockCache, far: Far
) -> None:
    far.failing[0] = BadGatewayError("failed")
    results = await asyncio.gather(
        *(read(blocks, Span(n, 10)) for n in range(3)), return_exceptions=True
    )
    assert [str(error) for error in results] == ["failed"] * 3
    assert far.requests == [block(0)]
    del far.failing[0]
    assert await read(blocks, block(0)) == bytes_of(block(0))


async def test_bytes_received_before_an_error_are_yielded(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = 3 * CHUNK
    received = b""
    with pytest.raises(ChangedError):  # noqa: PT012 # between two chunks
        async for chunk in blocks.read(FILM, block(0), min_chunk_length, 0):
            received += chunk
            if len(received) == 3 * CHUNK:
                far.failing[0] = ChangedError("replaced")
                del far.held_up[0]
    assert received == DATA[: 3 * CHUNK]


async def test_a_slower_reader_gets_the_bytes_received_before_an_error(
    blocks: BlockCache, far: Far
) -> None:
    far.held_up[0] = 3 * CHUNK
    slow = blocks.read(FILM, block(0), min_chunk_length, 0)
    received = await anext(slow)
    waiting = asyncio.create_task(read(blocks, Span(5 * CHUNK, CHUNK)))
    await until(lambda: far.requests)
    far.failing[0] = ChangedError("replaced")
    del far.held_up[0]
    await asyncio.wait([waiting])
    assert isinstance(waiting.exception(), ChangedError)
    del far.failing[0]
    received += b"".join([chunk async for chunk in slow])  # by its own request
    assert received == bytes_of(block(0))


async def test_closing_fails_all_waiting_readers(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = CHUNK
    waiting = asyncio.create_task(read(blocks, Span(CHUNK, 1)))
    await until(lambda: far.requests)
    blocks.close()
    await asyncio.wait([waiting], timeout=TIMEOUT)
    assert "about to end" in str(waiting.exception())


async def test_a_block_whose_reader_left_is_completed(
    blocks: BlockCache, far: Far, metrics: Metrics
) -> None:
    far.held_up[0] = CHUNK
    reading = asyncio.create_task(read(blocks, block(0)))
    await until(lambda: far.requests)
    reading.cancel()
    await asyncio.wait([reading])
    del far.held_up[0]
    assert await read(blocks, block(0)) == bytes_of(block(0))
    assert far.requests == [block(0)]
    assert far.called_off == []


async def test_a_block_without_waiting_readers_is_evicted(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = 0
    reading = asyncio.create_task(read(blocks, block(0)))
    await until(lambda: far.requests)
    reading.cancel()
    await asyncio.wait([reading])
    for number in (2, 4, 6, 8):
        assert await read(blocks, block(number)) == bytes_of(block(number))
    await until(lambda: far.called_off == [block(0)])


async def test_versions_of_a_file_are_kept_apart(blocks: BlockCache, far: Far) -> None:
    replaced = FILM._replace(e_tag='"other"')
    for version in (FILM, replaced, FILM):
        await read(blocks, block(0), version)
    assert far.versions == [FILM, replaced]


async def test_a_prefetch_does_not_evict_the_block_before_it(far: Far, metrics: Metrics) -> None:
    blocks = BlockCache(far.fetch, BLOCK, BLOCK, metrics)  # room for one
    far.held_up[0] = 6 * CHUNK
    # A reader reads the first half and disconnects.
    assert await read(blocks, Span(0, 5 * CHUNK)) == bytes_of(Span(0, 5 * CHUNK))
    # A sequential reader of the second half waits for the bytes that have not arrived.
    rest = Span(7 * CHUNK, BLOCK)
    reading = asyncio.create_task(read(blocks, rest))
    await let_others_run()
    far.held_up.clear()
    async with asyncio.timeout(TIMEOUT):
        assert await reading == bytes_of(rest)
    assert far.called_off == []
    blocks.close()
