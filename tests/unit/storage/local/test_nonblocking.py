import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.storage.local import nonblocking

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="Linux alone has it")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[int]]:
    descriptors = []
    for content in (b"A" * 1000, b"B" * 1000):
        file = tmp_path / content[:1].decode()
        file.write_bytes(content)
        descriptors.append(os.open(file, os.O_RDONLY))
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_cached_pages_are_read(opened: list[int]) -> None:
    if not nonblocking.supports_nowait(opened[0]):
        pytest.skip("this file system does not support RWF_NOWAIT")
    assert nonblocking.read_cached(opened[0], 10, 20) == b"A" * 20
    assert nonblocking.read_cached(opened[0], 990, 20) == b"A" * 10
    assert nonblocking.read_cached(opened[0], 1000, 20) is None


def test_a_concurrent_nowait_check_does_not_touch_the_read_buffer(
    opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may run between the system call and the copy of its result."""
    read, other = os.preadv, opened[1]

    def read_and_be_overtaken(descriptor: int, buffers: Sequence[Any], *more: int) -> int:
        count = read(descriptor, buffers, *more)
        if descriptor != other:
            nonblocking.supports_nowait(other)
        return count

    monkeypatch.setattr(os, "preadv", read_and_be_overtaken)
    assert nonblocking.read_cached(opened[0], 0, 1000) in {b"A" * 1000, None}
