"""Stores artefacts in a bucket that all replicas share.

It is a cache, and objects are replaced atomically. The same name has the same content, whichever
replica builds it.
"""

import errno
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from service.artefact_store.blobs import (
    MemoryBlob,
    OpenArtefact,
    OpenBlob,
    RemoteBlob,
    RemoteLargeBlob,
)
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
from service.artefact_store.record import (
    Blob,
    RecordHeader,
    encode,
    encode_large,
    read_header,
    read_large_header,
)
from service.artefact_store.sized_lru_cache import SizedLRUCache
from service.artefact_store.use_log import UseLog
from service.storage.object_store.sync_client import ObjectInfo, SyncObjectClient

_log = structlog.get_logger()

# Bytes of the first request. Most metadata are shorter, and the blobs are not needed for them.
_FIRST_READ = 4 * 1024

# What the names of local files begin with that are written before they are uploaded.
_TEMPORARY = "reelay-"

# Bytes of blobs in memory: a page of 50 posters has about 2 MB, its metadata 50 kB.
_MAX_CACHED_BYTES = 32 * 1024 * 1024

# Concurrent requests: a store answers one in 10 to 50 ms, and many at once as fast.
_MAX_CONCURRENT_GETS = 16

# Up to this many artefacts are requested without a listing; and seconds for which one is used.
_MAX_UNLISTED = 50
_LISTING_TTL = 60.0


class _CachedBlob(NamedTuple):
    """A blob in memory."""

    data: bytes
    location: Blob
    e_tag: str | None
    """The entity tag of its object."""


