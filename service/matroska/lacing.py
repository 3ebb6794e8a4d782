"""The sizes of the frames of a laced block (RFC 9559 §10.3)."""

XIPH, FIXED, EBML = 0x02, 0x04, 0x06
"""Bits of a block's flags; 0 for a block of one frame."""

MAX_LACE_HEADER = 64 * 1024
"""Bytes that are read of the sizes. 256 frames of Xiph lacing and 60 KB each take as many."""


def laced_sizes(data: bytes, at: int, length: int, lacing: int) -> tuple[list[int], int]:
    """Return the sizes of the frames, and how many bytes precede them.

    `length` is the number of bytes from `at` to the end of the block. Raises IndexError if `data`
    ends too early, and ValueError if the sizes do not fit the block.
    """
    start, count = at, data[at] + 1
    at += 1
    if lacing == FIXED:
        size, rest = divmod(length - 1, count)
        if rest or length < 1:
            raise ValueError("frames of one size do not fill the block")
        return [size] * count, 1
    if lacing == XIPH:
        sizes, at = _xiph_sizes(data, at, count - 1)
    else:
        sizes, at = _ebml_sizes(data, at, count - 1)
    last = length - (at - start) - sum(sizes)
    if last < 0 or min(sizes, default=0) < 0:
        raise ValueError("frames are longer than their block")
    return [*sizes, last], at - start


def _xiph_sizes(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    sizes = []
    for _ in range(count):
        size = 0
        while data[at] == 255:  # noqa: PLR2004 # §10.3.2: 255 means that another byte follows
            size += 255
            at += 1
        sizes.append(size + data[at])
        at += 1
    return sizes, at


def _ebml_sizes(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    sizes: list[int] = []
    for index in range(count):
        length = 9 - data[at].bit_length()
        if length > 8:  # noqa: PLR2004 # RFC 8794 §4: at most eight bytes
            raise ValueError("a size has no length")
        if at + length > len(data):
            raise IndexError
        value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
        # §10.3.3: all but the first are differences, from -(2^(7n-1) - 1).
        sizes.append(value if index == 0 else sizes[-1] + value - ((1 << (7 * length - 1)) - 1))
        at += length
    return sizes, at
