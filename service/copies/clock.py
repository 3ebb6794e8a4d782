"""One clock for all streams of a film, where the file's jumps or wraps around.

The clock of transport and program streams has 33 bits (ISO/IEC 13818-1 §2.4.3.7): it wraps around
after 26.5 hours. It jumps where recordings were joined or cut. A jump is one if two packets say
so: the time stamp of a packet alone may be damaged."""

from fractions import Fraction

_WRAP_TICKS = 1 << 33
_RATE = 90_000
_WRAP = Fraction(_WRAP_TICKS, _RATE)

# Seconds from one frame to the next that are a jump of the clock, and no gap: as in ffmpeg, its
# -dts_delta_threshold. Time that goes back is one as well; some writers' goes back a little.
_MAX_GAP = 10
_MAX_BACK = Fraction(1, 2)
# Seconds from the other streams within which a stream goes on after a gap that it alone has.
_MAX_APART = 5


class FilmClock:
    """The clock of a film. Times are in seconds."""

    def __init__(self, *, wraps: bool) -> None:
        """Begin with the file's clock. `wraps` is for clocks of 33 bits."""
        self._wraps = wraps
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
        After a jump the film goes on where it was.
        """
        shift = self._shifts.get(stream, self._latest)
        expected = self._expected.get(stream)
        if expected is not None and self._jumps(stream, time + shift):
            after = self._shift_after_jump(time, shift, expected)
            if after is None:
                self._expected[stream] = expected + duration
                return expected - time
            shift = after
        self._shifts[stream] = shift
        self._expected[stream] = time + shift + duration
        return shift

    def _jumps(self, stream: int, time: Fraction) -> bool:
        """Return whether the clock jumps if a stream goes on at a time of the film."""
        delta = time - self._expected[stream]
        others = [at for other, at in self._expected.items() if other != stream]
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
    return presented if abs(presented - decoded) <= _MAX_GAP * _RATE else None


def _is_jump(delta: Fraction) -> bool:
    return not -_MAX_BACK <= delta <= _MAX_GAP
