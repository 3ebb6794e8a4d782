"""When pictures are shown, where the file does not say it of all."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.copies.picture_times import (
    exact_timing,
    fill_times,
    times_of_decoding,
    with_timescale,
)
from service.copies.track import NO_TIME
from service.matroska.window import DeclinedError

DECODED = [0, 4, 2, 1, 3, 8, 6, 5, 7]
"""The places at which pictures are shown, in the order of decoding."""


@given(st.sets(st.integers(0, len(DECODED) - 1), min_size=2))
def test_unknown_times_are_evenly_between_known_ones(known: set[int]) -> None:
    exact = [1000 + 3600 * place for place in DECODED]
    times = [time if n in known else NO_TIME for n, time in enumerate(exact)]
    assert fill_times(DECODED, times) == exact


def test_a_time_that_contradicts_the_order_is_left_out() -> None:
    times = [3600 * place for place in DECODED]
    times[3] = 3600 * 4  # of the picture that is shown second
    assert fill_times(DECODED, times) == [3600 * place for place in DECODED]


@pytest.mark.parametrize("times", [[NO_TIME] * 3, [NO_TIME, 5, NO_TIME]])
def test_one_time_is_not_enough(times: list[int]) -> None:
    with pytest.raises(DeclinedError):
        fill_times([0, 1, 2], times)


def test_pictures_are_shown_at_the_times_of_decoding_in_their_own_order() -> None:
    assert times_of_decoding([0, 30, 10, 20], [0, 1, 2, 4]) == [0, 4, 1, 2]  # 3 is missing
    with pytest.raises(DeclinedError):
        times_of_decoding([0, 1], [0, NO_TIME])


@given(
    st.integers(0, 1 << 33),
    st.lists(st.integers(0, 1 << 18), min_size=1, max_size=50, unique=True),
    st.randoms(use_true_random=False),
    st.sampled_from([Fraction(1, 90_000), Fraction(1001, 24_000), Fraction(1, 25)]),
)
def test_the_tables_give_each_picture_its_time(
    start: int, times: list[int], order: object, time_base: Fraction
) -> None:
    times = [start + time for time in times]
    order.shuffle(times)  # type: ignore[attr-defined]
    timing = exact_timing(times, time_base)
    decoded, position = [], 0
    for duration in timing.durations:
        decoded.append(position)
        position += duration
    offsets = timing.offsets or [0] * len(times)
    shown = [time + offset - timing.skip for time, offset in zip(decoded, offsets, strict=True)]
    assert min(offsets) >= 0
    assert min(timing.durations) >= 0
    expected = [(time - min(times)) * time_base for time in times]
    assert [Fraction(time, timing.timescale) for time in shown] == expected
    assert timing.start == pytest.approx(float(min(times) * time_base))
    finer = with_timescale(timing, 7 * timing.timescale)
    assert Fraction(finer.length, finer.timescale) == Fraction(timing.length, timing.timescale)
    assert sum(finer.durations) == 7 * sum(timing.durations)
