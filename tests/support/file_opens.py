"""Record which files of a folder any process opens, by inotify(7)."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_IN_OPEN, _IN_ISDIR = 0x20, 0x4000_0000
_EVENT = struct.Struct("iIII")  # struct inotify_event, without the name


@contextmanager
def opens_in(folder: Path) -> Iterator[set[str]]:
    """Watch a folder; yield the names of opened files, which are complete after the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(folder), _IN_OPEN) >= 0
    names: set[str] = set()
    try:
        yield names
        with suppress(BlockingIOError):
            while events := os.read(watch, 1 << 16):
                names.update(_files(events))
    finally:
        os.close(watch)


def _files(events: bytes) -> Iterator[str]:
    while events:
        _, mask, _, length = _EVENT.unpack_from(events)
        end = _EVENT.size + length
        name, events = events[_EVENT.size : end].rstrip(b"\0"), events[end:]
        if name and not mask & _IN_ISDIR:
            yield os.fsdecode(name)
