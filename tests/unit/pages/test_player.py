import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.models import Stream
from service.pages.player import display_size, format_timestamp, parse_timestamp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90.5", 90.5),
        ("90s", 90),
        ("1m30s", 90),
        ("1m30", 90),
        ("2m", 120),
        ("1h", 3600),
        ("1h2m3s", 3723),
        ("1h2m3.25s", 3723.25),
        ("1h3s", 3603),
        ("100m", 6000),
        ("0", 0),
        ("007", 7),
        ("1:10", 70),
        ("0:07", 7),
        ("00:01:10", 70),
        ("1:02:03.25", 3723.25),
        ("100:00", 6000),
    ],
)
def test_a_timestamp_is_parsed_in_all_common_forms(text: str, expected: float) -> None:
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", None, "x", "-1", "+1", " 1", "1 ", "1e3", "1:60", "1:2", ":30", "1:", "1:60:00",
     "1:2:03", "1:02:03:04", "1:30s", "1m:30", "s", ".5", "1.", "1s1m", "1,5", "NaN",
     "inf", "٣", "9" * 10, "9" * 5000, "1\n", "0x10"],
)  # fmt: skip
def test_an_invalid_timestamp_is_none(text: str | None) -> None:
    assert not parse_timestamp(text)


@given(st.floats(0, 1e8))
def test_a_formatted_timestamp_is_the_same_millisecond_or_the_next(seconds: float) -> None:
    read = parse_timestamp(format_timestamp(seconds))
    assert read is not None
    assert -1e-6 <= read - seconds <= 0.001 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0"),
        (-0.1, "0"),
        (10, "10"),
        (600, "600"),
        (0.1, "0.1"),
        (4.35, "4.35"),
        (12.4806, "12.481"),  # 12.48 would be in the chapter before
        (math.nextafter(7, 8), "7"),
    ],
)
def test_a_timestamp_has_no_trailing_zeros(seconds: float, expected: str) -> None:
    assert format_timestamp(seconds) == expected


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (Stream(kind="video", codec="h264", width=640, height=360), (640, 360)),
        (Stream(kind="video", codec="h264", width=640, height=360, rotation=90), (360, 640)),
        (Stream(kind="video", codec="h264", width=640, height=360, rotation=180), (640, 360)),
        # PAL: 720 wide pixels are displayed as 1024, 16:9.
        (Stream(kind="video", codec="h264", width=720, height=576, pixel_aspect=64 / 45),
         (1024, 576)),
    ],
)  # fmt: skip
def test_the_display_size_respects_pixel_aspect_and_rotation(
    stream: Stream, expected: tuple[int, int]
) -> None:
    assert display_size(stream) == expected
