"""Conversion of any text file of captions to WebVTT, by its content and not by its name."""

from io import BytesIO

import av

from service.captions import embedded, subrip
from service.captions.substation import is_substation
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
    if is_substation(text):
        return _substation_to_webvtt(text)
    return serialize_webvtt(subrip.parse_cues(text))


def _substation_to_webvtt(text: str) -> str:
    """Convert with FFmpeg's demuxer, so that files and tracks inside videos are read in one way."""
    try:
        with av.open(BytesIO(text.encode()), format="ass") as container:
            streams = list(container.streams)
            cues = embedded.read_cues(container, streams, [])
    except embedded.TooMuchTextError as error:
        raise CaptionsError("It is too long.") from error
    except av.FFmpegError as error:
        if isinstance(error, (MemoryError, OSError)):
            raise
        raise CaptionsError("It is damaged: there are no events in it.") from error
    return serialize_webvtt(cue for of_stream in cues.values() for cue in of_stream)
