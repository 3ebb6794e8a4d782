"""Which database is used, and what becomes of one that is damaged, foreign or in use."""

import gc
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.videos import make_video

from service.artefacts.source import ArtefactSource
from service.catalogue.catalogue import Catalogue
from service.catalogue.writer import Writer
from service.database import schema
from service.database.database import FILE_NAME, Database, open_database
from service.database.rows import Version
from service.listing.numbers import Numbers
from service.models import Metadata, Stream

VIDEOS = [make_video(f"{folder}/{number}.mp4") for folder in "ab" for number in range(50)]


@pytest.fixture
def opened() -> Iterator[list[Database]]:
    """Databases to close, also after a failure."""
    databases: list[Database] = []
    yield databases
    for database in databases:
        database.close()


def fill(folder: Path, opened: list[Database]) -> Writer:
    """Open the database in a folder, and add the videos."""
    opened.append(open_database(folder))
    writer = Writer(opened[-1])
    writer.update((None, Version(video, 1.0)) for video in VIDEOS)
    return writer


def reopened(folder: Path, opened: list[Database]) -> Catalogue:
    """Return the catalogue of the next start."""
    opened.pop().close()
    opened.append(open_database(folder))
    return Writer(opened[-1]).catalogue


@pytest.mark.parametrize("is_saved", [True, False])
def test_the_next_start_finds_the_same_catalogue(
    tmp_path: Path,
    opened: list[Database],
    is_saved: bool,  # noqa: FBT001 # both cases
) -> None:
    writer = fill(tmp_path, opened)
    if is_saved:
        writer.save()
    before = writer.catalogue
    listed = {sort: before.page("", sort, 200, None) for sort in ("name", "-date", "size")}
    found = before.page("7", "name", 200, None)
    assert len(found.videos) == 10
    after = reopened(tmp_path, opened)
    assert {sort: after.page("", sort, 200, None) for sort in listed} == listed  # type: ignore[arg-type]
    assert after.page("7", "name", 200, None) == found
    assert after.folders.counts == {"": 100, "a": 50, "b": 50}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b"\0" * len(path.read_bytes())),
    ],
    ids=["another file", "empty", "cut off", "zeros"],
)
def test_a_damaged_database_is_replaced(
    tmp_path: Path, opened: list[Database], damage: partial[None]
) -> None:
    fill(tmp_path, opened)
    opened.pop().close()
    damage(tmp_path / FILE_NAME)
    opened.append(open_database(tmp_path))
    try:
        catalogue = Writer(opened[-1]).catalogue
    except sqlite3.DatabaseError:
        return  # as the library sees it, which deletes it
    assert len(catalogue.videos) == 0
    assert opened[-1].is_kept


def test_a_database_of_another_version_is_replaced(
    tmp_path: Path, opened: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, opened)
    monkeypatch.setattr(schema, "_FORMAT", schema._FORMAT + 1)  # noqa: SLF001
    schema.schema_version.cache_clear()
    try:
        assert len(reopened(tmp_path, opened).videos) == 0
        assert opened[-1].is_kept
    finally:
        schema.schema_version.cache_clear()


def test_the_version_is_that_of_all_that_computes_the_rows() -> None:
    package = Path(schema.__file__).parent.parent
    modules = {
        path.relative_to(package).as_posix()
        for name in schema._COMPUTED_BY  # noqa: SLF001
        for path in ([package / name] if name.endswith(".py") else (package / name).glob("*.py"))
    }
    for needed in ("listing/titles.py", "listing/collation.py", "models.py", "naming/dates.py"):
        assert needed in modules


