import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.models import Metadata, ProbeState, Stream, Video
from service.pages.formatting import (
    format_duration,
    format_length,
    format_size,
    summary,
    to_datetime,
)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (1, "0:01"),
        (9.6, "0:10"),
        (59.4, "0:59"),
        (59.6, "1:00"),  # never 0:60
        (60, "1:00"),
        (123, "2:03"),
        (3599, "59:59"),
        (3599.6, "1:00:00"),  # never 60:00
        (3600, "1:00:00"),
        (3723, "1:02:03"),
        (36000, "10:00:00"),
        (359999, "99:59:59"),
        (360000, "100:00:00"),
    ],
)
def test_a_duration_is_formatted_like_a_clock(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00"), (0.001, "0:01"), (0.4, "0:01"), (1.4, "0:01"), (59.6, "1:00"), (3723, "1:02:03")],
)
def test_what_has_a_length_is_not_0_seconds_long(seconds: float, expected: str) -> None:
    assert format_length(seconds) == expected


@given(st.floats(0, 1e9))
def test_a_formatted_duration_is_the_nearest_second(seconds: float) -> None:
    total = 0
    for part in format_duration(seconds).split(":"):
        total = total * 60 + int(part)
    assert abs(total - seconds) <= 0.5


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (9940, "9.9 kB"),
        (9999, "10 kB"),  # no decimals from ten on
        (10_000, "10 kB"),
        (123_456, "123 kB"),
        (999_400, "999 kB"),
        (999_999, "1.0 MB"),  # never 1000 kB
        (1_000_000, "1.0 MB"),
        (3_158_073, "3.2 MB"),
        (1_500_000_000, "1.5 GB"),
        (25_000_000_000, "25 GB"),
        (5_000_000_000_000, "5000 GB"),  # the last unit
    ],
)
def test_a_size_is_formatted_in_decimal_units(count: int, expected: str) -> None:
    assert format_size(count) == expected


@given(st.integers(0, 2**63))
def test_a_formatted_size_is_within_five_percent(count: int) -> None:
    number, unit = format_size(count).split(" ")
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}[unit]
    # Half of the last digit: 5 % of 1.0.
    assert math.isclose(float(number) * factor, count, rel_tol=0.051)


PICTURE = Stream(kind="video", codec="h264", width=320, height=240)
COVER = Stream(kind="attachment", codec="mjpeg", width=600, height=600)
SOUND = Stream(kind="audio", codec="aac")


def video(metadata: Metadata | None) -> Video:
    return Video(
        path="sub/film.mp4",
        title="Film",
        content_type="video/mp4",
        size=1_500_000,
        revision="16e360-1",
        modified=0,
        state=ProbeState.PROBED if metadata else ProbeState.PENDING,
        metadata=metadata,
    )


def metadata(
    *streams: Stream,
    duration: float | None = 61.0,
    bit_rate: int | None = 1_234_567,
    index_at_front: bool | None = True,
) -> Metadata:
    return Metadata(
        container="mov,mp4",
        duration=duration,
        bit_rate=bit_rate,
        index_at_front=index_at_front,
        streams=streams,
    )


@pytest.mark.parametrize(
    ("probed", "expected"),
    [
        (metadata(SOUND, PICTURE), "1:01 · 320\N{MULTIPLICATION SIGN}240 · 1.5 MB"),
        # Cover art does not count; of several video streams the first does.
        (metadata(COVER, PICTURE, PICTURE), "1:01 · 320\N{MULTIPLICATION SIGN}240 · 1.5 MB"),
        (metadata(SOUND, COVER), "1:01 · 1.5 MB"),
        (metadata(SOUND, duration=None), "1.5 MB"),
        (None, "1.5 MB"),
        # An unknown picture size is left out.
        (metadata(Stream(kind="video", codec="vp9")), "1:01 · 1.5 MB"),
    ],
)
def test_the_summary_has_duration_resolution_and_size(
    probed: Metadata | None, expected: str
) -> None:
    assert summary(video(probed)) == expected


@given(st.floats(-1e15, 1e15))
def test_every_timestamp_has_a_date(seconds: float) -> None:
    moment = to_datetime(seconds)
    assert -62_135_596_800 <= moment.timestamp() <= 253_402_300_799  # the years 1 to 9999
    if abs(seconds) < 6e10:
        assert moment.timestamp() == pytest.approx(seconds, abs=0.001)
