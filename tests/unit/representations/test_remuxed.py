"""Files after a header: used with their own version only, and read from the store."""

import asyncio
import zlib
from itertools import accumulate
from pathlib import Path

import pytest
from support.server import content, write

from service.errors import ChangedError, StorageError
from service.mp4.fragment_table import FragmentTable
from service.protocol.ranges import Span
from service.representations.fast_start import FastStart
from service.representations.fragmented import FragmentHeaders
from service.representations.remuxed import Header, Remuxed
from service.storage.base import MIN_CHUNK, OpenRepresentation
from service.storage.local.folder import LocalStorage

FILE, HEADER = content(300_000), content(200_000, seed=2)
DIGEST = "0123456789abcdef"


# Three headers, and after the second and the third a span of the file, from byte 1,000 on.
PARTS = [HEADER[:1000], HEADER[1000:3000], HEADER[3000:6000]]
STORED = [zlib.compress(part) for part in PARTS]
TABLE = FragmentTable(
    starts=[0, 1000, 103_000, 206_000],
    places=[1000, 1000, 101_000, 201_000],
    stored=list(accumulate(map(len, STORED), initial=0)),
    times=[0, 0, 2_000_000, 4_000_000],
)
FRAGMENTS = b"".join([PARTS[0], PARTS[1], FILE[1000:101_000], PARTS[2], FILE[101_000:201_000]])


