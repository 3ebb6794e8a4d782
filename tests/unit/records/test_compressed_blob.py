"""Blobs that are stored compressed: any part is read, and damage is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.server import content

from service.records.compressed_blob import CompressedBlob, compress

DATA = content(40_000) + bytes(40_000)  # half of it cannot be compressed


class StoredBlob:
    """What is stored, read in short parts."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self, start: int, length: int) -> bytes:
        return self.data[start : start + min(length, 7000)]


@given(st.integers(0, len(DATA) - 1), st.integers(1, 50_000))
async def test_any_part_is_read(start: int, length: int) -> None:
    stored = compress(DATA)
    assert len(stored) < len(DATA)
    blob = CompressedBlob.open(StoredBlob(stored), stored)
    assert blob.length == len(DATA)
    found = b""
    while len(found) < min(length, len(DATA) - start):
        part = await blob.read(start + len(found), length - len(found))
        assert part
        found += part
    assert found == DATA[start : start + length]


@pytest.mark.parametrize("length", [0, 11, 30])
def test_one_that_is_cut_off_is_refused(length: int) -> None:
    stored = compress(DATA)[:length]
    with pytest.raises(ValueError, match=r"cut off|damaged|multiple"):
        CompressedBlob.open(StoredBlob(stored), stored)


async def test_a_damaged_part_is_an_error_of_the_disk() -> None:
    stored = compress(DATA)
    blob = CompressedBlob.open(StoredBlob(stored[:-5] + b"12345"), stored)
    with pytest.raises(OSError, match="damaged"):
        await blob.read(len(DATA) - 1, 1)
