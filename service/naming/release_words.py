"""Distinguishes names of releases, such as `Film.1999.1080p.x264`, from titles."""

import re

_EPISODE = re.compile(r"(?<![^\W_])s\d{1,4}[ ._-]?e\d{1,4}(?!\d)", re.IGNORECASE)
_TECHNICAL = re.compile(
    r"(?<![^\W_])(?:\d{3,4}[ip]|[xh][ .]?26[45]|web-?dl|web-?rip|blu-?ray|b[dr]-?rip|dvd-?rip|hdtv"
    r"|remux|hevc|xvid|divx)(?![^\W_])",
    re.IGNORECASE,
)


def is_release_name(title: str) -> bool:
    """Return whether a title tag is the name of a release, and not a title for people."""
    technical = len(_TECHNICAL.findall(title))
    return (
        _EPISODE.search(title) is not None
        or technical > 1
        or (technical > 0 and " " not in title.strip())
    )
