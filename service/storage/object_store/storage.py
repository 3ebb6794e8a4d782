"""The media files in a bucket, or below a prefix in it.
Law: a version is named by its entity tag, and every byte is of the version that was opened."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from service.errors import ChangedError, NotFoundError
from service.metrics import Metrics
from service.protocol.conditions import SETTLED_AFTER, Validators, last_modified_of
from service.protocol.media_types import is_companion, media_type
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.base import Entry
from service.storage.object_store.block_cache import Blocks, Version
from service.storage.object_store.client import Requests
from service.storage.paths import validate_path
from service.storage.send_pacing import ChunkSizer

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# Seconds for which what a store said of an object holds for others who ask for it: a replaced one
# is seen so late at the most, and a crowd costs one look.
_RECENT = 1.0

# The same for who names another version: another replica may have seen a newer one.
_RECENT_FOR_OTHERS = 0.05

# Bytes of a key: no store allows more (S3, "Object key names"), and its client would fail.
_LONGEST_KEY = 1024

# Objects that are remembered: some 500 bytes each.
_MOST_KNOWN = 10_000


class ObjectRepresentation:
    """A version of an object."""

    def __init__(self, storage: "ObjectStorage", version: Version, content_type: str) -> None:
        self._storage = storage
        self._version = version
        now = time.time()
        validators = Validators(
            revision=version.revision,
            last_modified=last_modified_of(version.modified, now),
            # The revision holds the store's strong entity tag, which tells all versions apart,
            # whatever the store's clock says; the date only those of different seconds.
            settled=True,
            dated=now - version.modified >= SETTLED_AFTER,
        )
        self._representation = Representation(version.size, content_type, validators)

    @property
    def representation(self) -> Representation:
        return self._representation

    async def read(self, span: Span, sizer: ChunkSizer, *, grid: int = 0) -> AsyncGenerator[bytes]:
        """Read a span in pieces that suit the client. Raises ChangedError, StorageError."""
        try:
            async for piece in self._storage.blocks.read(self._version, span, sizer, grid):
                yield piece
        except ChangedError:
            self._storage.forget(self._version)
            raise

    def close(self) -> None:
        """Nothing is held open."""


class ObjectStorage:
    """The media files of a store."""

    def __init__(
        self, store: "ObjectStore", *, block: int, most: int, timeout: float, metrics: Metrics
    ) -> None:
        """Take a store's client. `block` is the length of a block, and `most` that of all that are
        held, in bytes; `timeout` what the store may take, in seconds.
        """
        prefix = getattr(store, "prefix", None)  # not all kinds of store have one
        self._longest = _LONGEST_KEY - (len(f"{prefix}/".encode()) if prefix else 0)
        self._requests = Requests(store, timeout, metrics)
        self.blocks = Blocks(self._requests.fetch, block, most, metrics)
        self._known: OrderedDict[str, tuple[Version, float]] = OrderedDict()
        """What was seen last, and when, on the monotonic clock. No TTLCache: how old it may be
        depends on the request, and scans read it in a thread of theirs."""
        self._looking: dict[str, asyncio.Task[Version]] = {}

    def close(self) -> None:
        """Let go of what is held and under way."""
        self.blocks.close()
        for task in self._looking.values():
            task.cancel()

    async def open(self, path: str, expected: str | None = None) -> ObjectRepresentation:
        """Open a media file by its path. Raises NotFoundError, StorageError."""
        content_type = media_type(path)
        if content_type is None:
            raise NotFoundError("There is no such file.")
        validate_path(path)
        if len(path.encode()) > self._longest:
            raise NotFoundError("There is no such file.")
        version, at = self._known.get(path, (None, 0.0))
        age = time.monotonic() - at
        if version is None or (
            version.revision != expected
            and age > (_RECENT if expected is None else _RECENT_FOR_OTHERS)
        ):
            version = await self._look(path)
        return ObjectRepresentation(self, version, content_type)

    def forget(self, version: Version) -> None:
        """Learn that this is not the present version of an object."""
        known = self._known.get(version.path)
        if known is not None and known[0].revision == version.revision:
            self._known.pop(version.path, None)

    def entries(self) -> Iterator[Entry]:
        """Walk the listed files: hidden and empty ones left out. Blocks: for a thread.

        Raises OSError where the store does not tell of all of them.
        """
        known = dict(self._known)
        for version in self._requests.walk():
            last = known.pop(version.path, None)
            if last is not None and last[0].revision != version.revision:
                self.forget(last[0])
            if version.size and _is_listed(version.path):
                yield Entry(
                    version.path,
                    version.size,
                    version.revision,
                    version.modified,
                    version.modified,
                )
        for version, _ in known.values():
            self.forget(version)  # it is there no more

    async def _look(self, path: str) -> Version:
        task = self._looking.get(path)
        if task is None:
            task = self._looking[path] = asyncio.create_task(self._requests.look(path))
            task.add_done_callback(lambda done: self._looked(path, done))
        return await asyncio.shield(task)  # others wait for it, whoever leaves

    def _looked(self, path: str, task: "asyncio.Task[Version]") -> None:
        self._looking.pop(path, None)
        if task.cancelled() or task.exception() is not None:
            self._known.pop(path, None)
            return
        self._known[path] = (task.result(), time.monotonic())
        self._known.move_to_end(path)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)


def _is_listed(path: str) -> bool:
    try:
        components = validate_path(path)
    except NotFoundError:
        return False
    if any(name.startswith(".") for name in components):
        return False
    return media_type(components[-1]) is not None or is_companion(components[-1])
