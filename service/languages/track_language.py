"""Languages of subtitles as yt-dlp names them in files, besides plain codes.

YouTube's codes: `en-orig` is what was recognised from the sound, `de-en` a translation into German
from English, and `en-nP7-2PuUl7o` one of several tracks, told apart by an identifier.
"""

import re
from typing import Final, NamedTuple

from service.languages.names import english_name, parse_code, parse_language
from service.languages.registry import language_of

_ORIGINAL: Final = "orig"
_AUTOMATIC: Final = "a"  # before the source of a translation
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]{11}")
# RFC 5646 §2.1, variant; those of letters alone may be words.
_VARIANT: Final = re.compile("(?=[A-Za-z]*[0-9])(?:[0-9][A-Za-z0-9]{3}|[A-Za-z0-9]{5,8})")
_WORD: Final = re.compile("[A-Za-z]?[a-z]*")
_REGION: Final = re.compile("([a-z]{2,3})-([a-z]{2})")
_MAX_PARTS: Final = 3  # language, script, region
_MIN_SPEAKERS: Final = 12_000_000

CHATS: Final = frozenset({"live_chat", "live-chat", "rechat", "danmaku"})
"""Words in names of files that have what viewers wrote, and no captions."""


class TrackLanguage(NamedTuple):
    """What a word in a file's name tells about its language."""

    tag: str
    """BCP 47."""
    details: tuple[str, ...] = ()
    """For people: original, what it is translated from, or a variant."""
    identifier: str = ""
    """Differs between tracks that are otherwise alike."""


def parse_track_language(word: str) -> TrackLanguage | None:
    """Return the language of a word in a file's name, or None if it is none."""
    plain = parse_language(word)
    if plain and not _is_translation(word):
        return TrackLanguage(plain)
    parts = word.split("-")
    for count in range(min(len(parts) - 1, _MAX_PARTS), 0, -1):
        tag, rest = parse_code("-".join(parts[:count])), "-".join(parts[count:])
        if tag is None or _is_translation("-".join(parts[:count])):
            continue
        if rest.lower() == _ORIGINAL:
            return TrackLanguage(tag, ("original",))
        if _IDENTIFIER.fullmatch(rest) and not _WORD.fullmatch(rest):
            return TrackLanguage(tag, (), rest)
        if source := _source(rest.removeprefix(f"{_AUTOMATIC}-")):
            details = (f"translated from {english_name(source.tag)}",)
            return TrackLanguage(tag, details, source.identifier)
        if _VARIANT.fullmatch(rest):
            return TrackLanguage(tag, (rest,))
    return TrackLanguage(plain) if plain else None


def _source(rest: str) -> TrackLanguage | None:
    """Return the language that a track is translated from; only codes count."""
    return parse_track_language(rest) if parse_code(rest.partition("-")[0]) else None


def _is_translation(word: str) -> bool:
    """Return whether a code such as `en-de` is a translation and not a region.

    YouTube's regions are capitals (pt-BR), but people write pt-br, too. It is a region if the
    language is the main one of the region, or the region the main one of the language.
    """
    match = _REGION.fullmatch(word)
    if match is None or parse_code(match[2]) != match[2]:
        return False
    language, region = language_of(match[1]), match[2].upper()
    return (
        language_of(f"und-{region}").maximize().language != language.language
        and language.maximize().territory != region
        and language_of(match[2]).speaking_population() >= _MIN_SPEAKERS
    )
