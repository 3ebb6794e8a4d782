"""Key frame intervals and variable frame rates, computed from timestamps."""

import io
from fractions import Fraction

import pytest

from service.probing.frame_timing import TimingSample, is_variable_frame_rate, key_frame_interval
from service.probing.read_limited_file import ReadLimitedFile

MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("keys", "end", "expected"),
    [
        ([0, 2000, 4000], 5000, 2.0),
        ([0, 2000], 9000, 7.0),  # the time after the last one counts
        ([4000, 0, 2000], 5000, 2.0),  # in any order
        ([0], 3000, 3.0),
        ([0], 0, None),  # one frame
        ([], 3000, None),
        ([], None, None),
    ],
)
def test_the_key_frame_interval_is_the_longest_one(
    keys: list[int], end: int | None, expected: float | None
) -> None:
    assert key_frame_interval(TimingSample(MS, keys=keys, end=end)) == expected


CONSTANT = [40 * frame for frame in range(200)]
NTSC_IN_MILLISECONDS = [round(frame * 1001 / 30) for frame in range(200)]
LATE = [time + (40 if number >= 100 else 0) for number, time in enumerate(CONSTANT)]
TWO_OF_THREE = [time for number, time in enumerate(CONSTANT) if number % 3]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (CONSTANT, False),
        (NTSC_IN_MILLISECONDS, False),  # 33 and 34 by rounding
        (LATE, False),  # one frame of 200 is missing
        (TWO_OF_THREE, True),
        ([0, 40], None),
        ([0], None),
        ([], None),
        ([7] * 100, None),  # no frame has a duration
    ],
)
def test_a_frame_rate_is_variable_if_frame_durations_differ(
    times: list[int], *, expected: bool | None
) -> None:
    assert is_variable_frame_rate(TimingSample(MS, times=times)) is expected


def test_a_reader_ends_at_its_budget() -> None:
    reader = ReadLimitedFile(io.BytesIO(bytes(100)))
    assert len(reader.read(50)) == 50
    reader.seek(0)
    reader.set_budget(30)
    assert len(reader.read(20)) == 20
    assert len(reader.read(20)) == 10
    assert reader.read(20) == b""
    reader.set_budget(5)
    assert len(reader.read(20)) == 5
