import pytest

from service.check.ways.http1 import ContentRange, parse_content_range


def test_the_numbers_of_a_content_range() -> None:
    found = parse_content_range("bytes 500-999/8000")  # RFC 9110 §14.4
    assert found == ContentRange(500, 999, 8000)
    assert found.length == 500


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "bytes 0-9/*",
        "bytes */8000",
        "bytes 9-0/8000",
        "bytes 0-8000/8000",
        "bytes=0-9/8000",
        "bytes 0-9",
        "bytes -1-9/8000",
        "bytes ٣-9/8000",
        f"bytes 0-9/{'9' * 20}",
    ],
)
def test_what_is_no_content_range(text: str | None) -> None:
    assert parse_content_range(text) is None
