"""What is remembered of headers to compress the next (RFC 7541 §4)."""

from hpack import Encoder

_MOST = 4096
"""Bytes, whatever the client offers: each field is compared with all of them. The initial value of
RFC 9113 §6.5.2."""


def bound_table(encoder: Encoder) -> None:
    """Keep the table, and what there is to be told of its size, within bounds, as the client has
    just said how large it may be.

    RFC 7541 §4.2: the smallest size and the last are told. hpack 4 would tell all that there were,
    and none where the last is what it was.
    """
    encoder.header_table_size = min(encoder.header_table_size, _MOST)
    if changes := encoder.table_size_changes:
        encoder.table_size_changes = list(dict.fromkeys((min(changes), changes[-1])))
        encoder.header_table.resized = True
