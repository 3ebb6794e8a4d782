import gc

from quart import Response

from service.http import response_memory as module
from service.http.response_memory import ResponseMemory
from service.storage.base import MIN_CHUNK


async def sent(response: Response) -> list[bytes]:
    async with response.response as body:
        return [chunk async for chunk in body]


async def test_a_long_response_is_sent_in_chunks() -> None:
    for length in (0, 1, MIN_CHUNK, MIN_CHUNK + 1, 5 * MIN_CHUNK, 5 * MIN_CHUNK + 7):
        data = bytes(range(256)) * (length // 256 + 1)
        data = data[:length]
        response = Response(data)
        assert ResponseMemory().admit(response)
        chunks = await sent(response)
        assert b"".join(chunks) == data
        assert all(len(chunk) <= MIN_CHUNK for chunk in chunks)
        assert response.content_length == length


def test_when_little_memory_is_left_the_longest_responses_are_refused() -> None:
    memory = ResponseMemory()
    held = []
    size = module.MAX_HELD_BYTES // 10
    assert not memory.admit(Response(bytes(module.MAX_HELD_BYTES // 8 + 1)))
    while memory.admit(response := Response(bytes(size // 2))):
        held.append(response)
    assert size // 2 * len(held) <= module.MAX_HELD_BYTES * 2 // 3
    assert memory.admit(Response(bytes(100_000)))  # as long as most
    held.clear()
    gc.collect()
    assert memory.admit(Response(bytes(module.MAX_HELD_BYTES // 8)))


def test_the_limit_holds_for_any_number_of_responses() -> None:
    memory, held, total = ResponseMemory(), [], 0
    length = module.MAX_HELD_BYTES // 9
    while length > MIN_CHUNK:
        response = Response(bytes(length))
        if memory.admit(response):
            held.append(response)
            total += length
        else:
            length //= 2
    assert module.MAX_HELD_BYTES * 3 // 4 < total <= module.MAX_HELD_BYTES


def test_shared_bytes_are_counted_once_until_the_last_response_ends() -> None:
    memory = ResponseMemory()
    data = bytes(module.MAX_HELD_BYTES // 8)
    held = [Response(data) for _ in range(100)]
    assert all(memory.admit(response) for response in held)
    other = Response(bytes(module.MAX_HELD_BYTES // 8))
    assert not memory.admit(other)
    del held[1:]
    assert not memory.admit(other)
    held.clear()
    gc.collect()
    assert memory.admit(other)
