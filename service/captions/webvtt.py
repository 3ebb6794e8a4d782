"""A WebVTT parser and writer (W3C Candidate Recommendation of 2019-04-04).

It writes valid files. It parses as browsers do (§6.1), but also accepts common mistakes."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from service.captions.overrides import take_overrides

MAX_CUES = 100_000
"""Cues of one track: one per second for a day."""
MAX_LINES = 10 * MAX_CUES
MAX_CUE_LENGTH = 10_000
"""Characters of one cue: more than fit on a screen."""
MAX_IDENTIFIER_LENGTH = 200
"""Characters; longer identifiers are dropped."""

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE


class CaptionsError(Exception):
    """Text that cannot be shown; the message says why, as a sentence."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Text that is shown from `start` to `end`."""

    start: int
    """Milliseconds."""
    end: int
    """Milliseconds; after the start."""
    payload: str
    """WebVTT cue text: escaped, without empty lines."""
    settings: str = ""
    identifier: str = ""


# Times of WebVTT (§4.1) and SubRip, with spaces, missing hours and short fractions.
_TIME = r"(?:([0-9]{1,5}) ?: ?)?([0-9]{1,3}) ?: ?([0-9]{1,3})(?: ?[.,:] ?([0-9]{1,9}))?"
_TIMING: Final = re.compile(rf"[ \t]*{_TIME}[ \t]*-{{1,3}}>[ \t]*{_TIME}(?![0-9])(.*)")

# §4.4: the valid values of settings; a percentage is at most 100.
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
    """Return whether a text has the signature (§4.1)."""
    return text.startswith("WEBVTT") and text[6:7] in {"", " ", "\t", "\n"}


def parse_timing(line: str) -> tuple[int, int, str] | None:
    """Return the start and end in milliseconds of a timing line, and the rest of the line."""
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
    """Return plain text as cue text (§4.2.2), which cannot contain an arrow."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def strip_blank_lines(text: str) -> str:
    """Drop blank lines: an empty line would end the cue."""
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def serialize_webvtt(cues: Iterable[Cue], header_blocks: Iterable[str] = ()) -> str:
    """Return a WebVTT file of `header_blocks`, then `cues` in the order of their starts.

    Leave out cues that are empty or end before they start. Raises CaptionsError if no cues remain,
    or too many.
    """
    visible = sorted(
        (cue for cue in cues if 0 <= cue.start < cue.end and cue.payload), key=lambda cue: cue.start
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

    Also return the start of the first cue left out, as hours, minutes and seconds, or None if
    nothing is left out. Raises CaptionsError if not even one cue fits.
    """
    data = text.encode()
    if len(data) <= max_bytes:
        return text, None
    end = data.rfind(b"\n\n", 0, max_bytes + 1) + 1  # an empty line ends each block
    kept = data[:end].decode()
    if "-->" not in kept:
        raise CaptionsError("What stands before its first cue is too long.")
    # The first cue left out begins with its identifier, if any, and its timing.
    lines = data[end + 1 :].split(b"\n", 2)[:2]
    start = next((parsed[0] for line in lines if (parsed := parse_timing(line.decode()))), None)
    if start is None:  # the arrow is not part of a timing
        raise CaptionsError("What stands before its first cue is too long.")
    return kept, _timestamp(start).partition(".")[0]


def check_cue_limit(cues: int) -> None:
    """Raise CaptionsError for more than MAX_CUES cues."""
    if cues > MAX_CUES:
        raise CaptionsError(f"There are more than {MAX_CUES} cues in it.")


def _timestamp(milliseconds: int) -> str:
    hours, rest = divmod(milliseconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    seconds, rest = divmod(rest, _SECOND)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"


def parse_cues(text: str) -> list[Cue]:
    """Return the cues of a WebVTT file, in file order."""
    return [cue for block in _split_blocks(text) if (cue := _parse_cue(block))]


def sanitize_webvtt(text: str) -> str:
    """Return a WebVTT file with its valid cues, styles and regions, without comments.

    Styles and regions are safe to keep: they apply only to cues (§8.2) and can load nothing. Raises
    CaptionsError if there are no cues.
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
        elif not cues and block[0].rstrip() in {"STYLE", "REGION"}:  # §4.1: only before the cues
            if not any("-->" in line for line in block):  # §4.1: without arrows
                header_blocks.append("\n".join(block))
    return serialize_webvtt(cues, header_blocks)


def _split_blocks(text: str) -> Iterator[list[str]]:
    """Split a file as §6.1 does: at empty lines, and at arrows in unexpected places."""
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
    payload, position = take_overrides("\n".join(block[at + 1 :])[:MAX_CUE_LENGTH].rstrip("\n"))
    return Cue(
        start,
        end,
        strip_blank_lines(payload) if position or not payload.strip() else payload,
        valid_settings(settings) or position,
        block[0].strip() if at else "",
    )


def valid_settings(text: str) -> str:
    """Return the valid settings of a cue, each once."""
    valid: dict[str, str] = {}
    for setting in text.split():
        name, colon, value = setting.partition(":")
        if colon and name in _SETTINGS and _SETTINGS[name].fullmatch(value):
            valid.setdefault(name, value)
    return " ".join(f"{name}:{value}" for name, value in valid.items())
