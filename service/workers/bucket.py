"""Opens the object store in a worker process, whose memory is limited."""

import ctypes
import errno
import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.storage.object_store.sync_client import SyncObjectClient

_M_ARENA_MAX = -8  # malloc.h


@cache
def open_bucket(url: str, timeout: float) -> "SyncObjectClient":
    """Return a client of the store, with the credentials of the environment. Raises OSError."""
    # Each thread takes 64 MiB of address space for its allocations. One thread is enough, because
    # there is one request at a time.
    os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
    from service.storage.object_store.config import StoreError, open_store  # noqa: PLC0415
    from service.storage.object_store.sync_client import SyncObjectClient  # noqa: PLC0415 # an optional dependency

    try:
        return SyncObjectClient(open_store(url, os.environ, timeout=timeout))
    except StoreError as error:
        raise OSError(errno.EIO, "the store cannot be used") from error
