"""The artefact store in a bucket, and the number of its requests."""

import errno
import threading
from collections.abc import Iterator, Sequence

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore
from structlog.testing import capture_logs

from service.artefact_store import record_reader
from service.artefact_store.bucket import BucketArtefactStore
from service.artefact_store.keys import artefact_name
from service.storage.object_store.sync_client import ObjectInfo, RangeResult, SyncObjectClient

ROOM = 1 << 30
DAY = 86_400.0
KIND = "poster"
NAME = artefact_name(KIND, "sub/film.mp4", "3039-18ae2d7f2c3a4b00")
KEY = f"{KIND}/{NAME}"
METADATA = '{"width": 480, "title": "Ümläut 🎬"}'.encode()
BLOBS = (b"\x00\xff" * 5000, b"", b"\n second \n")


class Counted(SyncObjectClient):
    """A client that records its requests and can make objects look older than they are."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.requests: list[str] = []
        self.ages: dict[str, float] = {}

    def get(self, key: str, start: int, end: int, e_tag: str | None = None) -> RangeResult:
        self.requests.append(f"get {key}")
        return super().get(key, start, end, e_tag)

    def put(self, key: str, data: bytes) -> None:
        self.requests.append(f"put {key}")
        super().put(key, data)

    def delete(self, keys: Sequence[str]) -> None:
        self.requests += [f"delete {key}" for key in keys]
        super().delete(keys)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.requests.append(f"list {prefix}")
        for each in super().list(prefix):
            yield each._replace(modified=each.modified - self.ages.get(each.key, 0.0))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def bucket(store: MemoryStore) -> Counted:
    return Counted(store)


def read(
    artefacts: BucketArtefactStore, name: str = NAME
) -> tuple[bytes | None, list[bytes | None]]:
    return artefacts.load(KIND, name), [artefacts.blob(KIND, name, n) for n in range(len(BLOBS))]


def keys(store: MemoryStore) -> set[str]:
    return {info["path"] for page in obstore.list(store) for info in page}


def test_every_replica_loads_what_one_saved(bucket: Counted) -> None:
    one, other = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    assert read(one) == (None, [None] * 3)
    assert one.save(KIND, NAME, METADATA, BLOBS)
    assert read(one) == (METADATA, list(BLOBS))
    assert read(other) == (METADATA, list(BLOBS))
    assert other.blob(KIND, NAME, 3) is None


def test_an_opened_blob_is_cached_once_and_read_by_range_after_eviction(
    bucket: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_reader, "_MAX_CACHED_BYTES", 40_000)
    blobs = [bytes([number]) * 30_000 for number in range(2)]
    artefacts = BucketArtefactStore(bucket, ROOM)
    artefacts.save(KIND, NAME, METADATA, blobs)
    first = artefacts.open(KIND, NAME, 0)
    again = artefacts.open(KIND, NAME, 0)
    assert first is not None
    assert again is not None
    assert first.length == 30_000
    assert first.get_cached(29_990, 100) == again.get_cached(29_990, 100) == blobs[0][29_990:]
    second = artefacts.open(KIND, NAME, 1)  # evicts the first one
    assert second is not None
    assert second.get_cached(0, 30_000) == blobs[1]
    assert first.get_cached(0, 10) is None
    bucket.requests.clear()
    assert first.read(10_000, 500) == blobs[0][10_000:10_500]
    assert bucket.requests == [f"get {KEY}"]


def test_an_open_blob_is_not_mixed_with_its_replacement(
    bucket: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_reader, "_MAX_CACHED_BYTES", 40_000)
    one, other = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    one.save(KIND, NAME, METADATA, [b"a" * 30_000, b"x" * 30_000])
    opened = one.open(KIND, NAME, 0)
    assert opened is not None
    other.save(KIND, NAME, METADATA, [b"b" * 30_000, b"y" * 30_000])
    assert opened.get_cached(0, 5) == b"aaaaa"
    one.open(KIND, NAME, 1)  # reads the new object, as the cached layout is outdated
    assert opened.get_cached(0, 5) is None
    with pytest.raises(OSError, match="replaced"):
        opened.read(0, 5)
    assert one.blob(KIND, NAME, 0) == b"b" * 30_000
    assert opened.get_cached(0, 5) is None


def test_metadata_and_blob_tables_may_be_longer_than_the_first_read(bucket: Counted) -> None:
    artefacts, long = BucketArtefactStore(bucket, ROOM), b"x" * 200_000
    artefacts.save(KIND, NAME, long, BLOBS)
    assert read(artefacts) == (long, list(BLOBS))
    artefacts.save(KIND, NAME, METADATA, [b"%d" % number for number in range(3000)])
    assert artefacts.load(KIND, NAME) == METADATA
    assert artefacts.blob(KIND, NAME, 2999) == b"2999"


def test_every_damaged_or_missing_byte_is_detected(store: MemoryStore) -> None:
    BucketArtefactStore(SyncObjectClient(store), ROOM).save(KIND, NAME, METADATA, (b"abc", b"def"))
    whole = obstore.get(store, KEY).bytes().to_bytes()
    for at in range(len(whole)):
        damaged_object = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        results = []
        for number in (-1, 0, 1):
            obstore.put(store, KEY, damaged_object)  # a damaged artefact is deleted when it is read
            fresh = BucketArtefactStore(SyncObjectClient(store), ROOM)
            results.append(
                fresh.blob(KIND, NAME, number) if number >= 0 else fresh.load(KIND, NAME)
            )
        expected: list[bytes | None] = [METADATA, b"abc", b"def"]
        if at < len(whole) - 6:
            expected = [None] * 3
        else:
            expected[1 if at < len(whole) - 3 else 2] = None
        assert results == expected, at
        obstore.put(store, KEY, whole[:at])
        assert BucketArtefactStore(SyncObjectClient(store), ROOM).load(KIND, NAME) is None, at


def test_a_damaged_artefact_is_deleted_and_can_be_saved_again(store: MemoryStore) -> None:
    artefacts = BucketArtefactStore(SyncObjectClient(store), ROOM)
    artefacts.save(KIND, NAME, METADATA, [b"one"])
    whole = obstore.get(store, KEY).bytes().to_bytes()
    assert artefacts.load(KIND, NAME) == METADATA
    obstore.put(store, KEY, whole[:-1] + b"?")
    assert artefacts.blob(KIND, NAME, 0) is None
    assert keys(store) == set()
    artefacts.save(KIND, NAME, METADATA, [b"one"])
    assert artefacts.blob(KIND, NAME, 0) == b"one"


def test_an_artefact_that_another_replica_replaced_is_not_taken_for_damaged(
    store: MemoryStore,
) -> None:
    one, other = (
        BucketArtefactStore(SyncObjectClient(store), ROOM),
        BucketArtefactStore(SyncObjectClient(store), ROOM),
    )
    one.save(KIND, NAME, METADATA, [b"one", b"two"])
    assert one.blob(KIND, NAME, 0) == b"one"
    other.save(KIND, NAME, METADATA, [b"ONE", b"TWO"])
    assert one.blob(KIND, NAME, 1) == b"TWO"
    assert keys(store) == {KEY}
    one = BucketArtefactStore(SyncObjectClient(store), ROOM)
    one.save(KIND, NAME, METADATA, [b"0" * 9000, b"one"])
    assert one.blob(KIND, NAME, 0) == b"0" * 9000
    other.save(
        KIND, NAME, METADATA, [b"ONE", b"TWO"]
    )  # shorter than the old offset of its second blob
    assert one.blob(KIND, NAME, 1) == b"TWO"


def test_an_artefact_that_another_replica_evicted_is_none(store: MemoryStore) -> None:
    artefacts = BucketArtefactStore(SyncObjectClient(store), ROOM)
    artefacts.save(KIND, NAME, METADATA, [b"one", b"two"])
    assert artefacts.blob(KIND, NAME, 0) == b"one"
    obstore.delete(store, KEY)
    assert artefacts.blob(KIND, NAME, 1) is None
    assert artefacts.load(KIND, NAME) is None


def test_a_failing_store_is_logged_as_a_warning(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("store") / "bucket"
    artefacts = BucketArtefactStore(SyncObjectClient(LocalStore(folder, mkdir=True)), ROOM)
    artefacts.save(KIND, NAME, METADATA, [b"one"])
    folder.rename(folder.with_name("away"))
    folder.write_bytes(b"")  # a file where the folder was
    with capture_logs() as lines:
        assert not artefacts.save(KIND, NAME, METADATA)
        with pytest.raises(OSError, match="the store failed"):
            artefacts.load(KIND, NAME)
        with pytest.raises(OSError, match="the store failed"):
            artefacts.blob(KIND, NAME, 0)
        artefacts.evict()
        with pytest.raises(OSError, match="the store failed"):
            artefacts.acquire(NAME)
    assert {line["log_level"] for line in lines} == {"warning"}
    folder.unlink()
    folder.with_name("away").rename(folder)
    assert artefacts.blob(KIND, NAME, 0) == b"one"


# Requests


def test_a_page_of_posters_is_requested_once(bucket: Counted) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(50)]
    one, other = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    for name in names:
        one.save(KIND, name, METADATA, [name.encode() * 1000])
    bucket.requests.clear()
    for _ in range(3):
        for name in names:
            assert other.load(KIND, name) == METADATA
            assert other.blob(KIND, name, 0) == name.encode() * 1000
    assert len(bucket.requests) == 2 * len(names)


def test_a_prefetch_requests_only_the_artefacts_that_exist(bucket: Counted) -> None:
    names = [artefact_name("metadata", str(number)) for number in range(400)]
    stored = names[::4]
    one, fresh = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    for name in stored:
        one.save("metadata", name, name.encode())
    bucket.requests.clear()
    fresh.prefetch([("metadata", name) for name in names])
    loaded = {name for name in names if fresh.load("metadata", name) == name.encode()}
    assert loaded == set(stored)
    assert bucket.requests.count("list metadata") == 1
    assert sorted(bucket.requests)[:-1] == sorted(f"get metadata/{name}" for name in stored)


def test_an_artefact_saved_after_the_prefetch_is_loaded(bucket: Counted) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(100)]
    one, fresh = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    fresh.prefetch([(KIND, name) for name in names])
    assert fresh.load(KIND, names[0]) is None
    one.save(KIND, names[0], METADATA)
    assert fresh.load(KIND, names[0]) == METADATA


# The quota


def test_the_least_recently_used_artefacts_are_evicted(
    bucket: Counted, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(12)]
    one, other = (BucketArtefactStore(bucket, 10 * 100_000) for _ in range(2))
    for number, name in enumerate(names):
        one.save(KIND, name, METADATA, [bytes(99_000)])
        bucket.ages[f"{KIND}/{name}"] = DAY * (20 - number)
    assert one.size > 10 * 100_000
    other.load(KIND, names[0])  # now the oldest one was used last
    other.blob(KIND, names[2], 0)
    monkeypatch.setattr(other, "_limit", ROOM)
    other.evict()  # records the use
    assert other.size > 12 * 99_000
    one.evict([(KIND, names[4])])
    remaining = {name for name in names if f"{KIND}/{name}" in keys(store)}
    # Nine of them take less than nine tenths of the quota.
    assert remaining == {names[0], names[2], names[4], *names[6:]}
    assert 0 < one.size <= 10 * 100_000
    fresh = BucketArtefactStore(bucket, ROOM)
    assert {name for name in names if fresh.load(KIND, name)} == remaining


def test_eviction_within_the_quota_deletes_nothing_and_never_foreign_objects(
    bucket: Counted, store: MemoryStore
) -> None:
    artefacts = BucketArtefactStore(bucket, ROOM)
    artefacts.save(KIND, NAME, METADATA, BLOBS)
    obstore.put(store, "thesis.doc", b"x")
    bucket.ages = {KEY: 3650 * DAY, "thesis.doc": 3650 * DAY}
    artefacts.evict()
    assert keys(store) == {KEY, "thesis.doc"}
    assert artefacts.size == len(obstore.get(store, KEY).bytes())
    assert BucketArtefactStore(bucket, 1).above_high_watermark is False
    tight = BucketArtefactStore(bucket, 1)
    tight.evict()
    assert keys(store) == {"thesis.doc"}


def test_use_is_recorded_once_a_day_and_kept_for_a_month(
    bucket: Counted, store: MemoryStore
) -> None:
    artefacts = BucketArtefactStore(bucket, 1)
    bucket.ages = {}
    artefacts.save(KIND, NAME, METADATA)
    artefacts.load(KIND, NAME)
    artefacts.evict()
    notes = [key for key in keys(store) if key.startswith("used/")]
    assert len(notes) == 1
    assert obstore.get(store, notes[0]).bytes().to_bytes() == bytes.fromhex(NAME)
    artefacts.save(KIND, NAME, METADATA)
    artefacts.load(KIND, NAME)
    artefacts.evict()
    assert [key for key in keys(store) if key.startswith("used/")] == notes
    bucket.ages[notes[0]] = 31 * DAY
    artefacts.save(KIND, NAME, METADATA)
    artefacts.evict()
    assert keys(store) == set()


def test_a_reader_never_sees_half_an_artefact_while_two_replicas_write(store: MemoryStore) -> None:
    versions = [(b"%d" % number, [bytes([number]) * 100_000]) for number in (1, 2)]
    BucketArtefactStore(SyncObjectClient(store), ROOM).save(KIND, NAME, *versions[0])
    start = threading.Barrier(2)

    def write(number: int) -> None:
        artefacts = BucketArtefactStore(SyncObjectClient(store), ROOM)
        start.wait(300)
        for _ in range(30):
            artefacts.save(KIND, NAME, *versions[number])

    writers = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    for writer in writers:
        writer.start()
    loaded = set()
    while any(writer.is_alive() for writer in writers):
        loaded.add(BucketArtefactStore(SyncObjectClient(store), ROOM).load(KIND, NAME))
    for writer in writers:
        writer.join()
    assert loaded <= {metadata for metadata, _ in versions}


class Failing(Counted):
    """A store whose listings work and whose reads fail."""

    def get(self, key: str, *_: object) -> RangeResult:
        self.requests.append(f"get {key}")
        raise OSError(errno.EIO, "the store failed")


def test_a_prefetch_stops_when_reads_fail(
    store: MemoryStore,
) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(500)]
    for name in names:
        obstore.put(store, f"{KIND}/{name}", b"x")
    failing = Failing(store)
    artefacts = BucketArtefactStore(failing, ROOM)
    artefacts.prefetch([(KIND, name) for name in names])
    assert [artefacts.load(KIND, name) for name in names] == [None] * 500
    assert len(failing.requests) <= 20  # the listing, and the reads in progress
    with pytest.raises(OSError, match="the store failed"):  # the next load tries again
        artefacts.load(KIND, names[0])


def test_a_record_of_use_that_could_not_be_written_is_written_later(
    bucket: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefacts = BucketArtefactStore(bucket, ROOM)
    artefacts.save(KIND, NAME, METADATA)
    assert artefacts.load(KIND, NAME) == METADATA

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "the store failed")

    with monkeypatch.context() as broken, capture_logs():
        broken.setattr(bucket, "put", fail)
        artefacts.evict()
    artefacts.evict()
    assert [request for request in bucket.requests if request.startswith("put used/")]
