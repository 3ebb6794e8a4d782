"""When a file counts as settled."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache
from service.library.files import FolderFiles
from service.library.scan import Scan, scan
from service.storage.base import Entry, FolderListing, OpenRepresentation, group_by_folder

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


def run_scan(folder: Folder, root: Path, last: Scan | None = None, settle: float = SETTLE) -> Scan:
    probed = ProbeCache(FolderArtefactStore(root, 1 << 20))
    return scan(folder, probed, settle, last.folders if last else None, {})


def files(result: Scan) -> list[Entry]:
    return [file.entry for folder in result.folders.values() for file in folder.found.files]


@pytest.mark.parametrize(
    ("age", "listed"),
    [(HOUR, True), (SETTLE + 1, True), (SETTLE / 2, False), (-SETTLE / 2, False), (-HOUR, True)],
)
def test_the_first_scan_decides_by_the_change_time(
    tmp_path: Path,
    age: float,
    listed: bool,  # noqa: FBT001 # a column of the table
) -> None:
    result = run_scan(Folder(age), tmp_path)
    assert bool(files(result)) is listed
    assert (result.unsettled is None) is listed


@pytest.mark.parametrize("age", [HOUR, -HOUR])
def test_a_new_revision_is_unsettled_whatever_its_change_time(tmp_path: Path, age: float) -> None:
    folder = Folder(HOUR)
    last = run_scan(folder, tmp_path)
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time() - age)
    result = run_scan(folder, tmp_path, last)
    assert not files(result)
    assert result.unsettled == pytest.approx(SETTLE, abs=60)
    assert files(run_scan(folder, tmp_path, result, settle=0))  # unchanged for long enough


def test_a_settled_file_stays_settled_until_its_revision_changes(tmp_path: Path) -> None:
    folder = Folder(HOUR)
    last = run_scan(folder, tmp_path)
    folder.entry = replace(folder.entry, changed_at=time.time())  # a change of its permissions
    last = run_scan(folder, tmp_path, last)
    assert files(last)
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time())
    assert not files(run_scan(folder, tmp_path, last))


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


def found(result: Scan) -> dict[str, FolderFiles]:
    """Return what was found in the folders that have something."""
    return {path: one.found for path, one in result.folders.items() if any(one.found)}


names = st.sampled_from(["1.mp4", "a/1.mp4", "a/2.mp4", "a/1.jpg", "a/b/1.mp4", "a/b/poster.jpg"])
steps = st.lists(st.dictionaries(names, st.integers(0, 2)), min_size=1, max_size=5)


@given(steps)
def test_a_scan_after_others_finds_what_a_first_one_does(versions: list[dict[str, int]]) -> None:
    """Version 0 is a file that is removed."""
    tree, last = Tree(), None
    with tempfile.TemporaryDirectory() as root:
        cache = ProbeCache(FolderArtefactStore(Path(root), 1 << 20))
        for changes in versions:
            before = None if last is None else found(last)
            for path, version in changes.items():
                tree.put(path, version)
                if not version:
                    del tree.entries[path]
            last = scan(tree, cache, 0, last.folders if last else None, {})
            fresh = scan(tree, cache, 0, None, {})
            assert found(last) == found(fresh)
            assert last.is_changed is (found(last) != before)
            assert {entry.path for entry in last.missing} == {
                path for path in tree.entries if path.endswith(".mp4")
            }


def test_only_a_changed_folder_is_matched_again(tmp_path: Path) -> None:
    tree = Tree()
    cache = ProbeCache(FolderArtefactStore(tmp_path, 1 << 20))
    for number in range(20):
        tree.put(f"{number % 4}/{number}.mp4", 1)
    first = scan(tree, cache, 0, None, {})
    tree.listed.clear()
    second = scan(tree, cache, 0, first.folders, {})
    assert (tree.listed, second.is_changed) == ([], False)
    tree.put("3/19.mp4", 2)
    third = scan(tree, cache, 0, second.folders, {})
    assert (tree.listed, third.is_changed) == (["3"], True)
    assert all(third.folders[path] is first.folders[path] for path in "012")
    before, after = first.folders["3"].found.files, third.folders["3"].found.files
    assert [old is new for old, new in zip(before, after, strict=True)] == [*(4 * [True]), False]
