"""Layouts of files with the index at the end, and which files are unchanged."""

import io
import os
import struct
import tempfile
from dataclasses import dataclass
from typing import BinaryIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.mp4_boxes import FTYP, box, dref, index_of, large, moov, table, track

from service.mp4 import fast_start_layout as module
from service.mp4.boxes import MAX_BOXES
from service.mp4.fast_start_layout import MoovSpan, layout_from_json
from service.mp4.moov import MAX_INDEX_BYTES
from service.mp4.sample_tables import MoovRewriter
from service.protocol.ranges import Span

MEDIA = bytes(range(64))
MDAT = box(b"mdat", MEDIA)
AT = len(FTYP) + 8  # where the media data's content begins
MOOV = moov(track(table([AT, AT + 32])))


class FastStartLayout:
    """A layout and its rewritten index."""

    def __init__(self, layout: module.FastStartLayout, file: BinaryIO) -> None:
        self.small = layout
        self.before, self.old, self.size = layout.before, layout.old, layout.size
        self._file = file
        self.index = self.rewritten(Span(0, layout.relocation.length))

    def rewritten(self, span: Span, chunk_length: int = 1 << 30) -> bytes:
        """Return a span of the rewritten index, read in chunks of `chunk_length` bytes."""
        source = self.small.relocation.source(span)
        assert self.old.start <= source.start < source.end <= self.old.end
        rewriter, parts = MoovRewriter(self.small.relocation, span), []
        for start in range(source.start, source.end, chunk_length):
            self._file.seek(start)
            parts.append(rewriter.feed(self._file.read(min(chunk_length, source.end - start))))
        return b"".join(parts)

    def parts(self, span: Span) -> list[Span | memoryview]:
        return [
            memoryview(self.rewritten(part.span)) if isinstance(part, MoovSpan) else part
            for part in self.small.map_span(span)
        ]


def fast_start_layout(file: BinaryIO, size: int) -> FastStartLayout | None:
    layout = module.fast_start_layout(file, size)
    if layout is None:
        return None
    assert layout_from_json(layout.to_json()) == layout
    return FastStartLayout(layout, file)


def plan_fast_start(data: bytes) -> FastStartLayout | None:
    return fast_start_layout(io.BytesIO(data), len(data))


def whole(file: BinaryIO, layout: FastStartLayout, span: Span | None = None) -> bytes:
    """Return the bytes of a span of the layout."""
    parts = []
    for part in layout.parts(span or Span(0, layout.size)):
        if isinstance(part, Span):
            file.seek(part.start)
            parts.append(file.read(part.length))
        else:
            parts.append(bytes(part))
    return b"".join(parts)


def test_the_index_comes_before_the_media_data_and_its_offsets_with_them() -> None:
    data = FTYP + MDAT + MOOV
    layout = plan_fast_start(data)
    assert layout
    relocated = moov(track(table([AT + len(MOOV), AT + len(MOOV) + 32])))
    assert whole(io.BytesIO(data), layout) == FTYP + relocated + MDAT


def test_boxes_after_the_old_index_do_not_move() -> None:
    second = AT + len(MDAT) + len(MOOV)
    index = moov(track(table([AT, second])))
    assert len(index) == len(MOOV)
    data = FTYP + MDAT + index + MDAT + box(b"free", b"x")
    layout = plan_fast_start(data)
    assert layout
    relocated = moov(track(table([AT + len(MOOV), second])))
    assert whole(io.BytesIO(data), layout) == FTYP + relocated + MDAT + MDAT + box(b"free", b"x")


