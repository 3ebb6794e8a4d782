import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.catalogues import catalogue_of
from support.named_videos import named_video

from service.catalogue.catalogue import Catalogue
from service.listing.search import Vocabulary, episode_term, is_one_typo

words = st.text("abcde", min_size=5, max_size=9)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("harbor", "harbour", True),  # a letter more
        ("harbour", "harbor", True),
        ("harbor", "harbar", True),  # another
        ("harbor", "habror", True),  # two swapped
        ("harbor", "arbor", True),
        ("harbor", "harbors", True),
        ("harbor", "harbor", False),  # none
        ("harbor", "abhror", False),
        ("harbor", "harbouri", False),
        ("abcde", "abdec", False),
    ],
)
def test_one_typo(one: str, other: str, *, expected: bool) -> None:
    assert is_one_typo(one, other) is expected


@given(words, st.data())
def test_every_word_with_one_typo_is_found(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcxyz"))
    typos = [
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
    ]
    if len(word) > 5:
        typos.append(word[:at] + word[at + 1 :])
    vocabulary = Vocabulary([f"the {word} and", "other words"])
    for typo in typos:
        assert vocabulary.close_to(typo) == ([word] if typo != word else [])


def test_short_words_and_numbers_have_no_typos() -> None:
    vocabulary = Vocabulary(["mile 12345 x264"])
    assert vocabulary.close_to("mole") == []
    assert vocabulary.close_to("12346") == []
    assert vocabulary.may_contain("12346")


@pytest.mark.parametrize("term", ["s1e2", "s01e02", "1x02", "1x2", "s0001e0002"])
def test_an_episode_has_many_spellings(term: str) -> None:
    assert episode_term(term) == episode_term("s1e2") != "s1e2"


@pytest.mark.parametrize("term", ["s1", "e2", "1x", "x264", "s1e2e3", "1080x"])
def test_other_terms_stay(term: str) -> None:
    assert episode_term(term) == term


PATHS = ["Harbor.Lights.S01E02.mkv", "Harbor.Lights.S01E21.mkv", "Harbour walls 2x12.mp4"]
CATALOGUE = catalogue_of(map(named_video, PATHS))


def found(query: str, catalogue: Catalogue = CATALOGUE) -> tuple[list[str], bool]:
    page = catalogue.page(query, "name", 10, None)
    return [video.path for video in page.videos], page.is_approximate


@pytest.mark.parametrize(
    ("query", "expected", "approximate"),
    [
        ("s1e2", PATHS[:1], False),
        ("1x21 harbor", PATHS[1:2], False),
        ("walls 2x12", PATHS[2:], False),  # no episode, but its name
        ("harbor", PATHS[:2], False),  # exact ones alone
        ("habror", PATHS[:2], True),
        ("habrour", PATHS[2:], True),
        ("lihgts harbor", PATHS[:2], True),
        ("lihgts wals", [], False),
        ("harxxr", [], False),
    ],
)
def test_exact_matches_are_preferred_and_one_typo_is_forgiven(
    query: str, expected: list[str], *, approximate: bool
) -> None:
    assert found(query) == (expected, approximate)


def test_a_new_catalogue_knows_the_words_of_new_videos() -> None:
    more = catalogue_of([*CATALOGUE.videos, named_video("Lighthouse.mkv")], CATALOGUE)
    assert found("lihgthouse", more) == (["Lighthouse.mkv"], True)
    assert found("lihgthouse") == ([], False)
