"""A listing in several ranges has every object once, in few requests."""

from collections.abc import Iterator

import pytest
from support.faulty_store import FaultyStore
from support.object_store import Bucket, Swift

from service.storage.object_store import listing
from service.storage.object_store.config import open_store
from service.storage.object_store.listing import BucketListing


@pytest.fixture
def proxy(swift: Swift) -> Iterator[FaultyStore]:
    store = FaultyStore(swift)
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE_SIZE", 5)


def listed(one: BucketListing) -> list[str]:
    return [meta["path"] for page in one.pages() for meta in page]


def of(bucket: Bucket, proxy: FaultyStore) -> BucketListing:
    return BucketListing(open_store(bucket.url, bucket.environ(proxy.endpoint)))


# The store takes 0.1 s of a processor for an object, so there are few of them.
LISTED = {
    # One request: the bucket is small.
    "small": (["b.mp4", "a/1.mp4"], 1),
    # The first page, the folders, and eight ranges at most.
    "folders": ([f"{letter}/{number}.mp4" for letter in "abcdefghijkl" for number in (0, 1)], 10),
    # The same below a folder, whose folders are listed as well.
    "one level more": (
        [f"Films/{letter} é/{number}.mp4" for letter in "abcdefghi" for number in (0, 1)],
        11,
    ),
    # All in one folder: no other place is known where a range may begin.
    "one folder": ([f"all/{number}.mp4" for number in range(20)], 3),
    # Names that sort between a folder and what is in it.
    "between": (
        [f"{name}{end}" for name in "abcdefgh" for end in (" b.mp4", "-c.mp4", "/d.mp4")],
        10,
    ),
}


@pytest.mark.parametrize(
    ("case", "prefix"),
    [
        *((case, "") for case in LISTED),
        *((case, "films/of/mine") for case in ("folders", "one level more", "between")),
    ],
)
def test_every_object_is_listed_once_in_few_requests(
    swift: Swift, proxy: FaultyStore, prefix: str, case: str
) -> None:
    names, first = LISTED[case]
    bucket = swift.bucket(prefix)
    for name in names:
        bucket.put(name, b"x")
    one = of(bucket, proxy)
    for most in (first, 9):  # the second time the ranges are known
        proxy.requests.clear()
        assert listed(one) == sorted(names)
        assert len(proxy.requests) <= most
    bucket.delete(names[0])
    bucket.put("0.mp4", b"x")
    bucket.put("z/z.mp4", b"x")
    assert listed(one) == sorted(["0.mp4", *names[1:], "z/z.mp4"])


def test_a_flat_bucket_is_not_listed_twice(
    swift: Swift, proxy: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first page shows many entries, a list of all of them would be the whole listing."""
    monkeypatch.setattr(listing, "_MAX_ENTRIES", 4)
    bucket = swift.bucket()
    names = [f"{number:02}.mp4" for number in range(20)]
    for name in names:
        bucket.put(name, b"x")
    one = of(bucket, proxy)
    assert listed(one) == names
    assert len(proxy.requests) == 1  # Swift has 1,000 keys in a page


def test_a_key_that_is_no_path_behind_the_first_page_hides_only_its_folder(
    swift: Swift, proxy: FaultyStore
) -> None:
    bucket = swift.bucket()
    names = [f"{letter}/{number}.mp4" for letter in "abcdef" for number in range(3)]
    for name in names:
        bucket.put(name, b"x")
    bucket.put_key("d//bad.mp4", b"x")
    assert sorted(listed(of(bucket, proxy))) == [name for name in names if name[0] != "d"]
