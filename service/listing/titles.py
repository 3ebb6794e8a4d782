"""The titles of videos and folders, from a container's title tag or from names.

In a name that is not parsed, only characters that stand for spaces are replaced. A title is never
empty.
"""

import re
import unicodedata

from service.listing.parsed_titles import parsed_title
from service.models import ParsedName
from service.naming.release_words import is_release_name
from service.naming.words import normalize_spaces, separators_to_spaces
from service.protocol.media_types import media_type

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


def video_title(path: str, tag: str | None, parsed_name: ParsedName | None = None) -> str:
    """Return the title tag if it is meaningful, else what the name says, else the name itself.

    An episode's title begins with its series; a tag is the rest. The result is in Unicode's
    composed form (NFC), for display only.
    """
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    title = normalize_spaces(tag or "")
    is_title = title and _is_meaningful(title) and title != normalize_spaces(stem)
    if is_title and is_release_name(title):
        is_title = False
    if parsed_name is not None:
        return parsed_title(parsed_name, title if is_title else None)
    if is_title:
        return title
    return (
        _first_visible(separators_to_spaces(stem), normalize_spaces(stem), normalize_spaces(name))
        or name
    )


def folder_title(path: str) -> str:
    """Return a title from the last part of a folder's path."""
    name = path.rpartition("/")[2]
    return _first_visible(separators_to_spaces(name), normalize_spaces(name)) or name


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
