"""Decoding and composition times of pictures (ISO/IEC 14496-12 §8.6.1), from the times at which a
Matroska file shows them.

Most writers round times to milliseconds. Times that are rounded from a constant rate follow that
rate again; other times are kept. No time differs from the file's by more than it was rounded."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from service.matroska.frame_table import SAME_BLOCK, FrameTable
from service.matroska.window import DeclinedError

SECOND = 1_000_000_000
"""Nanoseconds."""

ROUNDING = 1_000_000
"""Nanoseconds to which most writers round times, also if the file's tick is shorter."""

RATES = (
    *(Fraction(rate) for rate in (25, 24, 30, 50, 60, 48, 100, 120, 15, 12, 10, 20, 18, 5, 1)),
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 48, 120, 15, 12)),
)
"""Common rates of frames per second: numerators with denominators of 1 and 1001."""

# Units per second, at least, so that the start of a track is exact in another track's units.
_MIN_TIMESCALE = 10_000
_FINER = 16  # units in a tick of files of variable rate
_MAX_DELTA = 2**31 - 1  # §8.6.1.2 and §8.6.1.3: 32 bits, here without a sign


@dataclass(frozen=True, slots=True)
class TrackTiming:
    """The times of a track's samples, in units of `timescale` per second."""

    timescale: int
    durations: "array[int]"
    """Of each sample, in the order of decoding."""
    offsets: "array[int] | None"
    """From decoding to composition, none of them negative; None if all are 0."""
    skip: int
    """The media time of the first moment that is presented."""
    length: int
    """The length of what is presented."""
    start: float
    """Seconds on the file's clock of the first moment that is presented."""

    @property
    def media_length(self) -> int:
        """The length of all samples."""
        return sum(self.durations)


def picture_timing(table: FrameTable, tick: int) -> TrackTiming:
    """Return the times of pictures in a file that has only their times of presentation.

    `tick` is in nanoseconds. Raises DeclinedError.
    """
    times = table.times
    if SAME_BLOCK in times:
        raise DeclinedError("has several pictures in one block")
    order = sorted(range(len(times)), key=times.__getitem__)
    rate = _constant_rate(table, order, tick)
    timing = constant_timing(times, order, tick, rate) if rate else _variable(table, order, tick)
    longest = max(max(values) for values in (timing.durations, timing.offsets or (0,)))
    if min(timing.durations) < 0 or longest > _MAX_DELTA:
        raise DeclinedError("has pictures that are too far apart")
    return timing


def constant_timing(
    times: Sequence[int], order: Sequence[int], tick: float, rate: Fraction
) -> TrackTiming:
    """Return the times of pictures that are a constant rate apart, in the order of decoding.

    `order` are their numbers in the order in which they are shown, and `tick` is in nanoseconds.
    """
    count = len(times)
    timescale, step = rate.numerator, rate.denominator
    while timescale < _MIN_TIMESCALE:
        timescale, step = 2 * timescale, 2 * step
    ranks = array("q", bytes(8 * count))
    for rank, index in enumerate(order):
        ranks[index] = rank
    # A picture must be decoded before it is shown, so all are shown later by the longest wait.
    delay = max(0, *(index - rank for index, rank in enumerate(ranks)))
    offsets = array("q", ((rank - index + delay) * step for index, rank in enumerate(ranks)))
    return TrackTiming(
        timescale=timescale,
        durations=array("q", [step]) * count,
        offsets=offsets if any(offsets) else None,
        skip=delay * step,
        length=count * step,
        start=times[order[0]] * tick / SECOND,
    )


def _variable(table: FrameTable, order: Sequence[int], tick: int) -> TrackTiming:
    timescale = _FINER * SECOND // tick
    if timescale * tick != _FINER * SECOND:
        raise DeclinedError("counts time in no fraction of a second")
    decoding = array("q", (_FINER * table.times[index] for index in order))
    presented = array("q", (_FINER * time for time in table.times))
    delay = max(0, *(early - late for early, late in zip(decoding, presented, strict=True)))
    offsets = array(
        "q", (late - early + delay for early, late in zip(decoding, presented, strict=True))
    )
    durations = array("q", map(int.__sub__, decoding[1:], decoding[:-1]))
    durations.append(_last_duration(table, durations, tick))
    return TrackTiming(
        timescale=timescale,
        durations=durations,
        offsets=offsets if any(offsets) else None,
        skip=delay,
        length=decoding[-1] + durations[-1] - decoding[0],
        start=decoding[0] / timescale,
    )


def _last_duration(table: FrameTable, durations: Sequence[int], tick: int) -> int:
    """Return how long the last picture is shown, as there is no time of a next one."""
    usual = sorted(durations)[len(durations) // 2] if durations else _FINER
    default = round(_FINER * table.track.default_duration / tick)
    return _FINER * table.last_duration or default or max(1, usual)


def _constant_rate(table: FrameTable, order: Sequence[int], tick: int) -> Fraction | None:
    """Return the rate that all times are rounded from; None if there is none.

    The times of a short film may be rounded from several: 24 pictures per second and 24000/1001
    differ by a millisecond after 41. Then it is the one that the file's DefaultDuration is closest
    to.
    """
    times = table.times
    count, first = len(times), times[order[0]]
    span = (times[order[-1]] - first) * tick
    if count < 3 or span <= 0:  # noqa: PLR2004 # two pictures have no rate
        return None
    mean = span / (count - 1)
    # The first time may be rounded by as much as another, and some writers cut off instead.
    tolerance = 1.01 * max(1, ROUNDING / tick)
    slack = 2 * max(tick, ROUNDING) / (count - 1)
    wanted = table.track.default_duration or mean
    for rate in sorted(RATES, key=lambda rate: abs(SECOND / rate - Fraction(wanted))):
        exact = float(SECOND / rate)
        step = exact / tick
        if abs(exact - mean) <= slack and all(
            abs(times[index] - first - rank * step) <= tolerance for rank, index in enumerate(order)
        ):
            return rate
    return None


def picture_moments(
    table: FrameTable, timing: TrackTiming, seconds: float
) -> list[tuple[int, float]]:
    """Divide the pictures into parts of at least `seconds`. Return where each part begins: its
    position in the file, and its second on the file's clock.
    """
    found = list[tuple[int, float]]()
    begin, time = timing.start - timing.skip / timing.timescale, 0
    wanted, last = begin, -1
    for offset, duration in zip(table.offsets, timing.durations, strict=True):
        moment = begin + time / timing.timescale
        if moment >= wanted and offset > last:
            found.append((offset, moment))
            wanted, last = moment + seconds, offset
        time += duration
    return found
