"""How much text is given of one video, whatever was read for it. Pure."""

from typing import Final

from service.captions.webvtt import CaptionsError, truncate_webvtt

MAX_TRACK_BYTES: Final = 2 << 20
"""Bytes of a track as it is given: twenty times the text of a long film. What is escaped is up to
five times as long as what was read."""
MAX_TOTAL_TRACK_BYTES: Final = 16 << 20
"""Bytes of all tracks of a video as they are given."""


class TrackSizeLimit:
    """The room that is left for the tracks of a video."""

    def __init__(self, problems: list[str]) -> None:
        """Take where sentences go that say what is left out."""
        self._problems = problems
        self._remaining = MAX_TOTAL_TRACK_BYTES

    def fit(self, name: str, text: str) -> str | None:
        """Give a track's text as far as it fits, or None; `name` is what people know it by."""
        try:
            text, end = truncate_webvtt(text, MAX_TRACK_BYTES)
        except CaptionsError as error:
            self._problems.append(f"{name}: {error}")
            return None
        length = len(text.encode())
        if length > self._remaining:
            limit = f"{MAX_TOTAL_TRACK_BYTES >> 20} MiB"
            self._problems.append(f"{name}: With it, the texts would be longer than {limit}.")
            return None
        self._remaining -= length
        if end is not None:
            limit = f"{MAX_TRACK_BYTES >> 20} MiB"
            reason = f"As WebVTT it is longer than {limit}: what comes from {end} on is left out."
            self._problems.append(f"{name}: {reason}")
        return text
