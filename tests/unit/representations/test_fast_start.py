"""Fast-start layouts: computed once, used with their own version only, evicted."""

import asyncio
import io
import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.mp4_boxes import FTYP, box, moov, table, track
from support.server import content, write

from service.artefact_store.folder import FolderArtefactStore
from service.errors import ChangedError, NotFoundError, StorageError
from service.mp4 import fast_start_layout as layout
from service.mp4 import moov as index
from service.protocol.conditions import Validators
from service.protocol.ranges import Span
from service.representations import fast_start
from service.representations.fast_start import FastStart, fast_start_revision
from service.storage.base import MIN_CHUNK, OpenRepresentation
from service.storage.local import files as local_files
from service.storage.local import nonblocking
from service.storage.local.files import LocalRepresentation
from service.storage.local.folder import LocalStorage
from service.stored_representations.fast_start_layouts import FastStartLayoutStore

MEDIA = content(300_000)
AT = len(FTYP) + 8


def film(media: bytes = MEDIA, chunks: int = 3) -> bytes:
    """Make a film with its index at the end."""
    offsets = [AT + number for number in range(chunks)]
    return FTYP + box(b"mdat", media) + moov(track(table(offsets)))


def fast(media: bytes = MEDIA, chunks: int = 3) -> bytes:
    """Make the same film with its index in front."""
    length = len(moov(track(table([0] * chunks))))
    offsets = [AT + length + number for number in range(chunks)]
    return FTYP + moov(track(table(offsets))) + box(b"mdat", media)


class Storage(LocalStorage):
    """Counts the opened files."""

    opened = 0

    async def open(self, path: str, expected: str | None = None) -> Any:
        self.opened += 1
        return await super().open(path, expected)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    write(tmp_path, "film.mp4", film())
    write(tmp_path, "fast.mp4", fast())
    return tmp_path


@pytest.fixture
def storage(media: Path) -> Storage:
    return Storage(media)


async def read(source: OpenRepresentation, span: Span | None = None) -> bytes:
    span = span or Span(0, source.representation.size)
    return b"".join([chunk async for chunk in source.read(span)])


async def open_and_read(files: FastStart, path: str = "film.mp4", pin: str | None = None) -> bytes:
    source = await files.open(path, pin)
    try:
        return await read(source)
    finally:
        source.close()


def validators(source: OpenRepresentation) -> Validators:
    return source.representation.validators


async def test_a_pin_selects_the_layout_and_fast_start_is_the_default(storage: Storage) -> None:
    files = FastStart(storage)
    plain = validators(await storage.open("film.mp4")).revision
    assert await open_and_read(files) == fast()
    assert await open_and_read(files, pin=fast_start_revision(plain)) == fast()
    assert await open_and_read(files, pin=plain) == film()
    assert validators(await files.open("film.mp4", None)).revision == f"{plain}-f3"
    assert validators(await files.open("film.mp4", plain)).revision == plain


async def test_dates_are_those_of_the_file_and_no_strong_validators(storage: Storage) -> None:
    original = validators(await storage.open("film.mp4"))
    laid_out = validators(await FastStart(storage).open("film.mp4", None))
    assert laid_out.last_modified == original.last_modified
    assert (original.is_stable, original.date_is_validator) == (True, True)
    assert (laid_out.is_stable, laid_out.date_is_validator) == (True, False)


async def test_an_unchanged_file_has_no_other_layout(storage: Storage) -> None:
    files = FastStart(storage)
    plain = validators(await storage.open("fast.mp4")).revision
    for pin in (None, plain, f"{plain}-f3", "x", ""):
        source = await files.open("fast.mp4", pin)
        assert validators(source).revision == plain
        assert await read(source) == fast()


async def test_a_missing_file_is_not_found(storage: Storage) -> None:
    files = FastStart(storage)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            await files.open("missing.mp4", None)


