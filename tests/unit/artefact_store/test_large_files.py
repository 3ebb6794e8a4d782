"""Large files of the artefact store, in a folder and in a bucket."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore
from structlog.testing import capture_logs

from service.artefact_store import quota as module
from service.artefact_store.bucket import BucketArtefactStore
from service.artefact_store.folder import FolderArtefactStore
from service.artefact_store.keys import artefact_name
from service.artefact_store.quota import NoRoomError
from service.records.blobs import OpenArtefact
from service.storage.object_store.sync_client import SyncObjectClient

KIND = "copied"
METADATA = b'{"digest": "0"}'
HEADER = b"\x00\xffheader" * 9000
MIB = 1024**2
LIMIT = 20 * MIB

Store = FolderArtefactStore | BucketArtefactStore


class Bench:
    """A store of one kind, whose stored bytes a test can change."""

    def __init__(self, make: Callable[[int], Store], folder: Path, bucket: MemoryStore) -> None:
        self.make = make
        self.store = make(LIMIT)
        self._folder = folder
        self._bucket = bucket

    def stored(self, name: str) -> bytes:
        if isinstance(self.store, FolderArtefactStore):
            return self._file(name).read_bytes()
        return obstore.get(self._bucket, f"{KIND}/{name}").bytes().to_bytes()

    def replace(self, name: str, data: bytes) -> None:
        if isinstance(self.store, FolderArtefactStore):
            self._file(name).write_bytes(data)
        else:
            obstore.put(self._bucket, f"{KIND}/{name}", data)

    def _file(self, name: str) -> Path:
        (file,) = self._folder.rglob(name)
        return file


@pytest.fixture(params=["folder", "bucket"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bucket = MemoryStore()
    folder = tmp_path / "derived"
    (tmp_path / "local").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "local"))
    makers: dict[str, Callable[[int], Store]] = {
        "folder": lambda limit: FolderArtefactStore(folder, limit),
        "bucket": lambda limit: BucketArtefactStore(SyncObjectClient(bucket), limit),
    }
    return Bench(makers[request.param], folder, bucket)


def save(store: Store, number: int, data: bytes, *, evict: bool = True) -> str:
    name = artefact_name(KIND, str(number))
    file = store.create_large(len(data) + MIB, evict=evict)
    file.path.write_bytes(data)
    assert store.save_large(KIND, name, file, METADATA, [HEADER])
    file.discard()
    return name


def opened(store: Store, name: str) -> OpenArtefact:
    artefact = store.open_large(KIND, name)
    assert artefact is not None
    return artefact


def read(artefact: OpenArtefact, start: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = artefact.large.read(start + len(data), length - len(data))
        assert part
        data += part
    return data


def temporary_files(tmp_path: Path) -> list[Path]:
    return [file for file in tmp_path.rglob("*") if file.name.startswith(("tmp", "reelay-"))]


def test_a_large_file_is_stored_with_its_metadata_and_blobs(bench: Bench, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB + 17)
    name = save(bench.store, 1, data)
    for store in (bench.store, bench.make(LIMIT)):  # after a restart as well
        assert store.load(KIND, name) == METADATA
        assert store.blob(KIND, name, 0) == HEADER
        artefact = opened(store, name)
        assert artefact.metadata == METADATA
        assert artefact.blobs[0].read(0, len(HEADER)) == HEADER
        assert artefact.large.length == len(data)
        for start, length in ((0, 1), (0, len(data)), (MIB - 1, 2), (len(data) - 5, 5)):
            assert read(artefact, start, length) == data[start : start + length]
    assert temporary_files(tmp_path) == []


def test_reads_end_where_the_large_file_ends(bench: Bench) -> None:
    name = save(bench.store, 1, b"0123456789")
    artefact = opened(bench.store, name)
    assert artefact.large.read(8, 100) == b"89"


def test_the_reason_why_there_is_none_is_stored_without_a_file(bench: Bench) -> None:
    name = artefact_name(KIND, "declined")
    assert bench.store.save(KIND, name, b'{"problem": "It is damaged."}')
    assert bench.make(LIMIT).load(KIND, name) == b'{"problem": "It is damaged."}'


def test_what_is_written_counts_before_it_is_stored(bench: Bench) -> None:
    file = bench.store.create_large(5 * MIB, evict=False)
    assert bench.store.size == 5 * MIB
    bench.store.evict()
    assert bench.store.size == 5 * MIB
    file.path.write_bytes(bytes(MIB))
    assert file.written == MIB
    bench.store.evict()
    assert bench.store.size == 5 * MIB
    assert file.path.exists()
    file.discard()
    assert bench.store.size == 0
    assert not file.path.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from obstore.store import MemoryStore
from service.artefact_store.bucket import BucketArtefactStore
from service.artefact_store.folder import FolderArtefactStore
from service.storage.object_store.sync_client import SyncObjectClient
if sys.argv[1] == "bucket":
    store = BucketArtefactStore(SyncObjectClient(MemoryStore()), 20 << 20)
else:
    store = FolderArtefactStore(Path(sys.argv[1]), 20 << 20)
file = store.create_large(12 << 20, evict=False)
file.path.write_bytes(bytes(12 << 20))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_wrote_makes_room_at_once(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "unfinished").iterdir()
    store = FolderArtefactStore(tmp_path, LIMIT)
    with pytest.raises(NoRoomError):  # it is new, and its process may be about to lock it
        store.create_large(12 * MIB, evict=True)
    minutes_ago = time.time() - 120
    os.utime(left, (minutes_ago, minutes_ago))
    store.create_large(12 * MIB, evict=True).discard()
    assert not left.exists()


def test_what_a_killed_process_wrote_for_a_bucket_is_deleted(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", KILLED, "bucket"], env=environment, check=False)
    (left,) = tmp_path.iterdir()
    minutes_ago = time.time() - 120
    os.utime(left, (minutes_ago, minutes_ago))
    script = KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", "print(file.path)")
    running = subprocess.run(
        [sys.executable, "-c", script, "bucket"], env=environment, check=True, capture_output=True
    )
    assert not left.exists()
    assert [str(path) for path in tmp_path.iterdir()] == [running.stdout.decode().strip()]


def test_a_large_file_of_a_running_process_is_kept_by_other_replicas(tmp_path: Path) -> None:
    one, other = FolderArtefactStore(tmp_path, LIMIT), FolderArtefactStore(tmp_path, LIMIT)
    file = one.create_large(MIB, evict=False)
    minutes_ago = time.time() - 120
    os.utime(file.path, (minutes_ago, minutes_ago))
    other.evict()
    assert file.path.exists()
    file.discard()


def test_a_file_beyond_the_quota_is_refused_at_once(bench: Bench, tmp_path: Path) -> None:
    kept = save(bench.store, 1, bytes(MIB))
    with pytest.raises(NoRoomError, match=r"may take 21 MB.*REELAY_DERIVED_SIZE"):
        bench.store.create_large(21_000_000, evict=True)
    assert opened(bench.store, kept)
    assert temporary_files(tmp_path) == []


def test_other_large_files_make_room_but_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    poster = artefact_name("poster", "film")
    bench.store.save("poster", poster, b"{}", [os.urandom(MIB)])
    older, newer = (save(bench.store, n, os.urandom(7 * MIB)) for n in (1, 2))
    if isinstance(bench.store, FolderArtefactStore):
        unused_for(bench, older, 7200.0)
    with pytest.raises(NoRoomError, match="no room for it now"):
        bench.store.create_large(8 * MIB, evict=False)
    bench.store.create_large(8 * MIB, evict=True).discard()
    assert bench.store.open_large(KIND, older) is None
    # The newer one is opened here: it is in use, and makes no room until that is a while ago.
    assert opened(bench.store, newer)
    with pytest.raises(NoRoomError, match="in use"):
        bench.store.create_large(16 * MIB, evict=True)
    assert opened(bench.store, newer)
    monkeypatch.setattr(module, "_IN_USE_SECONDS", 0.0)
    bench.store.create_large(16 * MIB, evict=True).discard()
    assert bench.store.open_large(KIND, newer) is None
    with pytest.raises(NoRoomError):
        bench.store.create_large(18 * MIB, evict=True)
    assert bench.store.load("poster", poster) == b"{}"


def unused_for(bench: Bench, name: str, seconds: float) -> None:
    file = bench._file(name)  # noqa: SLF001
    used = file.stat().st_mtime - seconds
    os.utime(file, (used, used))


def test_large_files_are_the_first_to_go(bench: Bench) -> None:
    large = save(bench.store, 1, os.urandom(8 * MIB))
    posters = [artefact_name("poster", str(n)) for n in range(12)]
    for name in posters:
        bench.store.save("poster", name, b"{}", [os.urandom(MIB)])
    assert bench.store.over_quota
    bench.store.evict()
    assert bench.store.load(KIND, large) is None
    assert all(bench.store.load("poster", name) == b"{}" for name in posters)


def test_large_files_do_not_keep_others_from_being_built(bench: Bench) -> None:
    save(bench.store, 1, os.urandom(14 * MIB))
    for n in range(4):
        bench.store.save(
            "poster", artefact_name("poster", str(n)), b"{}", [os.urandom(5 * MIB // 4)]
        )
    assert bench.store.over_quota  # though less than the quota is used: 19 of 20 MiB
    bench.store.evict()
    assert not bench.store.above_high_watermark


@pytest.mark.parametrize("cut", [1, 20, len(HEADER), len(HEADER) + 200, 2 * MIB])
def test_a_truncated_large_file_is_missing(bench: Bench, cut: int) -> None:
    name = save(bench.store, 1, os.urandom(MIB + 99))
    stored = bench.stored(name)
    bench.replace(name, stored[: max(0, len(stored) - cut)])
    store = bench.make(LIMIT)
    assert store.load(KIND, name) is None
    assert store.open_large(KIND, name) is None


@pytest.mark.parametrize("place", ["header", "metadata", "footer"])
def test_a_damaged_record_is_missing(bench: Bench, place: str) -> None:
    name = save(bench.store, 1, os.urandom(MIB))
    stored = bytearray(bench.stored(name))
    position = {
        "header": stored.index(HEADER) + 5,
        "metadata": stored.index(METADATA) + 2,
        "footer": len(stored) - 1,
    }[place]
    stored[position] ^= 1
    bench.replace(name, bytes(stored))
    assert bench.make(LIMIT).open_large(KIND, name) is None


def test_bytes_of_two_versions_are_never_mixed(bench: Bench) -> None:
    first, second = os.urandom(2 * MIB), os.urandom(2 * MIB)
    name = save(bench.store, 1, first)
    artefact = opened(bench.store, name)
    assert read(artefact, 0, 100) == first[:100]
    save(bench.store, 1, second)
    if isinstance(bench.store, FolderArtefactStore):
        assert read(artefact, MIB, 100) == first[MIB : MIB + 100]  # the old file is still open
    else:
        with pytest.raises(FileNotFoundError):
            artefact.large.read(MIB, 100)
    assert read(opened(bench.store, name), MIB, 100) == second[MIB : MIB + 100]


def test_reads_in_sequence_of_a_bucket_take_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = SyncObjectClient(MemoryStore())
    store = BucketArtefactStore(bucket, 10 * LIMIT)
    data = os.urandom(16 * MIB)
    artefact = opened(store, save(store, 1, data))
    requests = []
    get = bucket.get

    def counted(key: str, start: int, end: int, e_tag: str | None = None) -> Any:
        requests.append((start, end))
        return get(key, start, end, e_tag)

    monkeypatch.setattr(bucket, "get", counted)
    result, step = b"", 64 * 1024
    while len(result) < len(data):
        cached = artefact.large.get_cached(len(result), step)
        result += cached if cached is not None else artefact.large.read(len(result), step)
    assert result == data
    assert len(requests) < 12
    assert max(end - start for start, end in requests) <= 4 * MIB


def test_without_space_on_the_disk_it_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage: Any = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    with pytest.raises(NoRoomError, match="the disk"):
        bench.store.create_large(MIB, evict=True)
    assert bench.store.size == 0
    assert temporary_files(tmp_path) == []


def test_what_cannot_be_stored_is_reported_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    file = bench.store.create_large(MIB, evict=True)
    file.path.unlink()
    file.path.mkdir()  # it cannot be opened
    with capture_logs() as logs:
        assert not bench.store.save_large(KIND, artefact_name(KIND, "1"), file, METADATA, [HEADER])
    assert [entry["event"] for entry in logs] == ["cannot store an artefact"]
    file.path.rmdir()
    file.discard()
    assert bench.store.size == 0
    assert bench.store.load(KIND, artefact_name(KIND, "1")) is None