# 64-bit and open lengths, 64-bit tables, boxes before the media data, QuickTime.
FAST_START = {
    "media data with 64-bit length": FTYP + large(b"mdat", MEDIA) + MOOV,
    "index with 64-bit length": FTYP + MDAT + large(b"moov", MOOV[8:]),
    "index to the end of the file": FTYP + MDAT + bytes(4) + MOOV[4:],
    "more media data to the end of the file": FTYP + MDAT + MOOV + bytes(4) + MDAT[4:],
    "zeros at the end, a box of that length": FTYP + MDAT + MOOV + bytes(100),
    "64-bit offsets": FTYP + MDAT + moov(track(table([AT], 8))),
    "no ftyp, as old QuickTime": box(b"wide") + MDAT + MOOV,
    "boxes before the media data": FTYP + box(b"free", b"xy") + MDAT + MOOV,
    "boxes before the index": FTYP + MDAT + box(b"uuid", bytes(16)) + MOOV,
    "an offset of the media data's header": FTYP + MDAT + moov(track(table([len(FTYP)]))),
    "an offset before the media data": FTYP + MDAT + moov(track(table([5]))),
    "a track without chunks": FTYP + MDAT + moov(track(table([])), track()),
    "no track": FTYP + MDAT + moov(),
    "user data that a zero ends": FTYP + MDAT + moov(box(b"udta", box(b"name", b"x"), bytes(4))),
    "tags": FTYP + MDAT + moov(box(b"udta", box(b"meta", bytes(4), box(b"hdlr"), box(b"ilst")))),
    "tags as in QuickTime": FTYP + MDAT + moov(box(b"meta", box(b"hdlr"), box(b"ilst"))),
}


@pytest.mark.parametrize("data", FAST_START.values(), ids=FAST_START.keys())
def test_many_file_variants_are_supported(data: bytes) -> None:
    layout = plan_fast_start(data)
    assert layout
    check(io.BytesIO(data), len(data), layout)
    assert len(layout.index) == layout.old.length


def stbl(*content: bytes) -> bytes:
    """Return a film whose only track has these boxes in its stbl."""
    return FTYP + MDAT + moov(track(*content))


def claiming(count: int) -> bytes:
    return box(b"stco", bytes(4), struct.pack(">I", count), struct.pack(">I", AT))


