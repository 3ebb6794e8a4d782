"""What a store of artefacts does, in a folder or a bucket."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from service.artefact_store.keys import Key
from service.artefact_store.quota import LargeFile
from service.records.blobs import OpenArtefact, OpenBlob

# Artefacts that are prefetched at a time; they stay in memory until they are loaded.
_BATCH = 500

_T = TypeVar("_T")


class ArtefactStore(Protocol):
    """Metadata and blobs by kind and name. Every method blocks."""

    @property
    def size(self) -> int:
        """Bytes at the last eviction, those added since, and those reserved."""
        ...

    @property
    def above_high_watermark(self) -> bool:
        """Whether the quota is nearly used up."""
        ...

    @property
    def over_quota(self) -> bool:
        """Whether an eviction is due."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether other replicas may add artefacts, and each access costs a request."""
        ...

    def prefetch(self, wanted: Sequence[Key]) -> None:
        """Prepare to `load` these next; a remote store requests them concurrently."""
        ...

    def load(self, kind: str, name: str) -> bytes | None:
        """Return the metadata; None if the artefact is missing or damaged.

        Raises OSError if a retry may succeed.
        """
        ...

    def blob(self, kind: str, name: str, number: int) -> bytes | None:
        """Return the blob with this index; None if it is missing or damaged.

        A damaged artefact is deleted. Raises OSError if a retry may succeed.
        """
        ...

    def open(self, kind: str, name: str, number: int) -> OpenBlob | None:
        """Open the same blob without keeping it in memory."""
        ...

    def save(self, kind: str, name: str, metadata: bytes, blobs: Sequence[bytes] = ()) -> bool:
        """Store an artefact atomically. Return whether it was stored."""
        ...

    def create_large(self, room: int, *, evict: bool) -> LargeFile:
        """Reserve room for a large file, which a worker writes before `save_large`.

        With `evict`, other large files make room if necessary. Raises NoRoomError, OSError.
        """
        ...

    def save_large(
        self, kind: str, name: str, file: LargeFile, metadata: bytes, blobs: Sequence[bytes] = ()
    ) -> bool:
        """Store a large file and its artefact atomically. Return whether it was stored."""
        ...

    def open_large(self, kind: str, name: str) -> OpenArtefact | None:
        """Open an artefact with its large file; None if it is missing or damaged.

        Raises OSError if a retry may succeed.
        """
        ...

    def acquire(self, name: str) -> Callable[[], None] | None:
        """Acquire the lease for building an artefact and return its release.

        None if another process has it. Raises OSError if the store cannot be written.
        """
        ...

    def evict(self, live_keys: Iterable[Key] = ()) -> None:
        """Delete the least recently used artefacts if the quota is exceeded.

        `live_keys` count as used now. They are read only then.
        """
        ...


def iter_prefetched(
    store: ArtefactStore, items: Sequence[_T], key_of: Callable[[_T], Key]
) -> Iterator[_T]:
    """Yield the items, each after its key was prefetched. Blocks."""
    for start in range(0, len(items), _BATCH):
        batch = items[start : start + _BATCH]
        store.prefetch(list(map(key_of, batch)))
        yield from batch
