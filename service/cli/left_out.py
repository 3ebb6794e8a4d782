"""What `doctor` prints of the files that are left out of the library."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from service.storage.left_out import LeftOut
from service.storage.left_out_reasons import Reason, is_library_file

# Entries of one folder that are looked at, at all depths: a bin may hold a whole library.
_MAX_ENTRIES = 100_000

# A snapshot may be mounted when it is looked at, and holds what the library holds. No system call
# takes a path that is as long as that of a folder too deep.
_NOT_COUNTED = frozenset({Reason.SNAPSHOT, Reason.UNREADABLE, Reason.DEEP})


def left_out_lines(left_out: LeftOut, root: Path | None) -> list[str]:
    """Return a line for each reason: how many files are left out, and some paths. Blocks.

    `root` is the library's folder; None for a bucket, whose files are all counted by its listing.
    """
    counts, partly = Counter(left_out.counts), set()
    examples = defaultdict(list, {reason: list(some) for reason, some in left_out.examples.items()})
    for folder, reason in left_out.folders:
        counts[reason] -= 1  # the folder itself
        entries = 0 if root is None or reason in _NOT_COUNTED else _MAX_ENTRIES
        names = list(islice(_names(root / folder if root else Path()), entries)) if entries else []
        counts[reason] += sum(map(is_library_file, names))
        if reason in _NOT_COUNTED or len(names) == _MAX_ENTRIES:
            partly.add(reason)
    return [
        _line(reason, counts[reason], examples[reason], is_minimum=reason in partly)
        for reason in Reason
        if counts[reason] or reason in partly
    ]


def _line(reason: Reason, count: int, examples: list[str], *, is_minimum: bool) -> str:
    number = f"{count} {'file' if count == 1 else 'files'}"
    if is_minimum:
        number = f"at least {number}" if count else "not counted"
    return f"Left out, {reason}: {number} ({', '.join(examples)})."


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of what is in a folder and below. Links are not followed."""
    for _, _, names in os.walk(folder):
        yield from names
