"""The asynchronous client of the object store: heads, spans and listings of objects.

Spans are requested with If-Match and yield exactly their bytes or an error. Errors are counted by
their cause."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import structlog
from obstore.exceptions import BaseError

from service.errors import (
    BadGatewayError,
    ChangedError,
    GatewayTimeoutError,
    IncompleteResponseError,
    NotFoundError,
    ReelayError,
)
from service.metrics import Metrics
from service.protocol.ranges import Span
from service.storage.object_store.block_cache import ObjectVersion
from service.storage.object_store.config import error_summary, revision_of
from service.storage.object_store.errors import Cause, RangeMismatchError, cause_of
from service.storage.object_store.listing import BucketListing

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

_log = structlog.get_logger()

# Bytes that obstore gathers before it yields a chunk. A chunk costs some 0.1 ms of processor time:
# a block costs 7 ms in chunks of 256 KiB, and 6 in chunks of 1 MiB. But long chunks delay the first
# bytes: by at most this share of the store's response time.
_MIN_CHUNK, _MAX_CHUNK = 64 * 1024, 1024 * 1024
_MAX_DELAY_SHARE = 1 / 4
_MIN_SAMPLE = 256 * 1024  # bytes of a response from which the rate is measured

# The error that a client gets.
_CLIENT_ERRORS: dict[Cause, Callable[[], Exception]] = {
    Cause.MISSING: partial(ChangedError, "The object is there no more."),
    Cause.CHANGED: partial(ChangedError, "The object was replaced."),
    Cause.PAST_END: partial(ChangedError, "The object was replaced."),
    Cause.DENIED: partial(BadGatewayError, "The object store refuses to give this."),
    Cause.TIMEOUT: partial(GatewayTimeoutError, "The object store takes too long."),
    Cause.WRONG_BYTES: partial(
        BadGatewayError, "The object store gave other bytes than were asked for."
    ),
    Cause.UNREACHABLE: partial(BadGatewayError, "The object store cannot be reached."),
    Cause.OTHER: partial(BadGatewayError, "The object store failed."),
}


class ChunkTuner:
    """Chooses the chunk length by how fast the store sends."""

    def __init__(self) -> None:
        self._rate = 0.0
        """Bytes per second: an exponential moving average."""

    def chunk(self, seconds: float) -> int:
        """Return the chunk length for a response that began after `seconds`."""
        return int(min(max(_MIN_CHUNK, self._rate * seconds * _MAX_DELAY_SHARE), _MAX_CHUNK))

    def record(self, length: int, seconds: float) -> None:
        """Record how long a response's bytes took. Short ones are ignored, as their bytes have
        already arrived when they begin.
        """
        if length >= _MIN_SAMPLE:
            self._rate += (length / max(seconds, 0.001) - self._rate) / 4

    def reset(self) -> None:
        """Forget the rate, after a failure of the store."""
        self._rate = 0.0


class ObjectClient:
    """Sends requests to a store. Clients get general error messages; the log has the details."""

    def __init__(self, store: "ObjectStore", timeout: float, metrics: Metrics) -> None:
        """Use a store. `timeout` is in seconds, for the response and for each chunk."""
        self._store = store
        self._timeout = timeout
        self._outcomes = metrics.store_requests
        self._seconds = metrics.store_seconds
        self._bytes = metrics.store_bytes
        self._tuner = ChunkTuner()
        self._listing = BucketListing(store)

    async def head(self, path: str) -> ObjectVersion:
        """Return the current version of an object. Raises NotFoundError, StorageError."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                meta = await self._store.head_async(path)
            version = _version(path, meta)
        except Exception as error:
            found = _classify_error(error, "There is no such file.")
            raise self._record_failure("head", path, *found) from error
        self._seconds.labels("head").observe(time.monotonic() - started)
        self._outcomes.labels("head", "complete").inc()
        return version

    async def fetch(
        self, version: ObjectVersion, span: Span, *, buffered: bool
    ) -> AsyncGenerator[bytes]:
        """Yield a span of a version as its bytes arrive. Raises ChangedError, StorageError.

        `buffered`: the chunks are read at once and kept. Otherwise they go to a client.
        """
        started, received = time.monotonic(), 0
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._store.get_async(
                    version.path,
                    options={"if_match": version.e_tag, "range": (span.start, span.end)},
                )
            _check_response(response.meta, tuple(response.range), version, span)
            responded = time.monotonic()
            self._seconds.labels("get").observe(responded - started)
            min_chunk = self._tuner.chunk(responded - started) if buffered else _MIN_CHUNK
            chunks = aiter(response.stream(min_chunk))
            while received < span.length:
                async with asyncio.timeout(self._timeout):
                    chunk = await anext(chunks, b"")
                received += _check_chunk(chunk, span.length - received)
                self._bytes.inc(len(chunk))
                yield chunk
        except (GeneratorExit, asyncio.CancelledError):
            self._outcomes.labels("get", "left").inc()  # the reader has gone
            raise
        except Exception as error:
            found = _classify_error(error, None)
            raise self._record_failure("get", version.path, *found) from error
        if buffered:
            self._tuner.record(received, time.monotonic() - responded)
        self._outcomes.labels("get", "complete").inc()

    def list_objects(self) -> Iterator[ObjectVersion]:
        """Yield all objects that have a strong entity tag. Blocks: run it in a thread.

        Raises OSError if the listing is incomplete.
        """
        try:
            for page in self._listing.pages():
                for meta in page:
                    if revision_of(meta["size"], meta["e_tag"]) is not None:
                        yield _version(meta["path"], meta)
        except BaseError as error:
            self._outcomes.labels("list", _classify_error(error, None)[0]).inc()
            raise OSError(f"the object store cannot be listed: {error_summary(error)}") from error
        self._outcomes.labels("list", "complete").inc()

    def _record_failure(
        self, request: str, path: str, outcome: str, error: Exception, detail: str
    ) -> Exception:
        """Count and log a failure. Return the error for the client."""
        self._outcomes.labels(request, outcome).inc()
        if outcome not in {"missing", "changed"}:
            self._tuner.reset()
            _log.warning(
                "the object store failed", request=request, path=path, cause=outcome, detail=detail
            )
        return error


