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
from service.storage.object_store.block_cache import BlockCache, ObjectVersion
from service.storage.send_pacing import MIN_CHUNK, ChunkSizer

BLOCK = 100_000
CHUNK = 10_000
SIZE = 10 * BLOCK + 777
DATA = content(SIZE)
FILM = ObjectVersion("film.mp4", '"tag"', "f-1", SIZE, 0.0)
OTHER = ObjectVersion("other.mp4", '"tag"', "f-1", SIZE, 0.0)
PATIENCE = 30  # seconds, after which a test that waits for something fails


class Far:
    """A store that gives a chunk of a block only when the test lets it."""

    def __init__(self) -> None:
        self.asked: list[Span] = []
        self.passed: list[Span] = []
        """Of those, what is not held."""
        self.versions: list[ObjectVersion] = []
        self.called_off: list[Span] = []
        self.held_up: dict[int, int] = {}
        """How many bytes come of what begins at a place, until it is taken out."""
        self.failing: dict[int, Exception] = {}
        """What goes wrong with what begins at a place."""

    async def fetch(
        self, version: ObjectVersion, span: Span, *, buffered: bool
    ) -> AsyncGenerator[bytes]:
        self.asked.append(span)
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
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 # what is looked at sets no asyncio.Event
            await asyncio.sleep(0.001)


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def blocks(far: Far, metrics: Metrics) -> AsyncIterator[BlockCache]:
    """Give room for four blocks."""
    blocks = BlockCache(far.fetch, BLOCK, 4 * BLOCK, metrics)
    yield blocks
    far.held_up.clear()
    blocks.close()


def block(number: int) -> Span:
    return Span(number * BLOCK, min(BLOCK, SIZE - number * BLOCK))


async def read(
    blocks: BlockCache, span: Span, version: ObjectVersion = FILM, block_origin: int = 0
) -> bytes:
    chunks = [chunk async for chunk in blocks.read(version, span, ChunkSizer(), block_origin)]
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


async def test_a_piece_is_no_longer_than_suits_the_client(blocks: BlockCache) -> None:
    lengths = [len(chunk) async for chunk in blocks.read(FILM, block(0), ChunkSizer(), 0)]
    assert max(lengths) <= MIN_CHUNK
    assert sum(lengths) == BLOCK


async def test_a_block_is_one_request_however_many_ask_for_it(blocks: BlockCache, far: Far) -> None:
    spans = [Span(number * 9000, 10_000) for number in range(10)]
    found = await asyncio.gather(*(read(blocks, span) for span in spans))
    assert found == [bytes_of(span) for span in spans]
    assert far.asked == [block(0)]


async def test_blocks_begin_where_the_grid_has_them(blocks: BlockCache, far: Far) -> None:
    await read(blocks, Span(5, 10), block_origin=-1000)
    await read(blocks, Span(BLOCK, 10), block_origin=-1000)
    assert far.asked == [Span(0, BLOCK - 1000), Span(BLOCK - 1000, BLOCK)]


