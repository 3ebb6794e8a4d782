"""What a file's name or a container tells about a text track."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from av.stream import Disposition

from service.encodings.names import named_encoding
from service.encodings.tags import read_tag
from service.languages.names import english_name, is_non_language, own_name, parse_language
from service.languages.track_language import TrackLanguage, parse_track_language

MAX_LABEL_LENGTH: Final = 100
MAX_NAME_LENGTH: Final = 60

_FORCED: Final = frozenset({"forced", "foreign"})
_HEARING_IMPAIRED: Final = frozenset({"sdh", "cc", "hoh"})
_HINDI_OR_HEARING_IMPAIRED: Final = "hi"
_DESCRIPTIONS: Final = "descriptions"
_DEFAULT: Final = "default"

_MARK: Final = re.compile(
    rf"(.+?)(?:[-_ ]|[-_ ]?[\[(])({'|'.join(sorted(_FORCED | _HEARING_IMPAIRED))})[\])]?",
    re.IGNORECASE,
)
"""A language and a mark in one word: en-sdh, en_forced, en[cc]."""

TrackKind = Literal["subtitles", "captions", "descriptions"]


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """What a file name or a container says about a track."""

    language: str | None
    kind: TrackKind
    forced: bool
    name_tags: tuple[str, ...] = ()
    """What else tells it apart, for people."""
    origin: tuple[str, ...] = ()
    """Where its text comes from, for people, such as a translation."""
    identifier: str = ""
    """Differs between tracks that are otherwise alike."""

    def label(self) -> str:
        """Return the language's own name and the other details, such as Deutsch (forced)."""
        name, details = (
            ("" if self.language is None else own_name(self.language)),
            [*self.name_tags],
        )
        if details and (not name or _names_language(details[0], self.language or "")):
            name = details.pop(0)  # a title that names the language itself
        details += self.origin
        lower_title = " ".join((name, *details)).casefold()
        marks = {
            "forced": self.forced,
            "SDH": self.kind == "captions",
            _DESCRIPTIONS: self.kind == "descriptions",
        }
        details += [
            mark for mark, is_so in marks.items() if is_so and mark.casefold() not in lower_title
        ]
        name = name or "Subtitles"
        if details and name.endswith(")"):
            name = f"{name[:-1]}, {', '.join(details)})"  # Português (Brasil, SDH)
        elif details:
            name = f"{name} ({', '.join(details)})"
        return name[:MAX_LABEL_LENGTH]

    def name(self) -> str:
        """Return a name for URLs, not yet unique, such as de.forced."""
        parts = [self.language.lower() if self.language else "captions"]
        parts += ["forced"] * self.forced + ["sdh"] * (self.kind == "captions")
        parts += [_DESCRIPTIONS] * (self.kind == "descriptions")
        parts += filter(None, map(_slug, (*self.name_tags, *self.origin)))
        return ".".join(parts)[:MAX_NAME_LENGTH].rstrip(".-")


def info_from_filename(found: Sequence[str]) -> tuple[TrackInfo, bool]:
    """Return what the words of a file's name tell, and whether it is shown unasked."""
    found = [part for word in found for part in _without_mark(word)]
    lower = [word.lower() for word in found]
    at, language = _language_of(found)
    rest = [word for index, word in enumerate(lower) if index != at]
    marks = {*_FORCED, *_HEARING_IMPAIRED, _HINDI_OR_HEARING_IMPAIRED, _DESCRIPTIONS, _DEFAULT}
    kind: TrackKind = "subtitles"
    if _DESCRIPTIONS in rest:
        kind = "descriptions"
    elif not {*_HEARING_IMPAIRED, _HINDI_OR_HEARING_IMPAIRED}.isdisjoint(rest):
        kind = "captions"
    others = tuple(
        word
        for index, word in enumerate(found)
        if index != at
        and lower[index] not in marks
        and not is_non_language(word)
        and not named_encoding(word)
    )
    info = TrackInfo(
        language.tag if language else None,
        kind,
        not _FORCED.isdisjoint(rest),
        others,
        language.details if language else (),
        language.identifier if language else "",
    )
    return info, _DEFAULT in rest


def _without_mark(word: str) -> Sequence[str]:
    """Return a language and its mark as two words."""
    match = _MARK.fullmatch(word)
    return match.groups() if match and parse_track_language(match[1]) else (word,)


def encoding_from_filename(found: Sequence[str]) -> str | None:
    """Return the encoding that a file's name gives, as Python names it: film.de.cp850.srt."""
    return next(filter(None, map(named_encoding, found)), None)


def _language_of(found: Sequence[str]) -> tuple[int | None, TrackLanguage | None]:
    """Return the place of the word that is the language, and the language.

    Three letters are often something else, so any other word goes first; `hi` next to a language is
    no Hindi.
    """
    marks = _FORCED | _HEARING_IMPAIRED | {_DESCRIPTIONS, _DEFAULT}
    languages = {
        at: language
        for at, word in enumerate(found)
        if word.lower() not in marks and (language := parse_track_language(word))
    }
    place = min(
        languages,
        key=lambda at: (found[at].lower() == _HINDI_OR_HEARING_IMPAIRED, len(found[at]) == 3, at),  # noqa: PLR2004
        default=None,
    )
    return place, None if place is None else languages[place]


def info_from_stream(stream: Any) -> tuple[TrackInfo, bool]:
    """Return what a container tells of a stream, and whether it is shown unasked."""
    tags = {key.lower(): _clean_tag(text) for key, text in stream.metadata.items()}
    has = stream.disposition
    kind: TrackKind = "subtitles"
    if has & Disposition.descriptions:
        kind = "descriptions"
    elif has & (Disposition.hearing_impaired | Disposition.captions):
        kind = "captions"
    title = tags.get("title") or tags.get("name") or ""  # QuickTime's is called name
    info = TrackInfo(
        parse_language(tags.get("language", "")),
        kind,
        bool(has & Disposition.forced),
        (title,) if title else (),
    )
    return info, bool(has & Disposition.default)


def _clean_tag(tag: str) -> str:
    text = read_tag(tag).text
    return " ".join(re.sub("[\x00-\x1f\x7f-\x9f]", " ", text).split())[:MAX_LABEL_LENGTH]


def _names_language(title: str, language: str) -> bool:
    lower_title = title.casefold()
    primary = language.partition("-")[0]
    return any(
        name(tag).casefold() in lower_title
        for name in (own_name, english_name)
        for tag in (language, primary)
    )


def _slug(word: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")
