"""An object as a seekable file, for FFmpeg and Pillow. All bytes are of one version."""

import errno
import io
from collections import OrderedDict

from service.storage.object_store.config import revision_of
from service.storage.object_store.sync_client import SyncObjectClient

# Bytes of the first request, which also returns the size. Programs read the beginning first, and
# most sidecars are shorter.
_FIRST_REQUEST = 64 * 1024

# Bytes of the longest request. A request that continues another is twice as long. So the index of a
# long film (4 MB) takes ten requests, and little is wasted on a storyboard's scattered frames.
_MAX_REQUEST = 1024 * 1024

# Bytes that are kept. FFmpeg alternates between video and audio at different offsets, and an MP4's
# index is read twice, by FFmpeg and by service/mp4/fast_start_layout.py.
_MAX_HELD = 8 * 1024 * 1024

# Bytes of the shortest request.
_MIN_REQUEST = 4096


class ObjectReader(io.RawIOBase):
    """Reads one version of an object."""

    def __init__(self, client: SyncObjectClient, key: str, revision: str | None) -> None:
        """Fetch the beginning. Raises FileNotFoundError if the version is gone; OSError."""
        self._client = client
        self._key = key
        self._position = 0
        self._segments: OrderedDict[int, bytes] = OrderedDict()
        """Bytes by their offset, least recently read first. No LRUCache, in which the search of
        all segments would count as use."""
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
        """Read from one segment into a buffer. Return the number of bytes. Raises OSError."""
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
        """Return the start of the segment that holds a position; fetch it if needed."""
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
    """Open a version of an object; None: the current one. Return the file and its size in bytes.

    Raises FileNotFoundError if the version is gone; OSError, also when it is read later.
    """
    reader = ObjectReader(client, key, revision)
    return io.BufferedReader(reader, _MIN_REQUEST), reader.size
