"""Who makes what, among replicas that share a bucket.
Law: a claim is renewed while its owner lives, and lapses when it does not. It saves work, no more:
where two make the same thing at the same time, both make the same bytes."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from service.storage.object_store.sync_client import Bucket

_log = structlog.get_logger()

_PREFIX = "claims"

# Seconds between renewals, and those for which one that is not renewed is another's. No clock but
# the one of who looks has a say in it.
_RENEWAL, _LAPSE = 5.0, 20.0

# Seconds that letting go may take.
_LET_GO = 5.0

# Seconds after which a claim is left over, by the store's clock: nothing takes so long.
_LEFT_OVER = 86_400.0

# Claims of others that are remembered; then all are looked at anew.
_MOST_SEEN = 10_000


class Claims:
    """The claims of one replica, and what it has seen of others'. Methods block: for a thread."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._seen: dict[str, tuple[bytes, float]] = {}
        """What each claim held, and since when: seconds of the monotonic clock."""

    def claim(self, name: str) -> Callable[[], None] | None:
        """Claim it: gives what lets go of it; None where it is another's. Raises OSError."""
        key = f"{_PREFIX}/{name}"
        mine = secrets.token_bytes(16)
        if not self._bucket.create(key, mine) and not self._inherit(key, mine):
            return None
        self._seen.pop(key, None)
        return _Held(self._bucket, key, mine).let_go

    def _inherit(self, key: str, mine: bytes) -> bool:
        """Take over a claim that was not renewed for long."""
        try:
            theirs = self._bucket.get(key, 0, 64).data
        except FileNotFoundError:
            return False  # it was let go of just now: the next time
        if theirs == mine:
            return True  # the store had kept it, and its answer was lost
        now = time.monotonic()
        held, since = self._seen.get(key, (b"", now))
        if held != theirs:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[key] = theirs, now
            return False
        if now - since < _LAPSE:
            return False
        # Of several that come here at once the last one to write has it. Few stores would let that
        # depend on what they write over (If-Match): Swift does not.
        self._bucket.put(key, mine)
        return self._bucket.get(key, 0, 64).data == mine

    def sweep(self) -> None:
        """Delete claims whose owners are gone, and that nobody has taken over. Raises OSError."""
        old = time.time() - _LEFT_OVER
        self._bucket.delete(
            [each.key for each in self._bucket.list(_PREFIX) if each.modified < old]
        )


class _Held:
    """A claim that is renewed, by a thread of its own, until it is let go of."""

    def __init__(self, bucket: Bucket, key: str, mine: bytes) -> None:
        self._bucket = bucket
        self._key = key
        self._mine = mine
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="claim", daemon=True)
        self._thread.start()

    def let_go(self) -> None:
        """Let others have it. Where that cannot be said, it lapses."""
        self._done.set()
        self._thread.join(_LET_GO)

    def _renew(self) -> None:
        count = 0
        while not self._done.wait(_RENEWAL):
            count += 1
            try:
                self._bucket.put(self._key, self._mine + count.to_bytes(8, "big"))
            except OSError:
                pass  # the store may be away for a while
            except Exception:  # noqa: BLE001 # the next one may succeed
                _log.exception("a claim could not be renewed", key=self._key)
        with suppress(OSError):
            self._bucket.delete([self._key])
