"""Conversion of any text file of captions to WebVTT, by its content and not by its name."""

from service.captions import subrip, substation
from service.captions.webvtt import (
    MAX_LINES,
    CaptionsError,
    is_webvtt,
    sanitize_webvtt,
    serialize_webvtt,
)


def to_webvtt(text: str) -> str:
    """Return a text in WebVTT, SubRip or (Advanced) SubStation Alpha as WebVTT.

    Raises CaptionsError, whose message says what is wrong with the text.
    """
    if text.count("\n") > MAX_LINES:
        raise CaptionsError(f"There are more than {MAX_LINES} lines in it.")
    if is_webvtt(text):
        return sanitize_webvtt(text)
    if substation.is_substation(text):
        return serialize_webvtt(substation.parse_cues(text))
    return serialize_webvtt(subrip.parse_cues(text))
