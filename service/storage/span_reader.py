"""Reads spans of a file in the way that suits its storage."""

import io
import os
from collections.abc import Callable
from typing import BinaryIO

from service.protocol.ranges import Span

# Bytes of a read from an object store. A request takes as long as some MB, so what lies between
# the headers of two frames is read, too.
_LONG_READ = 4 * 1024 * 1024


def span_reader(file: BinaryIO) -> Callable[[Span], bytes]:
    """Return a function that reads spans of a file; fewer bytes at its end. It raises OSError.

    Of a local file it reads no more than the span.
    """
    try:
        descriptor = file.fileno()
    except io.UnsupportedOperation:
        return _SequentialReader(file).read
    # Else the kernel reads up to 128 KiB ahead, which for a film is all of it.
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    return lambda span: os.pread(descriptor, span.length, span.start)


class _SequentialReader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._data, self._start = b"", 0

    def read(self, span: Span) -> bytes:
        at = span.start - self._start
        if at < 0 or at + span.length > len(self._data):
            self._file.seek(span.start)
            self._data = self._file.read(max(span.length, _LONG_READ))
            self._start, at = span.start, 0
        return self._data[at : at + span.length]