LEFT_ALONE = {
    "nothing": b"",
    "zeros": bytes(1000),
    "text": b"this is a text that speaks of moov and mdat, and of nothing else",
    "Matroska": bytes.fromhex("1a45dfa3 01000000 00000023 42868101"),
    "the index in front": FTYP + MOOV + MDAT,
    "no index": FTYP + MDAT,
    "no media data": FTYP + MOOV,
    "two indexes": FTYP + MDAT + MOOV + MOOV,
    "one index in front and one behind": FTYP + MOOV + MDAT + MOOV,
    # Fragmented (§8.8), segments (§8.16), items (§8.11).
    "mvex": FTYP + MDAT + moov(track(table([AT])), box(b"mvex")),
    "moof": FTYP + MDAT + MOOV + box(b"moof") + MDAT,
    "moof before": FTYP + box(b"moof") + MDAT + MOOV,
    "mfra": FTYP + MDAT + MOOV + box(b"mfra"),
    "sidx": FTYP + box(b"sidx", bytes(24)) + MDAT + MOOV,
    "styp": box(b"styp", bytes(8)) + MDAT + MOOV,
    "meta beside the index": FTYP + MDAT + MOOV + box(b"meta", bytes(4)),
    # Other boxes with offsets into the file.
    "saio": stbl(table([AT]), box(b"saio", bytes(12))),
    "iloc": FTYP + MDAT + moov(box(b"meta", bytes(4), box(b"hdlr"), box(b"iloc", bytes(8)))),
    "iloc as in QuickTime": FTYP + MDAT + moov(box(b"meta", box(b"hdlr"), box(b"iloc"))),
    "iloc in user data": FTYP + MDAT + moov(box(b"udta", box(b"meta", bytes(4), box(b"iloc")))),
    "iloc of a track": FTYP + MDAT + moov(track(more=box(b"meta", bytes(4), box(b"iloc")))),
    "a dash camera's positions": FTYP + MDAT + moov(box(b"gps ", bytes(16))),
    # Indexes of another kind.
    "compressed index": FTYP + MDAT + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"))),
    "reference movie": FTYP + MDAT + box(b"moov", box(b"rmra", box(b"rmda"))),
    "media data of another file": FTYP + MDAT + moov(track(table([AT]), references=dref(0))),
    # Damaged.
    "index cut off": (FTYP + MDAT + MOOV)[:-1],
    "a byte too many": FTYP + MDAT + MOOV + b"\0",
    "media data longer than the file": FTYP + struct.pack(">I4s", 2**31, b"mdat") + MOOV,
    "length of 2**64-1": FTYP + struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + MDAT + MOOV,
    "box shorter than its header": FTYP + struct.pack(">I4s", 7, b"free") + MDAT + MOOV,
    "track longer than the index": FTYP + MDAT + box(b"moov", struct.pack(">I4s", 99, b"trak")),
    "track that claims no length": FTYP + MDAT + box(b"moov", bytes(4) + track()[4:]),
    "track of 4 bytes": FTYP + MDAT + box(b"moov", struct.pack(">I4s", 4, b"trak")),
    "header cut off in a track": FTYP + MDAT + moov(box(b"trak", b"\0\0\0")),
    "meta too short": FTYP + MDAT + moov(box(b"meta", b"\0")),
    "dref too short": FTYP + MDAT + moov(track(references=box(b"dref", bytes(4)))),
    "dref with a broken entry": FTYP + MDAT + moov(track(references=box(b"dref", bytes(9)))),
    "dref with an empty entry": FTYP
    + MDAT
    + moov(track(references=box(b"dref", bytes(8), box(b"url ", bytes(3))))),
    "table without a count": stbl(box(b"stco", bytes(4))),
    "table that claims more": stbl(claiming(2)),
    "table that claims less": stbl(claiming(0)),
    "table that claims 4 billion": stbl(claiming(2**32 - 1)),
    "offset at the end of the file": stbl(table([len(stbl(table([0])))])),
    "offset behind the end": stbl(table([2**32 - 1])),
    "offset of 2**64-1": stbl(table([2**64 - 1], 8)),
    "offset in the index": stbl(table([len(FTYP + MDAT) + 20])),
    "offset of the index": stbl(table([len(FTYP + MDAT)])),
    # Players may use or ignore these.
    "table in a track": FTYP + MDAT + moov(box(b"trak", table([AT]))),
    "track in a track": FTYP + MDAT + moov(track(more=track(table([AT])))),
    "index in an index": FTYP + MDAT + moov(MOOV),
    "table in user data": FTYP + MDAT + moov(box(b"udta", table([AT]))),
    # Limits.
    "more boxes than are read": FTYP + box(b"free") * MAX_BOXES + MDAT + MOOV,
    "more boxes in the index than are read": FTYP + MDAT + moov(box(b"free") * 10_000),
    "more tables than are remembered": stbl(*[table([AT])] * 1001),
}


