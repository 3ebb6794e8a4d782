"""Which fragmented forms of a film are stored."""

import random
from array import array

import pytest

from service.artefacts.packed_fragments import MAX_WITH_OTHERS, pack_fragments
from service.fragments.form import Fragments
from service.representations.interleaving import Interleaving
from service.workers.worker import MAX_BLOB_BYTES

FORM = Fragments(
    head=bytes(100),
    index_end=100,
    interleaving=Interleaving(array("Q", [0]), array("Q", [6 << 20])),
    headers=random.Random(1).randbytes(6 << 20),  # noqa: S311 # no secrets; it cannot be compressed
    codecs=("vp09.00.10.08",),
)


@pytest.mark.parametrize(("others", "count"), [(0, 2), (16, 2), (20, 1), (30, 0), (32, 0)])
def test_all_blobs_of_a_response_have_a_limit(others: int, count: int) -> None:
    blobs = [bytes(others << 19)] * 2  # MiB
    packed = pack_fragments(((number, FORM) for number in range(4)), blobs)
    assert len(packed.metadata) == count
    assert sum(map(len, (*blobs, *packed.blobs))) <= MAX_BLOB_BYTES


def test_the_limit_is_that_of_responses() -> None:
    assert MAX_WITH_OTHERS == MAX_BLOB_BYTES
