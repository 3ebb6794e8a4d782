"""An object as a file that is read here and there, as FFmpeg and Pillow do.
Law: all bytes are of one version; no more is fetched than is read, but for what follows on it."""

import errno
import io
from collections import OrderedDict

from service.storage.object_store.config import revision_of
from service.storage.object_store.sync_client import SyncObjectClient

# Bytes of the first request, which also tells the size: what programs look at first of a file, all
# of most companions.
_FIRST_REQUEST = 64 * 1024

# Bytes of the longest request. Each that goes on where another ended asks for twice as much as that
# one: the index of a long film (4 MB) takes ten requests, and of the frames of a storyboard, which
# lie apart, not much is fetched in vain.
_MAX_REQUEST = 1024 * 1024

# Bytes that are held. FFmpeg reads picture and sound in turns, at places that lie apart; and an
# MP4's index is read twice, by it and by service/mp4/fast_start_layout.py.
_MAX_HELD = 8 * 1024 * 1024

# Bytes that are asked for at the least.
_MIN_REQUEST = 4096


class ObjectReader(io.RawIOBase):
    """Reads one version of an object."""

    def __init__(self, client: SyncObjectClient, key: str, revision: str | None) -> None:
        """Ask for the beginning. Raises FileNotFoundError where that version is gone; OSError."""
        self._client = client
        self._key = key
        self._position = 0
        self._segments: OrderedDict[int, bytes] = OrderedDict()
        """What is held, by where it begins; that which was read last comes last. No LRUCache, where
        looking through all of them would count as use."""
        first = client.get(key, 0, _FIRST_REQUEST)
        if revision not in {None, revision_of(first.size, first.e_tag)}:
            raise FileNotFoundError(errno.ENOENT, "the object was replaced", key)
        self._e_tag = first.e_tag
        self.size = first.size
        """Bytes."""
        self._store_segment(0, first.data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # as BufferedReader has it
        """Fill as much as one run holds. Raises OSError."""
        wanted = min(len(buffer), self.size - self._position)
        if wanted <= 0:
            return 0
        start = self._segment_at(self._position, wanted)
        segment, skipped = self._segments[start], self._position - start
        data = memoryview(segment)[skipped : skipped + wanted]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _segment_at(self, position: int, wanted: int) -> int:
        """Say which run holds a place; fetch one where none does."""
        previous_length = 0
        for start, segment in self._segments.items():
            if start <= position < start + len(segment):
                self._segments.move_to_end(start)
                return start
            if start + len(segment) == position:
                previous_length = len(segment)
        length = min(max(wanted, 2 * previous_length, _MIN_REQUEST), _MAX_REQUEST)
        part = self._client.get(self._key, position, min(position + length, self.size), self._e_tag)
        self._store_segment(position, part.data)
        return position

    def _store_segment(self, start: int, data: bytes) -> None:
        self._segments[start] = data
        self._segments.move_to_end(start)
        while sum(map(len, self._segments.values())) > _MAX_HELD:
            self._segments.popitem(last=False)


def open_object(
    client: SyncObjectClient, key: str, revision: str | None
) -> tuple[io.BufferedReader, int]:
    """Open a version of an object, the present one if none is told; and tell its size in bytes.

    Raises FileNotFoundError where it is not there any more; OSError, now and later.
    """
    reader = ObjectReader(client, key, revision)
    return io.BufferedReader(reader, _MIN_REQUEST), reader.size
