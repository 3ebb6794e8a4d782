"""Writes the large file of an artefact in a worker process."""

import hashlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from service.protocol.ranges import Span
from service.workers.process import OutputError, TaskError

_BUFFERED = 1 << 20  # bytes
_CHECKED_EVERY = 1 << 22  # bytes: 3 minutes of sound, and less than a second of copying


class LargeOutput:
    """A file that is written from its start to its end, and hashed meanwhile.

    Afterwards parts of it may be overwritten.
    """

    def __init__(self, path: str, room: int, check: Callable[[], object] = lambda: None) -> None:
        """Write at most `room` bytes into the file at `path`. Raises OutputError.

        `check` is called now and then while it is written. It may raise an error to end that.
        """
        try:
            self._file = open(path, "r+b", buffering=_BUFFERED)  # noqa: PTH123, SIM115 # as said
        except OSError as error:
            raise _cannot_write(error) from error
        self._room = room
        self._check, self._check_at = check, _CHECKED_EVERY
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
        """Append bytes and return their position. Raises OutputError, TaskError and what the check
        raises.
        """
        position = self.length
        if position >= self._check_at:
            self._check()
            self._check_at = position + _CHECKED_EVERY
        if position + len(data) > self._room:
            raise TaskError("It becomes larger than the file that it is made of.")
        try:
            self._file.write(data)
        except OSError as error:
            raise _cannot_write(error) from error
        self._hash.update(data)
        self.length += len(data)
        return position

    def overwrite(self, position: int, data: bytes) -> None:
        """Replace bytes that have been written. Raises OutputError."""
        try:
            self._file.flush()
            os.pwrite(self._file.fileno(), data, position)
        except OSError as error:
            raise _cannot_write(error) from error
        self._hash.update(data)

    def read(self, span: Span) -> bytes:
        """Return bytes that have been written; fewer at the end. Raises OutputError."""
        try:
            self._file.flush()
            return os.pread(self._file.fileno(), span.length, span.start)
        except OSError as error:
            raise _cannot_write(error) from error

    def restart(self) -> None:
        """Begin anew with an empty file. Raises OutputError."""
        try:
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise _cannot_write(error) from error
        self._hash = hashlib.blake2b(digest_size=16)
        self.length, self._check_at = 0, _CHECKED_EVERY

    @property
    def digest(self) -> bytes:
        """Of all that was written, in the order in which it was."""
        return self._hash.digest()


def _cannot_write(error: OSError) -> OutputError:
    reason = error.strerror or "input/output error"
    return OutputError(f"It cannot be written: {reason}.")
