"""How many bytes of a store's answer are gathered before they are given."""

import pytest

from service.storage.object_store.client import ChunkTuner

KIB, MIB = 1024, 1024**2


@pytest.mark.parametrize(
    ("rate", "answered", "gathered"),
    [
        # A quarter of what the store took to answer, as long as that is from 64 KiB to 1 MiB.
        (100 * MIB, 0.020, 512 * KIB),
        (40 * MIB, 0.040, 410 * KIB),
        (1000 * MIB, 0.020, MIB),
        (10 * MIB, 0.010, 64 * KIB),
        (100 * MIB, 0.0, 64 * KIB),
    ],
)
def test_the_first_bytes_come_a_quarter_later_at_most(
    rate: int, answered: float, gathered: int
) -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(4 * MIB, 4 * MIB / rate)
    assert tuner.chunk(answered) == pytest.approx(gathered, rel=0.001)


def test_little_is_gathered_until_the_pace_is_known_and_short_answers_do_not_tell_it() -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(64 * KIB, 0.0001)
        tuner.record(255 * KIB, 0.0)
    assert tuner.chunk(10) == 64 * KIB


def test_the_pace_follows_the_store() -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(4 * MIB, 0.01)
    fast = tuner.chunk(0.020)
    for _ in range(10):
        tuner.record(4 * MIB, 4.0)
    assert fast == MIB
    assert tuner.chunk(0.020) < MIB / 4


def test_a_store_that_has_failed_is_not_what_it_was() -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(4 * MIB, 0.01)
    tuner.reset()
    assert tuner.chunk(10) == 64 * KIB
