"""Files after a header: used with their own version only, and read from the store."""

import asyncio
from pathlib import Path

import pytest
from support.server import content, write

from service.errors import ChangedError, StorageError
from service.protocol.plan import Representation
from service.protocol.ranges import Span
from service.representations.fast_start import FastStart
from service.representations.interleaving import Interleaving
from service.representations.remuxed import NoHeader, Parts, Remuxed
from service.storage.base import MIN_CHUNK, OpenRepresentation
from service.storage.local.folder import LocalStorage

FILE, HEADER = content(300_000), content(200_000, seed=2)
DIGEST = "0123456789abcdef"
LAYOUT = f"m{DIGEST}"


class MemoryBlob:
    """A header that is read in short parts, and may fail."""

    length = len(HEADER)
    error: OSError | None = None

    async def read(self, start: int, length: int) -> bytes:
        if self.error:
            raise self.error
        return HEADER[start : start + min(length, 70_000)]


class StoredHeaders:
    """Headers of one version of a file."""

    def __init__(self, revision: str, *, ready: bool = True) -> None:
        self.revision = revision
        self.ready = ready
        self.blob = MemoryBlob()
        self.opened: list[str] = []
        self.failure: Exception | None = None

    def find(self, path: str, revision: str) -> str | None:
        assert path == "a.mkv"
        return LAYOUT if self.ready and revision == self.revision else None

    async def open(self, path: str, revision: str, layout: str) -> Parts | None:
        assert path == "a.mkv"
        await asyncio.sleep(0)
        self.opened.append(revision)
        if self.failure:
            raise self.failure
        found = (revision, layout) == (self.revision, LAYOUT)
        return Parts(self.blob, "video/mp4") if found else None


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
    for pin in (f"{plain}-m{DIGEST[::-1]}", f"{plain}-m", f"{plain}-f3", "x", ""):
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


SOUND = content(150_000, seed=3)
WITH_SOUND = f"s{DIGEST}"
CUTS, ENDS = (0, 100_000, 100_001, 290_000), (10, 70_000, 70_001, 150_000)


class SoundBlob(MemoryBlob):
    """Sound that is read in short parts."""

    length = len(SOUND)

    async def read(self, start: int, length: int) -> bytes:
        return SOUND[start : start + min(length, 9_000)]


class StoredSound(StoredHeaders):
    """A layout with sound of one version of a file."""

    def find(self, path: str, revision: str) -> str | None:
        assert path == "a.mkv"
        return WITH_SOUND if revision == self.revision else None

    async def open(self, path: str, revision: str, layout: str) -> Parts | None:
        assert path == "a.mkv"
        if (revision, layout) != (self.revision, WITH_SOUND):
            return None
        return Parts(self.blob, "video/mp4", Interleaving(CUTS, ENDS), SoundBlob())


def with_sound() -> bytes:
    parts, position, heard = [HEADER], 0, 0
    for cut, end in zip(CUTS, ENDS, strict=True):
        parts += [FILE[position:cut], SOUND[heard:end]]
        position, heard = cut, end
    return b"".join([*parts, FILE[position:]])


async def test_sound_stands_between_parts_of_the_file(
    storage: LocalStorage, headers: StoredHeaders
) -> None:
    files = Remuxed(FastStart(storage).open, StoredSound(headers.revision))
    source, whole = await files.open("a.mkv", None), with_sound()
    assert revision(source) == f"{headers.revision}-{WITH_SOUND}"
    assert source.representation.size == len(HEADER) + len(FILE) + len(SOUND)
    assert await read(source) == whole
    for start in range(0, len(whole), 41_771):
        for length in (1, 30_000, 200_000):
            end = min(len(whole), start + length)
            assert await read(source, Span(start, end - start)) == whole[start:end]
    async for chunk in source.read(Span(0, len(whole)), lambda: MIN_CHUNK):
        assert 0 < len(chunk) <= MIN_CHUNK


class StoredForm(StoredSound):
    """A layout of the file with sound: a header, and bytes between parts of that."""

    async def open(self, path: str, revision: str, layout: str) -> Parts | None:
        base = await super().open(path, revision, layout)
        assert base
        base = base._replace(header=NoHeader())
        return Parts(self.blob, "video/mp4", Interleaving([0, 70_000], [7, 9]), MoreBytes(), base)


class MoreBytes:
    length = 9

    async def read(self, start: int, length: int) -> bytes:
        return b"123456789"[start : start + length]


async def test_a_layout_may_be_of_the_file_with_sound(
    storage: LocalStorage, headers: StoredHeaders
) -> None:
    source = await Remuxed(FastStart(storage).open, StoredForm(headers.revision)).open(
        "a.mkv", None
    )
    below = with_sound()[len(HEADER) :]
    whole = HEADER + b"1234567" + below[:70_000] + b"89" + below[70_000:]
    assert revision(source) == f"{headers.revision}-{WITH_SOUND}"
    assert source.representation.size == len(whole)
    for start in range(0, len(whole), 41_771):
        end = min(len(whole), start + 100_000)
        assert await read(source, Span(start, end - start)) == whole[start:end]
    source.close()


class FastStartedSource:
    """A file that is sent with its index in front."""

    def __init__(self, source: OpenRepresentation) -> None:
        file = source.representation
        validators = file.validators.of_layout(f"{file.validators.revision}-f3")
        self.representation = Representation(file.size, file.content_type, validators)
        self.read = source.read
        self.align_blocks = source.align_blocks
        self.closed = False

    def close(self) -> None:
        self.closed = True


async def test_a_layout_is_of_the_file_itself_and_not_of_its_fast_start(
    storage: LocalStorage, headers: StoredHeaders
) -> None:
    started = FastStartedSource(await storage.open("a.mkv"))

    async def opener(path: str, pin: str | None) -> OpenRepresentation:
        return started if pin is None else await storage.open(path, pin)

    source = await Remuxed(opener, StoredSound(headers.revision)).open("a.mkv", None)
    assert await read(source) == with_sound()
    assert started.closed
    without = await Remuxed(opener, StoredSound("another")).open("a.mkv", None)
    assert without is started


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
