"""Which paths may name a file of the library, whatever kind of storage holds it."""

import re

from service.errors import NotFoundError

_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def validate_path(path: str) -> list[str]:
    """Return the components of a path. Raises NotFoundError if it cannot name a library file.

    Names may not hold backslashes, which separate folders on some systems, or control characters,
    which have no place in headers and logs. Names that are not UTF-8 are refused, too.
    """
    components = path.split("/")
    if _FORBIDDEN.search(path) or any(name in ("", ".", "..") for name in components):
        raise NotFoundError("There is no such file.")
    return components


def is_valid(path: str) -> bool:
    """Return whether a path may name a file of the library."""
    try:
        validate_path(path)
    except NotFoundError:
        return False
    return True


def is_valid_name(name: str) -> bool:
    """Return whether a name, as a folder lists it, may be part of a path of the library."""
    return _FORBIDDEN.search(name) is None


def printable(path: str) -> str:
    """Return a path for messages, with escapes for what cannot be in a name of the library."""
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), path)
