"""The service over a folder that reports no changes, like a network mount.

python -m tests.support.unwatched_service
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path

from service.__main__ import main
from service.library import library
from service.library.watcher import inotify_is_complete

MEDIA = Path(os.environ["REELAY_MEDIA"]).resolve()
MOUNTS = f"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 0:5 / {MEDIA} rw - nfs4 there:/ rw\n"


async def watch_changes(
    root: Path, is_relevant: Callable[[str], bool] = lambda _: True
) -> AsyncGenerator[bool]:
    """Never report a change of the folder."""
    await asyncio.Event().wait()
    yield False


if __name__ == "__main__":
    library.watch_changes = watch_changes  # type: ignore[attr-defined]
    library.inotify_is_complete = partial(inotify_is_complete, mounts=MOUNTS.encode())  # type: ignore[attr-defined]
    sys.exit(main())
