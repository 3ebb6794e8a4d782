"""SubRip, and text with its markup, as cues of WebVTT. Pure. There is no specification: what is
read is what players read. Written here as pysubs2 (1.8) escapes nothing, drops <b> and where a cue
stands, and ends at 100 hours."""

import re
from typing import Final

from service.captions.webvtt import (
    MAX_CUE_LENGTH,
    MAX_LINES,
    CaptionsError,
    Cue,
    check_cue_limit,
    escape,
    is_webvtt,
    parse_timing,
    sanitize_webvtt,
    serialize_webvtt,
    strip_blank_lines,
)

_COUNTER: Final = re.compile(r"\s*([0-9]{1,9})\s*")
_OVERRIDE: Final = re.compile(r"\{\\[^{}]*\}")
_ALIGNMENT: Final = re.compile(r"\\an([1-9])")
_DRAWING: Final = re.compile(r"\\p[1-9]")
_TAG: Final = re.compile(r"<(/?)([A-Za-z]{1,10})((?:[\s=/][^<>]*)?)>")

_KEPT: Final = frozenset("ibu")
_DROPPED: Final = frozenset(
    {"font", "s", "strike", "span", "div", "p", "c", "v", "center", "small"}
)


def to_webvtt(text: str) -> str:
    """Give the text of a sidecar, SubRip or WebVTT by what it is, as WebVTT.

    Raises CaptionsError, whose message says what is wrong with it.
    """
    if text.count("\n") > MAX_LINES:
        raise CaptionsError(f"There are more than {MAX_LINES} lines in it.")
    return sanitize_webvtt(text) if is_webvtt(text) else serialize_webvtt(parse_cues(text))


def parse_cues(text: str) -> list[Cue]:
    """Give the cues of a SubRip file, in its order. Raises CaptionsError where it is none."""
    lines = text.split("\n")
    timings = []
    for at, line in enumerate(lines):
        if times := parse_timing(line):
            timings.append((at, times))
            check_cue_limit(len(timings))
    if not timings:
        raise CaptionsError("This is neither SubRip nor WebVTT: no line tells a cue's times.")
    cues = []
    previous_counter = _counter(lines, timings[0][0])
    for index, (at, (start, end, _)) in enumerate(timings):
        stop = timings[index + 1][0] if index + 1 < len(timings) else len(lines)
        counter = _counter(lines, stop) if stop < len(lines) else None
        # Without an empty line before it, a number may be the cue's last line: unless it counts on.
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
    """Give SubRip's text as cue text, and the settings that say where it stands.

    <i>, <b> and <u> are kept, and made to nest; what else is markup is dropped; what is none, such
    as "<3", is text.
    """
    text = text[:MAX_CUE_LENGTH]
    settings = _settings(text)
    output: list[str] = []
    open_tags: list[str] = []
    position = 0
    text = _OVERRIDE.sub("", text)
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
    """Close a tag; those that were opened in it are closed before and opened again behind it."""
    if name not in open_tags:
        return ""
    within = open_tags[open_tags.index(name) + 1 :]
    open_tags.remove(name)
    before = "".join(f"</{tag}>" for tag in reversed(within))
    return f"{before}</{name}>{''.join(f'<{tag}>' for tag in within)}"


def _nonempty(payload: str) -> str:
    """Give nothing for cue text that is nothing but tags."""
    if not re.sub(r"</?[ibu]>", "", payload).strip():
        return ""
    return strip_blank_lines(payload)


def ass_to_cue_text(text: str) -> tuple[str, str]:
    """Give the text of an Advanced SubStation Alpha event likewise, without its styles."""
    text = text[:MAX_CUE_LENGTH]
    if _DRAWING.search(text):
        return "", ""  # shapes, whose outlines are told in numbers
    settings = _settings(text)
    text = _OVERRIDE.sub("", text)
    text = text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\xa0")
    return strip_blank_lines(escape(text)), settings


def _settings(text: str) -> str:
    r"""Give settings for the first `{\an}`, which are the keys of a number pad."""
    match = next(
        (key for block in _OVERRIDE.finditer(text) if (key := _ALIGNMENT.search(block[0]))), None
    )
    if not match:
        return ""
    row, column = divmod(int(match[1]) - 1, 3)
    # Below, in the middle where cues stand by themselves.
    return " ".join(
        filter(None, (("", "line:50%", "line:0")[row], ("align:left", "", "align:right")[column]))
    )
