"""The index of words finds what looking at every text finds."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.listing import texts as text_module
from service.listing import word_index
from service.listing.numbers import Numbers
from service.listing.texts import Texts
from service.listing.word_index import WordIndex

# Words within words, separators within terms, an episode's marks, other scripts.
letters = st.sampled_from("aab12_-./ \x1fé日の")
texts = st.lists(st.text(letters, max_size=8), max_size=12)
terms = st.text(letters.filter(lambda letter: letter != " "), min_size=1, max_size=4)


def texts_of(every: list[str]) -> Texts:
    return Texts(dict(enumerate(every)))


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
        found = index.containing(term, texts_of(every))
        assert list(found) == expected
        assert len(found) == len(expected)
        # The earlier index is as it was.
        earlier = [number for number in expected if number < len(first)]
        assert list(before.containing(term, texts_of(first))) == earlier


@pytest.mark.parametrize("many", [0, 2000])
@given(texts, st.lists(st.tuples(st.integers(0, 11), st.none() | texts.map("".join))), terms)
def test_an_index_after_changes_finds_what_a_new_one_does(
    many: int, first: list[str], changes: list[tuple[int, str | None]], term: str
) -> None:
    """Each change gives a number another text, or none."""
    every = dict(enumerate(first))
    index, looked_at = WordIndex(every), Texts(every)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(word_index, "_MANY_WORDS", many)
        patched.setattr(text_module, "_SPARE", 0)
        for number, text in changes:
            gone = {number: every.pop(number)} if number in every else {}
            added = {} if text is None else {number: text}
            every.update(added)
            index, looked_at = WordIndex(added, index, gone), Texts(added, gone, looked_at)
            expected = sorted(number for number, text in every.items() if term in text)
            assert list(index.containing(term, looked_at)) == expected
            assert index.words == WordIndex(every).words
            loaded = WordIndex.load(*index.save())
            assert list(loaded.containing(term, looked_at)) == expected


class RecordingTexts(Texts):
    """Texts that record which are looked at."""

    looked_at: Sequence[int] = ()

    def containing(self, term: str, numbers: Iterable[int]) -> Numbers:
        self.looked_at = list(numbers)
        return super().containing(term, self.looked_at)

    def with_term(self, term: str) -> Numbers:
        self.looked_at = list(range(len(self)))
        return super().with_term(term)


def test_only_texts_with_all_parts_of_a_term_are_looked_at() -> None:
    """A term of letters and digits needs no text; one with a separator those with its parts."""
    every = dict(enumerate(["wall-e", "walle", "the wall", "e wall", *(40 * ["other"])]))
    texts, index = RecordingTexts(every), WordIndex(every)
    assert list(index.containing("wall", texts)) == [0, 1, 2, 3]
    assert list(index.containing("-", texts)) == [0]
    assert not texts.looked_at
    assert list(index.containing("wall-e", texts)) == [0]
    assert texts.looked_at == [0]
    assert list(index.containing("wall-x", texts)) == []
    assert not texts.looked_at


def test_a_word_that_grows_frequent_is_found_in_all_its_texts() -> None:
    index = WordIndex()
    every = [f"film {number}" for number in range(100)]
    texts = texts_of(every)
    for start in range(0, 100, 10):
        added = range(start, start + 10)
        index = WordIndex({number: every[number] for number in added}, index)
        assert list(index.containing("film", texts)) == list(range(start + 10))
    assert list(index.containing("film-", texts)) == []
    assert list(index.containing("9", texts)) == [9, *range(19, 90, 10), *range(90, 100)]


def test_new_words_are_those_that_the_previous_index_does_not_have() -> None:
    before = WordIndex({0: "harbor lights"})
    assert before.new_words == {"harbor", "lights"}
    assert WordIndex({1: "harbor walls"}, before).new_words == {"walls"}
