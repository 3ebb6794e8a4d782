"""Finds the frames of a Matroska or WebM file: where they are, when they are shown, and whether
they are key frames (RFC 9559).

There is no I/O here: the scanner yields the spans to read. It reads the headers of elements and
blocks, and no frames. A file that is damaged, or not understood entirely, is declined."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from service.matroska.elements import contents, element_header, number
from service.matroska.frame_table import BlockGroup, FrameTable
from service.matroska.lacing import MAX_LACE_HEADER, laced_sizes
from service.matroska.segment import seek_positions
from service.matroska.tracks import MAX_TRACKS, MediaTrack, media_tracks
from service.matroska.window import DeclinedError, Window
from service.protocol.ranges import Span

MAX_FRAMES = 3_000_000
"""Frames of all tracks that are looked for. Two hours have 170,000 pictures, and 340,000 frames of
AAC. Each takes 21 bytes."""

MAX_ELEMENTS = 12_000_000
"""Elements of a file: some four for each frame."""

_MAX_HEAD = 1 << 22  # bytes of Info and of Tracks
_HEADROOM = 32  # bytes: a header, a track number, a time and flags
_MAX_NUMBER = 8  # bytes
_MIN_ID = 0x10  # the first byte of an identifier (RFC 9559 §5)
_TICKS = range(1_000, 1_000_000_001)  # nanoseconds

_EBML, _DOC_TYPE, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x4282, 0x18538067, 0x1F43B675
_INFO, _TRACKS, _TIMESTAMP_SCALE = 0x1549A966, 0x1654AE6B, 0x2AD7B1
_VOID, _CRC_32 = 0xEC, 0xBF
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xE7, 0xA3, 0xA0, 0xA1
_DURATION, _REFERENCE, _DISCARD_PADDING = 0x9B, 0xFB, 0x75A2

_SEEK_HEAD = 0x114D9B74
# Cues, Chapters, Attachments, Tags
_SKIPPED_AT_TOP = {_SEEK_HEAD, 0x1C53BB6B, 0x1043A770, 0x1941A469, 0x1254C367, _VOID, _CRC_32}
# What ends a cluster of unknown size
_TOP_LEVEL = {*_SKIPPED_AT_TOP, _CLUSTER, _INFO, _TRACKS} - {_VOID, _CRC_32}
# SilentTracks, Position, PrevSize
_SKIPPED_IN_CLUSTER = {0x5854, 0xA7, 0xAB, _VOID, _CRC_32}
# BlockVirtual, BlockAdditions, ReferencePriority, ReferenceVirtual, Slices, ReferenceFrame
_SKIPPED_IN_GROUP = {0xA2, 0x75A1, 0xFA, 0xFD, 0x8E, 0xC8, _VOID, _CRC_32}


@dataclass(frozen=True, slots=True)
class Frames:
    """What a scan has found."""

    tick: int
    """Nanoseconds."""
    tables: tuple[FrameTable, ...]
    """Of the chosen tracks that have frames, in the chosen order."""
    tracks: tuple[MediaTrack, ...]
    """All tracks of pictures and sound, in the order of the file."""
    starts: dict[int, int]
    """The times in ticks of the first blocks of all these tracks, by number."""


TrackChooser = Callable[[tuple[MediaTrack, ...]], Sequence[MediaTrack]]
"""Returns the tracks to look for. Raises DeclinedError."""

FrameRequests = Generator[Span, bytes, Frames]
"""Yields spans of a file to read, receives their bytes, and returns the frames."""


def scan_frames(size: int, choose: TrackChooser) -> FrameRequests:
    """Find the frames of the chosen tracks in a file of `size` bytes.

    If the end of the file is missing, the frames that are whole are found. Raises DeclinedError.
    """
    return _Scanner(size, choose).scan()


class _Scanner:
    def __init__(self, size: int, choose: TrackChooser) -> None:
        self._size = size
        self._choose = choose
        self._window = Window(size)
        self._position = 0
        self._segment_start = 0
        self._segment_end: int | None = None
        self._named: dict[int, int] = {}  # positions in the segment, by identifier
        self._in_cluster = False
        self._cluster_end: int | None = None
        self._time: int | None = None  # of the cluster
        self._group: BlockGroup | None = None
        self._tick = 1_000_000  # RFC 9559 §5.1.2.9
        self._tracks: tuple[MediaTrack, ...] = ()
        self._tables: dict[int, FrameTable] | None = None
        self._starts: dict[int, int] = {}
        self._frames = 0

    def scan(self) -> FrameRequests:
        yield from self._enter_segment()
        end = min(self._segment_end or self._size, self._size)
        for _ in range(MAX_ELEMENTS):
            self._leave_parents()
            if self._position >= end:
                break
            if not self._window.has(self._position, _HEADROOM):
                yield from self._window.move(self._position)
            if not (yield from self._element()):
                break  # the end of the file is missing
        else:
            raise DeclinedError("has too many elements")
        if self._group is not None and self._group.table is not None:
            self._group.table.drop(self._group.first)  # its group is not complete
        yield from self._check_behind(end)
        tables = tuple(table for table in (self._tables or {}).values() if table.sizes)
        if not tables:
            raise DeclinedError("has no frames")
        numbers = {track.number for track in self._tracks}
        starts = {number: time for number, time in self._starts.items() if number in numbers}
        return Frames(self._tick, tables, self._tracks, starts)

    def _enter_segment(self) -> Generator[Span, bytes, None]:
        yield from self._window.move(0)
        head = element_header(self._window.data)
        if head is None or head[0] != _EBML or head[2] is None or head[2] > _MAX_HEAD:
            raise DeclinedError("is no Matroska file")
        body = yield from self._window.read(head[1], min(head[2], self._size - head[1]))
        if next(contents(body, _DOC_TYPE), b"").rstrip(b"\0") not in {b"matroska", b"webm"}:
            raise DeclinedError("is no Matroska file")
        id_, self._position = _VOID, head[1] + head[2]
        while id_ == _VOID and self._position < self._size:
            yield from self._window.move(self._position)
            head = element_header(self._window.data)
            if head is None or head[0] not in {_SEGMENT, _VOID}:
                raise self._damaged()
            id_, size = head[0], head[2]
            self._position += head[1] + (size or 0 if id_ == _VOID else 0)
            self._segment_end = None if size is None else self._position + size
        self._segment_start = self._position

    def _check_behind(self, end: int) -> Generator[Span, bytes, None]:
        """Decline several films in one file. Other bytes behind the segment do not matter."""
        behind = yield from self._window.read(end, min(4, self._size - end))
        if behind in {_EBML.to_bytes(4, "big"), _SEGMENT.to_bytes(4, "big")}:
            raise DeclinedError("holds several films, one after the other")

    def _leave_parents(self) -> None:
        if self._group is not None and self._position >= self._group.end:
            self._group.apply()
            self._group = None
        if self._cluster_end is not None and self._position >= self._cluster_end:
            self._in_cluster, self._cluster_end, self._time = False, None, None

    def _element(self) -> Generator[Span, bytes, bool]:
        """Read the element at the position. Return whether it is in the file entirely."""
        at = self._position - self._window.base
        header = element_header(self._window.data, at)
        if header is None:
            has_end = self._segment_end is not None and self._segment_end <= self._size
            if self._window.data[at] >= _MIN_ID and not has_end and self._is_near_end:
                return False
            raise self._damaged()
        id_, length, size = header
        start = self._position + length
        end = None if size is None else start + size
        is_top = self._group is None and (not self._in_cluster or self._cluster_end is None)
        if id_ in _TOP_LEVEL and is_top:
            self._in_cluster, self._cluster_end, self._time = id_ == _CLUSTER, None, None
        limit = self._limit()
        if end is not None and limit is not None and end > limit:
            raise self._damaged()
        if id_ == _CLUSTER and is_top:
            yield from self._read_moved_head()
            self._cluster_end, self._position = end, start
            return True
        if end is None:
            raise self._damaged()
        if id_ == _BLOCK_GROUP and self._in_cluster and self._group is None:
            self._group, self._position = BlockGroup(end), start
            return True
        if end > self._size:
            return False
        if id_ in {_SIMPLE_BLOCK, _BLOCK}:
            yield from self._block(id_, at + length, start, end)
        else:
            yield from self._other(id_, start, end - start)
        self._position = end
        return True

    @property
    def _is_near_end(self) -> bool:
        return self._position + _HEADROOM > self._size

    def _limit(self) -> int | None:
        """Return the end of the innermost parent whose size is known."""
        if self._group is not None:
            return self._group.end
        return self._segment_end if self._cluster_end is None else self._cluster_end

    def _other(self, id_: int, start: int, size: int) -> Generator[Span, bytes, None]:
        """Read an element that is neither a block nor a parent of one."""
        if self._group is not None:
            yield from self._group_child(self._group, id_, start, size)
        elif self._in_cluster:
            if id_ == _TIMESTAMP and size <= _MAX_NUMBER:
                self._time = int.from_bytes((yield from self._window.read(start, size)), "big")
            elif id_ not in _SKIPPED_IN_CLUSTER:
                raise self._damaged()
        elif id_ in {_INFO, _TRACKS} and size <= _MAX_HEAD:
            self._read_head(id_, (yield from self._window.read(start, size)))
        elif id_ == _SEEK_HEAD and size <= _MAX_HEAD:
            self._named |= seek_positions((yield from self._window.read(start, size)))
        elif id_ not in _SKIPPED_AT_TOP:
            raise self._damaged()

    def _read_moved_head(self) -> Generator[Span, bytes, None]:
        """Read Info and Tracks behind the clusters, where programs such as mkvpropedit put them."""
        for id_ in (_INFO, _TRACKS) if self._tables is None else ():
            at = self._segment_start + self._named.get(id_, 0)
            if self._position < at < self._size:
                data = yield from self._window.read(at, min(_HEADROOM, self._size - at))
                header = element_header(data)
                size = header[2] if header and header[0] == id_ else None
                if header and size is not None and size <= min(_MAX_HEAD, self._size - at):
                    start = at + header[1]
                    body = self._window.read(start, min(size, self._size - start))
                    self._read_head(id_, (yield from body))

    def _read_head(self, id_: int, body: bytes) -> None:
        if id_ == _INFO:
            self._tick = number(body, _TIMESTAMP_SCALE, self._tick)
            if self._tick not in _TICKS:
                raise self._damaged()
        elif self._tables is None:
            self._tracks = media_tracks(body)
            if len({track.number for track in self._tracks}) < len(self._tracks):
                raise DeclinedError("has two tracks with the same number")
            self._tables = {track.number: FrameTable(track) for track in self._choose(self._tracks)}

    def _group_child(
        self, group: BlockGroup, id_: int, start: int, size: int
    ) -> Generator[Span, bytes, None]:
        if id_ in _SKIPPED_IN_GROUP:
            return
        if id_ not in {_REFERENCE, _DURATION, _DISCARD_PADDING} or size > _MAX_NUMBER:
            raise self._damaged()
        data = yield from self._window.read(start, size)
        if id_ == _REFERENCE:
            group.is_key = False
        elif id_ == _DURATION:
            group.duration = int.from_bytes(data, "big")
        else:
            group.discard_padding = int.from_bytes(data, "big", signed=True)

    def _block(self, id_: int, at: int, start: int, end: int) -> Generator[Span, bytes, None]:
        """Read a block (RFC 9559 §10.1) whose content begins at `at` in the window."""
        data, group = self._window.data, self._group
        length = 9 - data[at].bit_length() if at < len(data) else 9
        content = start + length + 3
        if self._time is None or self._tables is None or (id_ == _BLOCK) != (group is not None):
            raise self._damaged()
        if length > _MAX_NUMBER or content > end:
            raise self._damaged()
        track = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
        at += length
        time = self._time + int.from_bytes(data[at : at + 2], "big", signed=True)
        if track not in self._starts and len(self._starts) < MAX_TRACKS:
            self._starts[track] = time
        table = self._tables.get(track)
        if table is None:
            return
        flags, first, sizes = data[at + 2], len(table.sizes), [end - content]
        if flags & 0x06:
            sizes, content = yield from self._lace(content, end, flags & 0x06)
        self._frames += len(sizes)
        if self._frames > MAX_FRAMES:
            raise DeclinedError("has too many frames")
        table.add_block(content, sizes, time, is_key=id_ == _BLOCK or flags & 0x80 != 0)
        if group is not None:
            if group.table is not None:
                raise self._damaged()
            group.table, group.first = table, first

    def _lace(
        self, content: int, end: int, lacing: int
    ) -> Generator[Span, bytes, tuple[list[int], int]]:
        """Return the sizes of a block's frames, and where the first one begins."""
        at = content - self._window.base
        try:
            try:
                sizes, length = laced_sizes(self._window.data, at, end - content, lacing)
            except IndexError:
                data = yield from self._window.read(content, min(end - content, MAX_LACE_HEADER))
                sizes, length = laced_sizes(data, 0, end - content, lacing)
        except (IndexError, ValueError):
            raise self._damaged() from None
        return sizes, content + length

    def _damaged(self) -> DeclinedError:
        return DeclinedError(f"is damaged, or of an unknown kind, at byte {self._position}")
