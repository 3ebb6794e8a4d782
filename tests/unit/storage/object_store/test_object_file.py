"""Objects read as files, with few requests."""

import io
from functools import cache
from pathlib import Path

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import LocalStore, MemoryStore
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.server import content

from service.images.poster import poster
from service.probing.metadata import read_metadata
from service.storage.object_store.config import revision_of
from service.storage.object_store.object_file import open_object
from service.storage.object_store.sync_client import RangeResult, SyncObjectClient

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
KEY = "films/film.mp4"


class Counted(SyncObjectClient):
    """A client that records its requests."""

    def __init__(self, store: LocalStore | MemoryStore) -> None:
        super().__init__(store)
        self.lengths: list[int] = []

    def get(self, key: str, start: int, end: int, e_tag: str | None = None) -> RangeResult:
        part = super().get(key, start, end, e_tag)
        self.lengths.append(len(part.data))
        return part


def held(data: bytes) -> tuple[Counted, str]:
    """Return a client of a store with one object, and its revision."""
    store = MemoryStore()
    revision = revision_of(len(data), obstore.put(store, KEY, data)["e_tag"])
    assert revision
    return Counted(store), revision


LARGE = content(20 * MIB + 5)


@cache
def held_once() -> tuple[Counted, str]:
    """Return the same store for all examples, which do not change it."""
    return held(LARGE)


@given(
    steps=st.lists(
        st.tuples(
            st.one_of(st.integers(0, len(LARGE) + 10), st.just(len(LARGE) - 3)),
            st.integers(1, 6),
            st.integers(1, 300_000),
        ),
        max_size=12,
    )
)
def test_reads_at_any_position_return_the_objects_bytes(steps: list[tuple[int, int, int]]) -> None:
    bucket, revision = held_once()
    file, size = open_object(bucket, KEY, revision)
    assert size == len(LARGE)
    for position, times, length in steps:
        assert file.seek(position) == position
        for number in range(times):
            expected = LARGE[position + number * length :][:length]
            assert file.read(length) == expected


def test_an_object_is_read_to_its_end_and_no_further() -> None:
    for size in (1, 4096, 64 * KIB, 64 * KIB + 1, 3 * MIB):
        bucket, revision = held(LARGE[:size])
        file, reported_size = open_object(bucket, KEY, revision)
        assert reported_size == size
        assert file.read() == LARGE[:size]
        assert file.read(1) == b""
        assert file.seek(-1, io.SEEK_END) == size - 1
        assert file.read(5) == LARGE[size - 1 : size]
        assert sum(bucket.lengths) <= size + 4096


def test_sequential_reads_take_few_requests_and_random_reads_fetch_little() -> None:
    bucket, revision = held(LARGE)
    file, _ = open_object(bucket, KEY, revision)
    while file.read(32 * KIB):
        pass
    # 64 KiB first, then twice as much each time, up to 1 MiB.
    assert bucket.lengths[:6] == [64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB, MIB]
    assert sum(bucket.lengths) == len(LARGE)
    bucket.lengths.clear()
    for place in range(MIB, 11 * MIB, MIB):
        file.seek(place + 1)
        assert file.read(1000) == LARGE[place + 1 : place + 1001]
    assert sum(bucket.lengths) <= 10 * 2 * 4096


def test_recently_read_bytes_are_not_fetched_again() -> None:
    bucket, revision = held(LARGE)
    file, _ = open_object(bucket, KEY, revision)
    file.seek(10 * MIB)
    file.read(4 * MIB)
    requests = len(bucket.lengths)
    file.seek(10 * MIB)
    assert file.read(4 * MIB) == LARGE[10 * MIB : 14 * MIB]
    file.seek(0)
    assert file.read(100) == LARGE[:100]
    assert len(bucket.lengths) == requests


def test_no_byte_of_a_replaced_object_is_returned() -> None:
    store = MemoryStore()
    revision = revision_of(len(LARGE), obstore.put(store, KEY, LARGE)["e_tag"])
    bucket = SyncObjectClient(store)
    file, _ = open_object(bucket, KEY, revision)
    obstore.put(store, KEY, LARGE[::-1])
    file.seek(5 * MIB)
    with pytest.raises(FileNotFoundError):
        file.read(1)
    with pytest.raises(FileNotFoundError):
        open_object(bucket, KEY, revision)
    with pytest.raises(FileNotFoundError) as error:
        open_object(bucket, "films/other.mp4", None)
    assert error.value.filename == "films/other.mp4"


# Requests for films


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25:duration=10")
    sound = ("-f", "lavfi", "-i", "sine=duration=10")
    return ffmpeg(tmp_path_factory.mktemp("films") / "once.mp4", *picture, *sound, *H264, *AAC)


def two_hours(once: Path, target: Path, size: int, *options: str) -> int:
    """Write a sparse film of two hours and `size` bytes, and return the length of its index."""
    film = ffmpeg(
        target.with_suffix(".mov.mp4"), "-stream_loop", "719", "-i", once, "-c", "copy", *options
    )
    data = film.read_bytes()
    film.unlink()
    media = data.index(b"mdat") - 4
    assert data[media - 4 : media] == b"free"  # space for a 64-bit length
    start, end = media - 8, media + int.from_bytes(data[media : media + 4], "big")
    behind = data[end:]
    header = (1).to_bytes(4, "big") + b"mdat" + (size - len(behind) - start).to_bytes(8, "big")
    with target.open("wb") as file:
        file.write(data[:start] + header + data[media + 8 : end])
        file.seek(size - 1)
        file.write(b"\1")  # a file that ends with zeros is not complete
        file.seek(size - len(behind))
        file.write(behind)
    return len(data) - (end - start)


@pytest.mark.parametrize("where", ["front", "end"])
def test_probing_a_film_of_4_gib_reads_a_few_mb(once: Path, tmp_path: Path, where: str) -> None:
    film, size = tmp_path / "film.mp4", 4 * GIB + 12_345
    options = ("-movflags", "+faststart") if where == "front" else ()
    index = two_hours(once, film, size, *options)
    assert 4 * MIB < index < 8 * MIB  # longer than the index of most such films
    bucket = Counted(LocalStore(tmp_path))
    file, told_size = open_object(bucket, "film.mp4", None)
    assert told_size == size
    metadata = read_metadata(file, told_size)
    # FFmpeg may begin each copy up to a frame of sound (23 ms) later.
    assert 7190 < metadata["duration"] < 7200 + 720 * 0.024
    assert metadata["index_at_front"] is (where == "front")
    with film.open("rb") as same:
        assert read_metadata(same, size) == metadata
    # The index once, perhaps with a last request that is too long, and the first frames.
    assert sum(bucket.lengths) < index + 2 * MIB
    assert len(bucket.lengths) < 30
    bucket.lengths.clear()
    assert poster(open_object(bucket, "film.mp4", None)[0])
    assert sum(bucket.lengths) < index + 4 * MIB
