"""Leases on artefacts, for replicas that share a bucket.

A lease is renewed while its owner lives, and expires after that. It only saves work: two replicas
that build the same artefact at the same time store the same bytes.
"""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from service.storage.object_store.sync_client import SyncObjectClient

_log = structlog.get_logger()

_PREFIX = "claims"

# Seconds between renewals, and seconds without a renewal after which a lease expires. They are
# measured by the clock of the replica that looks.
_RENEW_INTERVAL, _LEASE_TTL = 5.0, 20.0

# Seconds that a release may take.
_RELEASE_TIMEOUT = 5.0

# Age in seconds, by the store's clock, of a lease whose owner is gone: no build takes so long.
_ORPHAN_AGE = 86_400.0

# Leases of other replicas that are remembered; beyond that, observation starts again.
_MAX_OBSERVED = 10_000


class LeaseManager:
    """The leases of one replica, and those observed of other replicas. Every method blocks."""

    def __init__(self, bucket: SyncObjectClient) -> None:
        self._bucket = bucket
        self._observed: dict[str, tuple[bytes, float]] = {}
        """By key: the content of a lease, and the monotonic time of its last change."""

    def acquire(self, name: str) -> Callable[[], None] | None:
        """Acquire a lease and return its release; None if it is another's. Raises OSError."""
        key = f"{_PREFIX}/{name}"
        token = secrets.token_bytes(16)
        if not self._bucket.create(key, token) and not self._take_over(key, token):
            return None
        self._observed.pop(key, None)
        return _Lease(self._bucket, key, token).release

    def _take_over(self, key: str, token: bytes) -> bool:
        """Take over an expired lease."""
        try:
            holder = self._bucket.get(key, 0, 64).data
        except FileNotFoundError:
            return False  # it was released just now; the next attempt will succeed
        if holder == token:
            return True  # the store created it, but the response was lost
        now = time.monotonic()
        last_holder, since = self._observed.get(key, (b"", now))
        if last_holder != holder:
            if len(self._observed) >= _MAX_OBSERVED:
                self._observed.clear()
            self._observed[key] = holder, now
            return False
        if now - since < _LEASE_TTL:
            return False
        # Of several replicas the last writer has it. Conditional writes (If-Match) would be better,
        # but few stores support them; Swift does not.
        self._bucket.put(key, token)
        return self._bucket.get(key, 0, 64).data == token

    def evict(self) -> None:
        """Delete leases whose owners are gone. Raises OSError."""
        old = time.time() - _ORPHAN_AGE
        self._bucket.delete(
            [each.key for each in self._bucket.list(_PREFIX) if each.modified < old]
        )


class _Lease:
    """A lease that its own thread renews until it is released."""

    def __init__(self, bucket: SyncObjectClient, key: str, token: bytes) -> None:
        self._bucket = bucket
        self._key = key
        self._token = token
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Release the lease. If the store cannot be reached, it expires."""
        self._done.set()
        self._thread.join(_RELEASE_TIMEOUT)

    def _renew(self) -> None:
        count = 0
        while not self._done.wait(_RENEW_INTERVAL):
            count += 1
            try:
                self._bucket.put(self._key, self._token + count.to_bytes(8, "big"))
            except OSError:
                pass  # the store may be unavailable for a while
            except Exception:  # noqa: BLE001 # the next renewal may succeed
                _log.exception("a claim could not be renewed", key=self._key)
        with suppress(OSError):
            self._bucket.delete([self._key])
