"""The chunk length of a store's responses."""

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
def test_gathering_delays_the_first_bytes_by_at_most_a_quarter(
    rate: int, answered: float, gathered: int
) -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(4 * MIB, 4 * MIB / rate)
    assert tuner.chunk(answered) == pytest.approx(gathered, rel=0.001)


def test_chunks_are_short_until_the_rate_is_known_and_short_responses_are_ignored() -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(64 * KIB, 0.0001)
        tuner.record(255 * KIB, 0.0)
    assert tuner.chunk(10) == 64 * KIB


def test_the_rate_follows_the_store() -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(4 * MIB, 0.01)
    fast = tuner.chunk(0.020)
    for _ in range(10):
        tuner.record(4 * MIB, 4.0)
    assert fast == MIB
    assert tuner.chunk(0.020) < MIB / 4


def test_a_failure_resets_the_rate() -> None:
    tuner = ChunkTuner()
    for _ in range(40):
        tuner.record(4 * MIB, 0.01)
    tuner.reset()
    assert tuner.chunk(10) == 64 * KIB
