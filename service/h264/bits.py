"""Reads and writes the bits of H.264's headers (ITU-T H.264 §7.2, §9.1)."""

# §7.3.1: emulation_prevention_three_byte is inserted after two zeros if the next byte is at most 3.
_ESCAPE = 3
_ZEROS = 2
_MAX_ZEROS = 31  # of a code with 32 bits


class BitReader:
    """Reads bits and codes. Raises ValueError at the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._length = self._left = 8 * len(data)

    @property
    def position(self) -> int:
        """The number of bits that have been read."""
        return self._length - self._left

    def take(self, count: int) -> int:
        """Read an unsigned number of `count` bits."""
        self._left -= count
        if self._left < 0:
            raise ValueError("it is cut off")
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        """Read one bit."""
        return self.take(1) == 1

    def unsigned(self, most: int | None = None) -> int:
        """Read ue(v). Raises ValueError, also for a number above `most`."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise ValueError("a code that is too long")
        number = (1 << zeros) - 1 + self.take(zeros)
        if most is not None and number > most:
            raise ValueError("a number that is out of range")
        return number

    def signed(self) -> int:
        """Read se(v)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def bit_string(data: bytes) -> str:
    """Return bytes as a text of 0 and 1."""
    return f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""


def without_escapes(data: bytes) -> bytes:
    """Remove emulation_prevention_three_byte."""
    return data.replace(b"\0\0\3", b"\0\0")


def with_escapes(data: bytes) -> bytes:
    """Insert emulation_prevention_three_byte."""
    escaped, zeros = bytearray(), 0
    for byte in data:
        if zeros >= _ZEROS and byte <= _ESCAPE:
            escaped.append(_ESCAPE)
            zeros = 0
        escaped.append(byte)
        zeros = 0 if byte else zeros + 1
    return bytes(escaped)


def escaped_length(data: bytes, length: int) -> int:
    """Return how many bytes of `data` have `length` bytes without escapes."""
    position = zeros = 0
    while length:
        if zeros >= _ZEROS and data[position] == _ESCAPE:
            zeros = 0
        else:
            zeros = 0 if data[position] else zeros + 1
            length -= 1
        position += 1
    return position
