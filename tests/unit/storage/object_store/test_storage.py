"""Buckets only: head requests, pages, keys that are no paths, and numbers of requests."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from support.faulty_store import Fault, FaultyStore, faulty
from support.mp4_boxes import FTYP, box, moov, table, track
from support.object_store import Bucket, Swift
from support.server import content

from service.errors import ChangedError, GatewayTimeoutError, NotFoundError
from service.metrics import Metrics
from service.protocol.ranges import Span
from service.representations.fast_start import FastStart
from service.storage.base import OpenRepresentation
from service.storage.object_store import storage as objects
from service.storage.object_store.config import open_store
from service.storage.object_store.storage import ObjectStorage

BLOCK = 100_000
SIZE = 5 * BLOCK + 777
DATA = content(SIZE)


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[FaultyStore]:
    """Return a proxy that counts requests."""
    with faulty(bucket.swift) as store:
        yield store


@pytest.fixture
async def storage(bucket: Bucket, proxy: FaultyStore) -> AsyncIterator[ObjectStorage]:
    environ = bucket.environ(proxy.endpoint)
    storage = ObjectStorage(
        open_store(bucket.url, environ),
        block_size=BLOCK,
        max_bytes=10 * BLOCK,
        timeout=30,
        metrics=Metrics(),
    )
    yield storage
    proxy.released.set()
    storage.close()


async def read(source: OpenRepresentation, span: Span) -> bytes:
    return b"".join([chunk async for chunk in source.read(span)])


async def test_a_block_is_one_pinned_request(
    storage: ObjectStorage, bucket: Bucket, proxy: FaultyStore
) -> None:
    tag = bucket.put("film.mp4", DATA)
    source = await storage.open("film.mp4")
    spans = [Span(2 * BLOCK + number, 5000) for number in range(0, BLOCK // 2, 5000)]
    await asyncio.gather(*(read(source, span) for span in spans))
    (request,) = proxy.object_requests()
    assert request.range == f"bytes={2 * BLOCK}-{3 * BLOCK - 1}"
    assert request.condition == f'"{tag}"'


async def test_many_opens_cost_one_head_request(
    storage: ObjectStorage, bucket: Bucket, proxy: FaultyStore
) -> None:
    bucket.put("film.mp4", DATA)
    await asyncio.gather(*(storage.open("film.mp4") for _ in range(20)))
    assert len(proxy.object_requests("HEAD")) == 1


async def test_a_pinned_version_is_opened_without_a_head_request(
    storage: ObjectStorage, bucket: Bucket, proxy: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_VERSION_TTL", "_PINNED_TTL"):
        monkeypatch.setattr(objects, name, 0.0)
    bucket.put("film.mp4", DATA)
    revision = (await storage.open("film.mp4")).representation.validators.revision
    await storage.open("film.mp4", revision)
    assert len(proxy.object_requests("HEAD")) == 1
    await storage.open("film.mp4", "f-0")
    await storage.open("film.mp4")
    assert len(proxy.object_requests("HEAD")) == 3


async def test_an_unknown_pinned_version_causes_a_head_request(
    storage: ObjectStorage, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_VERSION_TTL", 3600.0)
    bucket.put("film.mp4", DATA)
    before = (await storage.open("film.mp4")).representation
    bucket.put("film.mp4", content(SIZE + 1, 2))
    assert (await storage.open("film.mp4")).representation == before
    newer = f"{SIZE + 1:x}-0"  # any revision but the cached one
    monkeypatch.setattr(objects, "_PINNED_TTL", 0.0)
    assert (await storage.open("film.mp4", newer)).representation.size == SIZE + 1


async def test_a_replaced_version_causes_a_new_head_request(
    storage: ObjectStorage, bucket: Bucket
) -> None:
    bucket.put("film.mp4", DATA)
    source = await storage.open("film.mp4")
    revision = source.representation.validators.revision
    bucket.put("film.mp4", content(SIZE, 2))
    with pytest.raises(ChangedError):
        await read(source, Span(0, 10))
    now = await storage.open("film.mp4", revision)
    assert now.representation.validators.revision != revision
    bucket.delete("film.mp4")
    with pytest.raises(ChangedError):
        await read(now, Span(0, 10))
    with pytest.raises(NotFoundError):
        await storage.open("film.mp4", now.representation.validators.revision)


async def test_a_listing_drops_versions_that_were_replaced(
    storage: ObjectStorage, bucket: Bucket
) -> None:
    revisions = {}
    for name in ("replaced.mp4", "removed.mp4", "same.mp4"):
        bucket.put(name, DATA)
        revisions[name] = (await storage.open(name)).representation.validators.revision
    bucket.put("replaced.mp4", content(SIZE, 2))
    bucket.delete("removed.mp4")
    listed = {entry.path for entry in storage.list_entries()}
    assert listed == {"replaced.mp4", "same.mp4"}
    now = await storage.open("replaced.mp4", revisions["replaced.mp4"])
    assert now.representation.validators.revision != revisions["replaced.mp4"]
    with pytest.raises(NotFoundError):
        await storage.open("removed.mp4", revisions["removed.mp4"])


async def test_a_store_that_does_not_respond_times_out(bucket: Bucket, proxy: FaultyStore) -> None:
    proxy.faults = [Fault("hold", when=lambda request: request.method == "HEAD")]
    storage = ObjectStorage(
        open_store(bucket.url, bucket.environ(proxy.endpoint), timeout=1),
        block_size=BLOCK,
        max_bytes=BLOCK,
        timeout=1,
        metrics=Metrics(),
    )
    with pytest.raises(GatewayTimeoutError):
        await storage.open("film.mp4")
    proxy.released.set()


async def test_a_path_whose_key_is_too_long_is_not_found(swift: Swift, proxy: FaultyStore) -> None:
    bucket = swift.bucket("films/of/mine")
    storage = ObjectStorage(
        open_store(bucket.url, bucket.environ(proxy.endpoint)),
        block_size=BLOCK,
        max_bytes=0,
        timeout=30,
        metrics=Metrics(),
    )
    longest = 1024 - len("films/of/mine/")  # bytes; the last of these takes two
    for name, requests in (("a" * (longest - 3), 1), ("ä" + "a" * (longest - 4), 1)):
        with pytest.raises(NotFoundError):
            await storage.open(f"{name}.ts")
        assert len(proxy.object_requests("HEAD")) == requests


def test_a_key_that_is_no_path_hides_only_its_own_folder(
    storage: ObjectStorage, bucket: Bucket
) -> None:
    for path in ("a/one.mp4", "a/sub/two.mp4", "b/bad/three.mp4", "b/four.mp4", "five.mp4"):
        bucket.put(path, b"x")
    bucket.put_key("b/bad//six.mp4", b"x")
    listed = [entry.path for entry in storage.list_entries()]
    assert sorted(listed) == ["a/one.mp4", "a/sub/two.mp4", "b/four.mp4", "five.mp4"]


async def test_blocks_of_a_layout_are_one_request_each(
    storage: ObjectStorage, bucket: Bucket, proxy: FaultyStore
) -> None:
    media = box(b"mdat", content(5 * BLOCK))
    index = moov(track(table([len(FTYP) + 8])))
    bucket.put("film.mp4", FTYP + media + index)
    source = await FastStart(storage).open("film.mp4", None)
    before = len(proxy.object_requests())
    for number in (4, 1, 3):  # not sequential: nothing is prefetched
        await read(source, Span(number * BLOCK, BLOCK))
    ranges = [request.range for request in proxy.object_requests()[before:]]
    assert ranges == [
        f"bytes={number * BLOCK - len(index)}-{(number + 1) * BLOCK - len(index) - 1}"
        for number in (4, 1, 3)
    ]


@pytest.mark.parametrize(
    ("age", "dated"), [(3600, True), (2.5, True), (1, False), (0, False), (-2, False), (-60, False)]
)
async def test_a_date_is_strong_once_its_second_is_over_and_a_revision_always(
    storage: ObjectStorage,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    age: float,
    dated: bool,  # noqa: FBT001 # a column of the table
) -> None:
    """RFC 9110 §8.8.2.2. The revision does not depend on the store's clock."""
    bucket.put("film.mp4", DATA)
    (entry,) = storage.list_entries()

    class Clock:
        monotonic = staticmethod(time.monotonic)
        time = staticmethod(lambda: entry.modified + age)

    monkeypatch.setattr(objects, "time", Clock)
    validators = (await storage.open("film.mp4")).representation.validators
    assert (validators.is_stable, validators.date_is_validator) == (True, dated)
    assert validators.last_modified <= entry.modified + age  # RFC 9110 §8.8.2.1