@pytest.mark.parametrize("data", LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_damaged_and_unsupported_files_are_unchanged(data: bytes) -> None:
    assert plan_fast_start(data) is None


def test_the_cases_above_differ_from_supported_files_only_as_named() -> None:
    assert plan_fast_start(stbl(table([AT])))
    assert plan_fast_start(stbl(claiming(1)))
    last = len(stbl(table([0]))) - 1 + 9
    assert plan_fast_start(stbl(table([last])) + box(b"free", b"x"))
    assert plan_fast_start(FTYP + box(b"free") * (MAX_BOXES - 3) + MDAT + MOOV)
    assert plan_fast_start(FTYP + MDAT + moov(box(b"free") * 9_999))
    assert plan_fast_start(stbl(*[table([AT])] * 1000))


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        self.bytes_read += size
        return super().read(size)


def test_only_headers_are_read_of_files_that_they_exclude() -> None:
    media = box(b"mdat", bytes(1_000_000))
    for data in (FTYP + MOOV + media, FTYP + media, FTYP + media + MOOV + box(b"mfra")):
        file = Counting(data)
        assert fast_start_layout(file, len(data)) is None
        # Of the top level, and of an index in front: each track may have a delay.
        assert file.bytes_read <= 20 * 16


def test_an_index_beyond_the_limit_is_not_read() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(FTYP + MDAT + struct.pack(">I4s", MAX_INDEX_BYTES + 1, b"moov"))
        size = len(FTYP + MDAT) + MAX_INDEX_BYTES + 1
        file.truncate(size)
        assert fast_start_layout(file, size) is None
        assert file.tell() < 1000  # the end of the last header that was read


def test_an_index_that_would_exceed_the_limit_is_unchanged() -> None:
    count = MAX_INDEX_BYTES // 4 - 1000
    offsets = struct.pack(">I", 2**32 - 1) * count
    index = moov(track(box(b"stco", bytes(4), struct.pack(">I", count), offsets)))
    assert len(index) < MAX_INDEX_BYTES
    with tempfile.TemporaryFile() as file:
        media = 2**32 + 1000
        file.write(FTYP + struct.pack(">I4sQ", 1, b"mdat", media))
        file.seek(len(FTYP) + media)
        file.write(index)
        assert fast_start_layout(file, file.tell()) is None


def test_a_file_that_shrank_since_its_size_was_taken_is_unchanged() -> None:
    data = FTYP + MDAT + MOOV
    for length in range(len(data)):
        assert fast_start_layout(io.BytesIO(data[:length]), len(data)) is None


def far(*tables: bytes, media: int) -> tuple[BinaryIO, int]:
    """Return a sparse file with this many bytes of media data."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 # the callers close it
    file.write(FTYP + struct.pack(">I4sQ", 1, b"mdat", 16 + media))
    file.seek(len(FTYP) + 16 + media)
    file.write(moov(*(track(part) for part in tables)))
    return file, file.tell()


def test_offsets_that_no_longer_fit_into_32_bits_get_64() -> None:
    length = len(moov(track(table([0] * 3))))
    last = 2**32 - 1 - length
    fits, size = far(table([100, last, 200]), media=2**32)
    with fits:
        layout = fast_start_layout(fits, size)
        assert layout
        relocated = [100 + length, 2**32 - 1, 200 + length]
        assert layout.index == moov(track(table(relocated)))
    too_far, size = far(table([100, last + 1, 200]), media=2**32)
    with too_far:
        layout = fast_start_layout(too_far, size)
        assert layout
        grown = length + 3 * 4  # three entries, each four bytes longer
        relocated = [100 + grown, last + 1 + grown, 200 + grown]
        assert layout.index == moov(track(table(relocated, 8)))


def test_a_growing_table_may_push_another_beyond_32_bits() -> None:
    tables = [0] * 5, [0] * 2, [0]
    length = len(moov(*(track(table(offsets)) for offsets in tables)))
    # The first grows by 20 bytes, which makes the second grow; the third still fits then.
    first, second, third = 2**32 - length, 2**32 - length - 20, 2**32 - 1 - length - 28
    file, size = far(table([7, 7, first, 7, 7]), table([second, 7]), table([third]), media=2**32)
    with file:
        layout = fast_start_layout(file, size)
        assert layout
        grown = length + 5 * 4 + 2 * 4
        assert [width for width, _ in index_of(layout.index).tables] == [8, 8, 4]
        assert index_of(layout.index).tables[1][1] == [second + grown, 7]
        assert index_of(layout.index).tables[2][1] == [2**32 - 1]
        assert len(layout.index) == grown


# An independent model: chunks whose content is their number, anywhere in a sparse file. Each
# chunk must be at its offset in the index, before and after.


@dataclass(frozen=True)
class Film:
    """The boxes of a file in order; the index follows after `index_after` of them."""

    media: list[tuple[int, list[int]]]
    """For each mdat its unused first bytes and the numbers of its chunks."""
    index_after: int
    tracks: list[tuple[list[int], bool]]
    """The chunks of each track, and whether its offsets have 64 bits without need."""
    wide_media: bool
    """Whether mdat boxes have 64-bit lengths without need."""
    between: int
    """Bytes of a free box before each mdat."""


@st.composite
def films(draw: st.DrawFn) -> Film:
    near = st.builds(lambda less: 2**32 - less, st.integers(0, 3000))
    gap = st.one_of(st.integers(0, 100), near, st.just(2**33))
    counts = draw(st.lists(st.integers(0, 40), min_size=1, max_size=4))
    numbers = iter(range(1, 1000))
    media = [(draw(gap), [next(numbers) for _ in range(count)]) for count in counts]
    chunks = [number for _, part in media for number in part]
    some = st.lists(st.sampled_from(chunks), max_size=60) if chunks else st.just([])
    tracks = draw(st.lists(st.tuples(some, st.booleans()), max_size=5))
    after = draw(st.integers(1, len(media)))
    return Film(media, after, tracks, draw(st.booleans()), draw(st.integers(0, 20)))


def write(file: BinaryIO, film: Film, positions: dict[int, int]) -> int:
    """Write a film with the given chunk positions, update them, and return its size."""

    def width(chunks: list[int]) -> int:
        return 4 if all(positions.get(number, 0) < 2**32 for number in chunks) else 8

    index = moov(
        *(
            track(table([positions.get(n, 0) for n in chunks], 8 if wide else width(chunks)))
            for chunks, wide in film.tracks
        )
    )
    file.seek(0)
    file.truncate()
    file.write(FTYP)
    for number, (gap, chunks) in enumerate(film.media):
        if number == film.index_after:
            file.write(index)
        file.write(box(b"free", bytes(film.between)))
        content = gap + 8 * len(chunks)
        if film.wide_media or content + 8 >= 2**32:
            file.write(struct.pack(">I4sQ", 1, b"mdat", 16 + content))
        else:
            file.write(struct.pack(">I4s", 8 + content, b"mdat"))
        file.seek(gap, os.SEEK_CUR)
        for chunk in chunks:
            positions[chunk] = file.tell()
            file.write(struct.pack(">Q", chunk))
        file.truncate(file.tell())
    if film.index_after == len(film.media):
        file.write(index)
    return file.tell()


def check(file: BinaryIO, size: int, layout: FastStartLayout) -> None:
    """Check a layout by reading both files."""
    file.seek(layout.old.start)
    old_index = file.read(layout.old.length)
    assert old_index[4:8] == layout.index[4:8] == b"moov"
    assert struct.unpack_from(">I", layout.index)[0] in {1, len(layout.index)}
    # All bytes of the file but the old index are in it once, in order.
    parts = layout.parts(Span(0, layout.size))
    spans = [part for part in parts if isinstance(part, Span)]
    assert [bytes(part) for part in parts if not isinstance(part, Span)] == [layout.index]
    assert not isinstance(parts[1], Span)
    assert spans[0] == Span(0, layout.before)
    file.seek(layout.before + 4)
    assert file.read(4) == b"mdat"
    assert spans[1].start == layout.before
    ends = [layout.old.start, size] if layout.old.end < size else [layout.old.start]
    assert [span.end for span in spans[1:]] == ends
    assert sum(span.length for span in spans) == size - layout.old.length
    assert layout.size == size - layout.old.length + len(layout.index)
    # The index differs only in its offsets.
    old, new = index_of(old_index), index_of(layout.index)
    assert new.rest == old.rest
    for (old_width, old_offsets), (new_width, new_offsets) in zip(
        old.tables, new.tables, strict=True
    ):
        assert len(old_offsets) == len(new_offsets)
        for before, after in zip(old_offsets, new_offsets, strict=True):
            file.seek(before)
            there = whole(file, layout, Span(after, min(8, layout.size - after)))
            file.seek(before)
            # A chunk ends at the old index or the end of the file, at the latest.
            length = min(8, size - before)
            if before < layout.old.start:
                length = min(length, layout.old.start - before)
            if before < layout.before:
                length = min(length, layout.before - before)
            assert there[:length] == file.read(length)
        beyond = max(new_offsets, default=0) >= 2**32
        assert new_width == (8 if old_width == 8 or beyond else 4)


@given(films())
@example(
    Film([(2**32 - 500, [1, 2])], 1, [([1] * 9, False), ([2], False)], wide_media=False, between=0)
)
@example(  # boxes after the index also move when it grows
    Film(
        [(2**32 - 500, [1, 2]), (0, [3])],
        1,
        [([1] * 9, False), ([3], True)],
        wide_media=False,
        between=0,
    )
)
@settings(deadline=None)
def test_every_chunk_is_at_its_offset_in_the_index(film: Film) -> None:
    with tempfile.TemporaryFile() as file:
        positions: dict[int, int] = {}
        size = -1
        for _ in range(4):  # the length of the index depends on the offsets, and they on it
            previous = dict(positions)
            size = write(file, film, positions)
            if previous == positions:
                break
        layout = fast_start_layout(file, size)
        assert layout
        check(file, size, layout)


@given(st.data())
@settings(deadline=None)
def test_a_span_of_the_layout_is_a_slice_of_it(data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.sampled_from([MDAT, box(b"free", b"abc")]), max_size=3))
    content = FTYP + b"".join(parts) + MDAT + MOOV + b"".join(reversed(parts))
    layout = plan_fast_start(content)
    assert layout
    everything = whole(io.BytesIO(content), layout)
    start = data.draw(st.integers(0, layout.size - 1))
    length = data.draw(st.integers(0, layout.size - start))
    assert (
        whole(io.BytesIO(content), layout, Span(start, length))
        == (everything[start : start + length])
    )


@given(st.data())
@settings(deadline=None)
def test_a_span_of_the_index_is_a_slice_of_it_for_any_chunk_size(data: st.DataObject) -> None:
    """Offsets of 32 bits, of 64 bits, and those that grow to 64."""
    near = [AT, AT + 3, 5, 2**32 - 400, 2**32 - 1]
    offsets = st.lists(st.sampled_from(near), max_size=30)
    tables = [
        table(data.draw(offsets), data.draw(st.sampled_from([4, 8])))
        for _ in range(data.draw(st.integers(0, 3)))
    ]
    file, size = far(*tables, media=2**32)
    with file:
        layout = fast_start_layout(file, size)
        assert layout
        length = len(layout.index)
        start = data.draw(st.integers(0, length - 1))
        span = Span(start, data.draw(st.integers(1, length - start)))
        chunk_length = data.draw(st.integers(1, 40))
        assert layout.rewritten(span, chunk_length) == layout.index[span.start : span.end]


def test_a_layout_is_small_however_long_the_index_is() -> None:
    many = FTYP + box(b"mdat", bytes(100)) + moov(track(table([AT] * 200_000)))
    layout = module.fast_start_layout(io.BytesIO(many), len(many))
    assert layout
    assert len(layout.to_json()) < 300
    assert layout.relocation.weight < 2000


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b'{"media":1}', b'{"old":[1,2,3]}', b"\xff"]
)
def test_invalid_layouts_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 # different errors
        layout_from_json(data)


def test_an_offset_missing_in_the_file_is_detected() -> None:
    file, size = far(table([100]), media=2**32)
    with file:
        layout = fast_start_layout(file, size)
        assert layout
        file.seek(layout.old.start)
        index = file.read()
    other = index.replace(table([100]), table([2**32 - 1]))
    assert other != index
    rewriter = MoovRewriter(layout.small.relocation, Span(0, len(index)))
    with pytest.raises(ValueError, match="offset"):
        rewriter.feed(other)


WORDS = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stco", b"co64", b"udta", b"meta", b"dref"]


@given(st.binary(max_size=200), st.lists(st.sampled_from(WORDS), max_size=6), st.data())
def test_any_index_is_accepted(noise: bytes, around: list[bytes], data: st.DataObject) -> None:
    content = noise
    for kind in around:
        content = box(kind, content)
    plan_fast_start(FTYP + MDAT + box(b"moov", content))
    film = bytearray(FTYP + MDAT + moov(track(table([AT, AT + 5]), table([AT], 8))))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(film) - 1))
        film[position] = data.draw(st.sampled_from([0, 1, 7, 8, 127, 128, 255]))
    layout = plan_fast_start(bytes(film))
    if layout is not None:
        assert len(whole(io.BytesIO(film), layout)) == len(film)
