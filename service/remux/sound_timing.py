"""Times of the frames of sound (ISO/IEC 14496-12 §8.6.1.2), from those of a Matroska file.

A frame of sound has a known number of samples, which is exact, and the file's times are rounded.
Times that agree with the samples follow them. Elsewhere there is a gap or an overlap, and the frame
before it becomes longer or shorter."""

from array import array

from service.matroska.frame_table import SAME_BLOCK, FrameTable
from service.matroska.window import DeclinedError
from service.remux.picture_timing import ROUNDING, SECOND, TrackTiming

_TOLERANCE = 1.5  # roundings: that of the first time, and that of another
_MAX_STEPS = 20  # gaps and overlaps, or one in 20 frames: more are no gaps, but other lengths


def sound_timing(table: FrameTable, tick: float, sample_rate: int, frame: int) -> TrackTiming:
    """Return the times of sound, in samples.

    `tick` is in nanoseconds; `frame` is the number of samples in a frame, 0 if it varies. Raises
    DeclinedError.
    """
    if table.times[0] == SAME_BLOCK:
        raise DeclinedError("has sound whose first frame has no time")
    durations = _by_samples(table, tick, sample_rate, frame) if frame else None
    if durations is None:
        durations = _by_times(table, tick, sample_rate, frame)
    if min(durations) < 0 or max(durations) >= 1 << 31:
        raise DeclinedError("has sound whose times go back")
    skip = round(table.track.codec_delay * sample_rate / SECOND)
    padding = max(0, round(table.discard_padding * sample_rate / SECOND))
    return TrackTiming(
        timescale=sample_rate,
        durations=durations,
        offsets=None,
        skip=skip,
        length=max(1, sum(durations) - skip - padding),
        start=table.times[0] * tick / SECOND,
    )


def _by_samples(
    table: FrameTable, tick: float, sample_rate: int, frame: int
) -> "array[int] | None":
    """Return the durations of frames of one length; None if the times do not agree with it."""
    samples_per_tick = sample_rate * tick / SECOND
    tolerance = _TOLERANCE * samples_per_tick * max(1, ROUNDING / tick)
    first, count = table.times[0], len(table.times)
    durations = array("q", [frame]) * count
    position = steps = 0
    for index, time in enumerate(table.times):
        if time != SAME_BLOCK and index:
            stated = (time - first) * samples_per_tick
            if abs(stated - position) > tolerance:
                step = max(round(stated) - position, 1 - durations[index - 1])
                durations[index - 1] += step
                position += step
                steps += 1
        position += frame
    return durations if steps <= max(_MAX_STEPS, count // _MAX_STEPS) else None


def _by_times(table: FrameTable, tick: float, sample_rate: int, frame: int) -> "array[int]":
    """Return the durations by the times of the blocks, with equal parts for the frames of one."""
    times = table.times
    heads = [index for index, time in enumerate(times) if time != SAME_BLOCK]
    places = [round((times[index] - times[0]) * sample_rate * tick / SECOND) for index in heads]
    durations = array("q", [frame]) * len(times)
    for at in range(len(heads) - 1):
        count, length = heads[at + 1] - heads[at], places[at + 1] - places[at]
        for part in range(count):
            end = length * (part + 1) // count
            durations[heads[at] + part] = end - length * part // count
    last = heads[-1]
    if not frame:
        usual = durations[last - 1] if last else sample_rate // 50  # 20 ms
        durations[last:] = array("q", [max(1, usual)]) * (len(times) - last)
    return durations
