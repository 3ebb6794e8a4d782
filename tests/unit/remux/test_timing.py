"""Decoding times, composition offsets and durations from the times of a Matroska file."""

from array import array
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.matroska.frame_table import SAME_BLOCK, FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.remux.picture_timing import TrackTiming, picture_timing
from service.remux.sound_timing import sound_timing

MILLISECOND = 1_000_000


def table(times: list[int], **fields: int) -> FrameTable:
    track_fields = {
        name: fields.pop(name) for name in ("default_duration", "codec_delay") if name in fields
    }
    found = FrameTable(MediaTrack(1, "video", "V_VP9", **track_fields), **fields)  # type: ignore[arg-type]
    found.times = array("q", times)
    return found


def presented(timing: TrackTiming) -> list[float]:
    """Return when each sample is shown, in seconds from the first presented moment."""
    decoded = [0, *accumulate(timing.durations)][:-1]
    offsets = timing.offsets or [0] * len(decoded)
    return [
        (at + offset - timing.skip) / timing.timescale
        for at, offset in zip(decoded, offsets, strict=True)
    ]


# Orders of presentation in which encoders store pictures.
NO_B_FRAMES = list(range(12))
B_FRAMES = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 11, 10]
PYRAMID = [0, 4, 2, 1, 3, 8, 6, 5, 7, 11, 10, 9]
RATES = [
    Fraction(24000, 1001),
    Fraction(30000, 1001),
    Fraction(60000, 1001),
    Fraction(25),
    Fraction(50),
    Fraction(1),
]


@pytest.mark.parametrize("order", [NO_B_FRAMES, B_FRAMES, PYRAMID])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("first", [0, 7, 5000])
def test_times_that_were_rounded_to_milliseconds_follow_their_rate_again(
    order: list[int], rate: Fraction, first: int
) -> None:
    times = [first + round(1000 * rank / rate) for rank in order]
    # So few pictures may be of other rates as well.
    found = table(times, default_duration=round(10**9 / rate))
    timing = picture_timing(found, MILLISECOND)
    assert presented(timing) == pytest.approx([float(rank / rate) for rank in order])
    assert Fraction(timing.timescale, timing.durations[0]) == rate
    assert len(set(timing.durations)) == 1
    assert timing.start == first / 1000
    assert timing.length / timing.timescale == pytest.approx(float(len(order) / rate))


@pytest.mark.parametrize("rate", RATES)
def test_times_that_were_cut_off_follow_their_rate_again(rate: Fraction) -> None:
    timing = picture_timing(table([int(1000 * rank / rate) for rank in range(3000)]), MILLISECOND)
    assert presented(timing) == pytest.approx([float(rank / rate) for rank in range(3000)])


def test_a_picture_is_decoded_before_it_is_shown_and_offsets_are_not_negative() -> None:
    for order in (NO_B_FRAMES, B_FRAMES, PYRAMID):
        timing = picture_timing(table([40 * rank for rank in order]), MILLISECOND)
        assert all(offset >= 0 for offset in timing.offsets or ())
        assert (timing.offsets is None) is (order == NO_B_FRAMES)


def test_other_times_are_kept() -> None:
    times = [0, 40, 80, 160, 180, 1000, 1001]
    timing = picture_timing(table(times, default_duration=40 * MILLISECOND), MILLISECOND)
    assert presented(timing) == pytest.approx([time / 1000 for time in times])
    assert timing.length / timing.timescale == pytest.approx(1.041)


def test_one_time_that_no_rounding_explains_makes_a_rate_variable() -> None:
    times = [40 * rank for rank in range(50)]
    times[20] += 3
    assert presented(picture_timing(table(times), MILLISECOND)) == pytest.approx(
        [t / 1000 for t in times]
    )


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=40, unique=True))
def test_no_time_differs_by_more_than_a_rounding(times: list[int]) -> None:
    timing = picture_timing(table(times), MILLISECOND)
    first = min(times)
    shown = presented(timing)
    assert (
        max(abs(at - (time - first) / 1000) for at, time in zip(shown, times, strict=True))
        <= 0.001_02
    )
    assert all(duration >= 0 for duration in timing.durations)
    assert timing.length > 0


