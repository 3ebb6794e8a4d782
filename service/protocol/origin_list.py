"""Lists of origins in settings: `*`, `none`, or origins such as https://*.example.org.

nginx/docker-entrypoint.d/10-settings.envsh has the same grammar and the same matches.
"""

import re
from collections.abc import Callable

# An origin as a Content-Security-Policy names it (CSP3 §2.3.1, host-source), without a path.
_ORIGIN = re.compile(
    r"https?://(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::(?P<port>[0-9]{1,5}|\*))?", re.ASCII
)
_MAX_PORT = 65535

# Browsers leave these out of an origin (Fetch, "serialize a request origin").
_DEFAULT_PORT = re.compile(r"^(?:(http:.*):0*80|(https:.*):0*443)$")

# What the stars stand for: one or more labels in front of a host, and any port or none.
_LABELS, _PORT = r"(?:[a-z0-9_-]+\.)+", r"(?::[0-9]+)?"


def parse(text: object) -> str:
    """Return a list of origins with single blanks between them. Raises ValueError."""
    words = str(text).replace(",", " ").split()
    if words in (["*"], ["none"]):
        return words[0]
    if not words or not all(map(_is_origin, words)):
        raise ValueError(
            "should be * for everybody, none, or origins such as https://example.org and "
            "https://*.example.org"
        )
    return " ".join(words)


def _is_origin(word: str) -> bool:
    match = _ORIGIN.fullmatch(word)
    return match is not None and (match["port"] in (None, "*") or int(match["port"]) <= _MAX_PORT)


def matcher(origins: str) -> Callable[[str], bool]:
    """Return the test whether a parsed list has the value of an Origin header.

    Only `*` has the origin `null`. A star in a host stands for one label or more, as in CSP.
    """
    if origins in ("*", "none"):
        return lambda _: origins == "*"
    pattern = re.compile("|".join(map(_pattern, origins.split(" "))), re.ASCII | re.IGNORECASE)
    return lambda origin: pattern.fullmatch(origin) is not None


def _pattern(word: str) -> str:
    word = _DEFAULT_PORT.sub(lambda match: match[1] or match[2], word)
    scheme, _, rest = word.partition("://")
    host, _, port = rest.partition(":")
    labels = _LABELS if host.startswith("*.") else ""
    tail = _PORT if port == "*" else f":{int(port)}" if port else ""
    return f"{scheme}://{labels}{re.escape(host.removeprefix('*.'))}{tail}"
