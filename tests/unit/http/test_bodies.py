import gc

from quart import Response

from service.http import bodies as module
from service.http.bodies import Bodies
from service.storage.send_pacing import SMALL


async def sent(response: Response) -> list[bytes]:
    async with response.response as body:
        return [piece async for piece in body]


async def test_a_long_answer_is_sent_a_piece_at_a_time() -> None:
    for length in (0, 1, SMALL, SMALL + 1, 5 * SMALL, 5 * SMALL + 7):
        data = bytes(range(256)) * (length // 256 + 1)
        data = data[:length]
        response = Response(data)
        assert Bodies().in_pieces(response)
        pieces = await sent(response)
        assert b"".join(pieces) == data
        assert all(len(piece) <= SMALL for piece in pieces)
        assert response.content_length == length


def test_where_little_room_is_left_the_longest_are_refused() -> None:
    bodies = Bodies()
    held = []
    size = module.MOST_HELD // 10
    assert not bodies.in_pieces(Response(bytes(module.MOST_HELD // 8 + 1)))
    while bodies.in_pieces(response := Response(bytes(size // 2))):
        held.append(response)
    assert size // 2 * len(held) <= module.MOST_HELD * 2 // 3
    assert bodies.in_pieces(Response(bytes(100_000)))  # as most are, or shorter
    held.clear()
    gc.collect()
    assert bodies.in_pieces(Response(bytes(module.MOST_HELD // 8)))


def test_however_many_are_held_the_bound_holds() -> None:
    bodies, held, total = Bodies(), [], 0
    length = module.MOST_HELD // 9
    while length > SMALL:
        response = Response(bytes(length))
        if bodies.in_pieces(response):
            held.append(response)
            total += length
        else:
            length //= 2
    assert module.MOST_HELD * 3 // 4 < total <= module.MOST_HELD


def test_what_several_are_sent_is_counted_once_and_until_the_last_has_it() -> None:
    bodies = Bodies()
    data = bytes(module.MOST_HELD // 8)
    held = [Response(data) for _ in range(100)]
    assert all(bodies.in_pieces(response) for response in held)
    other = Response(bytes(module.MOST_HELD // 8))
    assert not bodies.in_pieces(other)
    del held[1:]
    assert not bodies.in_pieces(other)
    held.clear()
    gc.collect()
    assert bodies.in_pieces(other)
