"""The seam between what is served and where it is kept, shaped by who uses it."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Protocol

from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.storage.send_pacing import ChunkSizer


@dataclass(frozen=True, slots=True)
class Entry:
    """A media file, or one that may belong to it, as a listing tells of it."""

    path: str
    """Relative to the root, with / between folders."""
    size: int
    """Bytes."""
    revision: str
    modified: float
    """Seconds since the epoch."""
    touched: float
    """When the file, its name or its rights last changed: seconds since the epoch."""


class OpenRepresentation(Protocol):
    """One version of one file, open: what it says of itself and what it reads belong together."""

    @property
    def representation(self) -> Representation: ...

    def read(self, span: Span, sizer: ChunkSizer, *, grid: int = 0) -> AsyncGenerator[bytes]:
        """Read a span, a piece at a time as the client takes them.

        `grid` is where in the file the blocks begin that clients ask for, for who reads by blocks.
        Raises ChangedError rather than give bytes of another version; StorageError.
        """
        ...

    def close(self) -> None:
        """Let go of it; also right while a read is under way, and more than once."""
        ...


class Storage(Protocol):
    """Where the files are."""

    def entries(self) -> Iterator[Entry]:
        """Walk the listed files: hidden and empty ones left out. Blocks: for a thread.

        Raises OSError where nothing can be told, which is not the same as nothing being there.
        """
        ...

    async def open(self, path: str, expected: str | None = None) -> OpenRepresentation:
        """Open a media file by its path.

        `expected` is the revision that the client asks for: where it costs something to look, that
        which was seen last may be opened as long as it is this one. Its bytes are never another's.
        Raises NotFoundError, StorageError.
        """
        ...
