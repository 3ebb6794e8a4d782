"""A window on a file, for parsers without I/O: they yield the spans to read."""

from collections.abc import Generator

from service.protocol.ranges import Span

_LENGTH = 4096  # bytes of a read; a disk reads no less


class DeclinedError(Exception):
    """The file is served as it is. The text is a sentence that says why, from the verb on."""


class Window:
    """The bytes of a file of `size` bytes from `base` on, as far as they have been read."""

    def __init__(self, size: int) -> None:
        self.data = b""
        self.base = 0
        self._size = size

    def has(self, position: int, length: int) -> bool:
        """Return whether it has these bytes, or all up to the end of the file."""
        end = min(position + length, self._size)
        return self.base <= position and end <= self.base + len(self.data)

    def move(self, position: int) -> Generator[Span, bytes, None]:
        """Move to a position before the end of the file. Raises DeclinedError."""
        self.data = yield from self._fetch(position, min(_LENGTH, self._size - position))
        self.base = position

    def read(self, start: int, length: int) -> Generator[Span, bytes, bytes]:
        """Return bytes of the file, from the window if it has them. Raises DeclinedError."""
        at = start - self.base
        if self.has(start, length):
            return self.data[at : at + length]
        return (yield from self._fetch(start, length))

    def _fetch(self, start: int, length: int) -> Generator[Span, bytes, bytes]:
        if length <= 0:
            return b""
        data = yield Span(start, length)
        if len(data) != length:
            raise DeclinedError("became shorter while it was read")
        return data
