"""When a file counts as settled."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache
from service.library.files import NO_FILES
from service.library.scan import Scan, scan
from service.storage.base import Entry, OpenRepresentation

SETTLE = 1000.0  # seconds, longer than any test takes
HOUR = 3600.0


class Folder:
    """A storage with one file, changed `age` seconds ago."""

    def __init__(self, age: float) -> None:
        self.entry = Entry("film.mp4", 1, "1-1", 1.0, time.time() - age)

    def list_entries(self) -> Iterator[Entry]:
        yield self.entry

    async def open(self, path: str, expected: str | None = None) -> OpenRepresentation:
        raise NotImplementedError


def run_scan(folder: Folder, root: Path, last: Scan | None = None, settle: float = SETTLE) -> Scan:
    probed = ProbeCache(FolderArtefactStore(root, 1 << 20))
    return scan(folder, probed, settle, NO_FILES, {}, last.observations if last else None)


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
    assert bool(result.files.by_path) is listed
    assert (result.unsettled is None) is listed


@pytest.mark.parametrize("age", [HOUR, -HOUR])
def test_a_new_revision_is_unsettled_whatever_its_change_time(tmp_path: Path, age: float) -> None:
    folder = Folder(HOUR)
    last = run_scan(folder, tmp_path)
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time() - age)
    result = run_scan(folder, tmp_path, last)
    assert not result.files.by_path
    assert result.unsettled == pytest.approx(SETTLE, abs=60)
    assert run_scan(folder, tmp_path, result, settle=0).files.by_path  # unchanged for long enough


def test_a_settled_file_stays_settled_until_its_revision_changes(tmp_path: Path) -> None:
    folder = Folder(HOUR)
    last = run_scan(folder, tmp_path)
    folder.entry = replace(folder.entry, changed_at=time.time())  # a change of its permissions
    last = run_scan(folder, tmp_path, last)
    assert last.files.by_path
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time())
    assert not run_scan(folder, tmp_path, last).files.by_path
