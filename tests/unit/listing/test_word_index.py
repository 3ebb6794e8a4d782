"""The index of words finds what looking at every text finds."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.listing import word_index
from service.listing.word_index import WordIndex

# Words within words, separators within terms, an episode's marks, other scripts.
letters = st.sampled_from("aab12_-./ \x1fé日の")
texts = st.lists(st.text(letters, max_size=8), max_size=12)
terms = st.text(letters.filter(lambda letter: letter != " "), min_size=1, max_size=4)


@pytest.mark.parametrize("many", [0, 2000])
@given(texts, texts, terms)
def test_a_term_is_found_wherever_it_is(
    many: int, first: list[str], second: list[str], term: str
) -> None:
    every = first + second
    more = {number: text for number, text in enumerate(every) if number >= len(first)}
    expected = [number for number, text in enumerate(every) if term in text]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(word_index, "_MANY_WORDS", many)  # both ways to look for words
        before = WordIndex(dict(enumerate(first)))
        index = WordIndex(more, before)
        assert list(index.containing(term, every)) == expected
        assert len(index.containing(term, every)) == len(expected)
        # The earlier index is as it was.
        earlier = [number for number in expected if number < len(first)]
        assert list(before.containing(term, first)) == earlier


class RecordingTexts(list[str]):
    """Texts of which one records which are looked at."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__(texts)
        self.looked_at: list[str] = []

    def __getitem__(self, number: Any) -> Any:
        self.looked_at.append(super().__getitem__(number))
        return super().__getitem__(number)

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


def test_only_texts_with_all_parts_of_a_term_are_looked_at() -> None:
    """A term of letters and digits needs no text; one with a separator those with its parts."""
    texts = RecordingTexts(["wall-e", "walle", "the wall", "e wall", *(40 * ["other"])])
    index = WordIndex(dict(enumerate(texts)))
    texts.looked_at.clear()
    assert list(index.containing("wall", texts)) == [0, 1, 2, 3]
    assert texts.looked_at == []
    assert list(index.containing("wall-e", texts)) == [0]
    assert texts.looked_at == ["wall-e", "walle", "the wall", "e wall"]
    texts.looked_at.clear()
    assert list(index.containing("wall-x", texts)) == []
    assert texts.looked_at == []


def test_a_word_that_grows_frequent_is_found_in_all_its_texts() -> None:
    index = WordIndex()
    every = [f"film {number}" for number in range(100)]
    for start in range(0, 100, 10):
        added = range(start, start + 10)
        index = WordIndex({number: every[number] for number in added}, index)
        assert list(index.containing("film", every)) == list(range(start + 10))
    assert list(index.containing("film-", every)) == []
    assert list(index.containing("9", every)) == [9, *range(19, 90, 10), *range(90, 100)]


def test_new_words_are_those_that_the_previous_index_does_not_have() -> None:
    before = WordIndex({0: "harbor lights"})
    assert before.new_words == {"harbor", "lights"}
    assert WordIndex({1: "harbor walls"}, before).new_words == {"walls"}
