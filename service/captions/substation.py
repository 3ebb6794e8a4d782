"""Conversion of SubStation Alpha (.ssa) and Advanced SubStation Alpha (.ass) to WebVTT.

There is no specification: this follows libass. Styles are dropped, except the position. FFmpeg's
demuxer ignores `Format` lines, which may leave fields out or order them differently."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from service.captions.overrides import (
    alignment_settings,
    is_drawing,
    key_settings,
    legacy_settings,
)
from service.captions.webvtt import (
    MAX_CUE_LENGTH,
    Cue,
    check_cue_limit,
    escape,
    parse_timing,
    strip_blank_lines,
)

_SIGNATURE: Final = re.compile(
    r"^\s*(?:\[Script Info\]|\[Events\]|Dialogue:)", re.MULTILINE | re.IGNORECASE
)
# The fields of events in files without a `Format` line; SSA's first one is called Marked.
_COLUMNS: Final = (
    *("layer", "start", "end", "style", "name"),
    *("marginl", "marginr", "marginv", "effect", "text"),
)
_MAX_COLUMNS: Final = 100  # of events, which have ten
_MAX_HEADER_LENGTH: Final = 200_000  # characters; a film has some dozens of styles
_FIELDS: Final = 8  # before the text of a packet: Matroska's codec mappings, S_TEXT/ASS


def is_substation(text: str) -> bool:
    """Return whether a file is ASS or SSA, by its sections or events."""
    return bool(_SIGNATURE.search(text))


def parse_cues(text: str) -> list[Cue]:
    """Return the cues of a file, in file order. Raises CaptionsError if there are too many."""
    header = text[:_MAX_HEADER_LENGTH].encode(errors="replace")
    columns: tuple[str, ...] = _COLUMNS
    cues: list[Cue] = []
    for line in text.split("\n"):
        key, _, value = line.partition(":")
        match key.strip().lower():
            case "format":
                values = value.split(",", _MAX_COLUMNS)[:_MAX_COLUMNS]
                names = tuple(name.strip().lower() for name in values)
                columns = names if "text" in names else columns  # else those of styles
            case "dialogue":
                if cue := _parse_event(value, columns, header):
                    cues.append(cue)
                    check_cue_limit(len(cues))
    return cues


def _parse_event(event: str, columns: tuple[str, ...], header: bytes) -> Cue | None:
    """Return the cue of an event; None if it has no times. Its text may have commas."""
    last = columns.index("text")
    values = event.split(",", last)
    fields = dict(zip(columns, values, strict=False))
    timing = parse_timing(f"{fields.get('start', '')} --> {fields.get('end', '')}")
    if len(values) <= last or timing is None:
        return None
    style = fields.get("style", "").strip()
    return Cue(timing[0], timing[1], *_cue_text(values[last].strip(), style, header))


def event_to_cue_text(event: str, header: bytes) -> tuple[str, str]:
    """Return the text of a packet as WebVTT cue text, and its settings.

    `header` is what precedes the events of the file: it has the styles.
    """
    fields = event.split(",", _FIELDS)
    style = fields[2].strip() if len(fields) > _FIELDS else ""
    return _cue_text(fields[-1], style, header)


def _cue_text(text: str, style: str, header: bytes) -> tuple[str, str]:
    payload, settings = ass_to_cue_text(text)
    return payload, settings or _style_settings(header).get(style.lstrip("*"), "")


def ass_to_cue_text(text: str) -> tuple[str, str]:
    """Return the text of an event as WebVTT cue text, and the settings for its position."""
    output: list[str] = []
    codes: list[str] = []
    drawing = False
    for is_code, part in _split(text[:MAX_CUE_LENGTH]):
        if is_code:
            codes.append(part)
            drawing = is_drawing(part, before=drawing)
        elif not drawing:  # the text of a drawing is its outline in numbers
            output.append(part)
    plain = "".join(output).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\xa0")
    return strip_blank_lines(escape(plain)), alignment_settings("".join(codes))


def _split(text: str) -> Iterator[tuple[bool, str]]:
    r"""Split a text into what is shown and what is in braces: codes and comments.

    As in libass, a brace that is not closed is text, and so is `\{`.
    """
    position = 0
    while (start := text.find("{", position)) >= 0 and (end := text.find("}", start)) >= 0:
        if text[max(position, start - 1) : start] == "\\":
            yield False, f"{text[position : start - 1]}{{"
            position = start + 1
            continue
        yield False, text[position:start]
        yield True, text[start + 1 : end]
        position = end + 1
    yield False, text[position:].replace("\\{", "{")


@lru_cache(maxsize=4)
def _style_settings(header: bytes) -> Mapping[str, str]:
    """Return the cue settings of the styles whose text is not at the bottom, by name."""
    settings: dict[str, str] = {}
    columns: list[str] = []
    to_settings: Callable[[int], str] = key_settings
    for line in header.decode(errors="replace")[:_MAX_HEADER_LENGTH].splitlines():
        key, _, value = line.partition(":")
        match key.strip().lower():
            case "[v4 styles]":
                to_settings = legacy_settings
            case "[events]":
                break
            case "format":
                columns = [name.strip().lower() for name in value.split(",")]
            case "style":
                fields = dict(zip(columns, map(str.strip, value.split(",")), strict=False))
                alignment = fields.get("alignment", "")
                if re.fullmatch("[0-9]{1,2}", alignment):
                    settings[fields.get("name", "").lstrip("*")] = to_settings(int(alignment))
    return settings