def test_a_last_picture_is_shown_as_long_as_the_file_says_or_as_usual() -> None:
    irregular = [0, 40, 80, 160, 180, 1000]
    for last, expected in (
        ({"last_duration": 77}, 77),
        ({"default_duration": 33 * MILLISECOND}, 33),
        ({}, 40),
    ):
        durations = picture_timing(table(irregular, **last), MILLISECOND)
        assert durations.durations[-1] * 1000 / durations.timescale == pytest.approx(
            expected, abs=40
        )


def test_pictures_that_cannot_be_placed_are_declined() -> None:
    with pytest.raises(DeclinedError, match="several pictures in one block"):
        picture_timing(table([0, SAME_BLOCK]), MILLISECOND)
    with pytest.raises(DeclinedError, match="too far apart"):
        picture_timing(table([0, 1, 10**9]), MILLISECOND)
    with pytest.raises(DeclinedError, match="no fraction of a second"):
        picture_timing(table([0, 1, 5, 7]), 999_983)  # a prime number


# Sound: AAC has 1024 samples in a frame.

AAC = 1024


@pytest.mark.parametrize("sample_rate", [48000, 44100, 22050])
def test_sound_follows_its_samples_where_the_times_agree(sample_rate: int) -> None:
    times = [round(1000 * AAC * index / sample_rate) for index in range(500)]
    timing = sound_timing(table(times), MILLISECOND, sample_rate, AAC)
    assert set(timing.durations) == {AAC}
    assert timing.length == 500 * AAC
    assert timing.timescale == sample_rate


def test_the_frames_of_a_lace_follow_each_other() -> None:
    times = [
        time for block in range(50) for time in (round(8 * block * AAC / 48), *[SAME_BLOCK] * 7)
    ]
    timing = sound_timing(table(times), MILLISECOND, 48000, AAC)
    assert set(timing.durations) == {AAC}


def test_a_gap_lengthens_the_frame_before_it() -> None:
    times = [round(index * AAC / 48) + (500 if index >= 60 else 0) for index in range(100)]
    timing = sound_timing(table(times), MILLISECOND, 48000, AAC)
    assert [d for d in timing.durations if d != AAC] == [pytest.approx(AAC + 24000, abs=48)]
    assert timing.durations[59] != AAC


def test_an_overlap_shortens_the_frame_before_it_to_one_sample_at_least() -> None:
    times = [round(index * AAC / 48) - (15 if index >= 60 else 0) for index in range(100)]
    timing = sound_timing(table(times), MILLISECOND, 48000, AAC)
    assert timing.durations[59] == pytest.approx(AAC - 15 * 48, abs=48)
    times = [0, 1, 2, 3, 64]
    assert min(sound_timing(table(times), MILLISECOND, 48000, AAC).durations) >= 1


def test_sound_whose_frames_vary_follows_the_times() -> None:
    times = [20 * index if index < 50 else 1000 + 60 * (index - 50) for index in range(100)]
    timing = sound_timing(table(times), MILLISECOND, 48000, 0)
    assert list(timing.durations[:49]) == [960] * 49
    assert list(timing.durations[51:]) == [2880] * 49


def test_the_delay_and_the_padding_of_an_encoder_are_not_presented() -> None:
    # Opus: 312 samples of delay, and 300 of padding.
    times = [20 * index for index in range(100)]
    found = table(times, codec_delay=6_500_000, discard_padding=6_250_000)
    timing = sound_timing(found, MILLISECOND, 48000, 960)
    assert (timing.skip, timing.length) == (312, 96000 - 312 - 300)


def test_sound_without_a_first_time_or_that_goes_back_is_declined() -> None:
    with pytest.raises(DeclinedError, match="first frame has no time"):
        sound_timing(table([SAME_BLOCK, 0]), MILLISECOND, 48000, AAC)
    with pytest.raises(DeclinedError, match="go back"):
        sound_timing(table([100 - index for index in range(100)]), MILLISECOND, 48000, 0)


@given(
    st.lists(st.integers(0, 200_000) | st.just(SAME_BLOCK), min_size=1, max_size=60),
    st.sampled_from([0, 256, AAC, 1536]),
)
def test_any_times_of_sound_have_durations_or_are_declined(times: list[int], frame: int) -> None:
    try:
        timing = sound_timing(table(times), MILLISECOND, 48000, frame)
    except DeclinedError:
        return
    assert len(timing.durations) == len(times)
    assert all(0 <= duration < 2**31 for duration in timing.durations)
    assert timing.length >= 1
