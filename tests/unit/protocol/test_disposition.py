import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.disposition import attachment


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("film.mp4", "attachment; filename=\"film.mp4\"; filename*=UTF-8''film.mp4"),
        # RFC 8187 §3.2.3: the euro sign is %E2%82%AC.
        ("€ rates", "attachment; filename=\"_ rates\"; filename*=UTF-8''%E2%82%AC%20rates"),
        ('a"b', "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b"),
        ("50%.mp4", "attachment; filename=\"50_.mp4\"; filename*=UTF-8''50%25.mp4"),
        ("it's (1)*", "attachment; filename=\"it's (1)_\"; filename*=UTF-8''it%27s%20%281%29%2A"),
        ("🎬", "attachment; filename=\"_\"; filename*=UTF-8''%F0%9F%8E%AC"),
    ],
)
def test_a_name_is_encoded_as_in_rfc_6266(name: str, expected: str) -> None:
    assert attachment(name) == expected


@given(st.text())
def test_no_character_of_a_name_ends_its_quotes(name: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in name):
        return
    value = attachment(name)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
