"""Reads records from a bucket, and keeps their headers and blobs in memory."""

import errno
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from service.artefact_store.keys import LARGE_KINDS, Key
from service.records.blobs import OpenBlob, RemoteBlob
from service.records.record import Blob, RecordHeader, read_header, read_large_header
from service.records.sized_lru_cache import SizedLRUCache
from service.storage.object_store.sync_client import SyncObjectClient

# Bytes of the first request. Most metadata are shorter, and the blobs are not needed for them.
_FIRST_READ = 4 * 1024

# Bytes of blobs in memory: a page of 50 posters has about 2 MB, its metadata 50 kB.
_MAX_CACHED_BYTES = 32 * 1024 * 1024


class CachedBlob(NamedTuple):
    """A blob in memory."""

    data: bytes
    location: Blob
    e_tag: str | None
    """The entity tag of its object."""


class RecordReader:
    """Reads headers and blobs of records, which other replicas may replace or delete."""

    def __init__(self, bucket: SyncObjectClient) -> None:
        self._bucket = bucket
        self._headers: SizedLRUCache[Key, tuple[RecordHeader, str | None]] = SizedLRUCache(
            _MAX_CACHED_BYTES // 4
        )
        self._blobs: SizedLRUCache[tuple[Key, int], CachedBlob] = SizedLRUCache(_MAX_CACHED_BYTES)

    def is_cached(self, key: Key) -> bool:
        """Return whether the header of a record is in memory."""
        return self._headers.get(key) is not None

    def forget(self, key: Key) -> None:
        """Drop the header of a record that was replaced or deleted."""
        self._headers.drop(key)

    def header(self, key: Key) -> tuple[RecordHeader, str | None]:
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

    def read_blob(self, key: Key, number: int) -> CachedBlob:
        """Read a blob. Raises OSError, IndexError, and ValueError if it is damaged."""
        header, e_tag = self.header(key)
        location = header.blobs[number]
        end = location.start + location.length
        data = self._bucket.get("/".join(key), location.start, end).data if location.length else b""
        if not location.verify(data):
            raise ValueError("damaged")
        return CachedBlob(data, location, e_tag)

    def blob(self, key: Key, number: int) -> CachedBlob | None:
        """Return a blob from memory, or read and keep it; None if the store lacks it.

        Raises OSError. A damaged record is deleted.
        """
        cached = self._blobs.get((key, number))
        if cached is None:
            try:
                try:
                    cached = self.read_blob(key, number)
                except ValueError:
                    # Another replica may have rebuilt it, with other libraries.
                    self.forget(key)
                    cached = self.read_blob(key, number)
            except IndexError:
                return None
            except ValueError:
                self.delete(key)
                return None
            except FileNotFoundError:
                self.forget(key)  # another replica evicted it
                return None
            self._blobs.put((key, number), cached, len(cached.data))
        return cached

    def open_blob(self, key: Key, number: int) -> OpenBlob | None:
        """Cache a blob; if it is evicted from memory, read ranges of the object. None as `blob`."""
        cached = self.blob(key, number)
        if cached is None:
            return None
        return RemoteBlob(
            cached.location.length,
            partial(self._get_cached, key, number, cached.location),
            partial(self._read_range, key, cached.location, cached.e_tag),
        )

    def delete(self, key: Key) -> None:
        """Delete a record, if the store can be reached."""
        self.forget(key)
        with suppress(OSError):
            self._bucket.delete(["/".join(key)])

    def _get_cached(self, key: Key, number: int, location: Blob) -> bytes | None:
        """Return the blob from memory, if it is the version that was opened."""
        cached = self._blobs.get((key, number))
        is_same = cached is not None and cached.location.digest == location.digest
        return cached.data if cached and is_same else None

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
