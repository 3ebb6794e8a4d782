"""The limit on the size of all WebVTT tracks of a video."""

from typing import Final

from service.captions.webvtt import CaptionsError, truncate_webvtt

MAX_TRACK_BYTES: Final = 2 << 20
"""Bytes of a WebVTT track: twenty times the text of a long film. Escaping can make text up to five
times as long."""
MAX_TOTAL_TRACK_BYTES: Final = 16 << 20
"""Bytes of all WebVTT tracks of a video."""


class TrackSizeLimit:
    """The bytes that remain for the tracks of a video."""

    def __init__(self, problems: list[str]) -> None:
        """Append sentences about what is left out to `problems`."""
        self._problems = problems
        self._remaining = MAX_TOTAL_TRACK_BYTES

    def fit(self, name: str, text: str) -> str | None:
        """Return as much of a track as fits, or None. `name` is its name in problems."""
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
