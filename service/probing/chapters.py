"""Chapters of a container, and the rules that all chapters keep: in order, bounded, with titles."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from service.encodings.tags import read_tag, shared_encoding
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
    origin = 0.0 if _are_left_behind(container, raw, origin) else origin
    return normalize_chapters(raw, origin, problems)


def _are_left_behind(
    container: Any, raw: Sequence[tuple[float, float, str]], origin: float
) -> bool:
    """Return whether chapters count from the first frame, whose time is `origin`.

    FFmpeg's -output_ts_offset moves pictures and sound, but not the chapters. Then some are over
    before the film begins, and all begin before its length is over.
    """
    if all(start < origin and end <= origin for start, end, _ in raw):
        return True
    told = (container.duration or 0) / 1_000_000  # AV_TIME_BASE is a microsecond
    length = told - origin if told > origin else told  # at least: it may be the length already
    return any(end <= origin for _, end, _ in raw) and all(start < length for start, _, _ in raw)


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
    encoding = shared_encoding(title for _, _, title in valid)
    for index, (start, end, title) in enumerate(valid):
        if end <= start and index + 1 < len(valid):
            end = valid[index + 1][0]  # noqa: PLW2901 # one without an end lasts until the next
        if start < end <= _LATEST:
            chapters.append(
                Chapter(start=start, end=end, title=_readable(title, encoding) or f"{index + 1}")
            )
    if problems is not None:
        problems += _left_out(len(given), len(chapters))
    return tuple(chapters[:MAX_CHAPTERS])


def _left_out(given: int, valid: int) -> Iterator[str]:
    if valid < given:
        yield f"{given - valid} of {given} chapters have no valid times: they are left out."
    if valid > MAX_CHAPTERS:
        yield f"There are {valid} chapters: only the first {MAX_CHAPTERS} are shown."


def _readable(title: str, encoding: str | None) -> str:
    """Return a title in one line, in its likely encoding; an empty string if it is illegible."""
    text = _CONTROLS.sub(" ", read_tag(title, encoding).text)
    return shorten(" ".join(text.split()), MAX_TITLE_LENGTH)
