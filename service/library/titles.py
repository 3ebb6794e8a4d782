"""What a video or a folder is called: the container's title where it says something, else the name.
Law: what a name says stays; only the signs that stand for spaces become spaces. Never empty."""

import re
import unicodedata

from service.protocol.media_types import media_type

# Names without spaces have dots between their words, yet these dots are no spaces: of dates,
# versions and channel counts (2019.11.21, v1.2, 5.1), and of initials (S.W.A.T., J.R.R.).
_CAPITAL = "[A-ZÀ-ÖØ-ÞΑ-ΩЀ-Я]"
_DOTS = re.compile(
    r"(?<![^.])(?P<kept>"
    r"(?:\d{4}\.\d{2}\.\d{2}|\d{1,2}\.\d{1,2}\.\d{4}|[vV]?\d{1,2}(?:\.\d{1,2})+)(?![^.])"
    rf"|(?:{_CAPITAL}\.)+{_CAPITAL}(?![^.])\.?"
    r")|\.+"
)

# What programs write where nobody has named the film, in the languages that they speak.
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
    """Call a video by its container's title tag, if that says something, else by its file's name.

    In Unicode's composed form (NFC), for display alone.
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
    """Call a folder by the last part of its path."""
    name = path.rpartition("/")[2]
    return _first_visible(_separators_to_spaces(name), _normalize_spaces(name)) or name


def _normalize_spaces(text: str) -> str:
    """Compose letters; make one space of each run of spaces, line ends and control characters."""
    composed = unicodedata.normalize("NFC", text)
    if not composed.isprintable():
        composed = "".join(" " if unicodedata.category(char) == "Cc" else char for char in composed)
    return " ".join(composed.split())


def _first_visible(*titles: str) -> str:
    """Give the first that is not blank: nothing, spaces and invisible signs are."""
    visible = (
        title for title in titles if any(unicodedata.category(c)[0] not in "CZ" for c in title)
    )
    return next(visible, "")


def _is_meaningful(tag: str) -> bool:
    """Tell a title from what programs put into its place."""
    if not any(unicodedata.category(char)[0] in "LNS" for char in tag):
        return False  # punctuation, or nothing to be seen
    if _PLACEHOLDER_TITLE.fullmatch(tag.casefold()) or _LOCATION.match(tag):
        return False
    name = tag.replace("\\", "/")
    return media_type(name) is None and not _OTHER_EXTENSIONS.fullmatch(name, name.rfind("."))


def _separators_to_spaces(name: str) -> str:
    """Put spaces where other signs stand for them."""
    spaced = _normalize_spaces(name.replace("_", " "))
    return spaced if " " in spaced else _normalize_spaces(_DOTS.sub(_dots_to_space, spaced))


def _dots_to_space(dots: re.Match[str]) -> str:
    return f"{dots['kept']} " if dots["kept"] else " "
