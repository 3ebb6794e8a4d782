"""When a file counts as settled."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache
from service.library.files import FolderFiles, match_files
from service.library.known import open_known
from service.library.known_scan import ScanResult, scan_known
from service.library.scan import scan
from service.storage.base import (
    Entry,
    FolderListing,
    OpenRepresentation,
    Storage,
    group_by_folder,
)

SETTLE = 1000.0  # seconds, longer than any test takes
HOUR = 3600.0


class Folder:
    """A storage with one file, changed `age` seconds ago."""

    def __init__(self, age: float) -> None:
        self.entry = Entry("film.mp4", 1, "1-1", 1.0, time.time() - age)

    def list_folders(self, known: Mapping[str, bytes]) -> Iterator[FolderListing]:
        return group_by_folder([self.entry], known)

    async def open(self, path: str, expected: str | None = None) -> OpenRepresentation:
        raise NotImplementedError


class Scanned:
    """A library that is scanned again and again."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.known = open_known(None, "")

    def scan(self, settle: float = SETTLE) -> ScanResult:
        is_first = self.known.is_first
        do_scan = partial(scan, self._storage, settle, self.known, is_first=is_first)
        with tempfile.TemporaryDirectory() as root:
            cache = ProbeCache(FolderArtefactStore(Path(root), 1 << 20))
            result = scan_known(self.known, do_scan, cache, {})
        self.known.update(result.scan, {})
        return result

    def files(self) -> list[str]:
        """Return the paths of what is listed."""
        return [video.path for video in self.known.writer.catalogue.videos]

    def found(self) -> dict[str, FolderFiles]:
        """Return what was found in the folders that have something."""
        folders = {path: self.known.get(path) for path in self.known.digests}
        found = {path: match_files(path, one.settled) for path, one in folders.items() if one}
        return {path: one for path, one in found.items() if any(one)}


@pytest.mark.parametrize(
    ("age", "listed"),
    [(HOUR, True), (SETTLE + 1, True), (SETTLE / 2, False), (-SETTLE / 2, False), (-HOUR, True)],
)
def test_the_first_scan_decides_by_the_change_time(
    age: float,
    listed: bool,  # noqa: FBT001 # a column of the table
) -> None:
    library = Scanned(Folder(age))
    result = library.scan()
    assert bool(library.files()) is listed
    assert (result.scan.unsettled is None) is listed


@pytest.mark.parametrize("age", [HOUR, -HOUR])
def test_a_new_revision_is_unsettled_whatever_its_change_time(age: float) -> None:
    folder = Folder(HOUR)
    library = Scanned(folder)
    library.scan()
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time() - age)
    result = library.scan()
    assert not library.files()
    assert result.scan.unsettled == pytest.approx(SETTLE, abs=60)
    library.scan(settle=0)
    assert library.files()  # unchanged for long enough


def test_a_settled_file_stays_settled_until_its_revision_changes() -> None:
    folder = Folder(HOUR)
    library = Scanned(folder)
    library.scan()
    folder.entry = replace(folder.entry, changed_at=time.time())  # a change of its permissions
    library.scan()
    assert library.files()
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time())
    library.scan()
    assert not library.files()


class Tree:
    """A storage with some files."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.listed: list[str] = []

    def put(self, path: str, version: int) -> None:
        self.entries[path] = Entry(path, version, f"{version}-1", 1.0, 1.0)

    def list_folders(self, known: Mapping[str, bytes]) -> Iterator[FolderListing]:
        for listing in group_by_folder(self.entries.values(), known):
            if listing.entries is not None:
                self.listed.append(listing.path)
            yield listing

    async def open(self, path: str, expected: str | None = None) -> OpenRepresentation:
        raise NotImplementedError


names = st.sampled_from(["1.mp4", "a/1.mp4", "a/2.mp4", "a/1.jpg", "a/b/1.mp4", "a/b/poster.jpg"])
steps = st.lists(st.dictionaries(names, st.integers(0, 2)), min_size=1, max_size=5)


@given(steps)
def test_a_scan_after_others_finds_what_a_first_one_does(versions: list[dict[str, int]]) -> None:
    """Version 0 is a file that is removed."""
    tree = Tree()
    library = Scanned(tree)
    for changes in versions:
        before = library.found()
        for path, version in changes.items():
            tree.put(path, version)
            if not version:
                del tree.entries[path]
        last = library.scan(settle=0)
        fresh = Scanned(tree)
        fresh.scan(settle=0)
        assert library.found() == fresh.found()
        assert last.is_changed is (library.found() != before)
        films = {path for path in tree.entries if path.endswith(".mp4")}
        assert {entry.path for entry in last.missing} == films
        assert set(library.files()) == films
        for video in fresh.known.writer.catalogue.videos:
            other = library.known.writer.catalogue.get(video.path)
            assert other == video
            sources = [one.known.writer.catalogue.source(video.path) for one in (library, fresh)]
            assert sources[0] == sources[1]
        fresh.known.close()
    library.known.close()


def test_only_a_changed_folder_is_matched_again() -> None:
    tree = Tree()
    library = Scanned(tree)
    for number in range(20):
        tree.put(f"{number % 4}/{number}.mp4", 1)
    library.scan(settle=0)
    first = library.known.writer.catalogue
    tree.listed.clear()
    second = library.scan(settle=0)
    assert (tree.listed, second.is_changed) == ([], False)
    tree.put("3/19.mp4", 2)
    third = library.scan(settle=0)
    assert (tree.listed, third.is_changed) == (["3"], True)
    after = library.known.writer.catalogue
    changed = [path for path in tree.entries if after.number(path) != first.number(path)]
    assert changed == ["3/19.mp4"]
