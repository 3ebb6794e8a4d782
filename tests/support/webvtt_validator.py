"""Validate WebVTT by its grammar (§4.1 to §4.4), independently of the service's code."""

import re

HOURS = r"(?:[0-9]{2,}:)?"
TIME = rf"{HOURS}[0-5][0-9]:[0-5][0-9]\.[0-9]{{3}}"
LINE = re.compile(rf"({TIME})[ \t]+-->[ \t]+({TIME})((?:[ \t]+\S+:\S+)*)")
TOKENS = re.compile(r"<(/?)([ibu])>|&(?:amp|lt|gt|nbsp|lrm|rlm);|[^<&]")
NAMES = {"vertical", "line", "position", "size", "align", "region"}


def seconds(time: str) -> float:
    """Return a timestamp in seconds."""
    total = 0.0
    for part in time.split(":"):
        total = total * 60 + float(part)
    return total


def require_valid(text: str, *, strict: bool = True) -> list[tuple[float, float, str, str]]:
    """Check a file; return its cues: start, end, settings, payload.

    With `strict`, also check that payloads are cue text.
    """
    text.encode()
    assert "\r" not in text
    assert "\0" not in text
    signature, _, body = text.partition("\n")
    assert re.fullmatch(r"WEBVTT(?:[ \t].*)?", signature)
    assert body.startswith("\n")
    cues: list[tuple[float, float, str, str]] = []
    identifiers = set()
    for block in re.split(r"\n{2,}", body.strip("\n")):
        lines = block.split("\n")
        if lines[0].rstrip() in {"STYLE", "REGION"}:
            assert not cues
            assert "-->" not in block
            continue
        if "-->" not in lines[0]:
            assert lines[0] not in identifiers
            identifiers.add(lines.pop(0))
        match = LINE.fullmatch(lines[0])
        assert match, lines[0]
        start, end = seconds(match[1]), seconds(match[2])
        assert start < end
        assert not cues or cues[-1][0] <= start
        names = [setting.partition(":")[0] for setting in match[3].split()]
        assert set(names) <= NAMES
        assert len(set(names)) == len(names)
        payload = "\n".join(lines[1:])
        assert payload
        assert "-->" not in payload
        if strict:
            require_cue_text(payload)
        cues.append((start, end, match[3].strip(), payload))
    return cues


def require_cue_text(payload: str) -> None:
    """Check that tags nest and that text has no bare ampersands or angle brackets."""
    assert ">" not in re.sub(r"</?[ibu]>", "", payload)
    at = 0
    tags: list[str] = []
    while at < len(payload):
        token = TOKENS.match(payload, at)
        assert token, payload[at:]
        if token[2] and token[1]:
            assert tags.pop() == token[2]
        elif token[2]:
            tags.append(token[2])
        at = token.end()
    assert not tags
