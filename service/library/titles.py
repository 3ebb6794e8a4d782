"""The titles of videos and folders, from a container's title tag or from names.

Only characters that stand for spaces are replaced. A title is never empty.
"""

import re
import unicodedata

from service.protocol.media_types import media_type

# In names without spaces, dots separate words, except the dots of dates, versions, channel counts
# (2019.11.21, v1.2, 5.1) and initials (S.W.A.T., J.R.R.).
_CAPITAL = "[A-ZÀ-ÖØ-ÞΑ-ΩЀ-Я]"
_DOTS = re.compile(
    r"(?<![^.])(?P<kept>"
    r"(?:\d{4}\.\d{2}\.\d{2}|\d{1,2}\.\d{1,2}\.\d{4}|[vV]?\d{1,2}(?:\.\d{1,2})+)(?![^.])"
    rf"|(?:{_CAPITAL}\.)+{_CAPITAL}(?![^.])\.?"
    r")|\.+"
)

# Placeholders that programs write as a title, in several languages.
_PLACEHOLDER_TITLE = re.compile(
    r"(?:untitled|no title|unnamed|unknown|title|n/a|none|null|ohne titel|unbenannt|sans titre"
    r"|sin t[ií]tulo|sem t[ií]tulo|senza titolo|naamloos|без названия|無題|无标题|無標題|제목 없음)"
    r"(?:[ _-]*(?:project|sequence|timeline|video|movie|film|clip))?[ _-]*\(?\d*\)?"
)

# A URL, or a path from a root: of Unix, of Windows, of a share.
_LOCATION = re.compile(r"[a-z][a-z0-9+.-]*://|[a-z]:[\\/]|~?/|\\\\", re.IGNORECASE)

_OTHER_EXTENSIONS = re.compile(
    r"\.(?:3gp|avi|flv|m2v|mpe?g|vob|wmv|rm|rmvb|y4m|h26[45]|hevc|veg|aep|prproj|fcpxml?|drp|mlt"
    r"|kdenlive|blend|png|jpe?g|gif|srt|vtt|txt)",
    re.IGNORECASE,
)


def video_title(path: str, tag: str | None) -> str:
    """Return the title tag if it is meaningful, else a title from the file's name.

    It is in Unicode's composed form (NFC), for display only.
    """
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    title = _normalize_spaces(tag or "")
    if title and _is_meaningful(title) and title != _normalize_spaces(stem):
        return title
    return (
        _first_visible(
            _separators_to_spaces(stem), _normalize_spaces(stem), _normalize_spaces(name)
        )
        or name
    )


def folder_title(path: str) -> str:
    """Return a title from the last part of a folder's path."""
    name = path.rpartition("/")[2]
    return _first_visible(_separators_to_spaces(name), _normalize_spaces(name)) or name


def _normalize_spaces(text: str) -> str:
    """Compose letters; replace each run of spaces and control characters by one space."""
    composed = unicodedata.normalize("NFC", text)
    if not composed.isprintable():
        composed = "".join(" " if unicodedata.category(char) == "Cc" else char for char in composed)
    return " ".join(composed.split())


def _first_visible(*titles: str) -> str:
    """Return the first title with a visible character, or an empty string."""
    visible = (
        title for title in titles if any(unicodedata.category(c)[0] not in "CZ" for c in title)
    )
    return next(visible, "")


def _is_meaningful(tag: str) -> bool:
    """Return whether a tag is a title, not a placeholder of a program."""
    if not any(unicodedata.category(char)[0] in "LNS" for char in tag):
        return False  # only punctuation or invisible characters
    if _PLACEHOLDER_TITLE.fullmatch(tag.casefold()) or _LOCATION.match(tag):
        return False
    name = tag.replace("\\", "/")
    return media_type(name) is None and not _OTHER_EXTENSIONS.fullmatch(name, name.rfind("."))


def _separators_to_spaces(name: str) -> str:
    """Replace characters that stand for spaces."""
    spaced = _normalize_spaces(name.replace("_", " "))
    return spaced if " " in spaced else _normalize_spaces(_DOTS.sub(_dots_to_space, spaced))


def _dots_to_space(dots: re.Match[str]) -> str:
    return f"{dots['kept']} " if dots["kept"] else " "