class BucketArtefactStore(Quota):
    """Artefacts in a bucket."""

    is_remote = True

    def __init__(self, bucket: SyncObjectClient, limit: int) -> None:
        super().__init__(limit)
        self._bucket = bucket
        self._claims = LeaseManager(bucket)
        self._headers: SizedLRUCache[Key, tuple[RecordHeader, str | None]] = SizedLRUCache(
            _MAX_CACHED_BYTES // 4
        )
        self._blobs: SizedLRUCache[tuple[str, str, int], _CachedBlob] = SizedLRUCache(
            _MAX_CACHED_BYTES
        )
        self._listed: dict[str, tuple[float, set[str]]] = {}
        self._known_absent: set[Key] = set()
        """Keys that `prefetch` did not find, until they are loaded."""
        self._use_log = UseLog(bucket)

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Request headers concurrently, after a listing if there are many."""
        unknown = [key for key in wanted if self._headers.get(key) is None]
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
            header, _ = self._read_header((kind, name))
        except (FileNotFoundError, ValueError):
            return None
        self._use_log.record(name)
        return header.metadata

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        cached = self._load_blob(kind, name, number)
        return cached and cached.data

    def open(self, kind: str, name: str, number: int) -> OpenBlob | None:
        """Cache the blob; if it is evicted from memory, read ranges of the object."""
        cached = self._load_blob(kind, name, number)
        if cached is None:
            return None
        return RemoteBlob(
            cached.location.length,
            partial(self._get_cached, (kind, name, number), cached.location),
            partial(self._read_range, (kind, name), cached.location, cached.e_tag),
        )

    def _load_blob(self, kind: str, name: str, number: int) -> "_CachedBlob | None":
        blob_key = kind, name, number
        cached = self._blobs.get(blob_key)
        if cached is None:
            try:
                try:
                    cached = self._blob((kind, name), number)
                except ValueError:
                    # Another replica may have rebuilt it, with other libraries.
                    self._headers.drop((kind, name))
                    cached = self._blob((kind, name), number)
            except IndexError:
                return None
            except ValueError:
                self._drop((kind, name))
                return None
            except FileNotFoundError:
                self._headers.drop((kind, name))  # another replica evicted it
                return None
            self._blobs.put(blob_key, cached, len(cached.data))
        self._use_log.record(name)
        return cached

    def _get_cached(self, blob_key: tuple[str, str, int], location: Blob) -> bytes | None:
        """Return the blob from memory, if it is the version that was opened."""
        cached = self._blobs.get(blob_key)
        return (
            cached.data
            if cached is not None and cached.location.digest == location.digest
            else None
        )

    def _read_range(
        self, key: Key, location: Blob, e_tag: str | None, start: int, end: int
    ) -> bytes:
        """Read bytes of the opened version. Raises OSError if it is gone."""
        name = "/".join(key)
        if e_tag is not None:
            return self._bucket.get(name, location.start + start, location.start + end, e_tag).data
        data = self._bucket.get(name, location.start, location.start + location.length).data
        if not location.verify(data):
            raise OSError(errno.EIO, "the object was replaced", name)
        return data[start:end]

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
        self._headers.drop((kind, name))
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
        going = self._reserve(path, room, self._find() if evict else None)
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
        self._headers.drop((kind, name))
        self.release(file)
        self._count(kind, size)
        return True

    def open_large(self, kind: str, name: str) -> OpenArtefact | None:
        self._headers.drop((kind, name))  # all of it has to be of one version
        try:
            header, e_tag = self._read_header((kind, name))
            blobs = [self._blob((kind, name), number) for number in range(len(header.blobs))]
        except FileNotFoundError:
            return None
        except ValueError:
            self._drop((kind, name))
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
            self._headers.drop((kind, name))  # another replica may have rebuilt it
        return self._claims.acquire(name)

    def evict(self, live_keys: Sequence[Key] = ()) -> None:
        """Measure the store, write the use log, and evict if the quota is exceeded.

        All replicas do so, and choose the same artefacts.
        """
        try:
            self._use_log.write()
            found = self._find()
            if self._is_over(found):
                used = self._use_log.read() | dict.fromkeys(
                    (name for _, name in live_keys), time.time()
                )
                found = Inventory(
                    [
                        each._replace(used=max(each.used, used.get(each.name, 0.0)))
                        for each in found.artefacts
                    ]
                )
            self._delete(self._recount(found))
            self._claims.evict()
        except OSError as error:
            _log.warning("cannot look at what was derived", error=error.strerror)

    def _find(self) -> Inventory:
        """Return what is stored. Raises OSError."""
        return Inventory(
            [
                Stored(kind, _name(info), info.size, info.modified, info.key)
                for kind in KINDS
                for info in self._bucket.list(kind)
            ]
        )

    def _delete(self, going: Sequence[Stored]) -> None:
        for each in going:
            self._headers.drop((each.kind, each.name))
        self._bucket.delete([each.where for each in going])

    def _prefetch_header(self, key: Key, failed: threading.Event) -> None:
        """Cache a header, or that it is absent. After a failure the others are skipped,
        because each would take as long.
        """
        if failed.is_set():
            self._known_absent.add(key)
            return
        try:
            self._read_header(key)
        except (FileNotFoundError, ValueError):
            self._known_absent.add(key)
        except OSError:
            self._known_absent.add(key)
            failed.set()

    def _blob(self, key: Key, number: int) -> "_CachedBlob":
        """Read a blob. Raises OSError, IndexError, and ValueError if it is damaged."""
        header, e_tag = self._read_header(key)
        location = header.blobs[number]
        end = location.start + location.length
        data = self._bucket.get("/".join(key), location.start, end).data if location.length else b""
        if not location.verify(data):
            raise ValueError("damaged")
        return _CachedBlob(data, location, e_tag)

    def _read_header(self, key: Key) -> tuple[RecordHeader, str | None]:
        """Return the header of a record and the entity tag of its object.

        Raises OSError, and ValueError if the record is damaged.
        """
        cached = self._headers.get(key)
        if cached is not None:
            return cached
        object_key = "/".join(key)
        data, size, e_tag = self._bucket.get(object_key, 0, _FIRST_READ)

        def read(start: int, end: int) -> bytes:
            return self._bucket.get(object_key, start, end, e_tag).data

        header = (
            read_large_header(size, read, _FIRST_READ)
            if key[0] in LARGE_KINDS
            else read_header(data, size, lambda length: read(0, length))
        )
        self._headers.put(key, (header, e_tag), len(header.metadata) + 100 * len(header.blobs))
        return header, e_tag

    def _list_names(self, kind: str) -> set[str]:
        """Return the names of a kind from a recent listing. Raises OSError."""
        listed_at, names = self._listed.get(kind, (0.0, set()))
        if not listed_at or time.monotonic() - listed_at > _LISTING_TTL:
            names = {_name(each) for each in self._bucket.list(kind)}
            self._listed[kind] = (time.monotonic(), names)
        return names

    def _drop(self, key: Key) -> None:
        self._headers.drop(key)
        with suppress(OSError):
            self._bucket.delete(["/".join(key)])


def _name(each: ObjectInfo) -> str:
    return each.key.rpartition("/")[2]
