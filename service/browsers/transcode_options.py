"""Which streams an FFmpeg command encodes anew."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TranscodeOptions:
    """Which streams to re-encode, and how."""

    streams: frozenset[int] = frozenset()
    """Indexes of the streams in the input."""
    frame_rate: int | None = None
    """Frames per second of the video; None keeps its frame rate."""
    max_bit_rate: int | None = None
    """Most bits per second of the video."""


STREAM_COPY = TranscodeOptions()


def merged(options: Iterable[TranscodeOptions]) -> TranscodeOptions:
    """Return the options of one command that does what several would."""
    result = STREAM_COPY
    for each in options:
        rates = [rate for rate in (result.max_bit_rate, each.max_bit_rate) if rate]
        result = TranscodeOptions(
            result.streams | each.streams,
            each.frame_rate or result.frame_rate,
            min(rates, default=None),
        )
    return result
