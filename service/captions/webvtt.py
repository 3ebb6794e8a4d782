"""WebVTT (W3C, Candidate Recommendation of 2019-04-04): what is written is valid, and what is read
is read as browsers do (§6.1), but for what is commonly written wrong. Pure: text in, text out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_CUES = 100_000
"""Cues of one track: one a second for a day."""
MAX_LINES = 10 * MAX_CUES
MAX_CUE_LENGTH = 10_000
"""Characters of one cue: more than a screen shows."""
MAX_IDENTIFIER_LENGTH = 200
"""Characters; a cue with a longer one has none."""

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE


class CaptionsError(Exception):
    """Text that cannot be shown; its message is the sentence that says why."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Text that is shown for a while."""

    start: int
    """Milliseconds."""
    end: int
    """Milliseconds; after the start."""
    payload: str
    """Cue text of WebVTT: escaped, with lines that are not empty."""
    settings: str = ""
    identifier: str = ""


# As WebVTT has them (§4.1), and as SubRip does, with blanks, missing hours and short fractions.
_TIME = r"(?:([0-9]{1,5}) ?: ?)?([0-9]{1,3}) ?: ?([0-9]{1,3})(?: ?[.,:] ?([0-9]{1,9}))?"
_TIMING: Final = re.compile(rf"[ \t]*{_TIME}[ \t]*-{{1,3}}>[ \t]*{_TIME}(?![0-9])(.*)")

# §4.4, the values that a setting may have; a number in per cent is at most 100.
_PERCENT = r"(?:100(?:\.0{1,9})?|[0-9]{1,2}(?:\.[0-9]{1,9})?)%"
_SETTINGS: Final = {
    "vertical": re.compile(r"rl|lr"),
    "line": re.compile(rf"(?:{_PERCENT}|-?[0-9]{{1,3}})(?:,(?:start|center|end))?"),
    "position": re.compile(rf"{_PERCENT}(?:,(?:line-left|center|line-right))?"),
    "size": re.compile(_PERCENT),
    "align": re.compile(r"start|center|end|left|right"),
    "region": re.compile(r"(?!\S*-->)\S{1,100}"),
}


def is_webvtt(text: str) -> bool:
    """Whether a text has the signature (§4.1)."""
    return text.startswith("WEBVTT") and text[6:7] in {"", " ", "\t", "\n"}


def parse_timing(line: str) -> tuple[int, int, str] | None:
    """Give the start and end (milliseconds) that a line tells, and what follows them."""
    if ">" not in line:
        return None
    match = _TIMING.match(line)
    if not match:
        return None
    parsed = match.groups(default="")
    return _milliseconds(*parsed[:4]), _milliseconds(*parsed[4:8]), parsed[8]


def _milliseconds(hours: str, minutes: str, seconds: str, fraction: str) -> int:
    return (
        int(hours or 0) * _HOUR
        + int(minutes) * _MINUTE
        + int(seconds) * _SECOND
        + int(fraction[:3].ljust(3, "0"))
    )


