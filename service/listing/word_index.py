"""Finds the texts that contain a term by their words, without looking at every text.

A library of 100,000 videos has some 1,000 to 100,000 different words. In SQLite's FTS5 with
trigrams, a word that all of 100,000 texts contain took 30 to 120 ms (2026-11-30).
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain

from service.listing.numbers import Numbers

_WORD = re.compile(r"[^\W_]+")

# Words that contain a term, beyond which looking at every text is as fast.
_MANY_WORDS = 2000

# A word in more than this part of the texts takes less memory as a bit for each text.
_FREQUENT = 32

# Of more than this part of the texts, all are looked at.
_MANY_TEXTS = 8


class WordIndex:
    """Texts by number. It is immutable; `previous` makes building one faster."""

    def __init__(
        self, texts: Mapping[int, str] | None = None, previous: "WordIndex | None" = None
    ) -> None:
        """Add some texts to those of `previous`."""
        found: defaultdict[str, array[int]] = defaultdict(lambda: array("I"))
        for number, text in (texts or {}).items():
            for word in set(_WORD.findall(text)):
                found[word].append(number)
        known = previous._numbers if previous else {}  # noqa: SLF001 # of the same class
        self.new_words: frozenset[str] = frozenset(found.keys() - known)
        """Those that `previous` does not have."""
        self.size: int = max(chain(texts or (), [previous.size - 1 if previous else -1])) + 1
        """More than the highest number."""
        more = {
            word: _joined(known.get(word), numbers, self.size) for word, numbers in found.items()
        }
        # The same object if there are no new texts, as for a share link of most of a library.
        self._numbers: dict[str, array[int] | Numbers] = known | more if more else known
        # Between line ends, so that no term is found across two words.
        self._words: str = (
            previous._words  # noqa: SLF001
            if previous and not self.new_words
            else "\n".join(["", *self._numbers, ""])
        )

    def containing(self, term: str, texts: Sequence[str]) -> Numbers:
        """Return the numbers of those of the texts that contain a term, which has no line end.

        `texts` are by number; those that are not wanted are empty.
        """
        pieces = _WORD.findall(term)
        if pieces == [term]:
            return self._with_word(term, texts)
        numbers = Numbers.below(self.size)
        for piece in pieces:
            numbers &= self._with_word(piece, texts)
        if _MANY_TEXTS * len(numbers) > len(texts):
            return Numbers.where(term, texts)
        return Numbers.of(number for number in numbers if term in texts[number])

    def _with_word(self, part: str, texts: Sequence[str]) -> Numbers:
        """Return the numbers of the texts with a word that contains this part."""
        if self._words.count(part) > _MANY_WORDS:
            return Numbers.where(part, texts)
        frequent, few = Numbers.of(()), array("I")
        end = 0
        while (at := self._words.find(part, end)) >= 0:
            end = self._words.index("\n", at)
            numbers = self._numbers[self._words[self._words.rindex("\n", 0, at) + 1 : end]]
            if isinstance(numbers, Numbers):
                frequent |= numbers
            else:
                few += numbers
        return frequent | Numbers.of(few)


def _joined(
    known: "array[int] | Numbers | None", more: "array[int]", size: int
) -> "array[int] | Numbers":
    """Return the numbers of a word, also of `more`."""
    if isinstance(known, Numbers):
        return known | Numbers.of(more)
    numbers = more if known is None else known + more
    return Numbers.of(numbers) if _FREQUENT * len(numbers) > size else numbers