def test_a_database_that_another_process_uses_is_left_alone(
    tmp_path: Path, opened: list[Database]
) -> None:
    holder = subprocess.Popen(  # of this test
        [
            sys.executable,
            "-c",
            (
                "import sys; from pathlib import Path;"
                " from service.database.database import open_database;"
                " kept = open_database(Path(sys.argv[1])); print(kept.is_kept, flush=True);"
                " sys.stdin.read()"
            ),
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    with holder:
        assert holder.stdout.readline() == "True\n"
        opened.append(open_database(tmp_path))
        assert not opened[-1].is_kept
        assert len(fill(tmp_path, opened).catalogue.videos) == 100
        holder.stdin.close()
    opened.append(open_database(tmp_path))  # the lock is gone with the process
    assert opened[-1].is_kept


def test_a_service_without_a_folder_of_its_own_uses_a_private_database(
    tmp_path: Path, opened: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    for folder in (None, blocked / "derived"):  # the second cannot be made
        opened.append(open_database(folder))
        assert not opened[-1].is_kept
    monkeypatch.setattr("tempfile.tempdir", str(blocked))
    assert len(fill(blocked / "derived", opened).catalogue.videos) == 100  # in memory


def test_rows_of_an_earlier_catalogue_are_kept_as_long_as_it_is(
    tmp_path: Path, opened: list[Database]
) -> None:
    writer = fill(tmp_path, opened)
    first = writer.catalogue
    for turn in range(3):
        stored = writer.stored("a")
        changed = [make_video(row.path, title=f"turn {turn}") for row in stored]
        writer.update(
            (row, Version(video, 1.0)) for row, video in zip(stored, changed, strict=True)
        )
        assert [video.title for video in first.videos] == [video.path for video in VIDEOS_BY_PATH]
        assert first.page("turn", "name", 10, None).total == 0
        assert writer.catalogue.page(f"turn {turn}", "name", 10, None).total == 50
    del first
    writer.update([])
    (rows,) = next(opened[-1].rows("SELECT count(*) FROM video"))
    assert rows <= 150  # those of the latest two
    assert max(writer.catalogue.videos.numbers) <= 4 * 100  # numbers are used again


def test_a_video_that_nobody_looks_at_takes_few_bytes(
    tmp_path: Path, opened: list[Database]
) -> None:
    """As objects in memory, a video with its metadata and sort keys took 3 KiB."""
    count = 4000
    fill(tmp_path, opened)
    writer = Writer(opened[-1])
    known = Metadata(container="mp4", duration=1, bit_rate=None, streams=(), omissions=("x" * 400,))
    videos = (make_video(f"{n % 40}/take {n % 100} of {n // 40}.mp4", known) for n in range(count))
    writer.update((None, Version(video, 1.0)) for video in videos)
    writer.save()
    opened.pop().close()
    opened.append(open_database(tmp_path))
    tracemalloc.start()
    try:
        catalogue = Writer(opened[-1]).catalogue
        for video in catalogue.videos:  # which keeps none of them
            assert video.size == 1
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(catalogue.videos) == count + len(VIDEOS)
    assert size < 400 * count


VIDEOS_BY_PATH = sorted(VIDEOS, key=lambda video: video.path)


def test_a_connection_is_closed_when_no_thread_reads_any_longer(
    tmp_path: Path, opened: list[Database]
) -> None:
    """To close it while a statement is executed ends the process with a segmentation fault."""
    rows = fill(tmp_path, opened).rows
    outcomes: list[type[Exception] | None] = []

    def read() -> None:
        slow = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)"
            " SELECT count(*) FROM n"
        )
        try:
            while rows.select(slow):
                started.set()
        except sqlite3.ProgrammingError as error:
            outcomes.append(type(error))

    started = threading.Event()
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    rows.close()
    for thread in threads:
        thread.join()
    assert outcomes == [sqlite3.ProgrammingError] * 3


def test_artefacts_are_read_by_time_without_the_metadata(
    tmp_path: Path, opened: list[Database]
) -> None:
    opened.append(open_database(tmp_path))
    writer = Writer(opened[-1])
    streams = (Stream(kind="video", codec="h264"),)
    film = Metadata(container="mp4", duration=1.0, bit_rate=1, streams=streams)
    videos = [
        # Many have the same time, as after a copy.
        make_video(f"{number}.mp4", metadata=film, modified=float(number // 700))
        for number in range(1500)
    ]
    writer.update((None, Version(video, 1.0)) for video in videos)
    rows, numbers = writer.rows, writer.catalogue.numbers
    statements: list[str] = []
    opened[-1].reader.set_trace_callback(statements.append)
    found = list(rows.artefacts(numbers))
    opened[-1].reader.set_trace_callback(None)
    assert len(statements) < 10  # 500 videos at a time
    assert not any("metadata" in statement for statement in statements)
    expected = {name for video in videos for name in names_of(ArtefactSource.of(video))}
    assert {artefact.name for artefact in found} == expected
    times = [videos[int(each.path.removesuffix(".mp4"))].modified for each in found]
    assert times == sorted(times, reverse=True)
    some = Numbers.of([number for number in numbers if number % 2])
    assert {artefact.number for artefact in rows.artefacts(some)} == set(some)


def names_of(source: ArtefactSource) -> list[str]:
    return [artefact.name for artefact in source.artefacts()]
