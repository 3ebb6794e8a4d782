"""Lists and opens the media files in a bucket, or below a prefix of it.

A version is identified by its entity tag. All bytes are of the version that was opened."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import TYPE_CHECKING

from service.errors import ChangedError, NotFoundError
from service.metrics import Metrics
from service.protocol.conditions import STABLE_AFTER, Validators, last_modified_of
from service.protocol.media_types import media_type
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.base import (
    ChunkLength,
    Entry,
    FolderListing,
    group_by_folder,
    min_chunk_length,
)
from service.storage.left_out import NOMEDIA, LeftOut, LibraryFilter
from service.storage.left_out_reasons import Reason, is_library_file
from service.storage.object_store.block_cache import BlockCache, ObjectVersion
from service.storage.object_store.client import ObjectClient
from service.storage.object_store.traced_client import TracedObjectClient
from service.storage.paths import is_valid, validate_path

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from opentelemetry.trace import Tracer

# Seconds for which an object's version is cached: a replaced object is noticed at most so late, and
# many viewers cost one request.
_VERSION_TTL = 1.0

# The same for requests that name another version, as another replica may have seen a newer one.
_PINNED_TTL = 0.05

# Bytes of a key: no store allows more (S3, "Object key names"), and obstore would fail.
_MAX_KEY_LENGTH = 1024

# Objects whose versions are cached: some 500 bytes each.
_MAX_VERSIONS = 10_000


class ObjectRepresentation:
    """A version of an object."""

    def __init__(self, storage: "ObjectStorage", version: ObjectVersion, content_type: str) -> None:
        self._storage = storage
        self._version = version
        self._block_origin = 0
        now = time.time()
        validators = Validators(
            revision=version.revision,
            last_modified=last_modified_of(version.modified, now),
            # The revision has the store's strong entity tag, which differs for all versions. The
            # date differs only for those of different seconds.
            is_stable=True,
            date_is_validator=now - version.modified >= STABLE_AFTER,
        )
        self._representation = Representation(version.size, content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    async def read(
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span. Raises ChangedError, StorageError."""
        blocks = self._storage.blocks
        try:
            async for chunk in blocks.read(self._version, span, chunk_length, self._block_origin):
                yield chunk
        except ChangedError:
            self._storage.invalidate(self._version)
            raise

    def align_blocks(self, origin: int) -> None:
        self._block_origin = origin

    def close(self) -> None:
        """Nothing is held open."""


class ObjectStorage:
    """The media files of a store."""

    def __init__(  # noqa: PLR0913 # settings, passed by name
        self,
        store: "ObjectStore",
        *,
        block_size: int,
        max_bytes: int,
        timeout: float,
        metrics: Metrics,
        library_filter: LibraryFilter | None = None,
        tracer: "Tracer | None" = None,
    ) -> None:
        """Use a store's client, a cache of `max_bytes`, and a `timeout` in seconds."""
        self._filter = library_filter or LibraryFilter()
        prefix = getattr(store, "prefix", None)  # not all kinds of store have one
        self._max_path_length = _MAX_KEY_LENGTH - (len(f"{prefix}/".encode()) if prefix else 0)
        self._client = (
            ObjectClient(store, timeout, metrics)
            if tracer is None
            else TracedObjectClient(store, timeout, metrics, tracer)
        )
        self.blocks = BlockCache(self._client.fetch, block_size, max_bytes, metrics)
        self._versions: OrderedDict[str, tuple[ObjectVersion, float]] = OrderedDict()
        """The version seen last and when, by the monotonic clock. No TTLCache: the maximum age
        depends on the request, and scans read it in another thread."""
        self._pending_heads: dict[str, asyncio.Task[ObjectVersion]] = {}

    def close(self) -> None:
        """Drop the blocks and cancel pending requests."""
        self.blocks.close()
        for task in self._pending_heads.values():
            task.cancel()

    async def open(self, path: str, pinned_revision: str | None = None) -> ObjectRepresentation:
        """Open a media file by its path. Raises NotFoundError, StorageError."""
        content_type = media_type(path)
        if content_type is None:
            raise NotFoundError("There is no such file.")
        validate_path(path)
        self._filter.require_included(path)
        if len(path.encode()) > self._max_path_length:
            raise NotFoundError("There is no such file.")
        version, at = self._versions.get(path, (None, 0.0))
        age = time.monotonic() - at
        if version is None or (
            version.revision != pinned_revision
            and age > (_VERSION_TTL if pinned_revision is None else _PINNED_TTL)
        ):
            version = await self._head(path)
        return ObjectRepresentation(self, version, content_type)

    def invalidate(self, version: ObjectVersion) -> None:
        """Drop a cached version that turned out not to be the current one."""
        cached = self._versions.get(version.path)
        if cached is not None and cached[0].revision == version.revision:
            self._versions.pop(version.path, None)

    def list_folders(self, known: Mapping[str, bytes]) -> Iterator[FolderListing]:
        """Yield the files of each folder, as `list_entries` does. `known` are digests by folder."""
        return group_by_folder(self.list_entries(), known)

    def list_entries(self) -> Iterator[Entry]:
        """Yield the media files and sidecars that are not empty and not left out.

        Blocks: run it in a thread.

        Raises OSError if the listing is incomplete.
        """
        cached = dict(self._versions)
        included, left_out = [], LeftOut()
        for version in self._client.list_objects():
            last = cached.pop(version.path, None)
            if last is not None and last[0].revision != version.revision:
                self.invalidate(last[0])
            folder, _, name = version.path.rpartition("/")
            if name.lower() == NOMEDIA and self._filter.reason(folder, is_folder=True) is None:
                left_out.nomedia.add(folder)
            elif is_library_file(name):
                if (reason := self._reason(version)) is not None:
                    left_out.add(version.path, reason)
                else:
                    included.append(version)
        for version, _ in cached.values():
            self.invalidate(version)  # it was deleted
        for version in included:  # only now: a bucket may list .nomedia after its folder's files
            if left_out.has_nomedia_above(version.path):
                left_out.add(version.path, Reason.NOMEDIA)
            else:
                yield Entry(
                    version.path, version.size, version.revision, version.modified, version.modified
                )
        self._filter.finish(left_out)

    def _reason(self, version: ObjectVersion) -> Reason | None:
        """Return why a media file or sidecar is left out, or None."""
        if not is_valid(version.path):
            return Reason.NAME
        if (reason := self._filter.reason(version.path)) is not None:
            return reason
        return None if version.size else Reason.EMPTY

    async def _head(self, path: str) -> ObjectVersion:
        task = self._pending_heads.get(path)
        if task is None:
            task = self._pending_heads[path] = asyncio.create_task(self._client.head(path))
            task.add_done_callback(lambda done: self._head_done(path, done))
        return await asyncio.shield(task)  # others may wait for it, too

    def _head_done(self, path: str, task: asyncio.Task[ObjectVersion]) -> None:
        self._pending_heads.pop(path, None)
        if task.cancelled() or task.exception() is not None:
            self._versions.pop(path, None)
            return
        self._versions[path] = (task.result(), time.monotonic())
        self._versions.move_to_end(path)
        if len(self._versions) > _MAX_VERSIONS:
            self._versions.popitem(last=False)
