import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache
from service.catalogue.catalogue import Catalogue
from service.database.database import FILE_NAME
from service.library import library as module
from service.library import scan_timing
from service.library.library import Library
from service.library.scan_timing import ScanTiming, next_scan
from service.library.sources import LibrarySources
from service.metrics import Metrics
from service.models import Metadata, ProbeState
from service.naming.sidecars import NO_SIDECARS, Sidecars
from service.playability.findings import findings_of_file
from service.probing.prober import ProbeFailure
from service.storage.base import Entry, FolderListing, OpenRepresentation, group_by_folder
from service.storage.media_root import MediaRoot, ObjectRef
from service.supervisor import Supervisor
from service.workers import playback_activity as playback_module
from service.workers.playback_activity import PlaybackActivity

KNOWN = Metadata(container="mp4", duration=1.0, bit_rate=None, streams=())
TIMEOUT = 120  # seconds, after which a test that waits for something fails


def entry(path: str, revision: str = "1-1") -> Entry:
    return Entry(path, 1, revision, 1.0, 1.0)


class Folder:
    """A storage that records its listings and their threads."""

    def __init__(self, count: int) -> None:
        self.files = [entry(f"{number}.mp4") for number in range(count)]
        self.listings = 0
        self.threads: set[threading.Thread] = set()

    def list_folders(self, known: Mapping[str, bytes]) -> Iterator[FolderListing]:
        self.threads.add(threading.current_thread())
        yield from group_by_folder(list(self.files), known)
        self.listings += 1

    async def open(self, path: str, expected: str | None = None) -> OpenRepresentation:
        raise NotImplementedError


class RecordingCache(ProbeCache):
    """A probe cache that records its loads and their threads."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FolderArtefactStore(folder, 1 << 30))
        self.loads: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.gate = threading.Event()
        self.gate.set()

    def load(self, path: str, revision: str) -> Metadata | ProbeFailure | None:
        self.loads.append(path)
        self.threads.add(threading.current_thread())
        if path == "second.mp4":
            assert self.gate.wait(TIMEOUT)
        return super().load(path, revision)


class RecordingProber:
    """A prober that records the files it is asked to probe."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.result: Metadata | ProbeFailure = KNOWN
        self.gate = asyncio.Event()
        self.gate.set()

    async def probe(self, file: ObjectRef) -> Metadata | ProbeFailure:
        self.paths.append(file.path)
        await self.gate.wait()
        return self.result


class Running:
    """A library that scans without a pause, and its collaborators."""

    def __init__(self, root: Path, count: int) -> None:
        self.folder = Folder(count)
        self.cache = RecordingCache(root / "derived")
        self.prober = RecordingProber()
        self.playback = PlaybackActivity()
        self.sources = LibrarySources(Catalogue(), {})
        self.metrics = Metrics()
        self.supervisor = Supervisor(self.metrics.background_failures)
        (root / "media").mkdir()
        self.library = Library(
            storage=self.folder,
            media_root=MediaRoot(root / "media"),
            prober=self.prober,
            probe_cache=self.cache,
            listener=self,
            playback=self.playback,
            metrics=self.metrics,
            timing=ScanTiming(rescan_interval=0.01, settle_time=0),
            judge=partial(findings_of_file, block=4 << 20, makes_sound=True),
            database_folder=root / "derived",
        )

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not condition():  # noqa: ASYNC110 # the condition changes in other threads
                await asyncio.sleep(0.005)

    async def until_probed(self, count: int) -> None:
        await self.until(lambda: self.states() == [ProbeState.PROBED] * count)

    async def scans(self) -> None:
        """Wait for a scan that begins after the call, and for its effects."""
        listings = self.folder.listings
        await self.until(lambda: self.folder.listings >= listings + 3)

    def set_sources(self, sources: LibrarySources) -> None:
        self.sources = sources

    def states(self) -> list[ProbeState]:
        return [video.state for video in self.library.catalogue.videos]

    def forget_counts(self) -> None:
        self.cache.loads.clear()
        self.prober.paths.clear()