async def test_spans_are_slices_wherever_they_begin(storage: Storage) -> None:
    source = await FastStart(storage).open("film.mp4", None)
    whole = fast()
    edges = {0, len(FTYP), len(whole) - len(MEDIA) - 8, len(whole)}
    positions = sorted({max(0, edge + by) for edge in edges for by in (-9, -1, 0, 1, 9)})
    for start in positions:
        for end in positions:
            if start < end <= len(whole):
                assert await read(source, Span(start, end - start)) == whole[start:end]


async def test_no_chunk_is_longer_than_the_sizer_allows(media: Path) -> None:
    many = 200_000
    write(media, "long.mp4", film(chunks=many))
    source = await FastStart(LocalStorage(media)).open("long.mp4", None)
    chunks = []
    async for chunk in source.read(Span(0, source.representation.size)):
        assert len(chunk) <= MIN_CHUNK
        chunks.append(chunk)
    assert b"".join(chunks) == fast(chunks=many)


async def test_a_layout_is_computed_once_for_all_requests(storage: Storage) -> None:
    files = FastStart(storage)
    crowd = await asyncio.gather(*(open_and_read(files) for _ in range(50)))
    assert set(crowd) == {fast()}
    assert storage.opened == 50 + 1
    await open_and_read(files)
    assert storage.opened == 52
    await asyncio.gather(*(open_and_read(files, "fast.mp4") for _ in range(50)))
    await open_and_read(files, "fast.mp4")
    assert storage.opened == 52 + 50 + 1 + 1


async def test_busy_threads_do_not_delay_an_index(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_start, "_SHORT_MOOV", 100)  # in a thread
    go_on = threading.Event()
    with ThreadPoolExecutor(1) as others:
        asyncio.get_running_loop().set_default_executor(others)
        waiting = asyncio.create_task(asyncio.to_thread(go_on.wait))
        try:
            async with asyncio.timeout(300):
                assert await open_and_read(FastStart(LocalStorage(media))) == fast()
        finally:
            go_on.set()
        assert await waiting


