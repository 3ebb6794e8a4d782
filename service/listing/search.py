"""Search: the text of a video in which words are found, and words with one typo."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from service.listing.collation import fold
from service.listing.dates import stated_date
from service.models import ParsedName, Video

_MAX_TAGS_LENGTH = 2000  # characters of a video's tags that are searched

_EPISODE = re.compile(r"s(\d{1,4})e(\d{1,4})|(\d{1,4})x(\d{1,4})")
_MARK = "\x1f"  # before and after an episode's number, so that s1e2 is not found in s1e21

MIN_FORGIVEN_LENGTH = 5
"""Letters of a word in which one typo is forgiven."""

_MAX_CORRECTIONS = 3  # of a word; each costs a look at every video
_WORD = re.compile(rf"[^\W\d_]{{{MIN_FORGIVEN_LENGTH - 1},}}")


def search_text(video: Video) -> str:
    """Return the text that a search looks at: title, path, year, episode and tags."""
    texts = [video.title, video.path, (stated_date(video) or "")[:4]]
    if (metadata := video.metadata) is not None:
        if metadata.title and metadata.title != video.title:
            texts.append(metadata.title)
        texts.append(" ".join(tag.text for tag in metadata.tags)[:_MAX_TAGS_LENGTH])
        if (name := metadata.parsed_name) is not None:
            texts += [str(name.year or ""), _episode_marks(name)]
    return fold(" ".join(filter(None, texts)))


def episode_term(term: str) -> str:
    """Return a term such as 1x02 as search texts contain it; return other terms unchanged."""
    match = _EPISODE.fullmatch(term)
    if match is None:
        return term
    season, episode = (int(number) for number in match.groups() if number)
    return _mark(season, episode)


def _episode_marks(name: ParsedName) -> str:
    return "".join(_mark(name.season or 0, episode) for episode in name.episodes)


def _mark(season: int, episode: int) -> str:
    return f"{_MARK}s{season}e{episode}{_MARK}"


class Vocabulary:
    """The words of a library. It may also have words of videos that were removed."""

    def __init__(self, texts: Iterable[str] = (), previous: "Vocabulary | None" = None) -> None:
        """Add the words of some texts to those of `previous`."""
        words = {word for text in texts for word in _WORD.findall(text)}
        known = previous.words if previous else frozenset()
        self.words: frozenset[str] = known if words <= known else known | words
        if previous is not None and self.words is known:
            self.__dict__.update(previous.__dict__)
            return
        self._text: str = "\n".join(self.words)
        self._forwards: list[str] = sorted(self.words)
        self._backwards: list[str] = sorted(word[::-1] for word in self.words)

    def may_contain(self, term: str) -> bool:
        """Return whether a term may be in any of the texts."""
        return len(term) < MIN_FORGIVEN_LENGTH or not term.isalpha() or term in self._text

    def alternatives(self, term: str) -> list[str]:
        """Return the term, if a text may contain it, and the words that are one typo away."""
        return [*([term] if self.may_contain(term) else []), *self.close_to(term)] or [term]

    def close_to(self, term: str) -> list[str]:
        """Return the words that differ by one typo: a letter more, less or other, or two swapped.

        Those with the same first letter come first.
        """
        if len(term) < MIN_FORGIVEN_LENGTH or not term.isalpha():
            return []
        # A typo is in one half of a word, so the beginning or the end is as in the term.
        end = (len(term) - 1) // 2
        words = {
            *_with_prefix(self._forwards, term[:end]),
            *(word[::-1] for word in _with_prefix(self._backwards, term[: -end - 1 : -1])),
        }
        close = (word for word in words if is_one_typo(word, term))
        return sorted(close, key=lambda word: (word[0] != term[0], word))[:_MAX_CORRECTIONS]


def _with_prefix(words: list[str], prefix: str) -> list[str]:
    """Return those of the sorted words that begin with a prefix."""
    start = bisect_left(words, prefix)
    return words[start : bisect_right(words, prefix, start, key=lambda word: word[: len(prefix)])]


def is_one_typo(one: str, other: str) -> bool:
    """Return whether two words differ by one letter, or by two adjacent ones that are swapped."""
    if abs(len(one) - len(other)) > 1:
        return False
    shorter = min(len(one), len(other))
    start = next((i for i in range(shorter) if one[i] != other[i]), shorter)
    left, right = one[start:], other[start:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    is_swapped = len(left) == 2 and left == right[::-1]  # noqa: PLR2004 # a pair
    return max(len(left), len(right)) == 1 or is_swapped
