from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.probing.dates import creation_date, date_seconds

QUICKTIME = "com.apple.quicktime.creationdate"

TAGS: list[tuple[dict[str, str], str | None]] = [
    ({"creation_time": "2023-05-01T10:20:30.000000Z"}, "2023-05-01T10:20:30Z"),
    ({"DATE": "1994"}, "1994"),
    ({"date": "1994-05"}, "1994-05"),
    ({"date": "20230401"}, "2023-04-01"),
    ({"date": "2023/04/01"}, "2023-04-01"),
    ({"date": "2023:05:01 10:20:30"}, "2023-05-01T10:20:30"),  # Exif
    ({"date": "2023-05-01T10:20"}, "2023-05-01T10:20:00"),
    ({"date": "1902"}, "1902"),
    ({"date": "1970"}, "1970"),  # a year is no clock
    # The date of the content wins, unless the file's is the same with more precision.
    ({"date": "1994", "creation_time": "2020-01-02T03:04:05Z"}, "1994"),
    ({"date": "2020", "creation_time": "2020-01-02T03:04:05Z"}, "2020-01-02T03:04:05Z"),
    (
        {QUICKTIME: "2023-05-01T01:20:30+0200", "creation_time": "2023-04-30T23:20:30Z"},
        "2023-05-01T01:20:30+02:00",
    ),
    # Clocks that were never set, with the writer's zone, too.
    ({"creation_time": "1904-01-01T00:00:00Z"}, None),
    ({"creation_time": "1970-01-01T00:00:00Z"}, None),
    ({"date": "1969-12-31T16:00:00"}, None),
    ({"creation_time": "1970-01-01T09:00:00+09:00"}, None),
    ({"creation_time": "1980-01-01T00:00:00Z"}, None),
    ({"creation_time": "2001-01-01T00:00:00Z"}, None),
    ({"date": "2001-01-01"}, "2001-01-01"),
    ({"creation_time": "1956-01-01T00:00:00Z"}, None),  # before there were such files
    # What is no date, and as much as is one.
    ({"date": "0000"}, None),
    ({"date": "May 1994"}, None),
    ({"date": "12345678901"}, None),
    ({"date": "2999"}, None),
    ({"date": "1994-00-00"}, "1994"),
    ({"date": "1994-02-30"}, "1994-02"),
    ({"date": "1994-05-01T25:00"}, "1994-05-01"),
    # The next tag counts then.
    ({"date": "0000", "creation_time": "2020-01-02T03:04:05Z"}, "2020-01-02T03:04:05Z"),
    ({}, None),
]


@pytest.mark.parametrize(("tags", "expected"), TAGS)
def test_the_date_of_a_recording_comes_from_its_tags(
    tags: dict[str, str], expected: str | None
) -> None:
    assert creation_date(tags) == expected


def test_the_date_of_a_stream_counts_without_one_of_the_file() -> None:
    stream = {"creation_time": "2023-05-01T10:20:30Z"}
    assert creation_date({}, {}, stream) == "2023-05-01T10:20:30Z"
    assert (
        creation_date({"creation_time": "2020-01-02T03:04:05Z"}, stream) != "2023-05-01T10:20:30Z"
    )


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("1970", 0),
        ("1970-02", 31 * 86400),
        ("1970-01-02", 86400),
        ("1970-01-01T00:00:01", 1),
        ("1970-01-01T02:00:01+02:00", 1),
        ("1969", -365 * 86400),
    ],
)
def test_a_date_is_the_start_of_its_period_in_seconds(created: str, expected: int) -> None:
    assert date_seconds(created) == expected


@given(st.text("0123456789-:/.TZ+ ", max_size=30) | st.dates().map(str) | st.text(max_size=20))
def test_an_arbitrary_tag_gives_a_valid_date_or_none(text: str) -> None:
    created = creation_date({"date": text})
    if created is not None:
        assert date_seconds(created) <= datetime.now(UTC).timestamp() + 2 * 86400
