import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service.artefact_store.folder import FolderArtefactStore
from service.artefact_store.keys import artefact_name

ROOM = 1 << 30
KIND = "poster"
NAME = artefact_name(KIND, "sub/film.mp4", "3039-18ae2d7f2c3a4b00")
METADATA = '{"width": 480, "title": "Ümläut 🎬"}'.encode()
BLOBS = (b"\x00\xff" * 5000, b"", b"\n second \n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "derived"


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and file.parent.name != "locks"]


def read(store: FolderArtefactStore, name: str = NAME) -> tuple[bytes | None, list[bytes | None]]:
    return store.load(KIND, name), [store.blob(KIND, name, n) for n in range(len(BLOBS))]


def unused_for(folder: Path, name: str, seconds: float) -> None:
    (file,) = folder.rglob(name)
    at = time.time() - seconds
    os.utime(file, (at, at))


def test_a_saved_artefact_is_loaded_unchanged(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    assert store.save(KIND, NAME, METADATA, BLOBS)
    assert read(store) == (METADATA, list(BLOBS))
    assert read(FolderArtefactStore(folder, ROOM)) == (
        METADATA,
        list(BLOBS),
    )  # after a restart as well


def test_metadata_may_be_longer_than_the_first_read(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    long = b"x" * 200_000
    store.save(KIND, NAME, long, BLOBS)
    assert read(store) == (long, list(BLOBS))


def test_there_may_be_more_blobs_than_the_first_read_lists(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    many = [b"%d" % number for number in range(3000)]
    store.save(KIND, NAME, METADATA, many)
    assert store.load(KIND, NAME) == METADATA
    assert store.blob(KIND, NAME, 2999) == b"2999"


def test_a_missing_artefact_is_none_and_creates_no_folder(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    assert store.load(KIND, NAME) is None
    assert store.blob(KIND, NAME, 0) is None
    assert not folder.exists()


def test_a_blob_number_out_of_range_is_none(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, BLOBS)
    assert store.blob(KIND, NAME, len(BLOBS)) is None


def test_a_damaged_artefact_is_deleted_but_not_one_that_is_unreadable_for_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, [b"one"])
    with monkeypatch.context() as patch:

        def pread(*_: int) -> bytes:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        patch.setattr(os, "pread", pread)
        assert store.blob(KIND, NAME, 0) is None
    assert store.blob(KIND, NAME, 1) is None
    assert store.blob(KIND, NAME, 0) == b"one"
    (file,) = files(folder)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert store.blob(KIND, NAME, 0) is None
    assert files(folder) == []


@pytest.mark.parametrize("place", ["link", "dangling", "fifo", "folder"])
def test_an_artefact_replaced_by_a_special_file_is_none_and_blocks_no_read(
    folder: Path, place: str
) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, BLOBS)
    (file,) = files(folder)
    elsewhere = file.rename(folder.parent / "elsewhere")  # undamaged
    match place:
        case "link":
            file.symlink_to(elsewhere)
        case "dangling":
            file.symlink_to("nothing")
        case "fifo":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    assert store.load(KIND, NAME) is None
    assert store.blob(KIND, NAME, 0) is None
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    store.evict([(KIND, NAME)])
    assert elsewhere.exists()
    if place != "folder":
        assert store.save(KIND, NAME, METADATA, BLOBS)
        assert read(store) == (METADATA, list(BLOBS))


def test_a_lease_follows_no_link(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    (folder / "locks").mkdir(parents=True)
    (folder / "locks" / NAME[:2]).symlink_to(folder.parent / "elsewhere")
    assert store.acquire(NAME) is not None
    assert not (folder.parent / "elsewhere").exists()


def test_the_last_save_counts(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, b"first")
    store.save(KIND, NAME, METADATA, BLOBS)
    assert read(store) == (METADATA, list(BLOBS))
    assert len(files(folder)) == 1


def test_names_differ_by_kind_and_parts() -> None:
    names = {
        artefact_name("poster", "a", "b"),
        artefact_name("captions", "a", "b"),
        artefact_name("poster", "b", "a"),
        artefact_name("poster", "a"),
        artefact_name("poster", "ab"),
        artefact_name("poster", "a", "", "b"),
        artefact_name("poster", 'a", "b'),
        artefact_name("poster", "x" * 100_000 + "\0\ud800"),
    }
    assert len(names) == 8
    assert all(len(name) == 32 and name.isalnum() for name in names)


def test_every_damaged_or_missing_byte_is_detected(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, (b"abc", b"def"))
    (file,) = files(folder)
    whole = file.read_bytes()
    for at in range(len(whole)):
        damaged_file = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        file.write_bytes(damaged_file)
        results = [store.load(KIND, NAME)]
        for number in (0, 1):
            file.write_bytes(damaged_file)  # a damaged artefact is deleted when it is read
            results.append(store.blob(KIND, NAME, number))
        expected: list[bytes | None] = [METADATA, b"abc", b"def"]
        if at >= len(whole) - 6:  # one of the two blobs; the rest is undamaged
            damaged = 1 if at < len(whole) - 3 else 2
            expected[damaged] = None
            assert results == expected
        else:
            assert results == [None, None, None], at
        file.write_bytes(whole[:at])
        assert store.load(KIND, NAME) is None, at
    store.save(KIND, NAME, METADATA, BLOBS)
    assert read(store) == (METADATA, list(BLOBS))


@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_no_artefact(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "whatever-bytes"
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, BLOBS)
    (file,) = files(folder)
    file.write_bytes(data)
    assert read(store) == (None, [None] * len(BLOBS))


def test_an_open_blob_is_read_in_chunks_and_stays_the_same(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, BLOBS)
    opened = store.open(KIND, NAME, 0)
    assert opened is not None
    assert opened.length == len(BLOBS[0])
    store.save(KIND, NAME, METADATA, [b"another release's"])  # replaces it
    chunks = [opened.read(start, 3000) for start in range(0, opened.length, 3000)]
    assert b"".join(chunks) == BLOBS[0]
    assert opened.get_cached(10, 5) in {None, BLOBS[0][10:15]}
    assert store.open(KIND, NAME, 1) is None
    (file,) = files(folder)
    file.unlink()
    assert opened.read(9_990, 10) == BLOBS[0][9_990:]
    assert store.open(KIND, NAME, 0) is None


def test_an_open_blob_is_closed_with_its_last_reference(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, BLOBS)

    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    before = descriptors()
    opened = [store.open(KIND, NAME, 0) for _ in range(10)]
    assert descriptors() == before + 10
    opened.clear()
    assert descriptors() == before


def test_damage_is_detected_before_a_blob_is_opened(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    large = bytes(200_000)
    for at in (1, 70_000, 199_999):
        store.save(KIND, NAME, METADATA, [b"one", large])
        (file,) = files(folder)
        whole = file.read_bytes()
        start = len(whole) - len(large)
        file.write_bytes(whole[: start + at] + b"?" + whole[start + at + 1 :])
        first = store.open(KIND, NAME, 0)
        assert first is not None
        assert first.read(0, 3) == b"one"
        assert store.open(KIND, NAME, 1) is None
        assert files(folder) == []  # deleted, to be built again


def unwritable(tmp_path: Path, how: str) -> Path:
    """Return a folder that cannot be written, not even by root."""
    folder = tmp_path / "derived"
    if how == "below a file":
        folder.write_bytes(b"")
    elif how == "a file where its folder goes":
        folder.mkdir()
        (folder / KIND).write_bytes(b"")
    elif how == "a link that leads nowhere":
        folder.symlink_to("circle")
        (tmp_path / "circle").symlink_to("derived")
    return folder


@pytest.mark.parametrize(
    "how", ["below a file", "a file where its folder goes", "a link that leads nowhere"]
)
def test_an_unwritable_folder_is_logged_as_a_warning(tmp_path: Path, how: str) -> None:
    folder = unwritable(tmp_path, how)
    store = FolderArtefactStore(folder, ROOM)
    with capture_logs() as lines:
        assert not store.save(KIND, NAME, METADATA)
        assert store.load(KIND, NAME) is None
        store.evict()
        assert store.blob(KIND, NAME, 0) is None
    (line,) = lines
    assert line["log_level"] == "warning"
    assert str(folder) in line["folder"]
    assert line["error"]


def test_a_failed_write_leaves_no_file(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA)
    (target,) = files(folder)
    target.unlink()
    target.mkdir()  # a file cannot replace a folder
    with capture_logs() as lines:
        assert not store.save(KIND, NAME, METADATA)
    assert [line["log_level"] for line in lines] == ["warning"]
    assert store.load(KIND, NAME) is None
    assert files(folder) == []


def test_a_reader_never_sees_half_an_artefact_while_two_replicas_write(folder: Path) -> None:
    # Replicas may share the folder. The artefacts are large enough to be torn.
    versions = [(b"%d" % number, [bytes([number]) * 500_000]) for number in (1, 2)]
    FolderArtefactStore(folder, ROOM).save(KIND, NAME, *versions[0])
    start = threading.Barrier(2)

    def write(number: int) -> None:
        store = FolderArtefactStore(folder, ROOM)
        start.wait(300)
        for _ in range(30):
            store.save(KIND, NAME, *versions[number])

    writers = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    loaded_metadata, loaded_blobs = set(), set()
    with capture_logs() as lines:
        for writer in writers:
            writer.start()
        store = FolderArtefactStore(folder, ROOM)
        while any(writer.is_alive() for writer in writers):
            loaded_metadata.add(store.load(KIND, NAME))
            loaded_blobs.add(store.blob(KIND, NAME, 0))
        for writer in writers:
            writer.join()
    assert loaded_metadata <= {metadata for metadata, _ in versions}
    assert loaded_blobs <= {blobs[0] for _, blobs in versions}
    assert lines == []
    assert len(files(folder)) == 1  # no temporary file is left


# The quota


def test_the_least_recently_used_artefacts_are_evicted(folder: Path) -> None:
    store = FolderArtefactStore(folder, 10 * 100_000)
    names = [artefact_name(KIND, str(number)) for number in range(12)]
    for number, name in enumerate(names):
        store.save(KIND, name, METADATA, [bytes(99_000)])
        unused_for(folder, name, 86_400 * (20 - number))
    assert store.over_quota
    store.load(KIND, names[0])  # now the oldest one was used last
    store.blob(KIND, names[2], 0)
    store.evict([(KIND, names[4])])
    remaining = [name for name in names if store.load(KIND, name)]
    assert {names[0], names[2], names[4], *names[8:]} <= set(remaining)
    assert not {names[1], names[3]} & set(remaining)
    assert sum(file.stat().st_size for file in files(folder)) <= 10 * 100_000
    assert store.size <= 10 * 100_000
    assert not store.over_quota


def test_eviction_within_the_quota_deletes_nothing(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    store.save(KIND, NAME, METADATA, BLOBS)
    unused_for(folder, NAME, 10 * 365 * 86_400)
    store.evict()
    assert store.load(KIND, NAME) == METADATA
    assert 0 < store.size < 100_000
    assert not store.above_high_watermark


def test_eviction_within_the_quota_does_not_look_at_what_is_in_use(folder: Path) -> None:
    store, read_keys = FolderArtefactStore(folder, 100_000), []

    def live_keys() -> Iterator[tuple[str, str]]:
        read_keys.append(NAME)
        yield KIND, NAME

    store.save(KIND, NAME, METADATA, BLOBS)
    store.evict(live_keys())
    assert read_keys == []
    store.save(KIND, artefact_name(KIND, "other"), METADATA, [bytes(100_000)])
    store.evict(live_keys())
    assert read_keys == [NAME]


def test_eviction_deletes_abandoned_temporary_files_and_no_foreign_ones(
    folder: Path,
) -> None:
    store = FolderArtefactStore(folder, 1)
    store.save(KIND, NAME, METADATA)
    recent, abandoned = folder / KIND / "tmpnow", folder / KIND / "tmpold"
    foreign = folder / "thesis.doc"
    for file in (recent, abandoned, foreign):
        file.write_bytes(b"x")
    os.utime(abandoned, (0, 0))
    os.utime(foreign, (0, 0))
    store.evict()
    assert foreign.exists()
    assert not abandoned.exists()


def test_eviction_counts_what_other_replicas_have_saved(folder: Path) -> None:
    one, other = FolderArtefactStore(folder, 200_000), FolderArtefactStore(folder, 200_000)
    one.save(KIND, NAME, METADATA, [bytes(195_000)])
    assert (one.above_high_watermark, other.above_high_watermark) == (True, False)
    other.evict()
    assert (one.above_high_watermark, other.above_high_watermark) == (True, True)


# Leases


def test_a_lease_is_exclusive_until_it_is_released(folder: Path) -> None:
    one, other = FolderArtefactStore(folder, ROOM), FolderArtefactStore(folder, ROOM)
    lease = one.acquire(NAME)
    assert lease is not None
    assert other.acquire(NAME) is None
    assert one.acquire(NAME) is None
    another = other.acquire(("0" if NAME[0] != "0" else "1") + NAME[1:])
    assert another is not None
    another()
    lease()
    other_lease = other.acquire(NAME)
    assert other_lease is not None
    other_lease()


def test_the_lease_of_a_killed_process_is_free(folder: Path) -> None:
    store = FolderArtefactStore(folder, ROOM)
    claim = (
        "import sys, time; from pathlib import Path;"
        "from service.artefact_store.folder import FolderArtefactStore;"
        f"FolderArtefactStore(Path(sys.argv[1]), 1).acquire({NAME!r}); print(flush=True);"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", claim, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    other_lease = store.acquire(NAME)
    process.kill()
    process.communicate()
    assert other_lease is None
    free = store.acquire(NAME)
    assert free is not None
    free()


def test_without_locks_every_lease_is_granted(tmp_path: Path) -> None:
    folder = tmp_path / "derived"
    folder.write_bytes(b"")
    leases = [FolderArtefactStore(folder, ROOM).acquire(NAME) for _ in range(2)]
    for release in leases:
        assert release is not None
        release()
