"""The interface of storage: what listings, the library and responses need of it."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Protocol

from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.send_pacing import ChunkSizer


@dataclass(frozen=True, slots=True)
class Entry:
    """A media file or a possible sidecar, as a listing describes it."""

    path: str
    """Relative to the root, with / between folders."""
    size: int
    """Bytes."""
    revision: str
    modified: float
    """Seconds since the epoch."""
    changed_at: float
    """When its content, name or permissions last changed, in seconds since the epoch."""


class OpenRepresentation(Protocol):
    """One open version of a file. Its metadata and its bytes belong to the same version."""

    @property
    def representation(self) -> Representation: ...

    def read(
        self, span: Span, sizer: ChunkSizer, *, block_origin: int = 0
    ) -> AsyncGenerator[bytes]:
        """Yield a span in chunks of the length that `sizer` has for each.

        `block_origin` is the offset in the file where a block begins, for storage that reads by
        blocks. Raises ChangedError instead of yielding bytes of another version; StorageError.
        """
        ...

    def close(self) -> None:
        """Close it. May be called during a read, and more than once."""
        ...


class Storage(Protocol):
    """A place that holds media files."""

    def list_entries(self) -> Iterator[Entry]:
        """Yield the listed files, without hidden and empty ones. Blocks: run it in a thread.

        Raises OSError if the listing fails, so that it is not mistaken for an empty library.
        """
        ...

    async def open(self, path: str, pinned_revision: str | None = None) -> OpenRepresentation:
        """Open a media file by its path.

        `pinned_revision` is the one that the client asked for. If the version seen last has it,
        storage may open that one without a new request. Raises NotFoundError, StorageError.
        """
        ...
