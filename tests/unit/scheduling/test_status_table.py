"""The statuses of many artefacts, and what they take."""

import gc
import hashlib
import tracemalloc

from service.artefacts.metadata import ArtefactKind
from service.artefacts.status import ArtefactState, ArtefactStatus
from service.scheduling.name_index import NameIndex
from service.scheduling.status_table import StatusTable

POSTER, CAPTIONS = ArtefactKind.POSTER, ArtefactKind.CAPTIONS
READY = ArtefactStatus(ArtefactState.READY)


def names(count: int) -> list[str]:
    digests = (hashlib.blake2b(str(one).encode(), digest_size=16) for one in range(count))
    return [digest.hexdigest() for digest in digests]


def test_numbers_are_found_by_names_also_after_others_were_removed() -> None:
    index, some = NameIndex(), names(6_000)
    for number, name in enumerate(some):
        index.set(name, number)
    index.set(some[7], 2**32 - 1)  # another number instead
    assert [index.pop(name) for name in some[::2]] == list(range(0, 6_000, 2))
    assert index.pop(some[0]) is None
    assert len(index) == 3_000
    expected = [None if number % 2 == 0 else number for number in range(6_000)]
    expected[7] = 2**32 - 1
    assert [index.get(name) for name in some] == expected


def test_a_name_is_not_found_across_two_others() -> None:
    # Its digits are in two records: in the second half of the first key, in the number after it,
    # which is 0, and at the beginning of the next key.
    first, second = "abc1111111abc1111111".ljust(32, "0"), "abc".ljust(32, "c")
    index = NameIndex()
    index.set(first, 0)
    index.set(second, 0)
    assert index.get("abc1111111" + 8 * "0" + "ab" + 12 * "0") is None
    assert (index.get(first), index.get(second)) == (0, 0)


def test_a_status_takes_few_bytes_if_others_are_equal() -> None:
    table, some = StatusTable(), names(10_000)
    gc.collect()
    tracemalloc.start()
    for name in some:
        table.set(name, POSTER, ArtefactStatus(ArtefactState.READY))
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table.count(POSTER, ArtefactState.READY) == len(table) == 10_000
    assert used / 10_000 < 60  # 26 are the empty index; a dictionary of objects takes 200


def test_a_status_that_nothing_has_any_longer_is_forgotten() -> None:
    table, some = StatusTable(), names(100)
    for turn in range(100):
        for name in some:
            table.set(name, CAPTIONS, ArtefactStatus(ArtefactState.FAILED, f"{turn}: {name}"))
    assert len(table._values) <= 101  # noqa: SLF001
    assert table.status(some[3]) == ArtefactStatus(ArtefactState.FAILED, f"99: {some[3]}")
    assert table.count(CAPTIONS, ArtefactState.FAILED) == 100
    for name in some:
        table.discard(name)
    assert table.count(CAPTIONS, ArtefactState.FAILED) == len(table) == 0
    assert table.get(some[3]) is None


def test_an_entry_is_another_object_once_the_status_was_set_again() -> None:
    table, name = StatusTable(), names(1)[0]
    table.set(name, POSTER, READY)
    before = table.get(name)
    assert table.get(name) is before
    table.set(name, POSTER, READY)
    assert table.get(name) is not before
