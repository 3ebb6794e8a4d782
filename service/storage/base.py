"""The interface of storage: what listings, the library and responses need of it."""

import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import NamedTuple, Protocol

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


class FolderListing(NamedTuple):
    """The entries directly in a folder, of which there is at least one."""

    path: str
    """Of the folder; "" for the root."""
    digest: bytes
    """Another one if an entry has changed."""
    entries: tuple[Entry, ...] | None
    """None if the digest was known."""


def digest_of(values: object) -> bytes:
    """Return a digest of values whose `repr` tells them apart."""
    return hashlib.blake2b(repr(values).encode(), digest_size=16).digest()


def group_by_folder(
    entries: Iterable[Entry], known: Mapping[str, bytes]
) -> Iterator[FolderListing]:
    """Yield the listing of each folder. `known` are digests by folder."""
    folders: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        folders[entry.path.rpartition("/")[0]].append(entry)
    for path, members in folders.items():
        digest = digest_of([astuple(entry) for entry in members])
        yield FolderListing(path, digest, None if known.get(path) == digest else tuple(members))


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

    def list_folders(self, known: Mapping[str, bytes]) -> Iterator[FolderListing]:
        """Yield the media files and sidecars that are not empty and not left out (left_out.py).

        `known` are digests by folder. Blocks: run it in a thread.

        Raises OSError if the listing fails, so that it is not mistaken for an empty library.
        """
        ...

    async def open(self, path: str, pinned_revision: str | None = None) -> OpenRepresentation:
        """Open a media file by its path.

        `pinned_revision` is the one that the client asked for. If the version seen last has it,
        storage may open that one without a new request. Raises NotFoundError, StorageError.
        """
        ...


def list_entries(storage: Storage) -> Iterator[Entry]:
    """Yield what `list_folders` does, of all folders."""
    for listing in storage.list_folders({}):
        yield from listing.entries or ()
