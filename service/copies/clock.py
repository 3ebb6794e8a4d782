"""One clock for all streams of a film, where the file's jumps or wraps around.

The clock of transport and program streams has 33 bits (ISO/IEC 13818-1 §2.4.3.7): it wraps around
after 26.5 hours. It jumps where recordings were joined or cut. A jump is one if two packets say
so: the time stamp of a packet alone may be damaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

_WRAP_TICKS = 1 << 33
_RATE = 90_000
_WRAP = Fraction(_WRAP_TICKS, _RATE)

MAX_GAP = 10
"""Seconds from one frame to the next that are no jump of the clock, but a gap: as in ffmpeg, its
-dts_delta_threshold."""
# Time that goes back is a jump as well; some writers' goes back a little.
_MAX_BACK = Fraction(1, 2)
# Seconds from the other streams within which a stream goes on after a gap that it alone has.
_MAX_APART = 5


@dataclass(frozen=True, slots=True)
class DamagedStart:
    """The first frames of a stream, whose time stamp is damaged."""

    frames: int
    shift: Fraction
    """What is to be added to their times."""


class DamagedStartError(Exception):
    """A stream begins with a damaged time stamp. Only what follows says so: begin anew."""

    def __init__(self, stream: int, start: DamagedStart) -> None:
        super().__init__(stream)
        self.stream = stream
        self.start = start


class FilmClock:
    """The clock of a film. Times are in seconds."""

    def __init__(
        self, *, wraps: bool, damaged_starts: Mapping[int, DamagedStart] | None = None
    ) -> None:
        """Begin with the file's clock. `wraps` is for clocks of 33 bits.

        `damaged_starts` are those that are known, by stream.
        """
        self._wraps = wraps
        self._damaged_starts = damaged_starts or {}
        self._frames: dict[int, int] = {}
        """How many frames each stream has had."""
        self._doubtful: set[int] = set()
        """Streams that began far from each other. Either the file is not interleaved, or one of
        them has a damaged time stamp."""
        self._shifts: dict[int, Fraction] = {}
        self._expected: dict[int, Fraction] = {}
        self._latest = Fraction(0)
        self._unconfirmed: Fraction | None = None
        """The shift after a jump that one packet alone says."""
        self.jumps = 0
        """How often the clock jumped."""

    def shift(self, stream: int, time: Fraction, duration: Fraction) -> Fraction:
        """Return what is to be added to the times of the next frame of a stream.

        `time` is when it is decoded, on the file's clock, and `duration` is how long it lasts.
        After a jump the film goes on where it was. Raises DamagedStartError, of each stream once.
        """
        shift = self._shifts.get(stream, self._latest)
        expected = self._expected.get(stream)
        count = self._frames[stream] = self._frames.get(stream, 0) + 1
        damaged = self._damaged_starts.get(stream)
        if damaged is not None and count <= damaged.frames:
            self._expected[stream] = time + damaged.shift + duration
            return damaged.shift
        if expected is None:
            self._compare_start(stream, time + shift)
        else:
            self._check_start(stream, time + shift - expected)
        if expected is not None and self._jumps(stream, time + shift):
            after = self._shift_after_jump(time, shift, expected)
            if after is None:
                self._expected[stream] = expected + duration
                return expected - time
            shift = after
        self._shifts[stream] = shift
        self._expected[stream] = time + shift + duration
        return shift

    def _compare_start(self, stream: int, time: Fraction) -> None:
        """Compare the time at which a stream begins with those of the other streams."""
        others = self._others(stream)
        if others and abs(time - max(others)) > MAX_GAP:
            self._doubtful |= {stream, *self._expected}

    def _check_start(self, stream: int, delta: Fraction) -> None:
        """Raise DamagedStartError if a stream that began far from the others comes to them.

        `delta` is how long after its last frame the next one is.
        """
        if stream not in self._doubtful or stream in self._damaged_starts or not _is_jump(delta):
            return
        if abs(self._expected[stream] + delta - max(self._others(stream))) <= _MAX_APART:
            raise DamagedStartError(stream, DamagedStart(self._frames[stream] - 1, delta))

    def _others(self, stream: int) -> list[Fraction]:
        """Return where the other streams are."""
        return [at for other, at in self._expected.items() if other != stream]

    def _jumps(self, stream: int, time: Fraction) -> bool:
        """Return whether the clock jumps if a stream goes on at a time of the film."""
        delta = time - self._expected[stream]
        others = self._others(stream)
        is_gap = delta > 0 and bool(others) and abs(time - max(others)) <= _MAX_APART
        return _is_jump(delta) and not is_gap

    def _shift_after_jump(
        self, time: Fraction, shift: Fraction, expected: Fraction
    ) -> Fraction | None:
        """Return the shift from now on; None if this packet is the first one that says so."""
        # Another stream may have come to the same jump before.
        if not _is_jump(time + self._latest - expected):
            return self._latest
        for wrapped in (shift + _WRAP, shift - _WRAP) if self._wraps else ():
            if not _is_jump(time + wrapped - expected):
                self._latest = wrapped
                return wrapped
        after = self._unconfirmed
        if after is None or _is_jump(time + after - expected):
            self._unconfirmed = expected - time
            return None
        self.jumps += 1
        self._latest = after
        return after


def presentation(presented: int | None, decoded: int | None, *, wraps: bool) -> int | None:
    """Return a time of presentation whose clock did not wrap around since that of decoding.

    None if one of them is damaged: they are too far apart. `wraps` is for clocks of 90 kHz.
    """
    if presented is None or decoded is None or not wraps:
        return presented
    if presented - decoded < -(_WRAP_TICKS // 2):
        presented += _WRAP_TICKS
    return presented if abs(presented - decoded) <= MAX_GAP * _RATE else None


def _is_jump(delta: Fraction) -> bool:
    return not -_MAX_BACK <= delta <= MAX_GAP
