"""When a file counts as settled."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache
from service.library.scan import Scan, scan
from service.storage.base import Entry, OpenRepresentation

SETTLE = 1000.0  # seconds: no test takes so long
HOUR = 3600.0


class Folder:
    """A storage of one file, touched so many seconds ago."""

    def __init__(self, age: float) -> None:
        self.entry = Entry("film.mp4", 1, "1-1", 1.0, time.time() - age)

    def list_entries(self) -> Iterator[Entry]:
        yield self.entry

    async def open(self, path: str, expected: str | None = None) -> OpenRepresentation:
        raise NotImplementedError


def look(folder: Folder, root: Path, last: Scan | None = None, settle: float = SETTLE) -> Scan:
    probed = ProbeCache(FolderArtefactStore(root, 1 << 20))
    return scan(folder, probed, settle, {}, {}, last.observations if last else None)


@pytest.mark.parametrize(
    ("age", "listed"),
    [(HOUR, True), (SETTLE + 1, True), (SETTLE / 2, False), (-SETTLE / 2, False), (-HOUR, True)],
)
def test_at_the_start_the_stamp_says_it(tmp_path: Path, age: float, listed: bool) -> None:  # noqa: FBT001 # the answer is the table
    found = look(Folder(age), tmp_path)
    assert bool(found.files) is listed
    assert (found.unsettled is None) is listed


@pytest.mark.parametrize("age", [HOUR, -HOUR])
def test_a_stamp_of_another_clock_says_nothing_of_what_is_new(tmp_path: Path, age: float) -> None:
    folder = Folder(HOUR)
    last = look(folder, tmp_path)
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time() - age)
    found = look(folder, tmp_path, last)
    assert not found.files
    assert found.unsettled == pytest.approx(SETTLE, abs=60)
    assert look(folder, tmp_path, found, settle=0).files  # unchanged for long enough


def test_what_has_settled_stays_so_until_something_in_it_changes(tmp_path: Path) -> None:
    folder = Folder(HOUR)
    last = look(folder, tmp_path)
    folder.entry = replace(folder.entry, changed_at=time.time())  # its rights
    last = look(folder, tmp_path, last)
    assert last.files
    folder.entry = replace(folder.entry, revision="2-2", changed_at=time.time())
    assert not look(folder, tmp_path, last).files
