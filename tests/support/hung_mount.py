"""The service on a folder `hung` that is like a mount over a network or of a process: it cannot
tell what it has in memory, and system calls on its files take as long as the test likes.

    python -m tests.support.hung_mount

Beside the library lies a file `held`, which the test writes: in each line a call and a file, as
patterns (`pread hung/slow.mp4`, `* hung/*`). Such calls wait until the line is gone.
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
    """Give the path, below the library, of what a call is about; what is not below has none."""
    if isinstance(target, int):
        target = DESCRIPTORS.joinpath(str(target)).readlink()
    elif folder is not None:
        target = DESCRIPTORS.joinpath(str(folder)).readlink() / target
    target = os.fsdecode(target)
    return target.removeprefix(f"{MEDIA}/") if target.startswith(f"{MEDIA}/") else ""


def wait(call: str, path: str) -> None:
    """Wait as long as this is held up."""
    while path.startswith("hung/") and any(fnmatch(f"{call} {path}", line) for line in held()):
        time.sleep(0.02)


def held() -> list[str]:
    try:
        return HELD.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def hold_up(call: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """Give a call that waits first."""

    def slow(target: Any, *args: Any, **options: Any) -> Any:
        path = path_of(target, options.get("dir_fd"))
        wait(call, path)
        if call == "preadv" and path.startswith("hung/"):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(target, *args, **options)

    return slow


def open_file(path: str, real: Callable[[str], int | None] = nonblocking.open_file) -> int | None:
    """Do as nonblocking.open_file, whose system call is none of os."""
    wait("open", path_of(path))
    return real(path)


if __name__ == "__main__":
    for name in CALLS:
        setattr(os, name, hold_up(name, getattr(os, name)))
    nonblocking.open_file = open_file
    sys.exit(main())
