import pytest

from service.naming.dates import date_in_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2019-07-04 Beach.mp4", "2019-07-04"),
        ("Beach 2019.07.04.mp4", "2019-07-04"),
        ("VID_20190704_120501.mp4", "2019-07-04T12:05:01"),
        ("PXL_20190704_120501123.mp4", "2019-07-04T12:05:01"),
        ("20190704_120501.mp4", "2019-07-04T12:05:01"),
        ("2019-07-04 12.05.01.mov", "2019-07-04T12:05:01"),
        ("VID-20190704-WA0001.mp4", "2019-07-04"),
        ("2019-07-04 996699.mp4", "2019-07-04"),  # no time
        ("2019-13-04.mp4", None),
        ("2019-02-30.mp4", None),
        ("2019-0704.mp4", None),  # two styles
        ("IMG_2034.mp4", None),
        ("120190704.mp4", None),
        ("18000704.mp4", None),
    ],
)
def test_a_date_in_a_name(name: str, expected: str | None) -> None:
    assert date_in_name(name) == expected
