"""Describes some of the paths of a library by how they begin, in less space than a list takes."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import groupby
from os.path import commonprefix


def path_prefixes(paths: Sequence[str], library: Sequence[str], limit: int) -> tuple[str, ...]:
    """Return prefixes that all of `paths`, and no other paths of the library, begin with.

    Both are sorted. Returns nothing if more than `limit` prefixes are needed, or if another path
    begins with a whole one of these.
    """
    prefixes: list[str] = []
    groups = [paths] if paths else []
    while groups:
        group = groups.pop()
        prefix = commonprefix(group)  # noqa: RUF071 # of names, too, not only of folders
        if _count(library, prefix) == len(group):
            prefixes.append(prefix)
        elif prefix in group:
            return ()
        else:
            parts = groupby(group, key=lambda path: path[len(prefix)])  # used at once
            groups += [list(part) for _, part in parts]
        if len(prefixes) + len(groups) > limit:
            return ()
    return tuple(sorted(prefixes))


def _count(library: Sequence[str], prefix: str) -> int:
    """Return how many of the sorted paths begin with a prefix."""
    first = bisect_left(library, prefix)
    return bisect_right(library, prefix, first, key=lambda path: path[: len(prefix)]) - first
