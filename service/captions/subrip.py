"""Conversion of SubRip to WebVTT cues.

SubRip has no specification: this accepts what players accept. pysubs2 (1.8) escapes nothing, drops
<b> and cue positions, and stops at 100 hours."""

import re
from typing import Final

from service.captions.overrides import take_overrides
from service.captions.webvtt import (
    MAX_CUE_LENGTH,
    CaptionsError,
    Cue,
    check_cue_limit,
    escape,
    parse_timing,
    strip_blank_lines,
)

_COUNTER: Final = re.compile(r"\s*([0-9]{1,9})\s*")
_TAG: Final = re.compile(r"<(/?)([A-Za-z]{1,10})((?:[\s=/][^<>]*)?)>")

_KEPT: Final = frozenset("ibu")
_DROPPED: Final = frozenset(
    {"font", "s", "strike", "span", "div", "p", "c", "v", "center", "small"}
)


def parse_cues(text: str) -> list[Cue]:
    """Return the cues of a SubRip file, in file order. Raises CaptionsError if there are none."""
    lines = text.split("\n")
    timings = []
    for at, line in enumerate(lines):
        if times := parse_timing(line):
            timings.append((at, times))
            check_cue_limit(len(timings))
    if not timings:
        raise CaptionsError("This is no SubRip, WebVTT or ASS: no line tells a cue's times.")
    cues = []
    previous_counter = _counter(lines, timings[0][0])
    for index, (at, (start, end, _)) in enumerate(timings):
        stop = timings[index + 1][0] if index + 1 < len(timings) else len(lines)
        counter = _counter(lines, stop) if stop < len(lines) else None
        # A number without an empty line before it is text, unless it continues the count.
        if counter is not None and (
            stop - 2 <= at or not lines[stop - 2].strip() or counter == (previous_counter or 0) + 1
        ):
            stop -= 1
        previous_counter = counter
        payload, settings = srt_to_cue_text("\n".join(lines[at + 1 : stop]))
        cues.append(Cue(start, end, payload, settings))
    return cues


def _counter(lines: list[str], at: int) -> int | None:
    match = _COUNTER.fullmatch(lines[at - 1]) if at else None
    return int(match[1]) if match else None


def srt_to_cue_text(text: str) -> tuple[str, str]:
    """Return SubRip text as WebVTT cue text, and the settings for its position.

    Keep <i>, <b> and <u>, correctly nested. Drop other markup. Keep what is not markup, such as
    "<3", as text.
    """
    text, settings = take_overrides(text[:MAX_CUE_LENGTH])
    output: list[str] = []
    open_tags: list[str] = []
    position = 0
    for tag in _TAG.finditer(text):
        closing, name = bool(tag[1]), tag[2].lower()
        if name not in _KEPT and name not in _DROPPED and name != "br":
            continue
        output.append(escape(text[position : tag.start()]))
        position = tag.end()
        if name == "br":
            output.append("\n")
        elif name in _KEPT:
            output.append(_close(name, open_tags) if closing else _open(name, open_tags))
    output.append(escape(text[position:]))
    output += [f"</{name}>" for name in reversed(open_tags)]
    return _nonempty("".join(output)), settings


def _open(name: str, open_tags: list[str]) -> str:
    if name in open_tags:
        return ""
    open_tags.append(name)
    return f"<{name}>"


def _close(name: str, open_tags: list[str]) -> str:
    """Close a tag: close the tags inside it first, and reopen them afterwards."""
    if name not in open_tags:
        return ""
    within = open_tags[open_tags.index(name) + 1 :]
    open_tags.remove(name)
    before = "".join(f"</{tag}>" for tag in reversed(within))
    return f"{before}</{name}>{''.join(f'<{tag}>' for tag in within)}"


def _nonempty(payload: str) -> str:
    """Return cue text without empty lines, or an empty string if it has only tags."""
    if not re.sub(r"</?[ibu]>", "", payload).strip():
        return ""
    return strip_blank_lines(payload)