async def test_the_first_bytes_do_not_wait_for_the_last(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = CHUNK  # one chunk comes, and no other
    async with aclosing(blocks.read(FILM, block(0), ChunkSizer(), 0)) as chunks:
        assert await asyncio.wait_for(anext(chunks), PATIENCE) == DATA[:CHUNK]


async def test_who_reads_on_finds_the_next_block_there(
    blocks: BlockCache, far: Far, metrics: Metrics
) -> None:
    await read(blocks, block(0))
    assert far.asked == [block(0)]  # nobody knows yet
    await read(blocks, block(1))
    await until(lambda: block(2) in far.asked)
    await until(lambda: held(metrics) == 3 * BLOCK)
    assert await read(blocks, block(2)) == bytes_of(block(2))
    assert far.asked.count(block(2)) == 1
    assert counted(metrics, "ahead") >= 1


async def test_who_seeks_about_has_nothing_read_ahead(blocks: BlockCache, far: Far) -> None:
    for number in (0, 5, 2, 7, 4):
        await read(blocks, block(number))
    await asyncio.sleep(0.02)
    assert far.asked == [block(number) for number in (0, 5, 2, 7, 4)]


async def test_behind_the_last_block_there_is_none(blocks: BlockCache, far: Far) -> None:
    await read(blocks, Span(8 * BLOCK, SIZE - 8 * BLOCK))
    await asyncio.sleep(0.02)
    assert far.asked == [block(8), block(9), block(10)]


async def test_an_error_that_no_code_expected_of_what_is_read_ahead_is_logged(
    blocks: BlockCache, far: Far
) -> None:
    far.failing[BLOCK] = RuntimeError("what no code expects")
    with capture_logs() as lines:
        async with aclosing(blocks.read(FILM, Span(0, SIZE), ChunkSizer(), 0)) as pieces:
            await anext(pieces)
            await until(lambda: lines)
    (line,) = lines
    assert (line["event"], line["path"]) == ("a block could not be fetched", FILM.path)
    assert line["exc_info"]
    far.failing[BLOCK] = BadGatewayError("The object store failed.")  # its client has logged it
    with capture_logs() as lines:
        with pytest.raises(BadGatewayError):
            await read(blocks, block(1))
    assert lines == []


async def test_what_is_read_ahead_holds_up_nobody(blocks: BlockCache, far: Far) -> None:
    far.held_up[2 * BLOCK] = 0
    await read(blocks, Span(0, 2 * BLOCK))  # block 2 is asked for, and never comes
    await until(lambda: block(2) in far.asked)
    for number in (5, 6, 7, 8, 9, 10):
        async with asyncio.timeout(PATIENCE):
            assert await read(blocks, block(number), OTHER) == bytes_of(block(number))


async def test_no_more_is_held_than_there_is_room_for(blocks: BlockCache, metrics: Metrics) -> None:
    async def reads_and_looks(version: ObjectVersion) -> None:
        async for _ in blocks.read(version, Span(0, SIZE), ChunkSizer(), 0):
            assert held(metrics) <= 4 * BLOCK

    await asyncio.gather(*(reads_and_looks(FILM._replace(path=str(n))) for n in range(7)))
    assert held(metrics) > 0


async def test_where_there_is_no_room_bytes_pass_and_wait_for_nobody(
    blocks: BlockCache, far: Far, metrics: Metrics
) -> None:
    waiting = []
    for number in range(4):
        far.held_up[number * BLOCK] = 0
        waiting.append(asyncio.create_task(read(blocks, block(number))))
    await until(lambda: len(far.asked) == 4)
    span = Span(7 * BLOCK + 5, 50_000)
    assert await asyncio.wait_for(read(blocks, span), PATIENCE) == bytes_of(span)
    assert far.asked[-1] == span  # no more than was asked for
    assert far.passed == [span]
    assert counted(metrics, "passed") == 1
    far.held_up.clear()
    assert await asyncio.gather(*waiting) == [bytes_of(block(number)) for number in range(4)]


async def test_without_room_for_a_block_everything_passes(far: Far, metrics: Metrics) -> None:
    blocks = BlockCache(far.fetch, BLOCK, BLOCK - 1, metrics)
    assert await read(blocks, Span(5, 2 * BLOCK)) == bytes_of(Span(5, 2 * BLOCK))
    assert held(metrics) == 0


async def test_a_slow_client_goes_on_when_its_block_had_to_go(blocks: BlockCache, far: Far) -> None:
    async with aclosing(blocks.read(FILM, block(0), ChunkSizer(), 0)) as chunks:
        got = await anext(chunks)
        for number in range(5):
            await read(blocks, block(number), OTHER)
        async for chunk in chunks:
            got += chunk
    assert got == bytes_of(block(0))
    assert far.asked.count(block(0)) == 2  # his and OTHER's: the rest is no block
    assert any(span.end == BLOCK and span.start > 0 for span in far.asked)


async def test_what_goes_wrong_is_told_to_all_who_wait_and_forgotten(
    blocks: BlockCache, far: Far
) -> None:
    far.failing[0] = BadGatewayError("gone wrong")
    found = await asyncio.gather(
        *(read(blocks, Span(n, 10)) for n in range(3)), return_exceptions=True
    )
    assert [str(error) for error in found] == ["gone wrong"] * 3
    assert far.asked == [block(0)]
    del far.failing[0]
    assert await read(blocks, block(0)) == bytes_of(block(0))


async def test_what_had_come_before_it_went_wrong_is_given(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = 3 * CHUNK
    got = b""
    with pytest.raises(ChangedError):  # noqa: PT012 # between two pieces
        async for chunk in blocks.read(FILM, block(0), ChunkSizer(), 0):
            got += chunk
            if len(got) == 3 * CHUNK:
                far.failing[0] = ChangedError("replaced")
                del far.held_up[0]
    assert got == DATA[: 3 * CHUNK]


async def test_what_had_come_is_given_to_who_was_slower(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = 3 * CHUNK
    slow = blocks.read(FILM, block(0), ChunkSizer(), 0)
    got = await anext(slow)
    waiting = asyncio.create_task(read(blocks, Span(5 * CHUNK, CHUNK)))
    await until(lambda: far.asked)
    far.failing[0] = ChangedError("replaced")
    del far.held_up[0]
    await asyncio.wait([waiting])
    assert isinstance(waiting.exception(), ChangedError)
    del far.failing[0]
    got += b"".join([chunk async for chunk in slow])  # by a request of his own
    assert got == bytes_of(block(0))


async def test_nobody_waits_when_all_is_let_go_of(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = CHUNK
    waiting = asyncio.create_task(read(blocks, Span(CHUNK, 1)))
    await until(lambda: far.asked)
    blocks.close()
    await asyncio.wait([waiting], timeout=PATIENCE)
    assert "about to end" in str(waiting.exception())


async def test_a_block_that_its_reader_left_is_there_for_the_next(
    blocks: BlockCache, far: Far, metrics: Metrics
) -> None:
    far.held_up[0] = CHUNK
    reading = asyncio.create_task(read(blocks, block(0)))
    await until(lambda: far.asked)
    reading.cancel()
    await asyncio.wait([reading])
    del far.held_up[0]
    assert await read(blocks, block(0)) == bytes_of(block(0))
    assert far.asked == [block(0)]
    assert far.called_off == []


async def test_a_block_that_nobody_waits_for_makes_room(blocks: BlockCache, far: Far) -> None:
    far.held_up[0] = 0
    reading = asyncio.create_task(read(blocks, block(0)))
    await until(lambda: far.asked)
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


async def test_what_is_read_ahead_does_not_push_out_the_block_it_is_ahead_of(
    far: Far, metrics: Metrics
) -> None:
    blocks = BlockCache(far.fetch, BLOCK, BLOCK, metrics)  # room for one
    far.held_up[0] = 6 * CHUNK
    # Somebody reads the first half, and leaves.
    assert await read(blocks, Span(0, 5 * CHUNK)) == bytes_of(Span(0, 5 * CHUNK))
    # Who comes to the rest of it, and wants to go on behind it, waits for what has yet to come.
    rest = Span(7 * CHUNK, BLOCK)
    reading = asyncio.create_task(read(blocks, rest))
    for _ in range(10):
        await asyncio.sleep(0)
    far.held_up.clear()
    async with asyncio.timeout(PATIENCE):
        assert await reading == bytes_of(rest)
    assert far.called_off == []
    blocks.close()
