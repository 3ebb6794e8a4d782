"""EBML elements (RFC 8794): their headers, and what is in a parent that is in memory."""

from collections.abc import Iterator

MAX_HEADER_LENGTH = 12
"""Bytes: an identifier of at most four (RFC 9559 §5) and a size of at most eight."""

_MAX_ID_LENGTH, _MAX_SIZE_LENGTH = 4, 8


def element_header(data: bytes, at: int = 0) -> tuple[int, int, int | None] | None:
    """Return the identifier, the length of the header and the size of the element at `at`.

    The size is None if it is unknown (RFC 8794 §6.2). Return None if there is no whole header.
    """
    if at >= len(data):
        return None
    id_length = 9 - data[at].bit_length()
    size_at = at + id_length
    if id_length > _MAX_ID_LENGTH or size_at >= len(data):
        return None
    length = 9 - data[size_at].bit_length()
    if length > _MAX_SIZE_LENGTH or size_at + length > len(data):
        return None
    mask = (1 << 7 * length) - 1
    size = int.from_bytes(data[size_at : size_at + length], "big") & mask
    return (
        int.from_bytes(data[at:size_at], "big"),
        id_length + length,
        None if size == mask else size,
    )


def children(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the identifiers of the elements in a parent, and where their contents are.

    Damage ends it.
    """
    position = 0
    while position < len(body):
        header = element_header(body, position)
        if header is None or header[2] is None:
            return
        first = position + header[1]
        position = first + header[2]
        yield header[0], first, min(position, len(body))


def contents(body: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the contents of the children with this identifier."""
    return (body[first:last] for id_, first, last in children(body) if id_ == wanted)


def number(body: bytes, wanted: int, default: int) -> int:
    """Return the first unsigned integer with this identifier."""
    content = next(contents(body, wanted), None)
    return default if content is None else int.from_bytes(content, "big")
