"""Finds the texts that contain a term by their words, without looking at every text.

A library of 100,000 videos has some 1,000 to 100,000 different words. In SQLite's FTS5 with
trigrams, a word that all of 100,000 texts contain took 30 to 120 ms (2026-11-30).
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from typing import Union

from service.listing.numbers import Numbers
from service.listing.texts import Texts

# A word, or one character between words.
_WORD = re.compile(r"[^\W_]+|\S")

# Words that contain a term, beyond which looking at every text is as fast.
_MANY_WORDS = 2000

# A word in more than this part of the texts takes less memory as a bit for each text.
_FREQUENT = 32

# Of more than this part of the texts, all are looked at.
_MANY_TEXTS = 8

_Found = Union["array[int]", Numbers]


class WordIndex:
    """Texts by number. It is immutable; `previous` makes building one faster."""

    def __init__(
        self,
        texts: Mapping[int, str] | None = None,
        previous: "WordIndex | None" = None,
        removed: Mapping[int, str] | None = None,
    ) -> None:
        """Add some texts to those of `previous`, of which some are removed."""
        found = _numbers_by_word(texts or {})
        gone = _numbers_by_word(removed or {})
        known = previous._numbers if previous else {}  # noqa: SLF001 # of the same class
        self.new_words: frozenset[str] = frozenset(found.keys() - known)
        """Those that `previous` does not have."""
        self.size: int = max(chain(texts or (), [previous.size - 1 if previous else -1])) + 1
        """More than the highest number."""
        kept = {word: _without(known[word], numbers) for word, numbers in gone.items()}
        changed = {
            word: _joined(kept.get(word, known.get(word)), numbers, self.size)
            for word, numbers in found.items()
        }
        # The same object if nothing is new, as for a share link of most of a library.
        self._numbers: dict[str, _Found] = known | kept | changed if kept or changed else known
        empty = [word for word in kept if not self._numbers[word]]
        for word in empty:
            del self._numbers[word]
        # Between line ends, so that no term is found across two words.
        self._words: str = (
            previous._words  # noqa: SLF001
            if previous and not self.new_words and not empty
            else "\n".join(["", *self._numbers, ""])
        )

    def containing(self, term: str, texts: Texts) -> Numbers:
        """Return the numbers of the texts that contain a term, which has no line end.

        `texts` are those of the index.
        """
        pieces = _WORD.findall(term)
        if pieces == [term]:
            return self._with_word(term, texts)
        numbers = Numbers.below(self.size)
        for piece in pieces:
            numbers &= self._with_word(piece, texts)
        if _MANY_TEXTS * len(numbers) > len(texts):
            return texts.with_term(term)
        return texts.containing(term, numbers)

    def save(self) -> tuple[bytes, bytes, bytes]:
        """Return the index as bytes: the words, how many numbers each has, and these."""
        numbers = [
            found.to_bytes() if isinstance(found, Numbers) else found.tobytes()
            for found in self._numbers.values()
        ]
        # The lengths of sets are odd numbers.
        lengths = array(
            "Q",
            (
                2 * len(data) + isinstance(found, Numbers)
                for data, found in zip(numbers, self._numbers.values(), strict=True)
            ),
        )
        return (
            self._words.encode(errors="surrogatepass"),
            lengths.tobytes(),
            b"".join([self.size.to_bytes(8, "little"), *numbers]),
        )

    @classmethod
    def load(cls, words: bytes, lengths: bytes, numbers: bytes) -> "WordIndex":
        """Return the index that `save` has written. Raises ValueError if it is damaged."""
        index = cls()
        index._words = words.decode(errors="surrogatepass")
        index.size = int.from_bytes(numbers[:8], "little")
        at = 8
        for word, length in zip(index._words.split("\n")[1:-1], array("Q", lengths), strict=True):
            data = numbers[at : at + (length >> 1)]
            index._numbers[word] = Numbers.from_bytes(data) if length & 1 else array("I", data)
            at += length >> 1
        return index

    @property
    def words(self) -> frozenset[str]:
        return frozenset(self._numbers)

    def _with_word(self, part: str, texts: Texts) -> Numbers:
        """Return the numbers of the texts with a word that contains this part."""
        if self._words.count(part) > _MANY_WORDS:
            return texts.with_term(part)
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


def _numbers_by_word(texts: Mapping[int, str]) -> "defaultdict[str, array[int]]":
    found: defaultdict[str, array[int]] = defaultdict(lambda: array("I"))
    for number, text in texts.items():
        for word in set(_WORD.findall(text)):
            found[word].append(number)
    return found


def _joined(known: _Found | None, more: "array[int]", size: int) -> _Found:
    """Return the numbers of a word, also of `more`."""
    if isinstance(known, Numbers):
        return known | Numbers.of(more)
    numbers = more if known is None else known + more
    return Numbers.of(numbers) if _FREQUENT * len(numbers) > size else numbers


def _without(known: _Found, gone: "array[int]") -> _Found:
    """Return the numbers of a word but for those that are gone."""
    if isinstance(known, Numbers):
        return known - Numbers.of(gone)
    some = frozenset(gone)
    return array("I", (number for number in known if number not in some))
