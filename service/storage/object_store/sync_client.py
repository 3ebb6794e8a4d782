"""The blocking client of the object store, for threads and worker processes.

All errors are OSErrors, as with files, so that callers handle both alike."""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import ObjectStore

from service.storage.object_store.errors import Cause, cause_of

# Maximum number of objects per page of a listing (S3 API, ListObjectsV2).
_PAGE_SIZE = 1000

# Parts of a large object: S3 allows 10,000, of 5 MiB or more (S3 API, multipart upload limits).
_MAX_PARTS = 10_000
_MIN_PART = 8 * 1024**2
_CONCURRENT_PARTS = 4

_REPLACED = "the object was replaced"


class RangePastEndError(OSError, ValueError):
    """The range begins after the end of the object."""


class RangeResult(NamedTuple):
    """A range of an object's bytes."""

    data: bytes
    size: int
    """The length of the whole object in bytes."""
    e_tag: str | None
    """The entity tag as the store writes it."""


class ObjectInfo(NamedTuple):
    """An object as a listing describes it."""

    key: str
    size: int
    modified: float
    """Seconds since the epoch, by the store's clock."""


class SyncObjectClient:
    """The objects below a prefix of a store; keys are without the prefix."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, key: str, start: int, end: int, e_tag: str | None = None) -> RangeResult:
        """Return the bytes from `start` to `end`, or to the end of the object.

        Raises FileNotFoundError if there is no such object or its entity tag differs;
        RangePastEndError; OSError, also if the store sends other bytes than requested.
        """
        try:
            options: obstore.GetOptions = {"range": (start, end)}
            if e_tag is not None:
                options["if_match"] = e_tag
            response = obstore.get(self._store, key, options=options)
            size, current_e_tag = response.meta["size"], response.meta["e_tag"]
            data = response.bytes().to_bytes()
            returned = tuple(response.range)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, "there is no such object", key) from error
        except BaseError as error:
            raise _failure(error, key) from error
        if returned != (start, min(end, size)) or len(data) != returned[1] - returned[0]:
            raise OSError(errno.EIO, "the store sent other bytes than requested", key)
        if e_tag is not None and current_e_tag != e_tag:  # by a store without If-Match
            raise FileNotFoundError(errno.ENOENT, _REPLACED, key)
        return RangeResult(data, size, current_e_tag)

    def put(self, key: str, data: bytes) -> None:
        """Store an object, replacing any other. Raises OSError."""
        try:
            obstore.put(self._store, key, data, use_multipart=False)
        except BaseError as error:
            raise _failure(error, key) from error

    def put_file(self, key: str, file: Path, size: int) -> None:
        """Store a file of `size` bytes in parts, replacing any other object. Raises OSError.

        The object is replaced once all parts are there, and only a few are in memory at a time.
        """
        part = max(_MIN_PART, -(-size // _MAX_PARTS))
        try:
            obstore.put(
                self._store, key, file, use_multipart=True, chunk_size=part,
                max_concurrency=_CONCURRENT_PARTS,
            )  # fmt: skip
        except BaseError as error:
            raise _failure(error, key) from error

    def create(self, key: str, data: bytes) -> bool:
        """Store an object if the key does not exist yet. Return whether it was stored.

        A store without conditional requests always stores it. A store that checks before it
        writes, as Swift does, may let two callers create it at the same time. Raises OSError.
        """
        try:
            obstore.put(self._store, key, data, mode="create")
        except (AlreadyExistsError, PreconditionError):
            return False
        except NotSupportedError:
            self.put(key, data)
        except BaseError as error:
            raise _failure(error, key) from error
        return True

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored. Raises OSError."""
        if not keys:
            return
        try:
            obstore.delete(self._store, keys)
        except FileNotFoundError:
            pass
        except BaseError as error:
            raise _failure(error) from error

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a prefix, which ends at a path separator. Raises OSError."""
        try:
            for page in obstore.list(self._store, prefix, chunk_size=_PAGE_SIZE):
                for meta in page:
                    yield ObjectInfo(meta["path"], meta["size"], meta["last_modified"].timestamp())
        except BaseError as error:
            raise _failure(error) from error


def _failure(error: BaseError, key: str | None = None) -> OSError:
    """Return an OSError with a short text: a store's own texts hold addresses and names."""
    match cause_of(error):
        case Cause.PAST_END:
            return RangePastEndError(errno.EIO, "the object is shorter", key)
        case Cause.CHANGED:
            return FileNotFoundError(errno.ENOENT, _REPLACED, key)
        case Cause.DENIED:
            return PermissionError(errno.EACCES, "the store refused", key)
    return OSError(errno.EIO, "the store failed", key)
