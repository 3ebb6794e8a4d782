"""The store of artefacts in a bucket, and the number of its requests."""

import errno
import threading
from collections.abc import Iterator, Sequence

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore
from structlog.testing import capture_logs

from service.artefact_store import bucket as module
from service.artefact_store.bucket import BucketArtefactStore
from service.artefact_store.keys import artefact_name
from service.storage.object_store.sync_client import ObjectInfo, RangeResult, SyncObjectClient

ROOM = 1 << 30
DAY = 86_400.0
KIND = "poster"
NAME = artefact_name(KIND, "sub/film.mp4", "3039-18ae2d7f2c3a4b00")
KEY = f"{KIND}/{NAME}"
FACTS = '{"width": 480, "title": "Ümläut 🎬"}'.encode()
BLOBS = (b"\x00\xff" * 5000, b"", b"\n second \n")


class Counted(SyncObjectClient):
    """A bucket that notes what is asked of it, and in which objects can be as old as need be."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.asked: list[str] = []
        self.ages: dict[str, float] = {}

    def get(self, key: str, start: int, end: int, e_tag: str | None = None) -> RangeResult:
        self.asked.append(f"get {key}")
        return super().get(key, start, end, e_tag)

    def put(self, key: str, data: bytes) -> None:
        self.asked.append(f"put {key}")
        super().put(key, data)

    def delete(self, keys: Sequence[str]) -> None:
        self.asked += [f"delete {key}" for key in keys]
        super().delete(keys)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.asked.append(f"list {prefix}")
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
    return {told["path"] for page in obstore.list(store) for told in page}


def test_what_is_kept_comes_back_as_it_was_to_every_replica(bucket: Counted) -> None:
    one, other = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    assert read(one) == (None, [None] * 3)
    assert one.save(KIND, NAME, FACTS, BLOBS)
    assert read(one) == (FACTS, list(BLOBS))
    assert read(other) == (FACTS, list(BLOBS))
    assert other.blob(KIND, NAME, 3) is None


def test_what_is_opened_is_held_once_and_asked_for_in_pieces_where_it_is_not(
    bucket: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_CACHED_BYTES", 40_000)
    blobs = [bytes([number]) * 30_000 for number in range(2)]
    artefacts = BucketArtefactStore(bucket, ROOM)
    artefacts.save(KIND, NAME, FACTS, blobs)
    first = artefacts.open(KIND, NAME, 0)
    again = artefacts.open(KIND, NAME, 0)
    assert first is not None
    assert again is not None
    assert first.length == 30_000
    assert first.get_cached(29_990, 100) == again.get_cached(29_990, 100) == blobs[0][29_990:]
    second = artefacts.open(KIND, NAME, 1)  # for which the first has to make room
    assert second is not None
    assert second.get_cached(0, 30_000) == blobs[1]
    assert first.get_cached(0, 10) is None
    bucket.asked.clear()
    assert first.read(10_000, 500) == blobs[0][10_000:10_500]
    assert bucket.asked == [f"get {KEY}"]


def test_what_was_opened_is_not_mixed_with_what_took_its_place(
    bucket: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_CACHED_BYTES", 40_000)
    one, other = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    one.save(KIND, NAME, FACTS, [b"a" * 30_000, b"x" * 30_000])
    opened = one.open(KIND, NAME, 0)
    assert opened is not None
    other.save(KIND, NAME, FACTS, [b"b" * 30_000, b"y" * 30_000])
    assert opened.get_cached(0, 5) == b"aaaaa"
    one.open(KIND, NAME, 1)  # of the other, as the layout is no longer right
    assert opened.get_cached(0, 5) is None
    with pytest.raises(OSError, match="replaced"):
        opened.read(0, 5)
    assert one.blob(KIND, NAME, 0) == b"b" * 30_000
    assert opened.get_cached(0, 5) is None


def test_facts_and_tables_may_be_longer_than_what_is_read_first(bucket: Counted) -> None:
    artefacts, long = BucketArtefactStore(bucket, ROOM), b"x" * 200_000
    artefacts.save(KIND, NAME, long, BLOBS)
    assert read(artefacts) == (long, list(BLOBS))
    artefacts.save(KIND, NAME, FACTS, [b"%d" % number for number in range(3000)])
    assert artefacts.load(KIND, NAME) == FACTS
    assert artefacts.blob(KIND, NAME, 2999) == b"2999"


def test_every_damaged_or_missing_byte_is_noticed(store: MemoryStore) -> None:
    BucketArtefactStore(SyncObjectClient(store), ROOM).save(KIND, NAME, FACTS, (b"abc", b"def"))
    whole = obstore.get(store, KEY).bytes().to_bytes()
    for at in range(len(whole)):
        damaged_object = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        told = []
        for number in (-1, 0, 1):
            obstore.put(store, KEY, damaged_object)  # it is dropped where it is seen to be damaged
            fresh = BucketArtefactStore(SyncObjectClient(store), ROOM)
            told.append(fresh.blob(KIND, NAME, number) if number >= 0 else fresh.load(KIND, NAME))
        expected: list[bytes | None] = [FACTS, b"abc", b"def"]
        if at < len(whole) - 6:
            expected = [None] * 3
        else:
            expected[1 if at < len(whole) - 3 else 2] = None
        assert told == expected, at
        obstore.put(store, KEY, whole[:at])
        assert BucketArtefactStore(SyncObjectClient(store), ROOM).load(KIND, NAME) is None, at


def test_what_is_damaged_is_dropped_and_made_anew(store: MemoryStore) -> None:
    artefacts = BucketArtefactStore(SyncObjectClient(store), ROOM)
    artefacts.save(KIND, NAME, FACTS, [b"one"])
    whole = obstore.get(store, KEY).bytes().to_bytes()
    assert artefacts.load(KIND, NAME) == FACTS
    obstore.put(store, KEY, whole[:-1] + b"?")
    assert artefacts.blob(KIND, NAME, 0) is None
    assert keys(store) == set()
    artefacts.save(KIND, NAME, FACTS, [b"one"])
    assert artefacts.blob(KIND, NAME, 0) == b"one"


def test_what_another_replica_has_made_anew_otherwise_is_not_damaged(store: MemoryStore) -> None:
    one, other = (
        BucketArtefactStore(SyncObjectClient(store), ROOM),
        BucketArtefactStore(SyncObjectClient(store), ROOM),
    )
    one.save(KIND, NAME, FACTS, [b"one", b"two"])
    assert one.blob(KIND, NAME, 0) == b"one"
    other.save(KIND, NAME, FACTS, [b"ONE", b"TWO"])
    assert one.blob(KIND, NAME, 1) == b"TWO"
    assert keys(store) == {KEY}
    one = BucketArtefactStore(SyncObjectClient(store), ROOM)
    one.save(KIND, NAME, FACTS, [b"0" * 9000, b"one"])
    assert one.blob(KIND, NAME, 0) == b"0" * 9000
    other.save(KIND, NAME, FACTS, [b"ONE", b"TWO"])  # ends before the place where one was
    assert one.blob(KIND, NAME, 1) == b"TWO"


def test_what_another_replica_has_swept_away_is_not_there(store: MemoryStore) -> None:
    artefacts = BucketArtefactStore(SyncObjectClient(store), ROOM)
    artefacts.save(KIND, NAME, FACTS, [b"one", b"two"])
    assert artefacts.blob(KIND, NAME, 0) == b"one"
    obstore.delete(store, KEY)
    assert artefacts.blob(KIND, NAME, 1) is None
    assert artefacts.load(KIND, NAME) is None


def test_a_store_that_fails_only_warns(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("store") / "bucket"
    artefacts = BucketArtefactStore(SyncObjectClient(LocalStore(folder, mkdir=True)), ROOM)
    artefacts.save(KIND, NAME, FACTS, [b"one"])
    folder.rename(folder.with_name("away"))
    folder.write_bytes(b"")  # a file where the folder was
    with capture_logs() as lines:
        assert not artefacts.save(KIND, NAME, FACTS)
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


# What it costs


def test_a_page_of_posters_costs_requests_once(bucket: Counted) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(50)]
    one, other = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    for name in names:
        one.save(KIND, name, FACTS, [name.encode() * 1000])
    bucket.asked.clear()
    for _ in range(3):
        for name in names:
            assert other.load(KIND, name) == FACTS
            assert other.blob(KIND, name, 0) == name.encode() * 1000
    assert len(bucket.asked) == 2 * len(names)


def test_a_start_asks_for_what_there_is_and_for_nothing_else(bucket: Counted) -> None:
    names = [artefact_name("metadata", str(number)) for number in range(400)]
    there = names[::4]
    one, fresh = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    for name in there:
        one.save("metadata", name, name.encode())
    bucket.asked.clear()
    fresh.prefetch([("metadata", name) for name in names])
    found = {name for name in names if fresh.load("metadata", name) == name.encode()}
    assert found == set(there)
    assert bucket.asked.count("list metadata") == 1
    assert sorted(bucket.asked)[:-1] == sorted(f"get metadata/{name}" for name in there)


def test_what_was_not_there_at_a_start_is_seen_when_it_is(bucket: Counted) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(100)]
    one, fresh = BucketArtefactStore(bucket, ROOM), BucketArtefactStore(bucket, ROOM)
    fresh.prefetch([(KIND, name) for name in names])
    assert fresh.load(KIND, names[0]) is None
    one.save(KIND, names[0], FACTS)
    assert fresh.load(KIND, names[0]) == FACTS


# The bound


def test_those_that_were_not_used_for_longest_make_room(
    bucket: Counted, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(12)]
    one, other = (BucketArtefactStore(bucket, 10 * 100_000) for _ in range(2))
    for number, name in enumerate(names):
        one.save(KIND, name, FACTS, [bytes(99_000)])
        bucket.ages[f"{KIND}/{name}"] = DAY * (20 - number)
    assert one.size > 10 * 100_000
    other.load(KIND, names[0])  # which makes the oldest one the latest
    other.blob(KIND, names[2], 0)
    monkeypatch.setattr(other, "_limit", ROOM)
    other.evict()  # it tells of it
    assert other.size > 12 * 99_000
    one.evict([(KIND, names[4])])
    kept = {name for name in names if f"{KIND}/{name}" in keys(store)}
    # Nine of them are less than nine tenths of what there may be.
    assert kept == {names[0], names[2], names[4], *names[6:]}
    assert 0 < one.size <= 10 * 100_000
    fresh = BucketArtefactStore(bucket, ROOM)
    assert {name for name in names if fresh.load(KIND, name)} == kept


def test_a_sweep_of_what_fits_drops_nothing_and_leaves_what_is_not_ours(
    bucket: Counted, store: MemoryStore
) -> None:
    artefacts = BucketArtefactStore(bucket, ROOM)
    artefacts.save(KIND, NAME, FACTS, BLOBS)
    obstore.put(store, "thesis.doc", b"x")
    bucket.ages = {KEY: 3650 * DAY, "thesis.doc": 3650 * DAY}
    artefacts.evict()
    assert keys(store) == {KEY, "thesis.doc"}
    assert artefacts.size == len(obstore.get(store, KEY).bytes())
    assert BucketArtefactStore(bucket, 1).above_high_watermark is False
    tight = BucketArtefactStore(bucket, 1)
    tight.evict()
    assert keys(store) == {"thesis.doc"}


def test_use_is_noted_once_a_day_and_for_a_month(bucket: Counted, store: MemoryStore) -> None:
    artefacts = BucketArtefactStore(bucket, 1)
    bucket.ages = {}
    artefacts.save(KIND, NAME, FACTS)
    artefacts.load(KIND, NAME)
    artefacts.evict()
    notes = [key for key in keys(store) if key.startswith("used/")]
    assert len(notes) == 1
    assert obstore.get(store, notes[0]).bytes().to_bytes() == bytes.fromhex(NAME)
    artefacts.save(KIND, NAME, FACTS)
    artefacts.load(KIND, NAME)
    artefacts.evict()
    assert [key for key in keys(store) if key.startswith("used/")] == notes
    bucket.ages[notes[0]] = 31 * DAY
    artefacts.save(KIND, NAME, FACTS)
    artefacts.evict()
    assert keys(store) == set()


def test_two_writers_and_a_reader_never_see_half_of_it(store: MemoryStore) -> None:
    versions = [(b"%d" % number, [bytes([number]) * 100_000]) for number in (1, 2)]
    BucketArtefactStore(SyncObjectClient(store), ROOM).save(KIND, NAME, *versions[0])
    start = threading.Barrier(2)

    def write(number: int) -> None:
        artefacts = BucketArtefactStore(SyncObjectClient(store), ROOM)
        start.wait(30)
        for _ in range(30):
            artefacts.save(KIND, NAME, *versions[number])

    writers = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(BucketArtefactStore(SyncObjectClient(store), ROOM).load(KIND, NAME))
    for writer in writers:
        writer.join()
    assert seen <= {facts for facts, _ in versions}


class Failing(Counted):
    """Lists, but gives nothing."""

    def get(self, key: str, *_: object) -> RangeResult:
        self.asked.append(f"get {key}")
        raise OSError(errno.EIO, "the store failed")


def test_a_store_that_lists_but_does_not_give_is_not_asked_for_each_of_many(
    store: MemoryStore,
) -> None:
    names = [artefact_name(KIND, str(number)) for number in range(500)]
    for name in names:
        obstore.put(store, f"{KIND}/{name}", b"x")
    failing = Failing(store)
    artefacts = BucketArtefactStore(failing, ROOM)
    artefacts.prefetch([(KIND, name) for name in names])
    assert [artefacts.load(KIND, name) for name in names] == [None] * 500
    assert len(failing.asked) <= 20  # the listing, and those that were under way
    with pytest.raises(OSError, match="the store failed"):  # it is asked anew the next time
        artefacts.load(KIND, names[0])


def test_a_note_that_could_not_be_written_is_written_the_next_time(
    bucket: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefacts = BucketArtefactStore(bucket, ROOM)
    artefacts.save(KIND, NAME, FACTS)
    assert artefacts.load(KIND, NAME) == FACTS

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "the store failed")

    with monkeypatch.context() as broken, capture_logs():
        broken.setattr(bucket, "put", fail)
        artefacts.evict()
    artefacts.evict()
    assert [asked for asked in bucket.asked if asked.startswith("put used/")]
