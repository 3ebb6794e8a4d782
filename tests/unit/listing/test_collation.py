import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.listing.collation import MAX_SEARCH_TERMS, fold, natural_sort_key, search_terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("ISPARTA", "\N{LATIN SMALL LETTER DOTLESS I}sparta"),  # Turkish
        ("ﬁlm ﬄ", "film ffl"),
        ("Œuvre Ærø", "oeuvre aero"),
        ("Łódź", "lodz"),
        ("Ngô Đình", "ngo dinh"),
        ("Þórr", "thorr"),
        ("ΣΊΣΥΦΟΣ", "σισυφος"),
        ("Ёлка", "елка"),
        ("ﾊﾝｸﾞﾙ", "ハングル"),
        ("きゃぷてん", "キャプテン"),
        ("각", "\u1100\u1161\u11a8"),  # a syllable, and its letters
        ("１２", "12"),  # noqa: RUF001
        ("٢٠", "20"),
        ("२०", "20"),
    ],
)
def test_texts_that_differ_by_case_accent_or_style_are_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("ハン", "パン"), ("か", "が"), ("и", "н"), ("a", "b")])
def test_different_letters_are_not_equal(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_the_beginning_of_a_syllable_matches_it() -> None:
    assert fold("각").startswith(fold("가"))


@pytest.mark.parametrize(
    "expected",
    [
        ["ep 2", "ep 10"],
        ["ep ２", "ep 3", "ep １０"],  # noqa: RUF001
        ["第2話", "第１０話"],
        ["серия 2", "Серия 10"],
        ["حلقة ٢", "حلقة ١٠"],  # noqa: RUF001
        ["Rocky", "Rocky II", "Rocky III", "Rocky IV", "Rocky V", "Rocky IX", "Rocky X"],
        ["Part I", "Part 2", "Part Ⅲ", "Part IV", "Part XL", "Part L", "Part LX"],
        ["Star Wars: Episode IV - Hope", "Star Wars: Episode V - Empire"],
        ["V for Vendetta", "Xanadu", "XXX"],  # not read as numbers at the start of a title
        ["Civil", "MIX", "X-Men"],
        ["I, Robot", "Ivanhoe", "IX"],
        ["a 1 x", "a 01 y", "a 002 x", "a 3"],
    ],
)
def test_texts_are_in_natural_order(expected: list[str]) -> None:
    keys = [natural_sort_key(title) for title in expected]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@given(st.integers(1, 89), st.integers(1, 89))
def test_roman_numerals_are_ordered_by_value(one: int, other: int) -> None:
    def roman(value: int) -> str:  # by the rules of roman numerals
        text = ""
        for sign, worth in (("L", 50), ("XL", 40), ("X", 10), ("IX", 9), ("V", 5), ("IV", 4)):
            text += sign * (value // worth)
            value %= worth
        return text + "I" * value

    assert (natural_sort_key(f"Part {roman(one)}") < natural_sort_key(f"Part {roman(other)}")) == (
        one < other
    )
    assert natural_sort_key(f"Part {roman(one)}") == natural_sort_key(f"part {one}")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", []),
        (" \N{COMBINING ACUTE ACCENT} ", []),
        ("b a", ["b", "a"]),
        ("the Film THE film", ["film", "the"]),
        ("a film of ofilm", ["ofilm", "a"]),  # text with "ofilm" also has "film" and "of"
        (" ".join("x" * n + "y" for n in range(20)), ["x" * 19 + "y"]),
        (" ".join(f"{n:02}" for n in range(40)), [f"{n:02}" for n in range(MAX_SEARCH_TERMS)]),
        (
            " ".join(f"{n:02}" for n in range(40)) + " long",
            ["long", *(f"{n:02}" for n in range(9))],
        ),
    ],
)
def test_the_longest_words_of_a_query_are_the_search_terms(query: str, expected: list[str]) -> None:
    assert search_terms(query) == expected


@given(st.text("ab ", max_size=30), st.text("ab ", max_size=30))
def test_dropping_words_contained_in_others_does_not_change_the_result(
    query: str, text: str
) -> None:
    needed = search_terms(query)
    if len(needed) < MAX_SEARCH_TERMS:
        assert all(word in text for word in needed) == all(word in text for word in query.split())


@given(st.text())
def test_a_text_matches_itself(text: str) -> None:
    haystack = fold(text)
    assert all(word in haystack for word in search_terms(text))
    assert fold(haystack) == haystack


def test_queries_with_all_of_unicode_take_little_memory() -> None:
    tracemalloc.start()
    try:
        for first in range(0x10000, 0x50000, 200):
            fold("".join(map(chr, range(first, first + 200))))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 4 * 1024**2
