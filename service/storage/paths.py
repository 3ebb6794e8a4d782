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
