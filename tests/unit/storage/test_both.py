"""The behaviour that folders and buckets share."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.mp4_boxes import FTYP, box, moov, table, track
from support.object_store import Bucket
from support.server import content, write

from service.errors import ChangedError, NotFoundError
from service.metrics import Metrics
from service.protocol.ranges import Span
from service.representations.fast_start import FastStart, fast_start_revision
from service.storage.base import OpenRepresentation, Storage, list_entries
from service.storage.local.folder import LocalStorage
from service.storage.object_store.config import open_store
from service.storage.object_store.storage import ObjectStorage

BLOCK = 100_000
SIZE = 5 * BLOCK + 777
DATA = content(SIZE)


@dataclass
class WritableStorage:
    """A storage and functions that write to it and remove files."""

    storage: Storage
    put: Callable[[str, bytes], object]
    remove: Callable[[str], object]


@pytest.fixture(params=["folder", "bucket"])
async def writable(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[WritableStorage]:
    if request.param == "folder":
        media = tmp_path / "media"
        media.mkdir()
        folder = LocalStorage(media)
        yield WritableStorage(
            folder,
            lambda name, data: write(media, name, data),
            lambda name: (media / name).unlink(),
        )
        folder.close()
    else:
        bucket: Bucket = request.getfixturevalue("bucket")
        storage = ObjectStorage(
            open_store(bucket.url, bucket.environ()),
            block_size=BLOCK,
            max_bytes=10 * BLOCK,
            timeout=30,
            metrics=Metrics(),
        )
        yield WritableStorage(storage, bucket.put, bucket.delete)
        storage.close()


async def read(source: OpenRepresentation, span: Span) -> bytes:
    return b"".join([chunk async for chunk in source.read(span)])


@pytest.mark.parametrize(
    "span",
    [
        Span(0, SIZE),
        Span(0, 1),
        Span(SIZE - 1, 1),
        Span(BLOCK, BLOCK),
        Span(BLOCK - 1, 2),
        Span(1, 3 * BLOCK),
        Span(5 * BLOCK, 777),
        Span(5, 0),
    ],
    ids=str,
)
async def test_a_span_is_read_byte_for_byte(writable: WritableStorage, span: Span) -> None:
    writable.put("film.mp4", DATA)
    source = await writable.storage.open("film.mp4")
    assert await read(source, span) == DATA[span.start : span.end]
    source.close()


async def test_several_readers_of_one_file_do_not_disturb_each_other(
    writable: WritableStorage,
) -> None:
    writable.put("film.mp4", DATA)
    sources = [await writable.storage.open("film.mp4") for _ in range(8)]
    spans = [Span(number * 1000, 2 * BLOCK) for number in range(8)]
    results = await asyncio.gather(*map(read, sources, spans))
    assert results == [DATA[span.start : span.end] for span in spans]
    for source in sources:
        source.close()
        source.close()


async def test_an_open_file_has_its_metadata(writable: WritableStorage) -> None:
    writable.put("sub/film.webm", DATA)
    writable.put("empty.mp4", b"")
    (entry,) = list_entries(writable.storage)
    source = await writable.storage.open("sub/film.webm")
    representation = source.representation
    assert (entry.path, entry.size) == ("sub/film.webm", SIZE)
    assert (representation.size, representation.content_type) == (SIZE, "video/webm")
    assert entry.revision == representation.validators.revision
    assert int(entry.modified) == representation.validators.last_modified
    assert representation.validators.is_stable
    empty = (await writable.storage.open("empty.mp4")).representation
    assert empty.size == 0
    assert empty.validators.revision.startswith("0-")


def test_a_folder_that_has_not_changed_is_not_listed_again(writable: WritableStorage) -> None:
    def changed(known: dict[str, bytes]) -> dict[str, list[str]]:
        """Return the paths in the folders that are listed, and remember all digests."""
        listings = list(writable.storage.list_folders(known))
        known.clear()
        known.update({listing.path: listing.digest for listing in listings})
        return {
            listing.path: [entry.path for entry in listing.entries]
            for listing in listings
            if listing.entries is not None
        }

    known: dict[str, bytes] = {}
    for path in ("film.mp4", "a/1.mp4", "a/b/2.mp4", "c/3.mp4"):
        writable.put(path, DATA)
    assert changed(known).keys() == {"", "a", "a/b", "c"}
    assert changed(known) == {}
    writable.put("a/b/4.srt", b"text")
    assert changed(known) == {"a/b": ["a/b/2.mp4", "a/b/4.srt"]}
    writable.put("c/3.mp4", content(SIZE, 2))  # another version
    assert changed(known) == {"c": ["c/3.mp4"]}
    writable.put("d/5.mp4", DATA)
    assert changed(known) == {"d": ["d/5.mp4"]}
    assert known.keys() == {"", "a", "a/b", "c", "d"}


async def test_another_version_has_another_revision(writable: WritableStorage) -> None:
    writable.put("film.mp4", DATA)
    (before,) = list_entries(writable.storage)
    writable.put("film.mp4", content(SIZE, 2))
    (after,) = list_entries(writable.storage)
    assert before.revision != after.revision
    assert (await writable.storage.open("film.mp4")).representation.validators.revision in {
        before.revision,
        after.revision,
    }


async def test_a_file_replaced_while_it_is_read_is_never_mixed(writable: WritableStorage) -> None:
    writable.put("film.mp4", DATA)
    source = await writable.storage.open("film.mp4")
    received = b""
    try:
        async for chunk in source.read(Span(0, SIZE)):
            if not received:
                await asyncio.to_thread(writable.put, "film.mp4", content(SIZE, 2))
            received += chunk
    except ChangedError:
        assert len(received) < SIZE
    assert received == DATA[: len(received)]
    source.close()


@pytest.mark.parametrize(
    "path",
    [
        "missing.mp4",
        "missing/film.mp4",
        "sub",
        "sub/",
        "film.mp4/",
        "film.mp4/x.mp4",
        "text.txt",
        "../secret.mp4",
        "sub/../film.mp4",
        "./film.mp4",
        "/film.mp4",
        "sub//inside.mp4",
        "x" * 300 + ".mp4",
        "x" * 2000 + ".mp4",
        "film.mp4\0",
        "\0.mp4",
        "a\\b.mp4",
        "a\nb.mp4",
        "a\x7fb.mp4",
        "\udcff.mp4",
        "",
    ],
)
async def test_a_missing_or_invalid_path_is_not_found(writable: WritableStorage, path: str) -> None:
    writable.put("film.mp4", b"film")
    writable.put("sub/inside.mp4", b"film")
    writable.put("text.txt", b"text")
    with pytest.raises(NotFoundError):
        await writable.storage.open(path)


def test_hidden_empty_and_other_files_are_not_listed(writable: WritableStorage) -> None:
    listed = ["film.mp4", "film.en.srt", "film.jpg", "sub/deep/ünïcode 🎬.webm", "sub/film.mp4"]
    for path in listed:
        writable.put(path, b"x")
    for path in (".hidden.mp4", ".hidden/film.mp4", "sub/.hidden/film.mp4", "text.txt", "film",
                 "back\\slash.mp4"):  # fmt: skip
        writable.put(path, b"x")
    writable.put("empty.mp4", b"")
    assert sorted(entry.path for entry in list_entries(writable.storage)) == sorted(listed)


async def is_served(storage: Storage, path: str) -> bool:
    try:
        (await storage.open(path)).close()
    except NotFoundError:
        return False
    return True


LEFT_OUT = (
    "$RECYCLE.BIN/S-1-5-21/$R1.mp4", "#recycle/a.mp4", "Films/@eaDir/a.mp4/SYNOVIDEO.mp4",
    ".Trash-1000/files/a.mp4", "lost+found/#123.mp4", "System Volume Information/a.mp4",
    "#snapshot/GMT/a.mp4", ".zfs/snapshot/x/a.mp4", "@GMT-2026.01.31-00.00.00/a.mp4",
    "__MACOSX/._a.mp4", ".hidden.mp4", "film.mp4.download/film.mp4",
)  # fmt: skip


async def test_what_is_no_library_is_neither_listed_nor_served(writable: WritableStorage) -> None:
    storage = writable.storage
    for path in (*LEFT_OUT, "film.mp4", "Films/#1.mp4"):
        writable.put(path, b"x")
    # Bytes do not wait for a listing.
    assert [path for path in LEFT_OUT if await is_served(storage, path)] == []
    assert sorted(entry.path for entry in list_entries(storage)) == ["Films/#1.mp4", "film.mp4"]
    assert [path for path in LEFT_OUT if await is_served(storage, path)] == []
    assert await is_served(storage, "Films/#1.mp4")


async def test_a_nomedia_file_leaves_out_its_folder_until_it_is_removed(
    writable: WritableStorage,
) -> None:
    storage = writable.storage
    inside = ["Home/#1.mp4", "Home/deep/er/b.mp4"]  # the first before, the other after .nomedia
    for path in (*inside, "Homes/c.mp4"):
        writable.put(path, b"x")
    everything = sorted([*inside, "Homes/c.mp4"])
    assert sorted(entry.path for entry in list_entries(storage)) == everything
    assert await is_served(storage, inside[0])
    writable.put("Home/.nomedia", b"")
    assert [entry.path for entry in list_entries(storage)] == ["Homes/c.mp4"]
    for path in inside:
        assert not await is_served(storage, path)
    assert await is_served(storage, "Homes/c.mp4")
    writable.remove("Home/.nomedia")
    assert sorted(entry.path for entry in list_entries(storage)) == everything
    assert await is_served(storage, inside[0])


@pytest.mark.parametrize("media_size", [1000, 3 * BLOCK])
async def test_players_get_the_index_in_front(writable: WritableStorage, media_size: int) -> None:
    media = box(b"mdat", content(media_size))
    offsets = [len(FTYP) + 8, len(FTYP) + media_size // 2]
    index = moov(track(table(offsets)))
    writable.put("film.mp4", FTYP + media + index)
    expected = FTYP + moov(track(table([offset + len(index) for offset in offsets]))) + media
    source = await FastStart(writable.storage).open("film.mp4", None)
    representation = source.representation
    assert representation.size == len(expected)
    assert await read(source, Span(0, representation.size)) == expected
    assert await read(source, Span(BLOCK, 10)) == expected[BLOCK : BLOCK + 10]
    original = await writable.storage.open("film.mp4")
    revision = original.representation.validators.revision
    assert representation.validators.revision == fast_start_revision(revision)
    pinned = await FastStart(writable.storage).open("film.mp4", representation.validators.revision)
    assert pinned.representation == representation


def test_a_failed_listing_raises_and_is_not_empty(tmp_path: Path, bucket: Bucket) -> None:
    media = tmp_path / "media"
    media.mkdir()
    folder = LocalStorage(media)
    media.rmdir()
    missing_bucket = open_store("s3://no-such-bucket", bucket.environ())
    storages: list[Storage] = [
        folder,
        ObjectStorage(missing_bucket, block_size=BLOCK, max_bytes=0, timeout=30, metrics=Metrics()),
    ]
    for storage in storages:
        with pytest.raises(OSError, match=os.strerror(2) if storage is folder else "cannot be"):
            list(list_entries(storage))
    folder.close()
