"""The patterns of REELAY_IGNORE, which are those of `.gitignore` without comments."""

import re
from collections.abc import Iterable

from pathspec import GitIgnoreSpec


class PatternError(ValueError):
    """A pattern of REELAY_IGNORE is not valid."""


def parse_patterns(text: object) -> tuple[str, ...]:
    """Return the patterns of REELAY_IGNORE, separated by commas or line ends.

    Raises PatternError.
    """
    patterns = tuple(filter(None, map(str.strip, re.split(r"[,\n]", str(text)))))
    for pattern in patterns:
        parts = pattern.removeprefix("!").strip("/").split("/")
        try:
            (parsed,) = spec([pattern]).patterns
        except ValueError:  # GitIgnorePatternError is one
            parsed = None
        # gitignore(5) has such patterns match nothing.
        if parsed is None or parsed.include is None or not {"", ".", ".."}.isdisjoint(parts):
            raise PatternError(
                "should be patterns as in .gitignore, such as Private/, *.sample.mp4, /Films/old; "
                f"{pattern!r} is none"
            )
    return patterns


def spec(patterns: Iterable[str]) -> GitIgnoreSpec:
    """Return the rules of valid patterns."""
    # There are no comments, as `#` begins the names of some folders.
    return GitIgnoreSpec.from_lines(
        [f"\\{pattern}" if pattern.startswith("#") else pattern for pattern in patterns]
    )