def revision(running: Running, path: str) -> str | None:
    video = running.library.catalogue.get(path)
    return video.revision if video else None


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """Start a library of a hundred videos."""
    monkeypatch.setattr(scan_timing, "_MIN_SCAN_PAUSE", 0)
    running_library = Running(tmp_path, 100)
    running_library.library.start(running_library.supervisor)
    yield running_library
    running_library.cache.gate.set()
    await running_library.supervisor.stop()
    running_library.library.close()


@pytest.mark.parametrize(
    ("duration", "interval", "expected"),
    [
        (0.01, 60, (1, 60)),  # a small folder: a change waits a second at most
        (0.01, 0.2, (1, 1)),  # files may have settled: after a second, with others
        (5, 60, (5, 60)),
        (60, 60, (60, 60)),  # a listing takes a minute: it is not outdated for ten
        (600, 60, (600, 600)),
    ],
)
def test_the_pause_before_a_scan_is_the_duration_of_the_last_one_or_the_interval(
    duration: float, interval: float, expected: tuple[float, float]
) -> None:
    assert next_scan(duration, interval) == expected


@given(duration=st.floats(0, 1e6), interval=st.floats(0, 1e6))
def test_scans_take_at_most_half_of_the_time_and_are_never_late(
    duration: float, interval: float
) -> None:
    earliest, latest = next_scan(duration, interval)
    assert duration <= earliest <= latest
    assert latest <= max(duration, interval, 1)


