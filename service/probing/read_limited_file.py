"""A file for FFmpeg that limits how many bytes are read."""

from typing import BinaryIO


class ReadLimitedFile:
    """A file that appears to end when its read budget is used up."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._budget: int | None = None

    def set_budget(self, size: int) -> None:
        """Allow `size` more bytes to be read. Before the first call there is no limit."""
        self._budget = size

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left of the budget."""
        return self._budget is not None and self._budget <= 0

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        if self._budget is None:
            return self._file.read(size)
        data = self._file.read(min(size, self._budget))
        self._budget -= len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Change the position and return it, as in any file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()
