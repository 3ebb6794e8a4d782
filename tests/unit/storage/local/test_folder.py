import asyncio
import gc
import os
import socket
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.file_opens import opens_in
from support.server import content

from service.errors import ChangedError, NotFoundError, StorageError
from service.protocol.ranges import Span
from service.storage.base import MAX_CHUNK, MIN_CHUNK
from service.storage.left_out import LeftOut, LibraryFilter
from service.storage.left_out_reasons import Reason
from service.storage.local import beneath, files, nonblocking
from service.storage.local import folder as local
from service.storage.local.files import LocalRepresentation, OpenFile, revision
from service.storage.local.folder import LocalStorage
from service.storage.paths import validate_path

SIZE = 3 * MAX_CHUNK + 777
DATA = content(SIZE)
TIMEOUT = 120  # seconds, after which a test that waits for something fails


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Return a folder with one file of more than three chunks."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "film.mp4").write_bytes(DATA)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Leave what other modules have made out of the many collections of `descriptors`."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def storage(media: Path) -> AsyncIterator[LocalStorage]:
    storage = LocalStorage(media)
    yield storage
    storage.close()


@pytest.fixture(params=["page cache", "threads"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with RWF_NOWAIT, if there is one, and without."""
    if request.param == "threads":
        monkeypatch.setattr(nonblocking, "_NO_WAIT", None)
    return str(request.param)


async def read(source: LocalRepresentation, span: Span) -> bytes:
    return b"".join([chunk async for chunk in source.read(span)])


def descriptors() -> dict[str, str]:
    """Return this process's descriptors and their targets."""
    gc.collect()
    targets = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 # resolved below, by name
        try:
            targets[name] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:
            continue  # the descriptor of the listing itself
    return targets


def open_below(folder: Path) -> list[str]:
    """Return the open files of a folder, also removed ones."""
    return [name for name in descriptors().values() if name.startswith(str(folder))]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 # threads set no asyncio.Event
            await asyncio.sleep(0.005)


class Gate:
    """Blocks threads as a sleeping disk does."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def hold(self) -> None:
        self.reached.set()
        assert self.opened.wait(TIMEOUT)


@contextmanager
def gate() -> Iterator[Gate]:
    """Return a gate that opens when the test ends, so that no thread is left."""
    one = Gate()
    try:
        yield one
    finally:
        one.opened.set()


@pytest.fixture
def slow_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Make reads uncached, and block them until the test opens the gate."""
    with gate() as one:

        def pread(descriptor: int, length: int, position: int) -> bytes:
            one.hold()
            return os.pread(descriptor, length, position)

        class Slow:
            """The module `os` with one call replaced."""

            def __getattr__(self, name: str) -> Any:
                return pread if name == "pread" else getattr(os, name)

        monkeypatch.setattr(nonblocking, "_NO_WAIT", None)
        monkeypatch.setattr(files, "os", Slow())
        yield one


@pytest.fixture
def slow_opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    with gate() as one:
        open_file = beneath.open_file

        def slowly(root: Path, path: str, *, through_links: bool) -> tuple[int, str]:
            one.hold()
            return open_file(root, path, through_links=through_links)

        monkeypatch.setattr(beneath, "open_file", slowly)
        yield one


# Reading


@pytest.mark.parametrize(
    "span",
    [
        Span(0, SIZE),
        Span(0, 1),
        Span(SIZE - 1, 1),
        Span(0, MAX_CHUNK),
        Span(MAX_CHUNK, MAX_CHUNK),
        Span(MAX_CHUNK - 1, 1),
        Span(MAX_CHUNK - 1, 2),
        Span(MAX_CHUNK - 1, MAX_CHUNK + 2),
        Span(1, 2 * MAX_CHUNK),
        Span(3 * MAX_CHUNK, 777),
        Span(3 * MAX_CHUNK - 1, 778),
        Span(5, 0),
    ],
    ids=str,
)
@pytest.mark.usefixtures("way")
async def test_a_span_is_read_byte_for_byte(storage: LocalStorage, span: Span) -> None:
    source = await storage.open("film.mp4")
    chunks = [chunk async for chunk in source.read(span)]
    source.close()
    assert b"".join(chunks) == DATA[span.start : span.end]
    assert all(0 < len(chunk) <= MAX_CHUNK for chunk in chunks)


@pytest.mark.usefixtures("way")
async def test_several_readers_of_one_file_do_not_disturb_each_other(storage: LocalStorage) -> None:
    sources = [await storage.open("film.mp4") for _ in range(8)]
    spans = [Span(seed * 1000, 2 * MAX_CHUNK) for seed in range(8)]
    results = await asyncio.gather(*map(read, sources, spans))
    for source in sources:
        source.close()
    assert results == [DATA[span.start : span.end] for span in spans]


@pytest.mark.skipif(nonblocking._NO_WAIT is None, reason="needs RWF_NOWAIT, which is Linux's")  # noqa: SLF001
async def test_cached_pages_are_read_without_a_thread(storage: LocalStorage, media: Path) -> None:
    with (media / "film.mp4").open("rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError as error:
            pytest.skip(f"this file system does not support RWF_NOWAIT: {error}")
    source = await storage.open("film.mp4")
    storage.close()  # from now on no thread would begin to read
    assert await read(source, Span(0, SIZE)) == DATA
    source.close()


@pytest.mark.usefixtures("way")
async def test_a_file_that_shrinks_ends_the_read_without_a_wrong_byte(
    storage: LocalStorage, media: Path
) -> None:
    source = await storage.open("film.mp4")
    received = b""
    with pytest.raises(ChangedError):  # noqa: PT012 # changed between two chunks
        async for chunk in source.read(Span(0, SIZE)):
            received += chunk
            os.truncate(media / "film.mp4", MAX_CHUNK + 10)
    assert received == DATA[:MIN_CHUNK]
    source.close()


@pytest.mark.usefixtures("way")
async def test_a_file_rewritten_in_place_ends_the_read_without_a_wrong_byte(
    storage: LocalStorage, media: Path
) -> None:
    os.utime(media / "film.mp4", (1000, 1000))
    source = await storage.open("film.mp4")
    received = b""
    with pytest.raises(ChangedError):  # noqa: PT012 # changed between two chunks
        async for chunk in source.read(Span(0, SIZE)):
            received += chunk
            (media / "film.mp4").write_bytes(content(SIZE, 2))  # the size stays
    assert received == DATA[:MIN_CHUNK]
    source.close()


@pytest.mark.usefixtures("way")
async def test_a_file_that_grows_is_another_version(storage: LocalStorage, media: Path) -> None:
    source = await storage.open("film.mp4")
    received = b""
    with pytest.raises(ChangedError):  # noqa: PT012 # changed between two chunks
        async for chunk in source.read(Span(0, SIZE)):
            received += chunk
            with (media / "film.mp4").open("ab") as file:
                file.write(b"more")
    assert received == DATA[:MIN_CHUNK]
    source.close()


@pytest.mark.usefixtures("way")
async def test_a_file_replaced_or_removed_is_read_to_its_end(
    storage: LocalStorage, media: Path
) -> None:
    replaced, removed = await storage.open("film.mp4"), await storage.open("film.mp4")
    (media / "new").write_bytes(content(SIZE, 2))
    (media / "new").rename(media / "film.mp4")
    assert await read(replaced, Span(0, SIZE)) == DATA
    (media / "film.mp4").unlink()
    assert await read(removed, Span(MAX_CHUNK, MAX_CHUNK)) == DATA[MAX_CHUNK : 2 * MAX_CHUNK]
    replaced.close()
    removed.close()


async def test_a_failing_disk_raises_storage_error(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pread(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(nonblocking, "_NO_WAIT", None)
    monkeypatch.setattr(os, "pread", pread)
    source = await storage.open("film.mp4")
    with pytest.raises(StorageError, match="Input/output error"):
        await read(source, Span(0, 1))
    source.close()


# Waiting


async def test_closing_while_a_thread_reads_leaves_it_its_descriptor(
    storage: LocalStorage, media: Path, slow_reads: Gate
) -> None:
    source = await storage.open("film.mp4")
    film = str(media / "film.mp4")
    (descriptor,) = [number for number, name in descriptors().items() if name == film]
    reading = asyncio.create_task(read(source, Span(0, 10)))
    await until(slow_reads.reached.is_set)
    reading.cancel()
    await asyncio.wait([reading])
    source.close()
    # If it were closed, the next opened file would get its number, and the thread would read that.
    assert descriptors()[descriptor] == film
    slow_reads.opened.set()
    await until(lambda: not open_below(media))


async def test_closing_twice_while_a_thread_reads_is_harmless(
    storage: LocalStorage, media: Path, slow_reads: Gate
) -> None:
    source = await storage.open("film.mp4")
    reading = asyncio.create_task(read(source, Span(0, 10)))
    await until(slow_reads.reached.is_set)
    reading.cancel()
    await asyncio.wait([reading])
    source.close()
    source.close()
    assert len(open_below(media)) == 1
    slow_reads.opened.set()
    await until(lambda: not open_below(media))
    source.close()


async def test_a_queued_read_is_cancelled_when_the_file_is_closed(
    media: Path,
) -> None:
    with gate() as one, ThreadPoolExecutor(1) as threads:
        threads.submit(one.hold)  # the only thread is busy
        descriptor = os.open(media / "film.mp4", os.O_RDONLY)
        source = LocalRepresentation(
            OpenFile(descriptor, nowait=False), "video/mp4", lambda: threads
        )
        reading = asyncio.create_task(read(source, Span(0, 10)))
        await until(threads._work_queue.qsize)  # noqa: SLF001
        source.close()
        await asyncio.wait([reading], timeout=TIMEOUT)
        assert reading.cancelled() or reading.exception()
        one.opened.set()
        await until(lambda: not open_below(media))


@pytest.mark.usefixtures("way")
async def test_closing_twice_is_harmless(storage: LocalStorage, media: Path) -> None:
    source = await storage.open("film.mp4")
    await read(source, Span(0, SIZE))
    source.close()
    (media / "other.mp4").write_bytes(b"x")
    with (media / "other.mp4").open("rb") as other:  # probably with the number just released
        source.close()
        assert other.read() == b"x"


@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning"
)  # intended: see LocalStorage.open
async def test_a_cancelled_open_leaks_nothing(
    storage: LocalStorage, media: Path, slow_opens: Gate
) -> None:
    opening = asyncio.create_task(storage.open("film.mp4"))
    await until(slow_opens.reached.is_set)
    opening.cancel()
    await asyncio.wait([opening])
    slow_opens.opened.set()
    await until(lambda: not open_below(media))


async def test_a_slow_read_does_not_block_the_event_loop(
    storage: LocalStorage, slow_reads: Gate
) -> None:
    source = await storage.open("film.mp4")
    reading = asyncio.create_task(read(source, Span(0, 10)))
    await until(slow_reads.reached.is_set)
    for _ in range(1000):  # a loop that waits for the thread would never get here
        await asyncio.sleep(0)
    assert not reading.done()
    slow_reads.opened.set()
    assert await asyncio.wait_for(reading, TIMEOUT) == DATA[:10]
    source.close()


async def test_a_slow_open_does_not_block_the_event_loop(
    storage: LocalStorage, slow_opens: Gate
) -> None:
    opening = asyncio.create_task(storage.open("film.mp4"))
    await until(slow_opens.reached.is_set)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not opening.done()
    slow_opens.opened.set()
    source = await asyncio.wait_for(opening, TIMEOUT)
    assert await read(source, Span(0, 10)) == DATA[:10]
    source.close()


async def test_closing_the_storage_does_not_wait_for_the_disk(
    media: Path, slow_opens: Gate
) -> None:
    storage = LocalStorage(media)
    opening = asyncio.create_task(storage.open("film.mp4"))
    await until(slow_opens.reached.is_set)
    storage.close()  # the gate is closed: a close that waits would never return
    assert not opening.done()
    slow_opens.opened.set()
    (await asyncio.wait_for(opening, TIMEOUT)).close()


# Opening


def make_odd_things(media: Path) -> None:
    (media / "sub").mkdir()
    (media / "sub/inside.mp4").write_bytes(b"inside")
    (media / "folder.mp4").mkdir()
    os.mkfifo(media / "fifo.mp4")
    (media.parent / "secret.mp4").write_bytes(b"secret")
    (media / "text.txt").write_bytes(b"text")
    (media / "link-in.mp4").symlink_to("sub/inside.mp4")
    (media / "link-absolute.mp4").symlink_to(media / "sub/inside.mp4")
    (media / "folder-in").symlink_to("sub")
    (media / "link-out.mp4").symlink_to("../secret.mp4")
    (media / "link-out-absolute.mp4").symlink_to(media.parent / "secret.mp4")
    (media / "link-out-and-in.mp4").symlink_to("../media/sub/inside.mp4")
    (media / "folder-out").symlink_to("..")
    (media / "dangling.mp4").symlink_to("nothing.mp4")
    (media / "circle.mp4").symlink_to("circle.mp4")
    (media / "circle-a.mp4").symlink_to("circle-b.mp4")
    (media / "circle-b.mp4").symlink_to("circle-a.mp4")
    (media / "text-link.mp4").symlink_to("text.txt")


NOT_THERE = [
    "missing.mp4",
    "missing/film.mp4",
    "film.mp4/",
    "film.mp4/x.mp4",
    "text.txt",
    "sub",
    "folder.mp4",
    "fifo.mp4",
    "link-out.mp4",
    "link-out-absolute.mp4",
    "folder-out/secret.mp4",
    "dangling.mp4",
    "circle.mp4",
    "circle-a.mp4",
    "../secret.mp4",
    "sub/../film.mp4",
    "./film.mp4",
    "/film.mp4",
    "sub//inside.mp4",
    "x" * 300 + ".mp4",
    "x/" * 3000 + "film.mp4",
    "film.mp4\0.mp4",
    "",
]


@pytest.mark.parametrize("path", NOT_THERE, ids=lambda path: path[:32])
async def test_odd_files_are_not_found_and_leak_no_descriptor(
    storage: LocalStorage, media: Path, path: str
) -> None:
    make_odd_things(media)
    with pytest.raises(NotFoundError):
        await storage.open(path)
    await until(lambda: not open_below(media.parent))


async def test_a_socket_is_not_found(
    storage: LocalStorage, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(media)  # a socket's path is at most 108 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.mp4")
        with pytest.raises(NotFoundError):
            await storage.open("socket.mp4")


@pytest.mark.parametrize(
    "path",
    [
        "sub/inside.mp4",
        "link-in.mp4",
        "link-absolute.mp4",
        "folder-in/inside.mp4",
        "link-out-and-in.mp4",  # the target of the link counts
        "folder-out/media/sub/inside.mp4",
    ],
)
async def test_links_that_stay_inside_are_followed(
    storage: LocalStorage, media: Path, path: str
) -> None:
    make_odd_things(media)
    source = await storage.open(path)
    assert await read(source, Span(0, 6)) == b"inside"
    source.close()
    await until(lambda: not open_below(media.parent))


async def test_a_root_that_is_a_link_is_served(tmp_path: Path, media: Path) -> None:
    (tmp_path / "alias").symlink_to(media)
    storage = LocalStorage(tmp_path / "alias")
    source = await storage.open("film.mp4")
    source.close()
    storage.close()
    assert storage.root == Path(os.path.realpath(media))  # noqa: ASYNC240, PTH
    assert [entry.path for entry in storage.list_entries()] == ["film.mp4"]


async def test_running_out_of_descriptors_is_not_reported_as_not_found(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_file(*_: object, **__: object) -> tuple[int, str]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(beneath, "open_file", open_file)
    with pytest.raises(StorageError, match="Too many open files"):
        await storage.open("film.mp4")


async def test_many_opens_leak_nothing(storage: LocalStorage, media: Path) -> None:
    make_odd_things(media)
    with ExitStack() as stack:
        for path in ["film.mp4", "link-in.mp4", "folder-in/inside.mp4"] * 20:
            stack.callback((await storage.open(path)).close)
        assert 3 <= len(open_below(media)) <= 60  # some are shared
    storage.close()
    await until(lambda: not open_below(media.parent))


# Opening without a thread


@pytest.fixture
async def nowait_storage(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
    """Return a storage that has recorded that its root supports RWF_NOWAIT.

    It keeps what it opens from now on, however slow the machine is.
    """
    monkeypatch.setattr(local, "_HANDLE_TTL", 3600.0)
    (await storage.open("film.mp4")).close()
    if not storage._nowait_folders:  # noqa: SLF001
        pytest.skip("needs a file system with RWF_NOWAIT")
    (await storage.open("film.mp4")).close()
    if not storage._handles:  # noqa: SLF001
        pytest.skip("needs openat2 with RESOLVE_CACHED (Linux 5.12), not blocked by a sandbox")
    return storage


async def test_cached_names_are_opened_without_a_thread(
    nowait_storage: LocalStorage, media: Path
) -> None:
    (media / "other.mp4").write_bytes(b"other")
    nowait_storage.close()  # from now on no thread would begin to open
    for path, data in [("film.mp4", DATA[:5]), ("other.mp4", b"other")] * 2:
        source = await nowait_storage.open(path)
        assert await read(source, Span(0, 5)) == data
        source.close()


async def test_viewers_of_one_file_share_its_descriptor_for_a_moment(
    nowait_storage: LocalStorage, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        sources = [await nowait_storage.open("film.mp4") for _ in range(9)]
        descriptors = len(open_below(media))
        for source in sources[1:]:
            source.close()
        nowait_storage._handles.clear()  # noqa: SLF001
        if descriptors == 1:
            break
        sources[0].close()  # the kernel looks a path up anew while something is mounted
    assert descriptors == 1
    monkeypatch.setattr(local, "_HANDLE_TTL", 0.05)
    (await nowait_storage.open("film.mp4")).close()
    await until(lambda: not nowait_storage._handles)  # noqa: SLF001
    assert await read(sources[0], Span(0, SIZE)) == DATA  # closing the others did not affect it
    sources[0].close()
    assert open_below(media) == []


async def test_the_number_of_shared_handles_is_bounded(
    nowait_storage: LocalStorage, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_MAX_HANDLES", 5)
    for number in range(20):
        (media / f"{number}.mp4").write_bytes(b"film")
        (await nowait_storage.open(f"{number}.mp4")).close()
        await until(lambda: len(open_below(media)) <= 5)  # a thread may close some a moment later


async def test_a_replaced_file_is_seen_at_once(nowait_storage: LocalStorage, media: Path) -> None:
    (media / "new").write_bytes(content(SIZE, 2))
    os.utime(media / "new", ns=(0, (media / "film.mp4").stat().st_mtime_ns))  # and of equal length
    (media / "new").rename(media / "film.mp4")
    source = await nowait_storage.open("film.mp4")
    assert await read(source, Span(0, SIZE)) == content(SIZE, 2)
    source.close()


async def test_a_changed_file_is_another_version_at_once(
    nowait_storage: LocalStorage, media: Path
) -> None:
    with (media / "film.mp4").open("ab") as file:
        file.write(b"more")
    source = await nowait_storage.open("film.mp4")
    assert source.representation.size == SIZE + 4
    source.close()


@pytest.mark.parametrize("change", ["removed", "link", "fifo", "folder", "device"])
async def test_a_special_file_in_place_of_a_film_is_not_opened(
    nowait_storage: LocalStorage, media: Path, change: str
) -> None:
    film = media / "film.mp4"
    (media.parent / "secret.mp4").write_bytes(b"secret")
    film.unlink()
    match change:
        case "link":
            film.symlink_to("../secret.mp4")
        case "fifo":
            os.mkfifo(film)
        case "folder":
            film.mkdir()
        case "device":
            try:
                os.mknod(film, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # /dev/null
            except PermissionError:
                pytest.skip("creating a device needs a privilege")
    with opens_in(media) as opened, pytest.raises(NotFoundError):
        await nowait_storage.open("film.mp4")
    assert not opened


async def test_a_link_that_replaces_a_folder_is_not_followed(
    nowait_storage: LocalStorage, media: Path
) -> None:
    make_odd_things(media)
    for _ in range(2):
        (await nowait_storage.open("sub/inside.mp4")).close()
    (media / "sub").rename(media / "sub-before")
    (media.parent / "outside").mkdir()
    (media.parent / "outside/inside.mp4").write_bytes(b"secret")
    (media / "sub").symlink_to(media.parent / "outside")
    with pytest.raises(NotFoundError):
        await nowait_storage.open("sub/inside.mp4")


@pytest.mark.parametrize("path", NOT_THERE, ids=lambda path: path[:32])
async def test_odd_files_are_not_found_without_a_thread_either(
    nowait_storage: LocalStorage, media: Path, path: str
) -> None:
    make_odd_things(media)
    (await nowait_storage.open("sub/inside.mp4")).close()
    for _ in range(2):
        with pytest.raises(NotFoundError):
            await nowait_storage.open(path)


async def test_file_systems_without_nowait_are_only_used_in_threads(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS, SMB and FUSE, even fstat(2) may wait for a network or a process."""
    monkeypatch.setattr(nonblocking, "_NO_WAIT", None)
    loops, threads = threading.get_ident(), set()

    class Watched:
        """The module `os`, which records the calling threads."""

        def __getattr__(self, name: str) -> Any:
            if name in ("fstat", "stat", "open", "pread", "close"):
                threads.add(threading.get_ident())
            return getattr(os, name)

    monkeypatch.setattr(local, "os", Watched())
    monkeypatch.setattr(files, "os", Watched())
    monkeypatch.setattr(nonblocking, "os", Watched())
    monkeypatch.setattr(beneath, "os", Watched())
    for _ in range(2):
        source = await storage.open("film.mp4")
        await read(source, Span(0, SIZE))
        source.close()
    await until(lambda: not open_below(storage.root))
    assert threads
    assert loops not in threads


async def test_a_link_does_not_mark_its_own_folder_as_nowait(
    storage: LocalStorage, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link on a network file system may lead to a disk; other files there are not on it."""
    (media / "mount").mkdir()
    (media / "mount/link.mp4").symlink_to("../film.mp4")
    (media / "mount/film.mp4").write_bytes(DATA)
    monkeypatch.setattr(nonblocking, "supports_nowait", lambda _: True)
    opened: list[str] = []
    monkeypatch.setattr(nonblocking, "open_cached", opened.append)
    (await storage.open("mount/link.mp4")).close()
    (await storage.open("mount/film.mp4")).close()
    assert not opened


# Listings


def paths(media: Path) -> list[str]:
    storage = LocalStorage(media)
    try:
        return [entry.path for entry in storage.list_entries()]
    finally:
        storage.close()


def test_files_are_listed_and_odd_things_are_not(media: Path) -> None:
    make_odd_things(media)
    (media / "empty.mp4").touch()
    (media / ".hidden.mp4").write_bytes(b"x")
    (media / ".folder").mkdir()
    (media / ".folder/film.mp4").write_bytes(b"x")
    (media / "sub/.hidden").mkdir()
    (media / "sub/.hidden/film.mp4").write_bytes(b"x")
    (media / "UPPER.MP4").write_bytes(b"x")
    assert sorted(paths(media)) == [
        "UPPER.MP4",
        "film.mp4",
        "link-absolute.mp4",
        "link-in.mp4",
        "link-out-and-in.mp4",
        "sub/inside.mp4",  # once, and not again through the link to the folder
        "text-link.mp4",  # the extension of its own name decides
    ]


async def test_every_listed_file_opens_with_the_same_revision(
    storage: LocalStorage, media: Path
) -> None:
    make_odd_things(media)
    entries = list(storage.list_entries())
    assert len(entries) > 5
    for entry in entries:
        source = await storage.open(entry.path)
        assert source.representation.size == entry.size
        assert source.representation.validators.revision == entry.revision
        source.close()


@pytest.mark.parametrize(
    "name", [b"\xff.mp4", b"b\\c.mp4", b"line\nend.mp4", b"tab\t.mp4", b"\x7f.mp4", b"\xc2\x85.mp4"]
)
def test_names_that_no_request_can_have_are_not_listed(media: Path, name: bytes) -> None:
    folder = os.fsencode(media)
    try:
        (Path(os.fsdecode(folder)) / os.fsdecode(name)).write_bytes(b"x")
    except OSError as error:
        pytest.skip(f"this file system refuses the name: {error}")
    inner = Path(os.fsdecode(folder + b"/in-" + name))
    inner.mkdir()
    (inner / "film.mp4").write_bytes(b"x")
    assert paths(media) == ["film.mp4"]


def test_a_listing_is_in_order_folder_by_folder(media: Path) -> None:
    for folder in ("b", "a", "a/z", "a/c"):
        (media / folder).mkdir()
        for name in ("2.mp4", "10.mp4", "1.mp4"):
            (media / folder / name).write_bytes(b"x")
    listed = paths(media)
    assert listed == [
        "film.mp4",
        *[
            f"{folder}/{name}"
            for folder in ("a", "a/c", "a/z", "b")
            for name in ("1.mp4", "10.mp4", "2.mp4")
        ],
    ]


def test_changes_of_permissions_and_of_the_target_of_a_link_change_the_digest(
    media: Path, tmp_path: Path
) -> None:
    (media / "sub").mkdir()
    target = media / "sub/target.bin.mp4"
    target.write_bytes(b"x")
    (media / "link.mp4").symlink_to("sub/target.bin.mp4")
    storage = LocalStorage(media)

    def digests() -> dict[str, bytes]:
        return {listing.path: listing.digest for listing in storage.list_folders({})}

    before = digests()
    assert digests() == before
    target.write_bytes(b"xy")
    after = digests()
    assert after[""] != before[""]
    time.sleep(0.02)  # more than the kernel's clock of file times
    (media / "film.mp4").chmod(0o600)
    assert digests()[""] != after[""]
    storage.close()


def test_a_folder_deeper_than_a_path_may_be_long_is_named(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(media)  # no system call takes the whole path
    for _ in range(17):  # each is 251 characters long: 16 have 4,031 with slashes between
        Path("d" * 251).mkdir()
        os.chdir("d" * 251)
        Path("deep.mp4").write_bytes(b"x")
    rules = LibraryFilter()
    storage = LocalStorage(media, rules)
    listed = [entry.path for entry in storage.list_entries()]
    storage.close()
    assert len(listed) == 1 + 16
    deepest = "/".join(17 * ["d" * 251])
    assert rules.left_out.folders == [(deepest, Reason.DEEP)]


def test_what_is_left_out_of_an_unchanged_folder_is_still_counted(media: Path) -> None:
    found: list[LeftOut] = []
    (media / "empty.mp4").touch()
    (media / ".hidden.mp4").write_bytes(b"x")
    storage = LocalStorage(media, LibraryFilter(report=found.append))
    (listing,) = storage.list_folders({})
    assert [one.entries for one in storage.list_folders({"": listing.digest})] == [None]
    assert found[0].counts == found[1].counts == {Reason.EMPTY: 1, Reason.HIDDEN: 1}
    storage.close()


def test_an_entry_has_size_revision_and_times(media: Path) -> None:
    before = time.time()
    os.utime(media / "film.mp4", (1000, 1000))
    storage = LocalStorage(media)
    (entry,) = storage.list_entries()
    storage.close()
    assert entry.size == SIZE
    assert entry.revision == f"{SIZE:x}-{1000 * 10**9:x}"
    assert entry.modified == 1000
    assert entry.changed_at >= before - 1  # its times were set just now, which utime cannot hide


def test_an_empty_folder_is_an_empty_library_but_a_vanished_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    storage = LocalStorage(folder)
    assert list(storage.list_entries()) == []
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        list(storage.list_entries())
    storage.close()


# Paths

REFUSED = [
    "", "/", ".", "..", "a//b", "/a", "a/", "a/.", "./a", "a/..", "../a", "a/../b", "a\\b", "\\",
    "a\0", "a\n", "a\r", "a\t", "a\x1f", "a\x7f", "a\x80", "a\x9f", "\ud800", "a/\udcff.mp4",
]  # fmt: skip


@pytest.mark.parametrize("path", REFUSED, ids=ascii)
def test_invalid_paths_are_refused(path: str) -> None:
    with pytest.raises(NotFoundError):
        validate_path(path)


@pytest.mark.parametrize(
    ("path", "components"),
    [
        ("a", ["a"]),
        ("a/b/c.mp4", ["a", "b", "c.mp4"]),
        ("...", ["..."]),
        ("..a/b..", ["..a", "b.."]),
        ("~/x", ["~", "x"]),
        ("%2e%2e/x", ["%2e%2e", "x"]),
        ("a b/ ", ["a b", " "]),
        ("\N{NO-BREAK SPACE}/日本語/🎬", ["\N{NO-BREAK SPACE}", "日本語", "🎬"]),
        ("C:/x", ["C:", "x"]),
    ],
)
def test_valid_paths_are_split_into_components(path: str, components: list[str]) -> None:
    assert validate_path(path) == components


@given(st.text() | st.lists(st.text("./\\a\0", max_size=3)).map("/".join))
@example("a/b")
def test_components_of_any_accepted_path_are_safe(path: str) -> None:
    try:
        components = validate_path(path)
    except NotFoundError:
        return
    assert "/".join(components) == path
    assert components
    for name in components:
        assert name not in ("", ".", "..")
        assert not set(name) & {"/", "\\", "\0", "\n", "\r"}
        assert name.encode()  # it can be encoded as UTF-8


# Versions


def version(size: int, nanoseconds: int, folder: Path) -> str:
    file = folder / "version"
    file.write_bytes(bytes(size))
    os.utime(file, ns=(0, nanoseconds))
    return revision(file.stat())


def test_a_revision_stays_with_size_and_time_and_differs_with_either(tmp_path: Path) -> None:
    one = version(5, 10**18, tmp_path)
    assert version(5, 10**18, tmp_path) == one  # another time, and so another copy
    assert version(6, 10**18, tmp_path) != one
    assert version(5, 10**18 + 1, tmp_path) != one
    assert version(0x51, 0, tmp_path) != version(5, 0x10, tmp_path)


@given(st.tuples(*[st.integers(0, 2**63)] * 2), st.tuples(*[st.integers(0, 2**63)] * 2))
def test_two_versions_never_share_a_revision(one: tuple[int, int], two: tuple[int, int]) -> None:
    def of(size: int, nanoseconds: int) -> str:
        times: dict[str, Any] = {"st_mtime_ns": nanoseconds}
        fields = (stat.S_IFREG, 1, 1, 1, 0, 0, size, 0, nanoseconds // 10**9, 0)
        return revision(os.stat_result(fields, times))

    assert (of(*one) == of(*two)) == (one == two)


def test_an_empty_files_revision_begins_with_zero(tmp_path: Path) -> None:
    # nginx/njs/cache_lookup.js recognises an empty file by this.
    assert version(0, 10**18, tmp_path).startswith("0-")
    assert not version(0x10, 10**18, tmp_path).startswith("0-")


@pytest.mark.parametrize(
    ("age", "settled"),
    [
        (0, False),
        (1, False),  # a second change within the same second would have the same date
        (60, True),
        (10**9, True),
        # From the future, by a wrong clock: no later change gets that timestamp.
        (-3600, True),
    ],
)
async def test_a_file_is_stable_when_no_later_change_can_share_its_time(
    storage: LocalStorage,
    media: Path,
    monkeypatch: pytest.MonkeyPatch,
    age: int,
    settled: bool,  # noqa: FBT001 # a column of the table
) -> None:
    now = 2_000_000_000.5

    class Clock:
        time = staticmethod(lambda: now)

    monkeypatch.setattr(files, "time", Clock)
    os.utime(media / "film.mp4", (0, now - age))
    source = await storage.open("film.mp4")
    assert source.representation.validators.is_stable is settled
    source.close()


@pytest.mark.parametrize(
    ("modified", "changed", "settled", "dated"),
    [  # seconds before now: the kernel's two timestamps
        (0, 0, False, False),
        (1.5, 1.5, False, False),
        (2.5, 2.5, True, True),  # the second of the date is over, and so is the kernel's tick
        (3600, 3600, True, True),
        (3600, 0, True, True),  # renamed just now, or copied with its times
        (3600, -5, True, True),
        (1, 3600, False, False),  # its date was set by a program, and has only just been reached
        # In the future: set by a copy from a machine whose clock is ahead.
        (-1, 3600, False, False),
        (-3, 3600, True, False),
        (-1e9, 2.5, True, False),
        (-1e9, 1.5, False, False),  # it may be being written now
        # Set by a file server whose clock is ahead: the real time is unknown.
        (-3, -3, False, False),
        (-1e9, -1e9, False, False),
        (-1e9, 0, False, False),
    ],
)
async def test_a_file_that_may_still_change_is_not_stable_and_a_future_date_is_no_validator(  # noqa: PLR0913, PLR0917 # two fixtures and a table
    storage: LocalStorage,
    media: Path,
    monkeypatch: pytest.MonkeyPatch,
    modified: float,
    changed: float,
    settled: bool,  # noqa: FBT001 # a column of the table
    dated: bool,  # noqa: FBT001
) -> None:
    """RFC 9110 §8.8.1 and §8.8.2.2. Only the kernel sets a ctime, so the clock is moved."""
    at = round(time.time() + changed - modified, 3)
    os.utime(media / "film.mp4", ns=(0, round(at * 1000) * 10**6))
    now = at + modified

    class Clock:
        time = staticmethod(lambda: now)

    monkeypatch.setattr(files, "time", Clock)
    source = await storage.open("film.mp4")
    validators = source.representation.validators
    source.close()
    assert (validators.is_stable, validators.date_is_validator) == (settled, dated)
    assert validators.last_modified <= now  # RFC 9110 §8.8.2.1


async def test_an_open_file_has_size_type_and_date(storage: LocalStorage, media: Path) -> None:
    os.utime(media / "film.mp4", ns=(0, 784111777_999_999_999))
    source = await storage.open("film.mp4")
    representation = source.representation
    source.close()
    assert (representation.size, representation.content_type) == (SIZE, "video/mp4")
    assert representation.validators.last_modified == 784111777  # whole seconds, never rounded up
    assert representation.validators.revision == f"{SIZE:x}-{784111777_999_999_999:x}"


async def test_last_modified_is_never_in_the_future(storage: LocalStorage, media: Path) -> None:
    # RFC 9110 §8.8.2.1: a date later than the message's own MUST be replaced by the message's.
    ahead = time.time() + 86400
    os.utime(media / "film.mp4", (ahead, ahead))
    source = await storage.open("film.mp4")
    source.close()
    assert source.representation.validators.last_modified <= time.time()


async def test_links_to_folders_are_followed_only_if_they_may(media: Path) -> None:
    make_odd_things(media)
    (media / "sub/link.mp4").symlink_to("../film.mp4")
    (media / "link-by-folder.mp4").symlink_to("folder-in/inside.mp4")
    storage = LocalStorage(media, through_links=False)
    for path in ("sub/inside.mp4", "link-in.mp4", "sub/link.mp4", "link-by-folder.mp4"):
        (await storage.open(path)).close()
    for path in ("folder-in/inside.mp4", "folder-in/link.mp4"):
        (await LocalStorage(media).open(path)).close()
        with pytest.raises(NotFoundError):
            await storage.open(path)
    await until(lambda: not open_below(media.parent))
