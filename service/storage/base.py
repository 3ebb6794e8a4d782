"""The interface of storage: what listings, the library and responses need of it."""

from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from service.protocol.plan import Representation
from service.protocol.ranges import Span

# Bytes. A slow client costs mainly one chunk of memory: 1,000 clients with 256 KiB cost 290 MB.
MIN_CHUNK = 64 * 1024

# Bytes. A send costs some 40 µs besides its bytes, so large chunks are fast. A whole cached file
# under Hypercorn: 77 MB/s in chunks of 8 KiB, 900 of 64 KiB, 1,600 of 256 KiB, 1,700 of 384 KiB.
MAX_CHUNK = 384 * 1024

ChunkLength = Callable[[], int]
"""Returns the maximum length of the next chunk, in bytes: at most MAX_CHUNK."""


def min_chunk_length() -> int:
    return MIN_CHUNK


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
        self, span: Span, chunk_length: ChunkLength = min_chunk_length
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a span.

        Raises ChangedError instead of yielding bytes of another version; StorageError.
        """
        ...

    def align_blocks(self, origin: int) -> None:
        """Fetch blocks that begin at this offset in the file, where storage reads by blocks."""
        ...

    def close(self) -> None:
        """Close it. May be called during a read, and more than once."""
        ...


class Storage(Protocol):
    """A place that holds media files."""

    def list_entries(self) -> Iterator[Entry]:
        """Yield the media files and sidecars that are not empty and not left out (left_out.py).

        Blocks: run it in a thread.

        Raises OSError if the listing fails, so that it is not mistaken for an empty library.
        """
        ...

    async def open(self, path: str, pinned_revision: str | None = None) -> OpenRepresentation:
        """Open a media file by its path.

        `pinned_revision` is the one that the client asked for. If the version seen last has it,
        storage may open that one without a new request. Raises NotFoundError, StorageError.
        """
        ...