async def test_the_pause_before_a_scan_follows_from_the_duration_of_the_last_one(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, durations = running.folder.list_folders, [0.0]

    def slowly(known: Mapping[str, bytes]) -> Iterator[FolderListing]:
        time.sleep(0.05)
        yield from folders(known)

    def without_pause(duration: float, interval: float) -> tuple[float, float]:
        durations.append(duration)
        return 0, 0

    monkeypatch.setattr(module, "next_scan", without_pause)
    monkeypatch.setattr(running.folder, "list_folders", slowly)
    await running.until(lambda: durations[-1] >= 0.05)


async def test_probing_pauses_after_each_file_during_playback(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playback_module, "_YIELD_SECONDS", 3600)
    await running.until_probed(100)
    running.playback.record()
    running.forget_counts()
    running.folder.files.extend(entry(f"added {number}.mp4") for number in range(2))
    await running.until(lambda: running.prober.paths)
    await running.scans()
    assert len(running.library.catalogue.videos) == 102  # both are listed nevertheless
    assert len(running.prober.paths) == 1


async def test_a_scan_without_changes_only_lists_the_storage(running: Running) -> None:
    await running.until_probed(100)
    await running.scans()
    running.forget_counts()
    before = running.library.catalogue
    await running.scans()
    assert running.library.catalogue is before
    assert running.cache.loads == []
    assert running.prober.paths == []


async def test_only_an_added_file_is_probed(running: Running) -> None:
    await running.until_probed(100)
    await running.scans()
    running.forget_counts()
    before = running.library.catalogue
    running.folder.files.append(entry("added.mp4"))
    await running.until_probed(101)
    assert set(running.cache.loads) == {"added.mp4"}
    assert running.prober.paths == ["added.mp4"]
    for video in before.videos:
        assert running.library.catalogue.get(video.path) is video


async def test_only_a_replaced_file_is_probed(running: Running) -> None:
    await running.until_probed(100)
    await running.scans()
    running.forget_counts()
    before = running.library.catalogue
    running.folder.files[7] = entry("7.mp4", "2-2")
    await running.until(lambda: revision(running, "7.mp4") == "2-2")
    await running.until_probed(100)
    assert running.prober.paths == ["7.mp4"]
    changed = [
        video.path
        for video in running.library.catalogue.videos
        if video is not before.get(video.path)
    ]
    assert changed == ["7.mp4"]


async def test_a_removed_file_causes_no_work_and_is_forgotten(running: Running) -> None:
    running.prober.result = ProbeFailure("no room", "failed", lasting=False)
    running.folder.files.append(entry("odd.mp4"))
    await running.until(lambda: "odd.mp4" in running.prober.paths)
    await running.until(lambda: ProbeState.PENDING not in running.states())
    odd = running.folder.files.pop()
    await running.until(lambda: running.library.catalogue.get("odd.mp4") is None)
    running.forget_counts()
    await running.scans()
    assert (running.cache.loads, running.prober.paths) == ([], [])
    running.folder.files.append(odd)  # its earlier failure does not count
    await running.until(lambda: running.prober.paths == ["odd.mp4"])


async def test_a_file_probed_during_a_scan_is_not_probed_again(running: Running) -> None:
    await running.until_probed(100)
    running.forget_counts()
    running.prober.gate.clear()
    running.folder.files.append(entry("first.mp4"))
    await running.until(lambda: running.prober.paths == ["first.mp4"])
    running.cache.gate.clear()
    running.folder.files.append(entry("second.mp4"))
    loaded = len(running.cache.loads)
    await running.until(lambda: "second.mp4" in running.cache.loads[loaded:])
    running.prober.gate.set()  # during that scan, which finds the first file new
    await running.until(lambda: ProbeState.PENDING not in running.states())
    running.cache.gate.set()
    await running.until_probed(102)
    assert running.prober.paths == ["first.mp4", "second.mp4"]


async def test_listing_loading_and_building_run_outside_the_event_loop(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders: set[threading.Thread] = set()
    init = Catalogue.__init__

    def noting(self: Catalogue, *args: Any) -> None:
        builders.add(threading.current_thread())
        init(self, *args)

    monkeypatch.setattr(Catalogue, "__init__", noting)
    running.folder.files.append(entry("added.mp4"))
    await running.until_probed(101)
    for threads in (running.folder.threads, running.cache.threads, builders):
        assert threads
        assert threading.current_thread() not in threads


async def test_a_lasting_failure_is_kept_and_a_transient_one_retried_when_the_file_changes(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.until_probed(100)
    running.prober.result = ProbeFailure("no video", "failed")
    running.folder.files.append(entry("lasting.mp4"))
    await running.until(lambda: ProbeState.FAILED in running.states())
    running.prober.result = ProbeFailure("permission denied", "failed", lasting=False)
    running.folder.files.append(entry("passing.mp4"))
    await running.until(lambda: running.states().count(ProbeState.FAILED) == 2)
    await running.scans()
    assert isinstance(running.cache.load("lasting.mp4", "1-1"), ProbeFailure)
    assert running.cache.load("passing.mp4", "1-1") is None
    running.forget_counts()
    await running.scans()
    assert running.prober.paths == []  # nothing has changed
    running.prober.result = KNOWN
    running.folder.files = [replace(file, changed_at=2.0) for file in running.folder.files]
    await running.until(lambda: running.states().count(ProbeState.PROBED) == 101)
    assert running.prober.paths == ["passing.mp4"]


async def test_sidecars_belong_to_their_video_and_are_not_listed(running: Running) -> None:
    await running.until_probed(100)
    running.folder.files += [
        entry("a/film.mp4"),
        entry("a/film.en.vtt"),
        entry("a/film.jpg"),
        entry("b/other.mp4"),
    ]
    await running.until_probed(102)
    before = running.sources.get("a/film.mp4")
    assert before is not None
    assert before.sidecars == Sidecars(entry("a/film.jpg"), None, (entry("a/film.en.vtt"),))
    other = running.sources.get("b/other.mp4")
    assert other is not None
    assert other.sidecars == NO_SIDECARS
    running.forget_counts()
    running.folder.files[101] = entry("a/film.en.vtt", "2-2")  # edited
    await running.until(lambda: running.sources.get("a/film.mp4") is not before)
    after = running.sources.get("a/film.mp4")
    assert after is not None
    assert after.captions != before.captions
    assert after.poster == before.poster
    assert after.video == before.video
    assert running.prober.paths == []


async def test_a_database_that_is_damaged_while_it_is_used_is_replaced(
    running: Running, tmp_path: Path
) -> None:
    await running.until_probed(100)
    running.forget_counts()
    for suffix in ("", "-wal"):
        os.truncate(tmp_path / f"derived/{FILE_NAME}{suffix}", 0)
    running.folder.files.append(entry("added.mp4"))
    await running.until(lambda: len(running.library.catalogue.videos) == 101)
    await running.until_probed(101)
    assert running.prober.paths == ["added.mp4"]  # the results of the others are stored
