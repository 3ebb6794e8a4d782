"""Finds the parts of a name with guessit: what they are, and where.

Use it in worker processes only: a name takes some milliseconds, a hostile one longer.
"""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, NamedTuple

_MAX_SECONDS = 5.0
"""Processor time for a name; usual ones take 0.01."""

TECHNICAL = ("screen_size", "source", "video_codec", "audio_codec", "color_depth", "crc32")
"""Properties that are never part of a title."""
PERHAPS_TECHNICAL = (
    *("other", "language", "streaming_service", "proper_count", "audio_channels", "frame_rate"),
)
EDITION = ("edition", "episode_details", "part")
_NUMBERS = ("season", "episode", "year", "date", "cd", "version")
_USED = (*TECHNICAL, *PERHAPS_TECHNICAL, *EDITION, *_NUMBERS)
_UNUSED = [
    *("title", "alternative_title", "episode_title", "release_group", "country", "website"),
    *("subtitle_language", "size", "bit_rate", "uuid", "film", "bonus"),
]
_OPTIONS: dict[str, Any] = {
    "no_user_config": True,
    "advanced": True,  # returns matches with their positions
    "name_only": True,
    "excludes": _UNUSED,  # half of the time is theirs
}


class Match(NamedTuple):
    """A part of a name that stands for the value of a property."""

    value: Any
    start: int
    end: int
    raw: str


Matches = Mapping[str, Sequence[Match]]
"""By the name of the property. Each property has an entry."""


@cache
def _guessit() -> Any:
    """Return guessit's API. It takes 15 MB, so it is imported only when it is needed."""
    from guessit.api import GuessItApi  # noqa: PLC0415 # as the docstring says

    return GuessItApi()


def find_parts(name: str) -> Matches | None:
    """Return the parts of a name without extension; None if guessit fails or takes too long."""
    try:
        api = _guessit()  # its import does not count
        with processor_time_limit(_MAX_SECONDS):
            guess = api.guessit(name, dict(_OPTIONS))
    except Exception:  # noqa: BLE001 # it wraps any error of any of its rules
        return None
    except TimeLimitError:
        return None
    return {key: _matches(guess.get(key)) for key in _USED}


def _matches(found: Any) -> list[Match]:
    some = found if isinstance(found, list) else [found] if found is not None else []
    return [Match(match.value, match.start, match.end, str(match.raw)) for match in some]


class TimeLimitError(BaseException):
    """The limit is reached. It is no Exception, so that guessit does not catch it."""


@contextmanager
def processor_time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError when the block has taken this much processor time; main thread only."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeLimitError

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
