# ruff: noqa: RUF001 - letters of many scripts are meant

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.languages.names import english_name, is_non_language, own_name, parse_language

# Names: CLDR's. Codes: ISO 639-1, 639-2/T and /B, 639-3; subtags: the IANA registry.
LANGUAGES = [
    ("en", "en", "English"),
    ("ENG", "en", "English"),
    ("deu", "de", "Deutsch"),
    ("ger", "de", "Deutsch"),
    ("fra", "fr", "Français"),
    ("fre", "fr", "Français"),
    ("zho", "zh", "中文"),
    ("chi", "zh", "中文"),
    ("cmn", "zh", "中文"),
    ("yue", "yue", "粵語"),
    ("gsw", "gsw", "Schwiizertüütsch"),
    ("ast", "ast", "Asturianu"),
    ("pt-BR", "pt-BR", "Português (Brasil)"),
    ("pt_br", "pt-BR", "Português (Brasil)"),
    ("zh-Hans", "zh-Hans", "中文（简体）"),
    ("zh_hant", "zh-Hant", "中文（繁體）"),
    ("zh-TW", "zh-TW", "中文（台灣）"),
    ("es-419", "es-419", "Español (Latinoamérica)"),
    ("sr-Latn", "sr-Latn", "Srpski (latinica)"),
    ("ka", "ka", "ქართული"),  # has no title case
    ("iw", "he", "עברית"),  # deprecated in favour of he
    # As commonly written
    ("english", "en", "English"),
    ("German", "de", "Deutsch"),
    ("deutsch", "de", "Deutsch"),
    ("español", "es", "Español"),
    ("Русский", "ru", "Русский"),
    ("日本語", "ja", "日本語"),
    ("brazilian portuguese", "pt-BR", "Português (Brasil)"),
    ("Brazilian_Portuguese", "pt-BR", "Português (Brasil)"),
    ("simplified-chinese", "zh-Hans", "中文（简体）"),
    ("chs", "zh-Hans", "中文（简体）"),
    ("cht", "zh-Hant", "中文（繁體）"),
    ("pob", "pt-BR", "Português (Brasil)"),
    ("jp", "ja", "日本語"),
]


@pytest.mark.parametrize(("word", "tag", "name"), LANGUAGES)
def test_a_language_is_recognised_by_its_codes_and_names(word: str, tag: str, name: str) -> None:
    assert parse_language(word) == tag
    assert own_name(tag) == name


@pytest.mark.parametrize(
    "word",
    [
        *("", "x", "xx", "und", "mul", "zxx", "forced", "sdh cc", "1080p", "web", "commentary"),
        *("the", "cut", "dts", "dub", "film", "full", "songs", "even", "a-b-c-d", "en" * 100),
        "e\0n",
    ],
)
def test_other_words_are_no_languages(word: str) -> None:
    assert parse_language(word) is None


def test_codes_for_no_language_differ_from_words() -> None:
    assert is_non_language("UND")
    assert not is_non_language("commentary")


def test_a_language_has_an_english_name_too() -> None:
    assert english_name("de") == "German"
    assert english_name("pt-BR") == "Portuguese (Brazil)"


@given(st.text(max_size=12))
def test_an_arbitrary_word_is_a_language_with_a_name_or_none(word: str) -> None:
    tag = parse_language(word)
    if tag is not None:
        assert parse_language(tag) is not None
        assert own_name(tag)
