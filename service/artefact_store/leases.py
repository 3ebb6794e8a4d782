"""Who makes what, among replicas that share a bucket.
Law: a claim is renewed while its owner lives, and lapses when it does not. It saves work, no more:
where two make the same thing at the same time, both make the same bytes."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from service.storage.object_store.sync_client import SyncObjectClient

_log = structlog.get_logger()

_PREFIX = "claims"

# Seconds between renewals, and those for which one that is not renewed is another's. No clock but
# the one of who looks has a say in it.
_RENEW_INTERVAL, _LEASE_TTL = 5.0, 20.0

# Seconds that letting go may take.
_RELEASE_TIMEOUT = 5.0

# Seconds after which a claim is left over, by the store's clock: nothing takes so long.
_ORPHAN_AGE = 86_400.0

# Claims of others that are remembered; then all are looked at anew.
_MAX_OBSERVED = 10_000


class LeaseManager:
    """The claims of one replica, and what it has seen of others'. Methods block: for a thread."""

    def __init__(self, bucket: SyncObjectClient) -> None:
        self._bucket = bucket
        self._observed: dict[str, tuple[bytes, float]] = {}
        """What each claim held, and since when: seconds of the monotonic clock."""

    def acquire(self, name: str) -> Callable[[], None] | None:
        """Claim it: gives what lets go of it; None where it is another's. Raises OSError."""
        key = f"{_PREFIX}/{name}"
        token = secrets.token_bytes(16)
        if not self._bucket.create(key, token) and not self._take_over(key, token):
            return None
        self._observed.pop(key, None)
        return _Lease(self._bucket, key, token).release

    def _take_over(self, key: str, token: bytes) -> bool:
        """Take over a claim that was not renewed for long."""
        try:
            holder = self._bucket.get(key, 0, 64).data
        except FileNotFoundError:
            return False  # it was let go of just now: the next time
        if holder == token:
            return True  # the store had kept it, and its answer was lost
        now = time.monotonic()
        last_holder, since = self._observed.get(key, (b"", now))
        if last_holder != holder:
            if len(self._observed) >= _MAX_OBSERVED:
                self._observed.clear()
            self._observed[key] = holder, now
            return False
        if now - since < _LEASE_TTL:
            return False
        # Of several that come here at once the last one to write has it. Few stores would let that
        # depend on what they write over (If-Match): Swift does not.
        self._bucket.put(key, token)
        return self._bucket.get(key, 0, 64).data == token

    def evict(self) -> None:
        """Delete claims whose owners are gone, and that nobody has taken over. Raises OSError."""
        old = time.time() - _ORPHAN_AGE
        self._bucket.delete(
            [each.key for each in self._bucket.list(_PREFIX) if each.modified < old]
        )


class _Lease:
    """A claim that is renewed, by a thread of its own, until it is let go of."""

    def __init__(self, bucket: SyncObjectClient, key: str, token: bytes) -> None:
        self._bucket = bucket
        self._key = key
        self._token = token
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let others have it. Where that cannot be said, it lapses."""
        self._done.set()
        self._thread.join(_RELEASE_TIMEOUT)

    def _renew(self) -> None:
        count = 0
        while not self._done.wait(_RENEW_INTERVAL):
            count += 1
            try:
                self._bucket.put(self._key, self._token + count.to_bytes(8, "big"))
            except OSError:
                pass  # the store may be away for a while
            except Exception:  # noqa: BLE001 # the next one may succeed
                _log.exception("a claim could not be renewed", key=self._key)
        with suppress(OSError):
            self._bucket.delete([self._key])
