"""Sets of small numbers, of which even large ones are intersected and counted fast."""

from collections.abc import Iterable, Iterator

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
        return cls.of_flags(flags)

    @classmethod
    def below(cls, limit: int) -> "Numbers":
        """Return the set of all numbers below a limit."""
        return cls((1 << limit) - 1)

    @classmethod
    def of_flags(cls, flags: bytes | bytearray) -> "Numbers":
        """Return the set of the places of those bytes that are 1; the others are 0."""
        return cls(int(b"0" + flags[::-1].translate(_TO_DIGITS), 2))

    def __and__(self, other: "Numbers") -> "Numbers":
        return Numbers(self._bits & other._bits)

    def __or__(self, other: "Numbers") -> "Numbers":
        return Numbers(self._bits | other._bits)

    def __sub__(self, other: "Numbers") -> "Numbers":
        return Numbers(self._bits & ~other._bits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self._bits == other._bits

    def __hash__(self) -> int:
        return hash(self._bits)

    def __contains__(self, number: int) -> bool:
        return bool(self._bits >> number & 1)

    def __len__(self) -> int:
        return self._bits.bit_count()

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers, the lowest first."""
        flags = self.flags()
        at = flags.find(1)
        while at >= 0:
            yield at
            at = flags.find(1, at + 1)

    def to_bytes(self) -> bytes:
        """Return them as bytes, of which `from_bytes` makes the same set."""
        return self._bits.to_bytes((self._bits.bit_length() + 7) // 8, "little")

    @classmethod
    def from_bytes(cls, data: bytes) -> "Numbers":
        """Return the set of which `to_bytes` made the bytes."""
        return cls(int.from_bytes(data, "little"))

    def flags(self) -> bytes:
        """Return a byte for each number, up to the highest in the set: 1 if it is in the set."""
        return f"{self._bits:b}".encode().translate(_TO_FLAGS)[::-1]
