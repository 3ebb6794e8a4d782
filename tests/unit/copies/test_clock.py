"""One clock for the streams of a film, where the file's jumps or wraps around."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.copies.clock import DamagedStartError, FilmClock, presentation

WRAP = Fraction(1 << 33, 90_000)
FRAME = Fraction(1, 25)


def played(clock: FilmClock, stream: int, times: list[Fraction]) -> list[Fraction]:
    return [time + clock.shift(stream, time, FRAME) for time in times]


def run(start: Fraction, count: int = 50) -> list[Fraction]:
    return [start + number * FRAME for number in range(count)]


@given(st.fractions(0, 100_000, max_denominator=90_000))
def test_times_without_jumps_are_kept(start: Fraction) -> None:
    clock = FilmClock(wraps=True)
    assert played(clock, 0, run(start)) == run(start)
    assert clock.jumps == 0


def test_gaps_are_kept() -> None:
    clock = FilmClock(wraps=False)
    times = [*run(Fraction(0)), *run(Fraction(9))]  # seven seconds are missing
    assert played(clock, 0, times) == times


@given(st.sampled_from([Fraction(-500), Fraction(60), Fraction(80_000)]))
def test_after_a_jump_it_goes_on_and_streams_stay_in_sync(to: Fraction) -> None:
    clock = FilmClock(wraps=False)
    picture: list[Fraction] = []
    sound: list[Fraction] = []
    for start in (Fraction(0), to):
        picture += played(clock, 0, run(start))
        sound += played(clock, 1, [time + Fraction(1, 50) for time in run(start)])
    assert picture == run(Fraction(0), 100)
    assert [b - a for a, b in zip(picture, sound, strict=True)] == [Fraction(1, 50)] * 100
    assert clock.jumps == 1


def test_a_late_stream_follows_its_own_clock_until_its_jump() -> None:
    clock = FilmClock(wraps=False)
    assert played(clock, 0, [Fraction(0), FRAME]) == [Fraction(0), FRAME]
    assert played(clock, 1, [Fraction(0)]) == [Fraction(0)]
    assert played(clock, 0, [Fraction(1000)]) == [2 * FRAME]  # the picture jumps first
    assert played(clock, 1, [FRAME]) == [FRAME]  # a sound of before the jump
    assert played(clock, 1, [Fraction(1000)]) == [2 * FRAME]


def test_a_damaged_time_stamp_is_no_jump() -> None:
    for damage in (-500, 600):
        clock = FilmClock(wraps=False)
        times = run(Fraction(1000))
        damaged = [*times[:20], times[20] + damage, *times[21:]]
        assert played(clock, 0, damaged) == times
        assert clock.jumps == 0


@pytest.mark.parametrize("damage", [-500, -11, 11, 47_721])
@pytest.mark.parametrize("first", [0, 1])
def test_a_stream_that_begins_with_a_damaged_time_stamp_follows_the_others(
    damage: int, first: int
) -> None:
    times = run(Fraction(1000))
    damaged = [time + damage for time in times[:3]] + times[3:]  # a stamp is that of three frames
    order = [(first, number) for number in range(3)] + [
        (stream, number)
        for number in range(50)
        for stream in (0, 1)
        if stream != first or number > 2
    ]
    by_stream = {0: times, 1: damaged}

    def play(clock: FilmClock) -> dict[int, list[Fraction]]:
        film: dict[int, list[Fraction]] = {0: [], 1: []}
        for stream, number in order:
            film[stream] += played(clock, stream, [by_stream[stream][number]])
        return film

    with pytest.raises(DamagedStartError) as error:
        play(FilmClock(wraps=False))
    assert error.value.stream == 1
    clock = FilmClock(wraps=False, damaged_starts={1: error.value.start})
    assert play(clock) == {0: times, 1: times}
    assert clock.jumps == 0


def test_a_file_that_is_not_interleaved_keeps_its_times() -> None:
    clock = FilmClock(wraps=False)
    picture, sound = run(Fraction(0), 1000), run(Fraction(0), 1000)
    assert played(clock, 0, picture) == picture
    assert played(clock, 1, sound) == sound


def test_sound_of_which_only_the_first_frame_is_early_keeps_its_gap() -> None:
    clock = FilmClock(wraps=False)
    assert played(clock, 1, [Fraction(0)]) == [Fraction(0)]
    picture = run(Fraction(0), 1000)
    assert played(clock, 0, picture) == picture
    assert played(clock, 1, [Fraction(40)]) == [Fraction(40)]


def test_a_jump_is_confirmed_by_the_next_packet_of_any_stream() -> None:
    for other in (0, 1):
        clock = FilmClock(wraps=False)
        for stream in (0, 1):
            played(clock, stream, [Fraction(0)])
        assert played(clock, 0, [Fraction(1000)]) == [FRAME]
        assert clock.jumps == 0
        start = Fraction(1000) + (FRAME if other == 0 else 0)
        assert played(clock, other, [start]) == [2 * FRAME if other == 0 else FRAME]
        assert clock.jumps == 1


def test_a_gap_of_one_stream_alone_is_kept_however_long() -> None:
    clock = FilmClock(wraps=False)
    played(clock, 1, run(Fraction(0)))  # two seconds of sound
    picture = run(Fraction(0), 1000)
    assert played(clock, 0, picture) == picture  # 40 s
    sound = run(Fraction(40))
    assert played(clock, 1, sound) == sound
    assert clock.jumps == 0


def test_wrapping_around_is_no_jump_and_keeps_gaps() -> None:
    clock = FilmClock(wraps=True)
    times = [*run(WRAP - 2), *run(Fraction(3))]  # three seconds are missing, at the wrap
    assert played(clock, 0, times) == [*run(WRAP - 2), *run(WRAP + 3)]
    assert clock.jumps == 0


def test_a_picture_that_is_shown_after_the_wrap_is_decoded_before_it() -> None:
    assert presentation(100, (1 << 33) - 200, wraps=True) == (1 << 33) + 100
    assert presentation(300, 200, wraps=True) == 300
    assert presentation(100, (1 << 33) - 200, wraps=False) == 100
    assert presentation(None, 5, wraps=True) is None


def test_times_of_presentation_and_decoding_that_are_far_apart_are_damaged() -> None:
    assert presentation(90_000 * 9, 0, wraps=True) == 90_000 * 9
    assert presentation(90_000 * 11, 0, wraps=True) is None
    assert presentation(0, 90_000 * 11, wraps=True) is None
