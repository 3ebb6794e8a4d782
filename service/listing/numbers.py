"""Sets of small numbers, of which even large ones are intersected and counted fast."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, repeat
from operator import contains

_TO_DIGITS, _TO_FLAGS = bytes.maketrans(b"\0\1", b"01"), bytes.maketrans(b"01", b"\0\1")


class Numbers:
    """A set of numbers, as the bits of an integer."""

    __slots__ = ("_bits",)

    def __init__(self, bits: int) -> None:
        self._bits = bits

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Numbers":
        """Return the set of these numbers."""
        some = list(numbers)
        flags = bytearray(max(some, default=0) + 1)
        for number in some:
            flags[number] = 1
        return cls._of_flags(flags)

    @classmethod
    def below(cls, limit: int) -> "Numbers":
        """Return the set of all numbers below a limit."""
        return cls((1 << limit) - 1)

    @classmethod
    def where(cls, term: str, texts: Sequence[str]) -> "Numbers":
        """Return the places of the texts that contain a term."""
        return cls._of_flags(bytes(map(contains, texts, repeat(term))))

    @classmethod
    def _of_flags(cls, flags: bytes | bytearray) -> "Numbers":
        return cls(int(b"0" + flags[::-1].translate(_TO_DIGITS), 2))

    def __and__(self, other: "Numbers") -> "Numbers":
        return Numbers(self._bits & other._bits)

    def __or__(self, other: "Numbers") -> "Numbers":
        return Numbers(self._bits | other._bits)

    def __len__(self) -> int:
        return self._bits.bit_count()

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers, the lowest first."""
        flags = self._flags()
        at = flags.find(1)
        while at >= 0:
            yield at
            at = flags.find(1, at + 1)

    def chosen(self, numbers: Sequence[int], size: int) -> Iterator[int]:
        """Yield those of `numbers` that are in the set, in their order. All are below `size`."""
        flags = self._flags().ljust(size, b"\0")
        return compress(numbers, map(flags.__getitem__, numbers))

    def _flags(self) -> bytes:
        """Return a byte for each number, up to the highest in the set: 1 if it is in the set."""
        return f"{self._bits:b}".encode().translate(_TO_FLAGS)[::-1]
