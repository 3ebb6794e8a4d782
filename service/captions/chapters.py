"""Chapters: as the container or a file beside the video tells them, as values and as WebVTT.
Law: what is damaged names no chapters; what remains is in order, bounded, and has names."""

import html
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from service.captions import subrip, webvtt
from service.captions.webvtt import Cue
from service.models import Chapter

MOST: Final = 1000
LONGEST_TITLE: Final = 200
"""Characters: a thousand such titles have at most 800 KB."""

_LATEST: Final = 10_000 * 3600.0  # seconds; what is later is a damaged number
_SPAN: Final = re.compile(r"<[^<>]*>")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufeff]+")


def chapters_of(container: Any) -> tuple[Chapter, ...]:
    """Give the chapters of a container that PyAV has opened."""
    told = []
    for chapter in container.chapters():
        base = chapter["time_base"]
        if base is None:
            continue
        titles = (text for key, text in chapter["metadata"].items() if key.lower() == "title")
        told.append(
            (float(chapter["start"] * base), float(chapter["end"] * base), next(titles, ""))
        )
    return _in_order(told, beginning(container))


def chapters_from(text: str) -> tuple[Chapter, ...]:
    """Give the chapters that a WebVTT or SubRip file tells; none where it is neither."""
    try:
        # Written first, so that both interfaces have the same chapters in the same order.
        cues = webvtt.cues_of(subrip.webvtt_of(text))
    except webvtt.CaptionsError:
        return ()
    told = ((cue.start / 1000, cue.end / 1000, _title(cue.payload)) for cue in cues)
    return _in_order(told, 0.0)


def webvtt_of(chapters: Iterable[Chapter]) -> str:
    """Give chapters as a WebVTT file. Raises CaptionsError where there are none."""
    return webvtt.written(
        Cue(
            round(chapter.start * 1000),
            # A cue has to end after it begins: a chapter of no millisecond is still found.
            max(round(chapter.end * 1000), round(chapter.start * 1000) + 1),
            webvtt.escaped(chapter.title),
        )
        for chapter in chapters
    )


def beginning(container: Any) -> float:
    """Give the seconds of a container's clock at which players say 0: its first picture or sound.

    Chromium's FFmpegDemuxer and Firefox's MediaDecoderStateMachine both count from there.
    """
    # AV_TIME_BASE is a microsecond
    return max(0.0, (container.start_time or 0) / 1_000_000)


def _title(payload: str) -> str:
    return html.unescape(_SPAN.sub("", payload))


def _in_order(told: Iterable[tuple[float, float, str]], zero: float) -> tuple[Chapter, ...]:
    right = sorted(
        (max(0.0, start - zero), end - zero, title)
        for start, end, title in told
        if math.isfinite(start) and math.isfinite(end) and start <= _LATEST
    )[:MOST]
    chapters = []
    for index, (start, end, title) in enumerate(right):
        if end <= start and index + 1 < len(right):
            end = right[index + 1][0]  # noqa: PLW2901 # one without an end lasts until the next
        if start < end <= _LATEST:
            chapters.append(Chapter(start=start, end=end, title=_readable(title) or f"{index + 1}"))
    return tuple(chapters)


def _readable(title: str) -> str:
    """Give a title in one line, without the bytes that FFmpeg could not read."""
    text = title.encode(errors="surrogateescape").decode(errors="replace")
    return " ".join(_CONTROLS.sub(" ", text).split())[:LONGEST_TITLE].strip()
