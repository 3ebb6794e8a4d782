"""When pictures are shown, and how an MP4 says so (ISO/IEC 14496-12 §8.6.1)."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from service.copies.track import NO_TIME
from service.matroska.window import DeclinedError
from service.remux.picture_timing import RATES, SECOND, TrackTiming, constant_timing

# Units per second, at least, so that the start of a track is exact in another track's units.
_MIN_TIMESCALE = 10_000
_MAX_DELTA = 2**31 - 1  # §8.6.1.2 and §8.6.1.3: 32 bits, here without a sign


def times_of_decoding(orders: Sequence[int], decoded: Sequence[int]) -> list[int]:
    """Return when pictures are shown by when they are decoded: in another order.

    Raises DeclinedError.
    """
    if NO_TIME in decoded:
        raise DeclinedError("does not say when its pictures are decoded")
    times = [0] * len(orders)
    in_order = sorted(range(len(orders)), key=orders.__getitem__)
    for index, time in zip(in_order, sorted(decoded), strict=True):
        times[index] = time
    return times


def fill_times(orders: Sequence[int], times: Sequence[int]) -> list[int]:
    """Return the times of all pictures where some are known: the others are evenly between them.

    Raises DeclinedError.
    """
    in_order = sorted(range(len(orders)), key=orders.__getitem__)
    known = _ascending(in_order, times)
    if len(known) < 2:  # noqa: PLR2004 # one time says nothing of the others
        raise DeclinedError("does not say when its pictures are shown")
    filled = list(times)
    spans = list(pairwise(known))
    # What is before the first known time, or after the last, is as far apart as what is beside it.
    for first, last in spans:
        begin = 0 if first == known[0] else first
        end = len(in_order) if last == known[-1] else last
        start, length = times[in_order[first]], last - first
        distance = times[in_order[last]] - start
        for rank in range(begin, end):
            index = in_order[rank]
            if rank not in (first, last):
                filled[index] = start + round(Fraction(distance * (rank - first), length))
    return filled


def _ascending(in_order: Sequence[int], times: Sequence[int]) -> list[int]:
    """Return the places of the most times that are known and ascend.

    FFmpeg gives the time of a packet of a program stream to another picture now and then.
    """
    tails: list[int] = []
    """The last time of the best run of each length."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for rank, index in enumerate(in_order):
        time = times[index]
        if time == NO_TIME:
            continue
        length = bisect_left(tails, time)
        before[rank] = ends[length - 1] if length else None
        tails[length : length + 1] = [time]
        ends[length : length + 1] = [rank]
    run: list[int] = []
    rank_or_none = ends[-1] if ends else None
    while rank_or_none is not None:
        run.append(rank_or_none)
        rank_or_none = before[rank_or_none]
    return run[::-1]


def exact_timing(times: Sequence[int], time_base: Fraction) -> TrackTiming:
    """Return the times of pictures in a file whose times are exact, or exact but for rounding.

    Raises DeclinedError.
    """
    order = sorted(range(len(times)), key=times.__getitem__)
    rate = _constant_rate(times, order, time_base)
    if rate is not None:  # its tables are short
        return constant_timing(times, order, float(time_base) * SECOND, rate)
    timescale, unit = time_base.denominator, time_base.numerator
    while timescale < _MIN_TIMESCALE:
        timescale, unit = 2 * timescale, 2 * unit
    presented = array("q", (time * unit for time in times))
    decoding = array("q", sorted(presented))
    delay = max(0, *(early - late for early, late in zip(decoding, presented, strict=True)), 0)
    offsets = array(
        "q", (late - early + delay for early, late in zip(decoding, presented, strict=True))
    )
    durations = array("q", (later - earlier for earlier, later in pairwise(decoding)))
    usual = sorted(durations)[len(durations) // 2] if durations else unit
    durations.append(max(1, usual))
    if max(*durations, *offsets) > _MAX_DELTA:
        raise DeclinedError("has pictures that are too far apart")
    return TrackTiming(
        timescale=timescale,
        durations=durations,
        offsets=offsets if any(offsets) else None,
        skip=delay,
        length=decoding[-1] + durations[-1] - decoding[0],
        start=decoding[0] / timescale,
    )


def _constant_rate(
    times: Sequence[int], order: Sequence[int], time_base: Fraction
) -> Fraction | None:
    """Return the rate of which all times are whole ticks; None if there is none.

    Those of 24000/1001 frames per second are 3,753 or 3,754 ticks of 90 kHz apart.
    """
    first, count = times[order[0]], len(times)
    # Two pictures have no rate, and a coarse clock counts them one by one.
    if count < 3 or time_base * _MIN_TIMESCALE > 1:  # noqa: PLR2004
        return None
    mean = Fraction(times[order[-1]] - first, count - 1) * time_base
    for rate in RATES:
        step = 1 / (rate * time_base)
        if abs(1 / rate - mean) <= 2 * time_base and all(
            abs((times[index] - first) - rank * step) <= 1 for rank, index in enumerate(order)
        ):
            return rate
    return None


def with_timescale(timing: TrackTiming, timescale: int) -> TrackTiming:
    """Return the same times in units of a multiple of their timescale."""
    factor = timescale // timing.timescale
    offsets = timing.offsets
    return TrackTiming(
        timescale=timescale,
        durations=array("q", (factor * duration for duration in timing.durations)),
        offsets=None if offsets is None else array("q", (factor * offset for offset in offsets)),
        skip=factor * timing.skip,
        length=factor * timing.length,
        start=timing.start,
    )
