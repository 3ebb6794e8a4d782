"""Opens and reads files from the kernel's caches without blocking, on Linux only.

Functions return None where they would have to wait for a disk or a network."""

import ctypes
import errno
import os
import stat
from functools import cache

from service.storage.base import MAX_CHUNK
from service.storage.local.beneath import READ_FLAGS

# `read_cached` copies from one buffer, as only the event loop calls it and nothing runs
# in between. Threads must not use it.
_BUFFER = memoryview(bytearray(MAX_CHUNK))
_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)
_UNSUPPORTED_ERRNOS = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}

# openat2(2) with RESOLVE_CACHED, since Linux 5.12. Its number is the same on all architectures.
_OPENAT2 = 437
_AT_FDCWD = -100  # the path is absolute
_RESOLVE_NO_SYMLINKS, _RESOLVE_CACHED = 0x04, 0x20


class _OpenHow(ctypes.Structure):
    """`struct open_how`."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


# O_PATH looks a file up without opening it.
_HOW_TO_FIND = ctypes.byref(
    _OpenHow(
        getattr(os, "O_PATH", 0) | os.O_CLOEXEC | os.O_NOFOLLOW,
        0,
        _RESOLVE_NO_SYMLINKS | _RESOLVE_CACHED,
    )
)
_HOW_TO_READ = ctypes.byref(_OpenHow(READ_FLAGS, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_CACHED))
_OPEN_HOW_SIZE = ctypes.sizeof(_OpenHow)


@cache
def _syscall() -> "ctypes._NamedFuncPointer | None":
    if not hasattr(os, "O_PATH"):
        return None
    call = ctypes.CDLL(None).syscall
    call.restype = ctypes.c_long
    call.argtypes = (
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.POINTER(_OpenHow),
        ctypes.c_size_t,
    )
    return call


def supports_nowait(descriptor: int) -> bool:
    """Return whether the file system of an open file supports RWF_NOWAIT.

    File systems on disks do. Those that ask a network or a process (NFS, SMB, FUSE) do not, and
    even fstat(2) may block on them.
    """
    if _NO_WAIT is None:
        return False
    try:
        os.preadv(descriptor, [bytearray(1)], 0, _NO_WAIT)
    except OSError as error:
        return error.errno not in _UNSUPPORTED_ERRNOS
    return True


def open_cached(path: str) -> int | None:
    """Open a regular file by cached names, without following links in the path.

    Return its descriptor; None also if there is no such file, which only a disk can tell.
    """
    if (call := _syscall()) is None:
        return None
    name = os.fsencode(path)
    path_descriptor = call(_OPENAT2, _AT_FDCWD, name, _HOW_TO_FIND, _OPEN_HOW_SIZE)
    if path_descriptor < 0:
        return None
    try:
        if not stat.S_ISREG(os.fstat(path_descriptor).st_mode):
            return None  # opening a device may have effects
    finally:
        os.close(path_descriptor)
    descriptor = call(_OPENAT2, _AT_FDCWD, name, _HOW_TO_READ, _OPEN_HOW_SIZE)
    return descriptor if descriptor >= 0 else None


def read_cached(descriptor: int, position: int, length: int) -> bytes | None:
    """Read at most MAX_CHUNK bytes, in the event loop's thread only. Raises OSError."""
    if _NO_WAIT is None:
        return None
    try:
        count = os.preadv(descriptor, [_BUFFER[:length]], position, _NO_WAIT)
    except OSError as error:
        if error.errno == errno.EAGAIN or error.errno in _UNSUPPORTED_ERRNOS:
            return None
        raise
    # Zero is the end of the file, or not cached on some file systems: a thread finds out.
    return bytes(_BUFFER[:count]) if count else None
