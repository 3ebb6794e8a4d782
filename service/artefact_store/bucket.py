"""Stores artefacts in a bucket that all replicas share.

It is a cache, and objects are replaced atomically. The same name has the same content, whichever
replica builds it.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

from service.artefact_store.keys import KINDS, LARGE_KINDS, Key
from service.artefact_store.leases import LeaseManager
from service.artefact_store.quota import (
    Inventory,
    LargeFile,
    Quota,
    Stored,
    is_abandoned,
    new_large_file,
    temporary_path,
)
from service.artefact_store.record_reader import RecordReader
from service.artefact_store.use_log import UseLog
from service.records.blobs import MemoryBlob, OpenArtefact, OpenBlob, RemoteLargeBlob
from service.records.record import encode, encode_large
from service.storage.object_store.sync_client import ObjectInfo, SyncObjectClient

_log = structlog.get_logger()

# What the names of local files begin with that are written before they are uploaded.
_TEMPORARY = "reelay-"

# Concurrent requests: a store answers one in 10 to 50 ms, and many at once as fast.
_MAX_CONCURRENT_GETS = 16

# Up to this many artefacts are requested without a listing; and seconds for which one is used.
_MAX_UNLISTED = 50
_LISTING_TTL = 60.0


class BucketArtefactStore(Quota):
    """Artefacts in a bucket."""

    is_remote = True

    def __init__(self, bucket: SyncObjectClient, limit: int) -> None:
        super().__init__(limit)
        self._bucket = bucket
        self._claims = LeaseManager(bucket)
        self._records = RecordReader(bucket)
        self._listed: dict[str, tuple[float, set[str]]] = {}
        self._known_absent: set[Key] = set()
        """Keys that `prefetch` did not find, until they are loaded."""
        self._use_log = UseLog(bucket)

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Request headers concurrently, after a listing if there are many."""
        unknown = [key for key in wanted if not self._records.is_cached(key)]
        if len(unknown) > _MAX_UNLISTED:
            with suppress(OSError):
                listed = {kind: self._list_names(kind) for kind in {kind for kind, _ in unknown}}
                self._known_absent |= {key for key in unknown if key[1] not in listed[key[0]]}
        present = [key for key in unknown if key not in self._known_absent]
        if present:
            failed = threading.Event()
            with ThreadPoolExecutor(_MAX_CONCURRENT_GETS, "prefetch") as threads:
                list(threads.map(lambda key: self._prefetch_header(key, failed), present))

    def load(self, kind: str, name: str) -> bytes | None:
        if (kind, name) in self._known_absent:
            self._known_absent.discard((kind, name))
            return None
        try:
            header, _ = self._records.header((kind, name))
        except (FileNotFoundError, ValueError):
            return None
        self._use_log.record(name)
        return header.metadata

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        cached = self._records.blob((kind, name), number)
        if cached is None:
            return None
        self._use_log.record(name)
        return cached.data

    def open(self, kind: str, name: str, number: int) -> OpenBlob | None:
        blob = self._records.open_blob((kind, name), number)
        if blob is not None:
            self._use_log.record(name)
        return blob

    def save(self, kind: str, name: str, metadata: bytes, blobs: Sequence[bytes] = ()) -> bool:
        # An artefact of a large kind may have no large file.
        is_large = kind in LARGE_KINDS
        record = encode_large(0, metadata, blobs) if is_large else encode(metadata, blobs)
        data = b"".join(record)
        try:
            self._bucket.put(f"{kind}/{name}", data)
        except OSError as error:
            _log.warning("cannot store an artefact", error=error.strerror)
            return False
        self._records.forget((kind, name))
        self._count(kind, len(data))
        return True

    def create_large(self, room: int, *, evict: bool) -> LargeFile:
        """Create a local temporary file, which `save_large` uploads."""
        local = Path(tempfile.gettempdir())
        for other in local.glob(f"{_TEMPORARY}*"):
            with suppress(OSError):
                if is_abandoned(other):
                    other.unlink()
        path = temporary_path(local, _TEMPORARY)
        found = Inventory.of(self._find(), LARGE_KINDS) if evict else None
        going = self._reserve(path, room, found)
        file = new_large_file(self, path, room)
        try:
            self._delete(going)
        except BaseException:
            file.discard()
            raise
        return file

    def save_large(
        self, kind: str, name: str, file: LargeFile, metadata: bytes, blobs: Sequence[bytes] = ()
    ) -> bool:
        try:
            with file.path.open("ab") as written:
                written.writelines(encode_large(written.tell(), metadata, blobs))
                size = written.tell()
            self._bucket.put_file(f"{kind}/{name}", file.path, size)
        except OSError as error:
            _log.warning("cannot store an artefact", error=error.strerror)
            return False
        self._records.forget((kind, name))
        self.release(file)
        self._count(kind, size)
        return True

    def open_large(self, kind: str, name: str) -> OpenArtefact | None:
        self._records.forget((kind, name))  # all of it has to be of one version
        try:
            header, e_tag = self._records.header((kind, name))
            blobs = [
                self._records.read_blob((kind, name), number) for number in range(len(header.blobs))
            ]
        except FileNotFoundError:
            return None
        except ValueError:
            self._records.delete((kind, name))
            return None
        if any(blob.e_tag != e_tag for blob in blobs):
            return None
        self._use_log.record(name)
        self._record_use(name)

        def fetch(start: int, end: int) -> bytes:
            return self._bucket.get(f"{kind}/{name}", start, end, e_tag).data

        small = tuple(MemoryBlob(blob.data) for blob in blobs)
        return OpenArtefact(header.metadata, small, RemoteLargeBlob(header.large, fetch))

    def acquire(self, name: str) -> Callable[[], None] | None:
        for kind in KINDS:
            self._records.forget((kind, name))  # another replica may have rebuilt it
        return self._claims.acquire(name)

    def evict(self, live_keys: Iterable[Key] = ()) -> None:
        """Measure the store, write the use log, and evict if the quota is exceeded.

        All replicas do so, and choose the same artefacts.
        """
        try:
            self._use_log.write()
            found = Inventory.of(self._find(), LARGE_KINDS)
            if self._is_over(found):
                used = self._use_log.read() | dict.fromkeys(
                    (name for _, name in live_keys), time.time()
                )
                every = (
                    each._replace(used=max(each.used, used.get(each.name, 0.0)))
                    for each in self._find()
                )
                found = Inventory.of(every, KINDS)
            self._delete(self._recount(found))
            self._claims.evict()
        except OSError as error:
            _log.warning("cannot look at what was derived", error=error.strerror)

    def _find(self) -> Iterator[Stored]:
        """Yield what is stored. Raises OSError."""
        for kind in KINDS:
            for info in self._bucket.list(kind):
                yield Stored(kind, _name(info), info.size, info.modified, info.key)

    def _delete(self, going: Sequence[Stored]) -> None:
        for each in going:
            self._records.forget((each.kind, each.name))
        self._bucket.delete([each.where for each in going])

    def _prefetch_header(self, key: Key, failed: threading.Event) -> None:
        """Cache a header, or that it is absent. After a failure the others are skipped,
        because each would take as long.
        """
        if failed.is_set():
            self._known_absent.add(key)
            return
        try:
            self._records.header(key)
        except (FileNotFoundError, ValueError):
            self._known_absent.add(key)
        except OSError:
            self._known_absent.add(key)
            failed.set()

    def _list_names(self, kind: str) -> set[str]:
        """Return the names of a kind from a recent listing. Raises OSError."""
        listed_at, names = self._listed.get(kind, (0.0, set()))
        if not listed_at or time.monotonic() - listed_at > _LISTING_TTL:
            names = {_name(each) for each in self._bucket.list(kind)}
            self._listed[kind] = (time.monotonic(), names)
        return names


def _name(each: ObjectInfo) -> str:
    return each.key.rpartition("/")[2]
