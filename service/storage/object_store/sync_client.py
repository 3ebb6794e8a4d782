"""Objects by key, for threads and for processes that open files: what waits, waits here.
Law: what goes wrong is an OSError, as with files: whoever reads either need not know which."""

import errno
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import NamedTuple

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore

from service.storage.object_store.config import http_status

# Objects whose names one answer of a store tells at most (S3 API, ListObjectsV2).
_PAGE_SIZE = 1000

_REPLACED = "the object was replaced"

# How the client of a store says it, besides status 416.
_PAST_END = "StartTooLarge"


class RangePastEndError(OSError, ValueError):
    """An object is shorter than where its bytes were to be read."""


class RangeResult(NamedTuple):
    """Bytes of an object."""

    data: bytes
    size: int
    """Of the whole object, in bytes."""
    e_tag: str | None
    """The entity tag, as the store writes it."""


class ObjectInfo(NamedTuple):
    """An object as a listing tells of it."""

    key: str
    size: int
    modified: float
    """Seconds since the epoch, by the store's clock."""


class SyncObjectClient:
    """The objects below a prefix of a store; keys are told without it."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, key: str, start: int, end: int, e_tag: str | None = None) -> RangeResult:
        """Give the bytes from `start` to `end`, or to where the object ends before.

        Raises FileNotFoundError where there is none, or none of that entity tag; BehindEndError;
        OSError, also for bytes other than were asked for.
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
            raise OSError(errno.EIO, "the store gave other bytes than were asked for", key)
        if e_tag is not None and current_e_tag != e_tag:  # by a store that knows no If-Match
            raise FileNotFoundError(errno.ENOENT, _REPLACED, key)
        return RangeResult(data, size, current_e_tag)

    def put(self, key: str, data: bytes) -> None:
        """Keep an object, instead of what there may be. Raises OSError."""
        try:
            obstore.put(self._store, key, data, use_multipart=False)
        except BaseError as error:
            raise _failure(error, key) from error

    def create(self, key: str, data: bytes) -> bool:
        """Keep an object if there is none of that key; tell whether there was none.

        Where a store knows no conditions there is never one; where it looks before it writes, as
        Swift does, two may create it at the same time. Raises OSError.
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
        """Delete objects; that one is not there is no harm. Raises OSError."""
        if not keys:
            return
        try:
            obstore.delete(self._store, keys)
        except FileNotFoundError:
            pass
        except BaseError as error:
            raise _failure(error) from error

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Walk the objects below a prefix, which ends where a name does. Raises OSError."""
        try:
            for page in obstore.list(self._store, prefix, chunk_size=_PAGE_SIZE):
                for meta in page:
                    yield ObjectInfo(meta["path"], meta["size"], meta["last_modified"].timestamp())
        except BaseError as error:
            raise _failure(error) from error


def _failure(error: BaseError, key: str | None = None) -> OSError:
    """Tell what went wrong in a few words: a store's own hold addresses and names."""
    if http_status(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or _PAST_END in str(error):
        return RangePastEndError(errno.EIO, "the object is shorter", key)
    if isinstance(error, PreconditionError):
        return FileNotFoundError(errno.ENOENT, _REPLACED, key)
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return PermissionError(errno.EACCES, "the store refused", key)
    return OSError(errno.EIO, "the store failed", key)
