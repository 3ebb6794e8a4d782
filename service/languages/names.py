"""Languages in file names and tags as BCP 47 tags, and their names.

Call it in worker processes only: the names take 20 MB."""

import re
from typing import TYPE_CHECKING, Final

from service.languages.registry import find_language, language_of

if TYPE_CHECKING:
    from langcodes import Language

_TAG: Final = re.compile(r"[a-z]{2,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?")
_MAX_NAME_LENGTH: Final = 40

# Common words that are not codes, or are codes of other languages (cht is Cholón in ISO 639-3).
# OpenSubtitles uses pob and pb, Microsoft chs and cht; zh usually means cmn.
_ALIASES: Final = {
    "chs": "zh-Hans",
    "cht": "zh-Hant",
    "cmn": "zh",
    "mandarin": "zh",
    "cz": "cs",
    "gr": "el",
    "jp": "ja",
    "ua": "uk",
    "pb": "pt-BR",
    "pob": "pt-BR",
    "brazilian": "pt-BR",
    "castilian": "es",
    "farsi": "fa",
    "bokmål": "nb",
}
# ISO 639-2: undetermined, multiple, uncoded, no linguistic content.
_NO_LANGUAGE: Final = frozenset({"und", "mul", "mis", "zxx"})


def is_non_language(word: str) -> bool:
    """Return whether a word is a code for no particular language."""
    return word.lower() in _NO_LANGUAGE


def parse_language(word: str) -> str | None:
    """Return the BCP 47 tag of a word, or None if it is not a language.

    It may be a code of ISO 639-1, -2 or -3, with script and region (pt-BR, zh_Hant), or a name in
    English or in the language itself. Of ISO 639-3 only languages with speakers in CLDR count: too
    many of its 7,900 codes are words with another meaning (cut, dts, dub, the).
    """
    word = word.strip().replace("_", "-").lower()
    if word in _ALIASES:
        return _ALIASES[word]
    if word.startswith("cmn-"):
        word = f"zh{word.removeprefix('cmn')}"
    if word in _NO_LANGUAGE or len(word) > _MAX_NAME_LENGTH or not word.isprintable():
        return None
    return parse_code(word) if _TAG.fullmatch(word) else _by_name(word.replace("-", " "))


def parse_code(word: str) -> str | None:
    """Return the BCP 47 tag of a code, or None if it is not one of a language."""
    word = word.lower()
    if not _TAG.fullmatch(word):
        return None
    language = language_of(word)
    primary = language_of(language.language or "und")
    if not language.is_valid() or is_non_language(primary.to_tag()):
        return None
    in_iso_639_1 = len(primary.to_tag()) == 2  # noqa: PLR2004 # letters
    return language.to_tag() if in_iso_639_1 or _has_speakers(language) else None


def own_name(tag: str) -> str:
    """Return a language's own name, with a capital: Deutsch, Português (Brasil)."""
    language = language_of(tag)
    # CLDR names zh-TW only in zh-Hant, which maximize() returns.
    name = language.display_name(language.maximize()) if language.territory else language.autonym()
    return name[:1].title() + name[1:]


def english_name(tag: str) -> str:
    """Return a language's English name."""
    return language_of(tag).display_name("en")


def _by_name(word: str) -> str | None:
    try:
        language = find_language(word)
    except LookupError:
        return None
    # The match may be a name in a third language, or of a language with few speakers.
    names = (language.display_name("en").casefold(), language.autonym().casefold())
    is_name = word.casefold() in names or language.script or language.territory
    return language.to_tag() if is_name and _has_speakers(language) else None


def _has_speakers(language: "Language") -> bool:
    return language_of(language.language or "und").speaking_population() > 0
