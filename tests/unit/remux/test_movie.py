"""The boxes of a movie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.remux.movie import language_code


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("de", "deu"),
        ("ger", "deu"),  # 639-2/B
        ("pt-BR", "por"),
        ("und", "und"),
        ("", "und"),
        ("e-g", "und"),
        ("u9d", "und"),
        ("x-a", "und"),  # RFC 5646 §2.2.7: for private use
        ("ENG", "eng"),
        ("not a language", "und"),
    ],
)
def test_a_language_has_five_bits_a_letter(tag: str, code: str) -> None:
    # ISO/IEC 14496-12 §8.4.2.3: each character is the difference to 0x60.
    first, second, third = (ord(letter) - 0x60 for letter in code)
    assert language_code(tag) == first << 10 | second << 5 | third


@given(st.text(max_size=12))
def test_any_tag_has_a_code(tag: str) -> None:
    assert 0x0421 <= language_code(tag) <= 0x6B5A  # "aaa" to "zzz"