def _version(path: str, meta: "ObjectMeta") -> ObjectVersion:
    """Return an object's version. Raises BadGatewayError if it has no strong entity tag."""
    revision = revision_of(meta["size"], meta["e_tag"])
    if revision is None:
        raise BadGatewayError("The object store tells no versions apart.")
    return ObjectVersion(
        path, str(meta["e_tag"]), revision, meta["size"], meta["last_modified"].timestamp()
    )


def _check_response(
    meta: "ObjectMeta", span_returned: tuple[int, ...], version: ObjectVersion, span: Span
) -> None:
    """Compare a response with its request. Raises ChangedError, RangeMismatchError."""
    if revision_of(meta["size"], meta["e_tag"]) != version.revision:
        raise ChangedError("The object was replaced.")  # by a store without If-Match
    if span_returned != (span.start, span.end):
        raise RangeMismatchError(f"bytes {span_returned} instead of {(span.start, span.end)}")


def _check_chunk(chunk: bytes, max_length: int) -> int:
    """Return the length of a chunk. Raises RangeMismatchError if it is empty or too long."""
    if not 0 < len(chunk) <= max_length:
        raise RangeMismatchError(f"{len(chunk)} bytes where {max_length} were to come")
    return len(chunk)


def _classify_error(error: Exception, missing: str | None) -> tuple[str, Exception, str]:
    """Return an error's outcome for metrics, the error for the client, and the log detail.

    `missing` is the message for an object that does not exist; None if it existed before.
    """
    detail = error_summary(error) or type(error).__name__
    if isinstance(error, (ReelayError, IncompleteResponseError)):
        return "changed" if isinstance(error, ChangedError) else "unpinned", error, detail
    cause = cause_of(error)
    if cause is Cause.MISSING and missing is not None:
        return cause, NotFoundError(missing), detail
    # The object existed before: it was deleted or replaced.
    outcome = Cause.CHANGED if cause in {Cause.MISSING, Cause.PAST_END} else cause
    return outcome, _CLIENT_ERRORS[cause](), detail
