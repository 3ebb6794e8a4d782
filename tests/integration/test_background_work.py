"""Background work of the whole application continues after unexpected errors."""

import asyncio
import gc
import signal
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from support.ffmpeg_fixtures import ffmpeg
from support.server import serve, write

from service import supervisor
from service.artefact_store.folder import FolderArtefactStore
from service.composition.app import create_app
from service.library import library, scan_timing, snapshot, watcher
from service.library.probes import Probes
from service.representations import fast_start
from service.scheduling.scheduler import ArtefactScheduler
from service.settings.environment import load
from service.storage.local.folder import LocalStorage
from service.workers import pool

TIMEOUT = 300  # seconds until a wait in a test times out
NEVER = 86_400
THREADS = ("derived", "disk", "index", "jpeg", "layouts", "watch")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a real video of one second."""
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1")
    return ffmpeg(file, *source, "-c:v", "mpeg4").read_bytes()


@pytest.fixture
def media(tmp_path: Path, clip: bytes) -> Path:
    """Make a folder with one video."""
    write(tmp_path / "media", "clip.mp4", clip)
    return tmp_path / "media"


@pytest.fixture
def app(media: Path, monkeypatch: pytest.MonkeyPatch) -> Quart:
    """Build an application that retries failed work soon and scans only after changes."""
    monkeypatch.setattr(supervisor, "_MIN_DELAY", 0.01)
    monkeypatch.setattr(supervisor, "_MAX_DELAY", 0.01)
    settings = {"MEDIA": str(media), "DERIVED": str(media.parent / "derived")}
    settings |= {"RESCAN_INTERVAL": str(NEVER), "SETTLE_TIME": "0"}
    return create_app(load({f"REELAY_{name}": value for name, value in settings.items()}))


class Faulty:
    """A function or method that raises on the given calls, counted from 0."""

    def __init__(
        self, function: Callable[..., Any], calls: range, error: type[Exception] = RuntimeError
    ) -> None:
        self._function = function
        self.calls = calls
        self._error = error
        self.count = 0

    def __call__(self, *args: Any) -> Any:
        self.count += 1
        if self.count - 1 in self.calls:
            raise self._error("what no code expects")
        return self._function(*args)

    def __get__(self, owner: object, _: type) -> Callable[..., Any]:
        return lambda *args: self(owner, *args)


FIRST, SECOND, ALL, NONE = range(1), range(1, 2), range(10**9), range(0)


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> None:
    """Poll until the result is true."""
    try:
        async with asyncio.timeout(TIMEOUT):
            while not await condition():  # noqa: ASYNC110 # threads and processes set no event
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise AssertionError(f"not within {TIMEOUT} s: {what}") from error


async def metric(app: Quart, series: str) -> float:
    text = await (await app.test_client().get("/metrics")).get_data(as_text=True)
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return float(values.get(series, 0))  # a series appears with its first count


async def failures(app: Quart, task: str) -> float:
    return await metric(app, f'reelay_background_failures_total{{task="{task}"}}')


async def video(app: Quart, path: str = "clip.mp4") -> Any:
    return await (await app.test_client().get(f"/api/videos/{path}")).get_json()


async def until_listed(app: Quart, path: str) -> None:
    async def is_listed() -> bool:
        return bool((await video(app, path)).get("path") == path)

    await until(is_listed, f"{path} is listed")


async def until_poster_is_ready(app: Quart) -> None:
    async def is_ready() -> bool:
        return bool((await video(app)).get("poster", {}).get("state") == "ready")

    await until(is_ready, "the poster is ready")


async def until_failures(app: Quart, task: str, count: int) -> None:
    async def have_failed() -> bool:
        return await failures(app, task) >= count

    await until(have_failed, f"{task} has failed {count} times")


async def readiness(app: Quart) -> int:
    return (await app.test_client().get("/readyz")).status_code


async def until_readiness(app: Quart, status: int) -> None:
    async def is_answered() -> bool:
        return await readiness(app) == status

    await until(is_answered, f"/readyz answers {status}")


# One error


async def test_scanning_continues_after_an_error(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStorage, "list_folders", Faulty(LocalStorage.list_folders, FIRST))
    async with app.test_app():
        await until_listed(app, "clip.mp4")
        assert await failures(app, "scanning the library") == 1
        assert await metric(app, 'reelay_scans_total{outcome="failed"}') == 1
        assert await readiness(app) == 200


@pytest.mark.parametrize(
    ("calls", "task"), [(FIRST, "scanning the library"), (SECOND, "probing videos")]
)
async def test_a_failed_listing_is_retried(
    app: Quart, monkeypatch: pytest.MonkeyPatch, calls: range, task: str
) -> None:
    """The first listing shows what a scan found; the second, what probing added."""
    monkeypatch.setattr(library, "build_snapshot", Faulty(snapshot.build_snapshot, calls))
    async with app.test_app():
        await until_poster_is_ready(app)
        assert await failures(app, task) == 1
        assert await readiness(app) == 200


async def test_a_probe_error_is_reported_and_other_files_are_probed(
    app: Quart, monkeypatch: pytest.MonkeyPatch, media: Path, clip: bytes
) -> None:
    write(media, "other.mp4", clip)
    monkeypatch.setattr(Probes, "_probe", Faulty(Probes._probe, FIRST))  # noqa: SLF001
    async with app.test_app():
        both: list[Any] = []

        async def are_probed() -> bool:
            both[:] = [await video(app, path) for path in ("clip.mp4", "other.mp4")]
            return all(each.get("state", "pending") != "pending" for each in both)

        await until(are_probed, "both have been probed")
        assert sorted(each["state"] for each in both) == ["failed", "probed"]
        assert "The server failed over it: see its log." in [each["problem"] for each in both]


async def test_watching_continues_after_an_error(
    app: Quart, monkeypatch: pytest.MonkeyPatch, media: Path, clip: bytes
) -> None:
    # ValueError: other errors mean that the folder cannot be watched.
    monkeypatch.setattr(library, "watch_changes", Faulty(watcher.watch_changes, FIRST, ValueError))
    monkeypatch.setattr(library, "POLL_INTERVAL", NEVER)  # so that only events lead to scans
    monkeypatch.setattr(watcher, "_QUIET_INTERVAL", 20)
    async with app.test_app():
        await until_failures(app, "watching the folder", 1)
        for name in ("one.mp4", "two.mp4"):
            write(media, name, clip)
            await until_listed(app, name)
        assert await failures(app, "watching the folder") == 1


async def test_changes_made_while_the_folder_was_not_watched_are_noticed(
    app: Quart, monkeypatch: pytest.MonkeyPatch, media: Path, clip: bytes
) -> None:
    may_begin = asyncio.Event()

    async def begin_later(root: Path) -> AsyncGenerator[bool]:
        await may_begin.wait()
        async for changed in watcher.watch_changes(root):
            yield changed

    monkeypatch.setattr(library, "watch_changes", Faulty(begin_later, FIRST, ValueError))
    monkeypatch.setattr(library, "POLL_INTERVAL", NEVER)
    monkeypatch.setattr(watcher, "_QUIET_INTERVAL", 20)
    async with app.test_app():
        await until_failures(app, "watching the folder", 1)
        await until_listed(app, "clip.mp4")
        write(media, "one.mp4", clip)
        may_begin.set()
        await until_listed(app, "one.mp4")


async def test_eviction_continues_after_an_error(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    evict = Faulty(FolderArtefactStore.evict, FIRST)
    monkeypatch.setattr(FolderArtefactStore, "evict", evict)
    async with app.test_app():

        async def has_been_swept_again() -> bool:
            return evict.count > 1

        await until(has_been_swept_again, "it is swept again")
        assert await failures(app, "evicting artefacts") == 1
        assert await readiness(app) in {200, 503}  # depends on whether the first scan has ended
        await until_readiness(app, 200)


# Permanent errors


@pytest.mark.parametrize(
    ("owner", "name", "task"),
    [
        (LocalStorage, "list_folders", "scanning the library"),
        (library, "build_snapshot", "scanning the library"),
        (library, "watch_changes", "watching the folder"),
        (FolderArtefactStore, "evict", "evicting artefacts"),
    ],
)
async def test_the_service_is_not_ready_while_background_work_keeps_failing(
    app: Quart, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, task: str
) -> None:
    faulty = Faulty(getattr(owner, name), ALL, ValueError)
    monkeypatch.setattr(owner, name, faulty)
    monkeypatch.setattr(watcher, "_QUIET_INTERVAL", 20)
    async with app.test_app():
        await until_failures(app, task, 5)
        answer = await app.test_client().get("/readyz")
        assert answer.status_code == 503
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Retry-After"] == "1"
        assert (await answer.get_json())["detail"] == f"Background work keeps failing: {task}."
        assert (await app.test_client().get("/healthz")).status_code == 200
        assert (await app.test_client().get("/media/clip.mp4")).status_code == 200
        faulty.calls = NONE
        await until_readiness(app, 200)
        await until_listed(app, "clip.mp4")


async def test_the_service_stays_ready_while_the_storage_cannot_be_listed(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scans expect the storage to be unavailable at times; serving does not depend on scans."""
    later = range(1, 10**9)
    monkeypatch.setattr(
        LocalStorage, "list_folders", Faulty(LocalStorage.list_folders, later, OSError)
    )
    monkeypatch.setattr(library, "inotify_is_complete", lambda _: False)
    monkeypatch.setattr(library, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(scan_timing, "_MIN_SCAN_PAUSE", 0.01)
    async with app.test_app():

        async def have_failed() -> bool:
            return await metric(app, 'reelay_scans_total{outcome="failed"}') >= 10

        await until_readiness(app, 200)
        await until(have_failed, "ten scans have failed")
        assert await readiness(app) == 200
        assert await failures(app, "scanning the library") == 0


async def test_a_scan_that_hangs_can_be_seen(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    listing, answers = LocalStorage.list_folders, threading.Event()

    def hang(storage: LocalStorage, known: Mapping[str, bytes]) -> Any:
        answers.wait(TIMEOUT)
        return listing(storage, known)

    async def start() -> float:
        return await metric(app, "reelay_scan_start_timestamp_seconds")

    async def has_ended() -> bool:
        return await start() == 0

    monkeypatch.setattr(LocalStorage, "list_folders", hang)
    before = time.time()
    async with app.test_app():
        await until(start, "a scan has begun")
        assert before <= await start() <= time.time()
        answers.set()
        await until_listed(app, "clip.mp4")
        await until(has_ended, "it has ended")


# Shutdown


def threads() -> set[str]:
    names = {thread.name.partition("_")[0] for thread in threading.enumerate()}
    return names.intersection(THREADS)


def processes() -> set[str]:
    """Return the identifiers of this process's children."""
    pids: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            pids.update((task / "children").read_text().split())
    return pids


@pytest.fixture
async def nothing_is_left() -> Callable[[], Awaitable[bool]]:
    """Return a check that the application has left no threads and no new processes."""

    async def no_threads_are_left() -> bool:
        gc.collect()  # applications that were never started: their threads end with them
        return not threads()

    await until(no_threads_are_left, "what other tests began has ended")
    before = processes()

    async def nothing_is_left() -> bool:
        return not threads() and processes() <= before

    return nothing_is_left


@pytest.fixture
def _idle_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep idle worker processes running."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 600.0)


@pytest.mark.usefixtures("_idle_processes")
async def test_shutdown_closes_everything_that_was_opened(
    app: Quart,
    nothing_is_left: Callable[[], Awaitable[bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_start, "_SHORT_MOOV", 0)  # treat the clip's moov as a long one
    tasks, before = asyncio.all_tasks(), processes()
    async with app.test_app():
        await until_poster_is_ready(app)
        for target in ("/download/clip.mp4", "/media/clip.mp4", "/posters/clip.mp4.jpg"):
            assert (await app.test_client().get(target)).status_code == 200

        async def everything_is_open() -> bool:
            return threads() == set(THREADS) and bool(processes() - before)

        await until(everything_is_open, "all threads and processes run")
    assert asyncio.all_tasks() == tasks
    await until(nothing_is_left, "threads and processes have ended")


def test_a_close_slower_than_the_drain_timeout_is_not_started_twice(media: Path) -> None:
    with serve(media, module="tests.support.slow_end", DRAIN_TIMEOUT="1") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == 0
    assert server.lines.count("everything has been stopped") == 1
    assert server.logged("stopped")
    assert not [line for line in server.lines if "Traceback" in line]


async def test_a_failed_start_closes_everything_that_was_opened(
    app: Quart,
    nothing_is_left: Callable[[], Awaitable[bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks = asyncio.all_tasks()
    monkeypatch.setattr(ArtefactScheduler, "start", Faulty(ArtefactScheduler.start, ALL))
    await app.test_client().get("/download/clip.mp4")
    assert threads() == {"disk"}
    with pytest.raises(RuntimeError, match="what no code expects"):
        await app.startup()
    assert asyncio.all_tasks() == tasks
    await until(nothing_is_left, "threads and processes have ended")
