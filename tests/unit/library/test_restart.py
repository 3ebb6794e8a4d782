"""A start finds what is known in the database; without it, the library is the same."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache
from service.database.database import FILE_NAME
from service.library import known as known_module
from service.library import scan as scan_module
from service.library.files import FolderFiles, match_files
from service.library.known import KnownLibrary, open_known
from service.library.known_scan import ScanResult, scan_known
from service.library.results import ProbeRecord
from service.library.scan import scan
from service.models import Metadata, ProbeState
from service.probing.prober import ProbeFailure
from service.storage.base import Entry
from service.storage.local.folder import LocalStorage

KNOWN = Metadata(container="mp4", duration=1.0, bit_rate=None, streams=())
LASTING = ProbeFailure("no video", "failed")
PASSING = ProbeFailure("no room", "failed", lasting=False)


class CountingCache(ProbeCache):
    """A probe cache that records what is loaded."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FolderArtefactStore(folder, 1 << 30))
        self.loads: list[str] = []

    def load(self, path: str, revision: str) -> Metadata | ProbeFailure | None:
        self.loads.append(path)
        return super().load(path, revision)


class Starts:
    """A library that is started again and again."""

    def __init__(self, root: Path) -> None:
        self.media, self.derived = root / "media", root / "derived"
        self.matched: list[str] = []
        self.known: KnownLibrary | None = None
        for folder in "ab":
            (self.media / folder).mkdir(parents=True)
            for number in range(10):
                (self.media / folder / f"{number}.mp4").write_bytes(b"film")
        (self.media / "a/poster.jpg").write_bytes(b"picture")
        self.start()

    def start(self) -> None:
        self.stop()
        self.cache = CountingCache(self.derived)
        self.known = open_known(self.derived, "")

    def stop(self) -> None:
        if self.known is not None:
            self.known.close()
            self.known = None

    def scan(self) -> ScanResult:
        assert self.known is not None
        self.matched.clear()
        storage = LocalStorage(self.media)
        do_scan = partial(scan, storage, 0.0, self.known, is_first=self.known.is_first)
        result = scan_known(self.known, do_scan, self.cache, {})
        self.known.update(result.scan, result.loaded)
        storage.close()
        return result

    def probe(self, missing: list[Entry], *, odd: ProbeFailure) -> None:
        assert self.known is not None
        for entry in missing:
            result = odd if entry.path == "a/3.mp4" else KNOWN
            self.cache.save(entry.path, entry.revision, result)
            record = ProbeRecord(result, entry.changed_at, 0.0)
            self.known.update(None, {(entry.path, entry.revision): record})

    def states(self) -> dict[str, ProbeState]:
        assert self.known is not None
        return {video.path: video.state for video in self.known.writer.catalogue.videos}


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starts]:
    library = Starts(tmp_path)

    def recorded(folder: str, entries: tuple[Entry, ...]) -> FolderFiles:
        library.matched.append(folder)
        return match_files(folder, entries)

    monkeypatch.setattr(scan_module, "match_files", recorded)
    yield library
    library.stop()


def test_a_start_with_everything_known_loads_no_result_and_matches_no_folder(
    starts: Starts,
) -> None:
    starts.probe(starts.scan().missing, odd=LASTING)
    before = starts.states()
    starts.start()
    result = starts.scan()
    assert (starts.cache.loads, starts.matched) == ([], [])
    assert (result.is_changed, result.missing) == (False, [])
    assert starts.states() == before
    assert before["a/3.mp4"] is ProbeState.FAILED
    assert starts.known is not None
    assert starts.known.images["a"].path == "a/poster.jpg"
    (starts.media / "b/new.mp4").write_bytes(b"film")
    starts.start()
    assert [entry.path for entry in starts.scan().missing] == ["b/new.mp4"]
    assert (starts.cache.loads, set(starts.matched)) == (["b/new.mp4"], {"b"})


def test_a_file_whose_failure_may_pass_is_probed_again_after_a_start(starts: Starts) -> None:
    starts.probe(starts.scan().missing, odd=PASSING)
    starts.start()
    assert [entry.path for entry in starts.scan().missing] == ["a/3.mp4"]


def test_without_the_database_everything_is_loaded_from_the_store(starts: Starts) -> None:
    starts.probe(starts.scan().missing, odd=LASTING)
    before = starts.states()
    starts.stop()
    (starts.derived / FILE_NAME).write_bytes(b"damaged" * 10_000)
    starts.start()
    result = starts.scan()
    assert (len(starts.cache.loads), result.missing) == (20, [])
    assert starts.states() == before


def test_a_damaged_row_costs_the_database_and_nothing_else(starts: Starts) -> None:
    starts.probe(starts.scan().missing, odd=LASTING)
    before = starts.states()
    assert starts.known is not None
    damage = "UPDATE video SET metadata = 'no JSON', episode = 'no JSON' WHERE path = 'b/7.mp4'"
    starts.known.database.writer.execute(damage)
    starts.start()  # which reads the names of all episodes
    starts.scan()
    assert starts.states() == before


def test_a_folder_on_another_machine_has_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_module, "inotify_is_complete", lambda _: False)
    known = open_known(tmp_path, "")
    assert not known.database.is_kept
    known.close()
    assert list(tmp_path.iterdir()) == []
