"""What was derived from a version of a file, kept in a bucket that all replicas share.
Law: as of the folder (derived.py): a cache, and no more. An object is replaced whole or not at all,
and what is kept under a name is the same whoever made it; so two that make it harm nobody."""

import errno
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import structlog
from cachetools import TTLCache

from service.artefact_store.blobs import FarBlob, OpenBlob
from service.artefact_store.folder import KINDS, Bounded, Key
from service.artefact_store.leases import Claims
from service.artefact_store.record import Blob, Layout, layout_of, packed
from service.artefact_store.sized_lru_cache import SizedLRUCache
from service.storage.object_store.sync_client import Bucket, Listed

_log = structlog.get_logger()

# Bytes that are asked for first. Facts of most kinds are shorter, and the pictures behind them are
# for those who look at them.
_FIRST_READ = 4 * 1024

# Bytes that are held in memory: a page of 50 posters has some 2 MB, its facts 50 kB.
_HELD = 32 * 1024 * 1024

# Requests at a time, where many are needed: a store answers one in 10 to 50 ms, and many at once as
# fast.
_AT_A_TIME = 16

# As many missing things are asked for one by one as a listing of 1,000 is worth; and seconds for
# which a listing tells what is not worth asking for.
_FEW = 50
_LISTED_FOR = 60.0

# Seconds after which the use of something is noted again, and those for which a note is kept. What
# was used in none of them counts as used when it was made.
_USED_AGAIN = 86_400.0
_NOTED_FOR = 30 * 86_400.0
_NOTES = "used"
_NAME_BYTES = 16


class _Held(NamedTuple):
    """Bytes in memory."""

    data: bytes
    where: Blob
    e_tag: str | None
    """Of the object that they are in."""