class MemoryBlob:
    """Headers that are read in short parts, and may fail."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)
        self.error: OSError | None = None

    async def read(self, start: int, length: int) -> bytes:
        if self.error:
            raise self.error
        return self.data[start : start + min(length, self.length // 3)]


class StoredHeaders:
    """Headers of one version of a file."""

    def __init__(self, revision: str, *, ready: bool = True) -> None:
        self.revision = revision
        self.ready = ready
        self.blob = MemoryBlob(HEADER)
        self.fragments = MemoryBlob(b"".join(STORED))
        self.opened: list[str] = []
        self.failure: Exception | None = None

    def digest(self, path: str, revision: str) -> str | None:
        assert path == "a.mkv"
        return DIGEST if self.ready and revision == self.revision else None

    async def open(self, path: str, revision: str, digest: str) -> Header | None:
        assert path == "a.mkv"
        await asyncio.sleep(0)
        self.opened.append(revision)
        if self.failure:
            raise self.failure
        found = (revision, digest) == (self.revision, DIGEST)
        return Header(self.blob, "video/mp4") if found else None

    async def open_fragments(self, path: str, revision: str, digest: str) -> FragmentHeaders | None:
        assert path == "a.mkv"
        if self.failure:
            raise self.failure
        found = (revision, digest) == (self.revision, DIGEST)
        return FragmentHeaders(self.fragments, TABLE, "video/mp4") if found else None


@pytest.fixture
def media(tmp_path: Path) -> Path:
    write(tmp_path, "a.mkv", FILE)
    return tmp_path


@pytest.fixture
def storage(media: Path) -> LocalStorage:
    return LocalStorage(media)


@pytest.fixture
async def headers(storage: LocalStorage) -> StoredHeaders:
    return StoredHeaders(revision(await storage.open("a.mkv")))


@pytest.fixture
def files(storage: LocalStorage, headers: StoredHeaders) -> Remuxed:
    return Remuxed(FastStart(storage).open, headers)


def revision(source: OpenRepresentation) -> str:
    return source.representation.validators.revision


async def read(source: OpenRepresentation, span: Span | None = None) -> bytes:
    span = span or Span(0, source.representation.size)
    return b"".join([chunk async for chunk in source.read(span)])


async def test_the_header_precedes_the_file(files: Remuxed, headers: StoredHeaders) -> None:
    source = await files.open("a.mkv", None)
    assert await read(source) == HEADER + FILE
    assert revision(source) == f"{headers.revision}-m{DIGEST}"
    representation = source.representation
    assert representation.content_type == "video/mp4"
    assert not representation.validators.date_is_validator
    pinned = await files.open("a.mkv", revision(source))
    assert await read(pinned) == HEADER + FILE
    assert headers.opened == [headers.revision]  # it stays open


async def test_other_pins_are_not_the_header(files: Remuxed, headers: StoredHeaders) -> None:
    plain = headers.revision
    assert await read(await files.open("a.mkv", plain)) == FILE
    for pin in (f"{plain}-m{DIGEST[::-1]}", f"{plain}-m", f"{plain}-f2", "x", ""):
        source = await files.open("a.mkv", pin)
        assert revision(source) != pin  # which makes it 410
        assert await read(source) == FILE
    source = await files.open("a.mkv", f"1{plain}-m{DIGEST}")
    assert revision(source) == plain


async def test_a_pin_finds_a_header_that_another_replica_made(
    files: Remuxed, headers: StoredHeaders
) -> None:
    headers.ready = False
    assert await read(await files.open("a.mkv", None)) == FILE
    pin = f"{headers.revision}-m{DIGEST}"
    assert await read(await files.open("a.mkv", pin)) == HEADER + FILE


async def test_a_replaced_file_is_sent_without_the_old_header(
    files: Remuxed, headers: StoredHeaders, media: Path
) -> None:
    pin = revision(await files.open("a.mkv", None))
    write(media, "a.mkv", FILE[::-1], age=60)
    for wanted in (None, pin):
        source = await files.open("a.mkv", wanted)
        assert await read(source) == FILE[::-1]
        assert "-m" not in revision(source)


async def test_a_file_that_changed_a_moment_ago_has_no_header(
    files: Remuxed, headers: StoredHeaders, media: Path
) -> None:
    write(media, "a.mkv", FILE, age=0)
    headers.revision = revision(await files.open("a.mkv", None))
    assert await read(await files.open("a.mkv", None)) == FILE


async def test_a_file_that_changes_while_it_is_sent_is_cut_off(files: Remuxed, media: Path) -> None:
    source = await files.open("a.mkv", None)
    chunks = source.read(Span(0, source.representation.size))
    assert HEADER.startswith(await anext(chunks))
    with (media / "a.mkv").open("r+b") as file:
        file.write(b"x")
        file.truncate(100)
    sent = []
    with pytest.raises(ChangedError):
        sent.extend([chunk async for chunk in chunks])
    assert all(chunk in HEADER for chunk in sent)


async def test_spans_are_slices_wherever_they_begin(files: Remuxed) -> None:
    source, whole = await files.open("a.mkv", None), HEADER + FILE
    edges = (0, 70_000, len(HEADER), len(HEADER) + MIN_CHUNK, len(whole))
    positions = sorted({max(0, edge + by) for edge in edges for by in (-9, -1, 0, 1, 9)})
    for start in positions:
        for end in positions:
            if start < end <= len(whole):
                assert await read(source, Span(start, end - start)) == whole[start:end]


async def test_no_chunk_is_longer_than_the_sizer_allows(files: Remuxed) -> None:
    source = await files.open("a.mkv", None)
    async for chunk in source.read(Span(0, source.representation.size), lambda: MIN_CHUNK):
        assert 0 < len(chunk) <= MIN_CHUNK


async def test_many_requests_at_once_open_a_header_once(
    files: Remuxed, headers: StoredHeaders
) -> None:
    await asyncio.gather(*(files.open("a.mkv", None) for _ in range(20)))
    assert len(headers.opened) == 1


@pytest.mark.parametrize("failure", [OSError("gone"), TimeoutError()])
async def test_a_store_that_fails_is_a_storage_error_and_no_other_file(
    files: Remuxed, headers: StoredHeaders, failure: Exception
) -> None:
    headers.failure = failure
    with pytest.raises(StorageError):
        await files.open("a.mkv", None)
    headers.failure = None
    source = await files.open("a.mkv", None)
    headers.blob.error = OSError("gone")
    with pytest.raises(StorageError):
        await read(source)


class AlignedSource:
    """Records where blocks begin."""

    def __init__(self, source: OpenRepresentation) -> None:
        self.origins: list[int] = []
        self.representation = source.representation
        self.read = source.read
        self.close = source.close

    def align_blocks(self, origin: int) -> None:
        self.origins.append(origin)


async def test_blocks_of_storage_are_those_of_the_whole(
    storage: LocalStorage, headers: StoredHeaders
) -> None:
    aligned = AlignedSource(await storage.open("a.mkv"))

    async def opener(path: str, pin: str | None) -> AlignedSource:
        return aligned

    await Remuxed(opener, headers).open("a.mkv", None)
    # Byte 0 of the file is byte len(HEADER) of what is sent.
    assert aligned.origins == [-len(HEADER)]


async def test_fragments_are_headers_and_spans_in_turn(
    files: Remuxed, headers: StoredHeaders
) -> None:
    file = await files.open("a.mkv", f"{headers.revision}-h{DIGEST}")
    assert file.representation.size == len(FRAGMENTS)
    assert file.representation.validators.revision == f"{headers.revision}-h{DIGEST}"
    for start, length in [(0, 206_000), (999, 2), (2999, 2), (103_000, 3), (1500, 200_000)]:
        data = b"".join([chunk async for chunk in file.read(Span(start, length))])
        assert data == FRAGMENTS[start : start + length]
    file.close()


async def test_fragments_of_another_digest_or_version_are_the_file_as_it_is(
    files: Remuxed, headers: StoredHeaders
) -> None:
    other = await files.open("a.mkv", f"{headers.revision}-h{'f' * 16}")
    assert other.representation.validators.revision == headers.revision
    other.close()


async def test_headers_of_fragments_that_cannot_be_read_are_an_error_of_storage(
    files: Remuxed, headers: StoredHeaders
) -> None:
    file = await files.open("a.mkv", f"{headers.revision}-h{DIGEST}")
    headers.fragments.error = OSError()
    with pytest.raises(StorageError):
        [chunk async for chunk in file.read(Span(0, 10))]
    headers.fragments.error = None
    headers.fragments.data = bytes(headers.fragments.length)
    with pytest.raises(StorageError, match="damaged"):
        [chunk async for chunk in file.read(Span(0, 10))]
    file.close()
