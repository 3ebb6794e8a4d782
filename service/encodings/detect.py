"""Detection of an encoding by letter frequencies, and of what it may be instead.

General detectors read fewer of the 30 sentences of the tests, on their non-ASCII lines alone:
charset-normalizer 3.5.3 reads 19, chardet 7.7.0 27, and 28 if limited to the encodings here.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from service.encodings.models import MODELS, LanguageModel

_MAX_SAMPLE_BYTES: Final = 64 * 1024
"""Bytes of lines beyond ASCII to score: about 3,000 lines of subtitles."""

# Natural logarithms of probabilities.
_HINT_BONUS: Final = 12.0
"""Score of a language in the file name: offsets one letter that the language does not have."""
_OLD_PENALTY: Final = -6.0
"""Score of a rare encoding: a word that is possible in a common one, too, is in that one."""
_ODD_WORD_PENALTY: Final = -4.0
"""Score of a word that no language writes: with a digit or a mark between letters, with a capital
after a small letter, or in two scripts."""
_CERTAIN_MARGIN: Final = 6.0
"""Least difference between the scores of the best reading and of another one."""
_SLACK: Final = 8.0
"""Score that a short text may lack: a letter that the language does not have."""

_WORD: Final = re.compile(r"[^\W_]+")
_LONG_RUN: Final = re.compile(r"[^\x00-\x7f]{3}")
_INNER_MARK: Final = re.compile(r"[^\W\d_][«»“”„\u201a†‡¿¡§¶°©®][^\W\d_]")
_INNER_DIGIT: Final = re.compile(r"[^\W\d_][0-9]+[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Detection:
    """The encoding that a text most likely has."""

    encoding: str
    rivals: tuple[str, ...] = ()
    """Encodings in which it would be another text, and nearly as likely."""
    quality: float = 0.0
    """How much more likely its letters are than those of a text of a language should be."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Log probabilities of all encodings."""

    @property
    def plausible(self) -> bool:
        """Whether its letters are those of a language."""
        return self.quality > -_SLACK

    def lead_over(self, encoding: str) -> float:
        """Return how much more likely the encoding is than this one, as a logarithm."""
        return self.scores[self.encoding] - self.scores[encoding]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A sample of a text in one encoding."""

    text: str
    letters: Counter[str]
    odd: int
    """Words with a capital after a small letter, or with a digit or a mark between letters."""
    long_runs: int
    """Words with three letters beyond ASCII in a row, which are rare in Latin script."""
    mixed: int
    """Words of letters in ASCII and beyond, which are rare in other scripts."""

    @classmethod
    def of(cls, sample: bytes, encoding: str) -> "_Reading":
        text = sample.decode(encoding, errors="replace")
        words = [word for word in _WORD.findall(text) if not word.isascii()]
        return cls(
            text,
            Counter(text),
            sum(_is_odd(word) for word in words) + len(_INNER_MARK.findall(text)),
            sum(bool(_LONG_RUN.search(word)) for word in words),
            sum(any(char < "\x80" for char in word) for word in words),
        )

    @property
    def beyond_ascii(self) -> int:
        return sum(count for char, count in self.letters.items() if char > "\x7f")

    def score(self, model: LanguageModel) -> float:
        odd = self.odd + (self.long_runs if model.is_latin else self.mixed)
        return model.score(self.letters) + odd * _ODD_WORD_PENALTY


def _is_odd(word: str) -> bool:
    return (word[1:] != word[1:].lower() and not word.isupper()) or bool(_INNER_DIGIT.search(word))


def detect(data: bytes, language: str | None = None) -> Detection:
    """Return the encoding of a text that is not Unicode. `language` is a BCP 47 tag, if known."""
    sample = _non_ascii_lines(data)
    primary = (language or "").partition("-")[0]
    readings: dict[str, _Reading] = {}
    scores: dict[str, float] = {}
    best, quality = "cp1252", 0.0
    for model in MODELS:
        hint = _HINT_BONUS if primary in model.languages else 0.0
        for encoding in (*model.encodings, *model.old_encodings):
            if encoding not in readings:
                readings[encoding] = _Reading.of(sample, encoding)
            reading = readings[encoding]
            own_score = reading.score(model)
            score = own_score + hint + _OLD_PENALTY * (encoding in model.old_encodings)
            if score > scores.get(best, -math.inf):
                best = encoding
                quality = own_score - model.min_average * reading.beyond_ascii
            scores[encoding] = max(score, scores.get(encoding, -math.inf))
    rivals = [
        encoding
        for encoding in sorted(scores, key=lambda encoding: -scores[encoding])
        if scores[encoding] > scores[best] - _CERTAIN_MARGIN
        and readings[encoding].text != readings[best].text
    ]
    return Detection(best, tuple(rivals), quality, scores)


def _non_ascii_lines(data: bytes) -> bytes:
    """Return the first lines that are not ASCII."""
    chosen, size = [], 0
    for line in data.splitlines():
        if not line.isascii():
            chosen.append(line[: _MAX_SAMPLE_BYTES - size])
            size += len(chosen[-1])
            if size >= _MAX_SAMPLE_BYTES:
                break
    return b"\n".join(chosen)