class DerivedBucket(Bounded):
    """What is derived, in a bucket."""

    is_far = True

    def __init__(self, bucket: Bucket, limit: int) -> None:
        super().__init__(limit)
        self._bucket = bucket
        self._claims = Claims(bucket)
        self._layouts: SizedLRUCache[Key, tuple[Layout, str | None]] = SizedLRUCache(_HELD // 4)
        self._blobs: SizedLRUCache[tuple[str, str, int], _Held] = SizedLRUCache(_HELD)
        self._listed: dict[str, tuple[float, set[str]]] = {}
        self._absent: set[Key] = set()
        """What `fetch` has seen not to be there, until it is loaded."""
        self._noted: TTLCache[str, None] = TTLCache(math.inf, _USED_AGAIN)
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def fetch(self, wanted: Sequence[Key]) -> None:
        """Ask for many at a time, and for none that a listing does not tell of."""
        unknown = [key for key in wanted if self._layouts.get(key) is None]
        if len(unknown) > _FEW:
            with suppress(OSError):
                listed = {kind: self._names(kind) for kind in {kind for kind, _ in unknown}}
                self._absent |= {key for key in unknown if key[1] not in listed[key[0]]}
        present = [key for key in unknown if key not in self._absent]
        if present:
            failed = threading.Event()
            with ThreadPoolExecutor(_AT_A_TIME, "fetch") as threads:
                list(threads.map(lambda key: self._fetch(key, failed), present))

    def load(self, kind: str, name: str) -> bytes | None:
        if (kind, name) in self._absent:
            self._absent.discard((kind, name))
            return None
        try:
            layout, _ = self._layout((kind, name))
        except (FileNotFoundError, ValueError):
            return None
        self._note_use(name)
        return layout.facts

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        found = self._whole(kind, name, number)
        return found and found.data

    def open(self, kind: str, name: str, number: int) -> OpenBlob | None:
        """Have them in memory once; of what had to make room there, pieces are asked for."""
        found = self._whole(kind, name, number)
        if found is None:
            return None
        return FarBlob(
            found.where.length,
            partial(self._held, (kind, name, number), found.where),
            partial(self._piece, (kind, name), found.where, found.e_tag),
        )

    def _whole(self, kind: str, name: str, number: int) -> "_Held | None":
        at = kind, name, number
        found = self._blobs.get(at)
        if found is None:
            try:
                try:
                    found = self._blob((kind, name), number)
                except ValueError:
                    # Another replica may have made it anew, with other libraries.
                    self._layouts.drop((kind, name))
                    found = self._blob((kind, name), number)
            except IndexError:
                return None
            except ValueError:
                self._drop((kind, name))
                return None
            except FileNotFoundError:
                self._layouts.drop((kind, name))  # another replica has made room
                return None
            self._blobs.put(at, found, len(found.data))
        self._note_use(name)
        return found

    def _held(self, at: tuple[str, str, int], where: Blob) -> bytes | None:
        """Return bytes from memory; only those of the version that was opened."""
        found = self._blobs.get(at)
        return found.data if found is not None and found.where.digest == where.digest else None

    def _piece(self, key: Key, where: Blob, e_tag: str | None, start: int, end: int) -> bytes:
        """Read some of the bytes that were opened. Raises OSError where they are there no more."""
        name = "/".join(key)
        if e_tag is not None:
            return self._bucket.get(name, where.start + start, where.start + end, e_tag).data
        data = self._bucket.get(name, where.start, where.start + where.length).data
        if not where.is_whole(data):
            raise OSError(errno.EIO, "the object was replaced", name)
        return data[start:end]

    def save(self, kind: str, name: str, facts: bytes, blobs: Sequence[bytes] = ()) -> bool:
        data = b"".join(packed(facts, blobs))
        try:
            self._bucket.put(f"{kind}/{name}", data)
        except OSError as error:
            _log.warning("cannot keep what was derived", error=error.strerror)
            return False
        self._layouts.drop((kind, name))
        with self._lock:
            self.size += len(data)
        return True

    def claim(self, name: str) -> Callable[[], None] | None:
        for kind in KINDS:
            self._layouts.drop((kind, name))  # another replica may have made it anew by now
        return self._claims.claim(name)

    def sweep(self, in_use: Sequence[Key] = ()) -> None:
        """Look how much there is, note what was used, and make room where there is need.

        All replicas do: each deletes what others have deleted, or would.
        """
        try:
            self._write_note()
            found = [(kind, each) for kind in KINDS for each in self._bucket.list(kind)]
            total = sum(each.size for _, each in found)
            if total > self._limit:
                used = self._last_uses() | dict.fromkeys((name for _, name in in_use), time.time())
                total = self._make_room(found, total, used)
            self.size = total
            self._claims.sweep()
        except OSError as error:
            _log.warning("cannot look at what was derived", error=error.strerror)

    def _make_room(
        self, found: list[tuple[str, Listed]], total: int, used: dict[str, float]
    ) -> int:
        """Delete what was not used for longest; give the bytes that stay."""
        going = []
        found.sort(key=lambda one: max(one[1].modified, used.get(_name(one[1]), 0.0)))
        for kind, each in found:
            if total <= self._roomy:
                break
            going.append(each.key)
            self._layouts.drop((kind, _name(each)))
            total -= each.size
        self._bucket.delete(going)
        return total

    def _fetch(self, key: Key, failed: threading.Event) -> None:
        """Have a layout, or know that it is not there. A store that has failed is not asked on: of
        many, each would take as long.
        """
        if failed.is_set():
            self._absent.add(key)
            return
        try:
            self._layout(key)
        except (FileNotFoundError, ValueError):
            self._absent.add(key)
        except OSError:
            self._absent.add(key)
            failed.set()

    def _blob(self, key: Key, number: int) -> "_Held":
        """Read bytes. Raises OSError, IndexError, and ValueError for what is damaged."""
        layout, e_tag = self._layout(key)
        where = layout.blobs[number]
        end = where.start + where.length
        data = self._bucket.get("/".join(key), where.start, end).data if where.length else b""
        if not where.is_whole(data):
            raise ValueError("these are not the bytes that were kept")
        return _Held(data, where, e_tag)

    def _layout(self, key: Key) -> tuple[Layout, str | None]:
        """Return the positions of the parts, and the version of the object.

        Raises OSError, and ValueError for what is damaged.
        """
        held = self._layouts.get(key)
        if held is not None:
            return held
        at = "/".join(key)
        data, size, e_tag = self._bucket.get(at, 0, _FIRST_READ)
        layout = layout_of(data, size, lambda length: self._bucket.get(at, 0, length).data)
        self._layouts.put(key, (layout, e_tag), len(layout.facts) + 100 * len(layout.blobs))
        return layout, e_tag

    def _names(self, kind: str) -> set[str]:
        """List what is kept of a kind, if that was not done just now. Raises OSError."""
        at, names = self._listed.get(kind, (0.0, set()))
        if not at or time.monotonic() - at > _LISTED_FOR:
            names = {_name(each) for each in self._bucket.list(kind)}
            self._listed[kind] = (time.monotonic(), names)
        return names

    def _drop(self, key: Key) -> None:
        self._layouts.drop(key)
        with suppress(OSError):
            self._bucket.delete(["/".join(key)])

    # Stores do not tell when an object was last read. Each replica notes once in a while which ones
    # it has given, all in one object.

    def _note_use(self, name: str) -> None:
        with self._lock:
            if name not in self._noted:
                self._noted[name] = None
                self._used.add(name)

    def _write_note(self) -> None:
        with self._lock:
            used, self._used = self._used, set()
        if used:
            data = b"".join(bytes.fromhex(name) for name in sorted(used))
            try:
                self._bucket.put(f"{_NOTES}/{secrets.token_hex(8)}", data)
            except OSError:
                with self._lock:
                    self._used |= used
                raise

    def _last_uses(self) -> dict[str, float]:
        """Read who was used when; delete what is too old to be of use. Raises OSError."""
        used: dict[str, float] = {}
        old = []
        for note in sorted(self._bucket.list(_NOTES), key=lambda note: note.modified):
            if time.time() - note.modified > _NOTED_FOR:
                old.append(note.key)
            else:
                data = self._bucket.get(note.key, 0, note.size).data
                used.update(dict.fromkeys(_noted_names(data), note.modified))
        self._bucket.delete(old)
        return used


def _name(each: Listed) -> str:
    return each.key.rpartition("/")[2]


def _noted_names(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _NAME_BYTES):
        yield data[start : start + _NAME_BYTES].hex()
