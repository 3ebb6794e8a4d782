"""The service over a folder `hung` that behaves like a network or FUSE mount.

    python -m tests.support.hung_mount

Files in it cannot be read without blocking, and the test controls how long system calls on them
take: it writes lines into a file `held` next to the library, each with a pattern for a call and a
file (`pread hung/slow.mp4`, `* hung/*`). Matching calls wait until the line is removed.
"""

import errno
import os
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from service.__main__ import main
from service.storage.local import nonblocking

CALLS = ("open", "stat", "lstat", "fstat", "preadv", "pread", "close")
MEDIA = Path(os.environ["REELAY_MEDIA"]).resolve()
HELD = MEDIA.parent / "held"
DESCRIPTORS = Path("/proc/self/fd")


def path_of(target: Any, folder: int | None = None) -> str:
    """Return the path of a call's target below the library; empty if it is elsewhere."""
    if isinstance(target, int):
        target = DESCRIPTORS.joinpath(str(target)).readlink()
    elif folder is not None:
        target = DESCRIPTORS.joinpath(str(folder)).readlink() / target
    target = os.fsdecode(target)
    return target.removeprefix(f"{MEDIA}/") if target.startswith(f"{MEDIA}/") else ""


def wait(call: str, path: str) -> None:
    """Wait while a line of `held` matches this call."""
    while path.startswith("hung/") and any(
        fnmatch(f"{call} {path}", line) for line in held_lines()
    ):
        time.sleep(0.02)


def held_lines() -> list[str]:
    try:
        return HELD.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def delayed(call: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that waits before it makes the real call."""

    def slow(target: Any, *args: Any, **options: Any) -> Any:
        path = path_of(target, options.get("dir_fd"))
        wait(call, path)
        if call == "preadv" and path.startswith("hung/"):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(target, *args, **options)

    return slow


def open_file(path: str, real: Callable[[str], int | None] = nonblocking.open_cached) -> int | None:
    """Replace nonblocking.open_cached, which makes its system call without `os`."""
    wait("open", path_of(path))
    return real(path)


if __name__ == "__main__":
    for name in CALLS:
        setattr(os, name, delayed(name, getattr(os, name)))
    nonblocking.open_cached = open_file
    sys.exit(main())
