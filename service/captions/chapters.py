"""Chapters of a file beside the video, and chapters as a WebVTT file."""

import html
import re
from collections.abc import Iterable
from typing import Final

from service.captions import convert, webvtt
from service.captions.webvtt import Cue
from service.models import Chapter
from service.probing.chapters import normalize_chapters

_TAG: Final = re.compile(r"<[^<>]*>")


def parse_chapters(text: str) -> tuple[Chapter, ...]:
    """Return the chapters of a file of captions; none if it is damaged."""
    try:
        # Convert to WebVTT first, so that JSON and WebVTT have the same chapters in the same order.
        cues = webvtt.parse_cues(convert.to_webvtt(text))
    except webvtt.CaptionsError:
        return ()
    raw = ((cue.start / 1000, cue.end / 1000, _title(cue.payload)) for cue in cues)
    return normalize_chapters(raw, 0.0)


def to_webvtt(chapters: Iterable[Chapter]) -> str:
    """Return chapters as a WebVTT file. Raises CaptionsError where there are none."""
    return webvtt.serialize_webvtt(
        Cue(
            round(chapter.start * 1000),
            # A cue must end after its start, even for a chapter shorter than a millisecond.
            max(round(chapter.end * 1000), round(chapter.start * 1000) + 1),
            webvtt.escape(chapter.title),
        )
        for chapter in chapters
    )


def _title(payload: str) -> str:
    return html.unescape(_TAG.sub("", payload))
