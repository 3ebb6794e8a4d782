"""Files for FFmpeg to read, of which no more is read than is allowed."""

from typing import BinaryIO


class ReadLimitedFile:
    """A file that seems to end where an allowance is used up."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._budget: int | None = None

    def set_budget(self, size: int) -> None:
        """Let `size` more bytes be read. Before the first call there is no bound."""
        self._budget = size

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        if self._budget is None:
            return self._file.read(size)
        data = self._file.read(min(size, self._budget))
        self._budget -= len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere, as in any file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Give the position."""
        return self._file.tell()
