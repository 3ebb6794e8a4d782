"""The table of headers: what the client says of its size, and what it is told."""

import pytest
from hpack import Decoder, Encoder

from service.http2.headers import bound_table

FIELDS = [("x-name", "value"), ("x-other", "more")]


def understood(encoder: Encoder, decoder: Decoder) -> bool:
    """Whether three blocks of headers come through."""
    blocks = [decoder.decode(encoder.encode(FIELDS)) for _ in range(3)]
    return all([(str(n), str(v)) for n, v in block] == FIELDS for block in blocks)


def said(encoder: Encoder, size: int) -> None:
    """Do as h2 does when the client's settings have come."""
    encoder.header_table_size = size
    bound_table(encoder)


@pytest.mark.parametrize(
    "sizes", [[0], [1024], [0, 4096], [4096], [65536], [65536, 100], [100, 65536], [0] * 5]
)
def test_a_client_that_keeps_to_its_word_understands_all_that_follows(sizes: list[int]) -> None:
    """RFC 7541 §4.2: a decoder may take it for an error if it is not told of a smaller table."""
    encoder, decoder = Encoder(), Decoder()
    assert understood(encoder, decoder)
    for size in sizes:
        decoder.max_allowed_table_size = size
        said(encoder, size)
    assert understood(encoder, decoder)
    assert decoder.header_table_size <= 4096


def test_a_client_that_says_it_again_and_again_costs_no_more() -> None:
    encoder = Encoder()
    for size in (65536, 0, 4096, 17) * 1000:
        said(encoder, size)
    assert len(encoder.table_size_changes) <= 2
