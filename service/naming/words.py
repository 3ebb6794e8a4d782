"""Titles for display from names: characters that stand for spaces become spaces."""

import re
import unicodedata

# In names without spaces, dots separate words, except the dots of dates, versions, channel counts
# (2019.11.21, v1.2, 5.1) and initials (S.W.A.T., J.R.R.).
_CAPITAL = "[A-ZÀ-ÖØ-ÞΑ-ΩЀ-Я]"
_DOTS = re.compile(
    r"(?<![^.])(?P<kept>"
    r"(?:\d{4}\.\d{2}\.\d{2}|\d{1,2}\.\d{1,2}\.\d{4}|[vV]?\d{1,2}(?:\.\d{1,2})+)(?![^.])"
    rf"|(?:{_CAPITAL}\.)+{_CAPITAL}(?![^.])\.?"
    r")|\.+"
)


def normalize_spaces(text: str) -> str:
    """Compose letters; replace each run of spaces and control characters by one space."""
    composed = unicodedata.normalize("NFC", text)
    if not composed.isprintable():
        composed = "".join(" " if unicodedata.category(char) == "Cc" else char for char in composed)
    return " ".join(composed.split())


def separators_to_spaces(name: str) -> str:
    """Replace characters that stand for spaces."""
    spaced = normalize_spaces(name.replace("_", " "))
    return spaced if " " in spaced else normalize_spaces(_DOTS.sub(_dots_to_space, spaced))


def _dots_to_space(dots: re.Match[str]) -> str:
    return f"{dots['kept']} " if dots["kept"] else " "