def escape(text: str) -> str:
    """Give plain text as cue text (§4.2.2); it can hold no arrow then."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def strip_blank_lines(text: str) -> str:
    """Drop the lines that would end a cue, and those that show nothing."""
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def serialize_webvtt(cues: Iterable[Cue], header_blocks: Iterable[str] = ()) -> str:
    """Return a WebVTT file of `header_blocks`, then `cues` in the order of their starts.

    What ends before it begins, or shows nothing, is left out. Raises CaptionsError where nothing
    remains, or too much.
    """
    visible = sorted(
        (cue for cue in cues if 0 <= cue.start < cue.end and cue.payload),
        key=lambda cue: cue.start,
    )
    if not visible:
        raise CaptionsError("There are no cues in it.")
    check_cue_limit(len(visible))
    blocks = ["WEBVTT\n", *(f"{block}\n" for block in header_blocks)]
    for cue in visible:
        identifier = f"{cue.identifier}\n" if cue.identifier else ""
        times = f"{_timestamp(cue.start)} --> {_timestamp(cue.end)} {cue.settings}".rstrip()
        blocks.append(f"{identifier}{times}\n{cue.payload}\n")
    return "\n".join(blocks)


def truncate_webvtt(text: str, max_bytes: int) -> tuple[str, str | None]:
    """Return a file from `serialize_webvtt`, cut after its last cue within `max_bytes` of UTF-8.

    And the time, as hours, minutes and seconds, at which the first cue begins that is left out;
    None: all are there. Raises CaptionsError where not even one cue fits.
    """
    data = text.encode()
    if len(data) <= max_bytes:
        return text, None
    end = data.rfind(b"\n\n", 0, max_bytes + 1) + 1  # an empty line ends each block, and is in none
    kept = data[:end].decode()
    if "-->" not in kept:
        raise CaptionsError("What stands before its first cue is too long.")
    # The first cue that is left out begins with its identifier, if it has one, and its times.
    lines = data[end + 1 :].split(b"\n", 2)[:2]
    start = next((parsed[0] for line in lines if (parsed := parse_timing(line.decode()))), None)
    if start is None:  # the arrow that was found is none of a cue's
        raise CaptionsError("What stands before its first cue is too long.")
    return kept, _timestamp(start).partition(".")[0]


def check_cue_limit(cues: int) -> None:
    """Raise CaptionsError for more cues than are borne."""
    if cues > MAX_CUES:
        raise CaptionsError(f"There are more than {MAX_CUES} cues in it.")


def _timestamp(milliseconds: int) -> str:
    hours, rest = divmod(milliseconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    seconds, rest = divmod(rest, _SECOND)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"


def parse_cues(text: str) -> list[Cue]:
    """Give the cues of a WebVTT file, in the file's order."""
    return [cue for block in _split_blocks(text) if (cue := _parse_cue(block))]


def sanitize_webvtt(text: str) -> str:
    """Give a WebVTT file anew: cues, styles and regions as they are, without what is damaged.

    Styles and regions are the author's to choose: they reach no further than the cues (§8.2), and
    can load nothing. Comments are left out. Raises CaptionsError where there are no cues.
    """
    header_blocks: list[str] = []
    cues: list[Cue] = []
    identifiers: set[str] = set()
    for block in _split_blocks(text):
        if cue := _parse_cue(block):
            if cue.identifier in identifiers or len(cue.identifier) > MAX_IDENTIFIER_LENGTH:
                # §4.1: unique
                cue = Cue(cue.start, cue.end, cue.payload, cue.settings)
            identifiers.add(cue.identifier)
            cues.append(cue)
            check_cue_limit(len(cues))
        elif not cues and block[0].rstrip() in {"STYLE", "REGION"}:  # §4.1: before the cues
            if not any("-->" in line for line in block):  # §4.1: it holds none
                header_blocks.append("\n".join(block))
    return serialize_webvtt(cues, header_blocks)


def _split_blocks(text: str) -> Iterator[list[str]]:
    """Part a file as §6.1 does: by empty lines, and by arrows where no timing can be."""
    lines = text.split("\n")
    block: list[str] = []
    in_header = True
    for line in lines[1:]:
        arrow = "-->" in line
        if arrow and (in_header or len(block) > 1 or (block and "-->" in block[0])):
            if block and not in_header:
                yield block
            block, in_header = [line], False
        elif line:
            block.append(line)
        else:
            if block and not in_header:
                yield block
            block, in_header = [], False
    if block and not in_header:
        yield block


def _parse_cue(block: list[str]) -> Cue | None:
    at = 0 if "-->" in block[0] else 1
    if len(block) <= at or "-->" not in block[at]:
        return None
    parsed = parse_timing(block[at])
    if parsed is None:
        return None
    start, end, settings = parsed
    return Cue(
        start,
        end,
        "\n".join(block[at + 1 :])[:MAX_CUE_LENGTH].rstrip("\n"),
        valid_settings(settings),
        block[0].strip() if at else "",
    )


def valid_settings(text: str) -> str:
    """Give the settings of a cue that are known and right, each once."""
    valid: dict[str, str] = {}
    for setting in text.split():
        name, colon, value = setting.partition(":")
        if colon and name in _SETTINGS and _SETTINGS[name].fullmatch(value):
            valid.setdefault(name, value)
    return " ".join(f"{name}:{value}" for name, value in valid.items())
