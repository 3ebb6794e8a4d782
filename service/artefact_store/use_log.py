"""Records in a bucket when artefacts were last used, as object stores do not."""

import math
import secrets
import threading
import time
from collections.abc import Iterator

from cachetools import TTLCache

from service.storage.object_store.sync_client import SyncObjectClient

# Seconds between two notes of the use of an artefact, and seconds for which a use log is kept. What
# no log contains counts as used when it was built.
_TOUCH_INTERVAL = 86_400.0
_USE_LOG_TTL = 30 * 86_400.0
_USE_LOG_PREFIX = "used"
_NAME_BYTES = 16


class UseLog:
    """The artefacts that this replica used, and the logs of all replicas.

    Each replica writes from time to time one object with the names that it has used.
    """

    def __init__(self, bucket: SyncObjectClient) -> None:
        self._bucket = bucket
        self._recent: TTLCache[str, None] = TTLCache(math.inf, _TOUCH_INTERVAL)
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def record(self, name: str) -> None:
        """Record the use of an artefact."""
        with self._lock:
            if name not in self._recent:
                self._recent[name] = None
                self._used.add(name)

    def write(self) -> None:
        """Write what was recorded. Blocks. Raises OSError."""
        with self._lock:
            used, self._used = self._used, set()
        if used:
            data = b"".join(bytes.fromhex(name) for name in sorted(used))
            try:
                self._bucket.put(f"{_USE_LOG_PREFIX}/{secrets.token_hex(8)}", data)
            except OSError:
                with self._lock:
                    self._used |= used
                raise

    def read(self) -> dict[str, float]:
        """Return the time of the last use by name; delete expired logs. Blocks. Raises OSError."""
        used: dict[str, float] = {}
        old = []
        for note in sorted(self._bucket.list(_USE_LOG_PREFIX), key=lambda note: note.modified):
            if time.time() - note.modified > _USE_LOG_TTL:
                old.append(note.key)
            else:
                data = self._bucket.get(note.key, 0, note.size).data
                used.update(dict.fromkeys(_logged_names(data), note.modified))
        self._bucket.delete(old)
        return used


def _logged_names(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _NAME_BYTES):
        yield data[start : start + _NAME_BYTES].hex()
