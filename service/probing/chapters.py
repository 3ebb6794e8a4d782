"""Chapters of a container, and the rules that all chapters keep: in order, bounded, with titles."""

import math
import re
from collections.abc import Iterable
from typing import Any, Final

from service.encodings.tags import read_tag
from service.models import Chapter
from service.probing.timeline import start_offset

MAX_CHAPTERS: Final = 1000
MAX_TITLE_LENGTH: Final = 200
"""Characters: a thousand such titles have at most 800 KB."""

_LATEST: Final = 10_000 * 3600.0  # seconds; what is later is a damaged number
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufeff]+")


def read_chapters(container: Any) -> tuple[Chapter, ...]:
    """Return the chapters of a container that PyAV has opened."""
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
    return normalize_chapters(raw, origin if are_moved else 0.0)


def normalize_chapters(
    raw: Iterable[tuple[float, float, str]], origin: float
) -> tuple[Chapter, ...]:
    """Return chapters in order, bounded in number and length, with titles; leave out damaged ones.

    `origin` is the time in seconds that is 0 on the page.
    """
    valid = sorted(
        (max(0.0, start - origin), end - origin, title)
        for start, end, title in raw
        if math.isfinite(start) and math.isfinite(end) and start <= _LATEST
    )[:MAX_CHAPTERS]
    chapters = []
    for index, (start, end, title) in enumerate(valid):
        if end <= start and index + 1 < len(valid):
            end = valid[index + 1][0]  # noqa: PLW2901 # one without an end lasts until the next
        if start < end <= _LATEST:
            chapters.append(Chapter(start=start, end=end, title=_readable(title) or f"{index + 1}"))
    return tuple(chapters)


def _readable(title: str) -> str:
    """Return a title in one line, in its likely encoding; an empty string if it is illegible."""
    return " ".join(_CONTROLS.sub(" ", read_tag(title).text).split())[:MAX_TITLE_LENGTH].strip()
