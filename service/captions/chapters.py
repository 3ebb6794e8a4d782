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


def parse_chapters(text: str, problems: list[str] | None = None) -> tuple[Chapter, ...]:
    """Return the chapters of a file of captions; none if it is damaged.

    Append sentences about what is left out to `problems`.
    """
    try:
        # Convert to WebVTT first, so that JSON and WebVTT have the same chapters in the same order.
        cues = webvtt.parse_cues(convert.to_webvtt(text))
    except webvtt.CaptionsError as error:
        if problems is not None:
            problems.append(str(error))
        return ()
    raw = ((cue.start / 1000, cue.end / 1000, _title(cue.payload)) for cue in cues)
    return normalize_chapters(raw, 0.0, problems)


def first_chapters(files: Iterable[tuple[str, str]], problems: list[str]) -> tuple[Chapter, ...]:
    """Return the chapters of the first file, of pairs of name and text, that has some.

    Append sentences about what is left out to `problems`.
    """
    for name, text in files:
        omissions: list[str] = []
        found = parse_chapters(text, omissions)
        problems += [f"{name}: {omission}" for omission in omissions]
        if found:
            return found
    return ()


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
