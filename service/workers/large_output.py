"""Writes the large file of an artefact in a worker process."""

import hashlib
from types import TracebackType
from typing import Self

from service.workers.process import OutputError, TaskError

_BUFFERED = 1 << 20  # bytes


class LargeOutput:
    """A file that is written from its start to its end, and hashed meanwhile."""

    def __init__(self, path: str, room: int) -> None:
        """Write at most `room` bytes into the file at `path`. Raises OutputError."""
        try:
            self._file = open(path, "r+b", buffering=_BUFFERED)  # noqa: PTH123, SIM115 # as said
        except OSError as error:
            raise _cannot_write(error) from error
        self._room = room
        self._hash = hashlib.blake2b(digest_size=16)
        self.length = 0
        """The bytes written so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file. Raises OutputError if the rest of it cannot be written."""
        try:
            self._file.close()
        except OSError as closing:
            if error is None:
                raise _cannot_write(closing) from closing

    def write(self, data: bytes) -> int:
        """Append bytes and return their position. Raises OutputError and TaskError."""
        position = self.length
        if position + len(data) > self._room:
            raise TaskError("It becomes larger than the file that it is made of.")
        try:
            self._file.write(data)
        except OSError as error:
            raise _cannot_write(error) from error
        self._hash.update(data)
        self.length += len(data)
        return position

    def restart(self) -> None:
        """Begin anew with an empty file. Raises OutputError."""
        try:
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise _cannot_write(error) from error
        self._hash = hashlib.blake2b(digest_size=16)
        self.length = 0

    @property
    def digest(self) -> bytes:
        """Of all that was written."""
        return self._hash.digest()


def _cannot_write(error: OSError) -> OutputError:
    reason = error.strerror or "input/output error"
    return OutputError(f"It cannot be written: {reason}.")
