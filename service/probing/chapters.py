"""Chapters of a container, and the rules that all chapters keep: in order, bounded, with titles."""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from service.encodings.tags import read_tag
from service.models import Chapter
from service.probing.tags import shorten
from service.probing.timeline import start_offset

MAX_CHAPTERS: Final = 5000
"""Of one file: the longest audiobooks have some 1,200, one for each chapter of the Bible."""
MAX_TITLE_LENGTH: Final = 200
"""Characters of a chapter's title."""

_LATEST: Final = 10_000 * 3600.0  # seconds; what is later is a damaged number
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufeff]+")


def read_chapters(container: Any, problems: list[str] | None = None) -> tuple[Chapter, ...]:
    """Return the chapters of a container that PyAV has opened.

    Append sentences about those that are left out to `problems`.
    """
    raw = []
    for chapter in container.chapters():
        base = chapter["time_base"]
        if base is None:
            continue
        titles = (text for key, text in chapter["metadata"].items() if key.lower() == "title")
        raw.append((float(chapter["start"] * base), float(chapter["end"] * base), next(titles, "")))
    origin = start_offset(container)
    # FFmpeg's -output_ts_offset moves pictures and sound, but not the chapters.
    are_moved = any(start >= origin or end > origin for start, end, _ in raw)
    return normalize_chapters(raw, origin if are_moved else 0.0, problems)


def normalize_chapters(
    raw: Iterable[tuple[float, float, str]], origin: float, problems: list[str] | None = None
) -> tuple[Chapter, ...]:
    """Return chapters in order, bounded in number and length, with titles; leave out damaged ones.

    `origin` is the time in seconds that is 0 on the page. Append sentences about chapters that are
    left out to `problems`.
    """
    given = list(raw)
    valid = sorted(
        (max(0.0, start - origin), end - origin, title)
        for start, end, title in given
        if math.isfinite(start) and math.isfinite(end) and start <= _LATEST
    )
    chapters = []
    for index, (start, end, title) in enumerate(valid):
        if end <= start and index + 1 < len(valid):
            end = valid[index + 1][0]  # noqa: PLW2901 # one without an end lasts until the next
        if start < end <= _LATEST:
            chapters.append(Chapter(start=start, end=end, title=_readable(title) or f"{index + 1}"))
    if problems is not None:
        problems += _left_out(len(given), len(chapters))
    return tuple(chapters[:MAX_CHAPTERS])


def _left_out(given: int, valid: int) -> Iterator[str]:
    if valid < given:
        yield f"{given - valid} of {given} chapters have no valid times: they are left out."
    if valid > MAX_CHAPTERS:
        yield f"There are {valid} chapters: only the first {MAX_CHAPTERS} are shown."


def _readable(title: str) -> str:
    """Return a title in one line, in its likely encoding; an empty string if it is illegible."""
    return shorten(" ".join(_CONTROLS.sub(" ", read_tag(title).text).split()), MAX_TITLE_LENGTH)