async def test_a_cancelled_request_does_not_affect_others(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    resume = layout.resume

    def slow(*args: Any) -> Any:
        if args[1] and args[1][4:8] == b"moov" and len(args[1]) > 16:
            begun.set()
            go_on.wait()
        return resume(*args)

    monkeypatch.setattr(fast_start, "_SHORT_MOOV", 100)  # in a thread
    monkeypatch.setattr(fast_start, "resume", slow)
    files = FastStart(storage)
    first, second = (asyncio.create_task(open_and_read(files)) for _ in range(2))
    await asyncio.to_thread(begun.wait)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    third = asyncio.create_task(open_and_read(files))
    await asyncio.sleep(0)
    go_on.set()
    assert await second == await third == fast()
    assert storage.opened == 3 + 1


async def test_one_long_index_at_a_time_is_in_memory(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    active, max_active = 0, 0
    read = fast_start._read  # noqa: SLF001

    async def counted(*args: Any, keep: bool = True) -> Any:
        nonlocal active, max_active
        if not keep:
            return await read(*args, keep=False)
        active += 1
        max_active = max(max_active, active)
        await asyncio.sleep(0.001)
        try:
            return await read(*args)
        finally:
            active -= 1

    monkeypatch.setattr(fast_start, "_SHORT_MOOV", 8)  # not even a header fits
    monkeypatch.setattr(fast_start, "_read", counted)
    for number in range(5):
        write(media, f"{number}.mp4", film(content(1000, number)))
    files = FastStart(LocalStorage(media))
    films = await asyncio.gather(*(open_and_read(files, f"{number}.mp4") for number in range(5)))
    assert films == [fast(content(1000, number)) for number in range(5)]
    assert max_active == 1


async def test_a_replaced_file_has_a_layout_of_its_own(media: Path, storage: Storage) -> None:
    files = FastStart(storage)
    old = await files.open("film.mp4", None)
    pin = validators(old).revision
    other = content(300_000, 2)
    write(media, "new", film(other), age=1800).rename(media / "film.mp4")
    assert await read(old) == fast()
    assert await open_and_read(files) == fast(other)
    new = await files.open("film.mp4", pin)
    assert validators(new).revision != pin  # which is 410: protocol/plan.py


async def test_a_file_replaced_between_two_opens_must_be_requested_again(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Replacing(Storage):
        async def open(self, path: str, expected: str | None = None) -> Any:
            source = await super().open(path, expected)
            write(media, "new", film(content(9, self.opened))).rename(media / "film.mp4")
            return source

    files = FastStart(Replacing(media))
    with pytest.raises(ChangedError, match="replaced"):
        await files.open("film.mp4", None)


async def test_a_file_changed_during_a_read_must_be_requested_again(
    media: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread

    def changing(descriptor: int, length: int, position: int) -> bytes:
        if position:
            os.utime(media / "film.mp4", (1, 1))
        return pread(descriptor, length, position)

    with monkeypatch.context() as patch:
        patch.setattr(nonblocking, "_NO_WAIT", None)
        patch.setattr(os, "pread", changing)
        files = FastStart(storage)
        with pytest.raises(ChangedError, match="changed"):
            await files.open("film.mp4", None)
    assert await open_and_read(files) == fast()


async def test_a_slow_disk_times_out(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    pread = os.pread

    def hanging(*args: int) -> bytes:
        go_on.wait()
        return pread(*args)

    files = FastStart(storage)
    with monkeypatch.context() as patch:
        patch.setattr(nonblocking, "_NO_WAIT", None)
        patch.setattr(os, "pread", hanging)
        patch.setattr(fast_start, "_READ_TIMEOUT", 0.01)
        try:
            with pytest.raises(StorageError, match="too long"):
                await files.open("film.mp4", None)
        finally:
            go_on.set()
    assert await open_and_read(files) == fast()


async def test_the_layout_of_a_fresh_file_is_not_cached(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(media)
    files = FastStart(storage)
    at = write(media, "film.mp4", film(), age=0).stat().st_mtime

    class Clock:
        time = staticmethod(lambda: at + 1)

    monkeypatch.setattr(local_files, "time", Clock)
    assert await open_and_read(files) == fast()
    assert await open_and_read(files) == fast()
    assert storage.opened == 2 * 2
    assert not validators(await files.open("film.mp4", None)).is_stable


async def test_the_least_recently_used_layouts_are_evicted(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write(media, f"{number}.mp4", film(content(1000, number)))
    one = layout.fast_start_layout(io.BytesIO(film()), len(film()))
    assert one
    monkeypatch.setattr(fast_start, "_MAX_BYTES", 3 * one.relocation.weight)
    storage = Storage(media)
    files = FastStart(storage)
    for number in (0, 1, 2, 0, 3):  # the last one evicts 1
        await open_and_read(files, f"{number}.mp4")
    opened = storage.opened
    for number in (0, 2, 3):
        assert await open_and_read(files, f"{number}.mp4") == fast(content(1000, number))
    assert storage.opened == opened + 3
    await open_and_read(files, "1.mp4")
    assert storage.opened == opened + 3 + 2


async def test_unchanged_files_are_cached_up_to_a_limit(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_start, "_MAX_BYTES", 2 * fast_start._NO_LAYOUT_WEIGHT)  # noqa: SLF001
    storage = Storage(media)
    files = FastStart(storage)
    for number in range(3):
        write(media, f"{number}.mp4", fast(content(1000, number)))
        await open_and_read(files, f"{number}.mp4")
    opened = storage.opened
    await open_and_read(files, "1.mp4")
    await open_and_read(files, "2.mp4")
    assert storage.opened == opened + 2
    await open_and_read(files, "0.mp4")
    assert storage.opened == opened + 2 + 2


async def test_a_long_index_does_not_block_the_loop(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is parsed in a thread, and the event loop runs meanwhile."""
    turned = asyncio.Event()
    loop, relocate = asyncio.get_running_loop(), index.relocate

    def waiting(*args: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        asyncio.run_coroutine_threadsafe(turned.wait(), loop).result(300)
        return relocate(*args)

    monkeypatch.setattr("service.mp4.fast_start_layout.relocate", waiting)
    write(media, "long.mp4", film(chunks=100_000))
    opening = asyncio.create_task(open_and_read(FastStart(LocalStorage(media)), "long.mp4"))
    await asyncio.sleep(0)
    turned.set()
    assert await opening == fast(chunks=100_000)


# Many films whose indexes are long


class Work:
    """Counts the layouts that are computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = 0
        self._rewrite = index.relocate
        monkeypatch.setattr("service.mp4.fast_start_layout.relocate", self._count)

    def _count(self, *args: Any) -> Any:
        self.done += 1
        return self._rewrite(*args)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


VERY_LONG = 3 * 1024**2 // 4  # chunks, of a byte each: an index of 3 MiB
LONG = 20_000  # chunks: an index of 80 KB, too long to be parsed without a thread


async def wait_until_stored(files: FastStart) -> None:
    """Wait until the layout is stored."""
    await asyncio.to_thread(files._store_threads.shutdown, wait=True)  # noqa: SLF001


async def test_films_with_long_indexes_do_not_evict_each_other(media: Path, work: Work) -> None:
    films = 30  # 90 MiB of indexes, together
    long = film(content(VERY_LONG), VERY_LONG)
    for number in range(films):
        write(media, f"{number}.mp4", long, age=3600 + number)
    files = FastStart(LocalStorage(media))
    for _ in range(3):
        for number in range(films):
            (await files.open(f"{number}.mp4", None)).close()
    assert work.done == films
    assert await open_and_read(files, "7.mp4") == fast(content(VERY_LONG), VERY_LONG)
    assert work.done == films  # nor does it take another rewriting to send an index


async def test_the_index_is_only_read_if_it_is_requested(media: Path, storage: Storage) -> None:
    class Noting(Storage):
        async def open(self, path: str, expected: str | None = None) -> Any:
            source = await super().open(path, expected)
            read = source.read

            def noted(span: Span, *args: Any, **options: Any) -> Any:
                spans.append(span)
                return read(span, *args, **options)

            source.read = noted
            return source

    spans: list[Span] = []
    write(media, "long.mp4", film(chunks=LONG))
    files = FastStart(Noting(media))
    (await files.open("long.mp4", None)).close()
    spans.clear()
    source = await files.open("long.mp4", None)
    assert spans == []
    size = source.representation.size
    await read(source, Span(0, 10))
    await read(source, Span(size - 10, 10))
    assert sum(span.length for span in spans) == 20
    await read(source, Span(100_000, 10))  # in the index: each entry is read completely
    assert sum(span.length for span in spans) < 20 + 10 + 8


async def test_a_layout_is_stored_for_the_next_start_and_other_replicas(
    media: Path, tmp_path: Path, work: Work
) -> None:
    write(media, "long.mp4", film(chunks=LONG))
    fragments = FTYP + box(b"mdat", MEDIA) + moov(track(table([AT] * LONG)), box(b"mvex"))
    write(media, "left alone.mp4", fragments)
    derived = FolderArtefactStore(tmp_path / "derived", 1 << 30)
    for round_ in range(3):
        files = FastStart(LocalStorage(media), FastStartLayoutStore(derived))
        assert await open_and_read(files, "long.mp4") == fast(chunks=LONG)
        assert await open_and_read(files, "left alone.mp4") == fragments
        await wait_until_stored(files)
        assert work.done == 2, round_
    write(media, "long.mp4", film(content(300_000, 2), LONG), age=60)
    files = FastStart(LocalStorage(media), FastStartLayoutStore(derived))
    assert await open_and_read(files, "long.mp4") == fast(content(300_000, 2), LONG)
    await wait_until_stored(files)
    assert work.done == 3


async def test_a_damaged_stored_layout_is_computed_again(
    media: Path, tmp_path: Path, work: Work
) -> None:
    write(media, "long.mp4", film(chunks=LONG))
    derived = FolderArtefactStore(tmp_path / "derived", 1 << 30)

    async def check() -> None:
        files = FastStart(LocalStorage(media), FastStartLayoutStore(derived))
        assert await open_and_read(files, "long.mp4") == fast(chunks=LONG)
        await wait_until_stored(files)

    await check()
    (file,) = (tmp_path / "derived" / "layout").rglob("?" * 32)
    whole = file.read_bytes()
    for number, damaged in enumerate((b"", whole[:-1], whole[:-9] + b"0" + whole[-8:], b"x" * 99)):
        file.write_bytes(damaged)
        await check()
        assert work.done == number + 2
        assert file.read_bytes() == whole
    for other in (b"{}", b"[1]", whole[whole.index(b"{") :].replace(b'"old":[', b'"old":[1')):
        before = work.done
        derived.save("layout", file.name, other)  # undamaged, but a layout of another file
        await check()
        assert work.done == before + 1
        assert file.read_bytes() == whole


async def test_a_layout_is_computed_if_the_store_fails(
    media: Path, tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(media, "long.mp4", film(chunks=LONG))
    write(media, "another.mp4", film(content(LONG), LONG))
    (tmp_path / "derived").write_bytes(b"")  # no folder
    files = FastStart(
        LocalStorage(media),
        FastStartLayoutStore(FolderArtefactStore(tmp_path / "derived", 1 << 30)),
    )
    for _ in range(2):
        assert await open_and_read(files, "long.mp4") == fast(chunks=LONG)
    assert work.done == 1

    loads = 0
    begun, go_on = threading.Event(), threading.Event()

    class Hanging:
        def load(self, *_: str) -> None:
            nonlocal loads
            loads += 1
            begun.set()
            go_on.wait()

        def save(self, *_: str | bytes) -> None:
            go_on.wait()

    monkeypatch.setattr(fast_start, "_LOAD_TIMEOUT", 0.01)
    files = FastStart(LocalStorage(media), Hanging())
    submit = files._store_threads.submit  # noqa: SLF001

    def submit_and_begin(*job: Any) -> Any:
        """Return when the load has begun, so that only a load in progress times out."""
        loading = submit(*job)
        assert begun.wait(300)
        return loading

    monkeypatch.setattr(files._store_threads, "submit", submit_and_begin)  # noqa: SLF001
    try:
        assert await open_and_read(files, "long.mp4") == fast(chunks=LONG)
        assert await open_and_read(files, "another.mp4") == fast(content(LONG), LONG)
        assert (work.done, loads) == (3, 1)  # the failing store is not used for the next file
    finally:
        go_on.set()


async def test_a_slow_reader_of_an_index_keeps_one_chunk_of_it(media: Path) -> None:
    write(media, "long.mp4", film(content(VERY_LONG), VERY_LONG))
    files = FastStart(LocalStorage(media))
    (await files.open("long.mp4", None)).close()
    readers = []
    tracemalloc.start()
    try:
        for _ in range(20):
            source = await files.open("long.mp4", None)
            reading = source.read(Span(0, source.representation.size))
            for _ in range(3):  # into the index
                await anext(reading)
            readers.append((source, reading))
        assert tracemalloc.get_traced_memory()[0] < 20 * 4 * 64 * 1024
    finally:
        tracemalloc.stop()
        for source, reading in readers:
            await reading.aclose()
            source.close()


async def test_blocks_of_the_storage_begin_where_those_of_the_media_data_do(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of the response is then one block of the storage, not two halves."""
    origins: list[int] = []
    monkeypatch.setattr(
        LocalRepresentation, "align_blocks", lambda _, origin: origins.append(origin)
    )
    source = await FastStart(LocalStorage(media)).open("film.mp4", None)
    moved, original = await read(source), (media / "film.mp4").read_bytes()
    sample = MEDIA[1000:1032]  # random bytes, so they occur once
    assert origins == [original.index(sample) - moved.index(sample)]
