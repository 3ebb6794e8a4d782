"""The timing of frames and key frames, from the container's index or from a sample of packets."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from statistics import median
from typing import Any

import av

from service.probing.read_limited_file import ReadLimitedFile

MAX_PACKETS = 1000
"""Packets of a sample: about 40 seconds of most films."""

MAX_BYTES = 1 << 24
"""Bytes read for a sample: 13 seconds at 10 Mbit/s. The first start probes every file of a library,
on disks that also serve viewers."""

MAX_INDEX_BYTES = 1 << 22
"""Bytes read for the index of a Matroska file (Cues, RFC 9559 §5.1.5): about 20 per key frame."""

MAX_INDEX_ENTRIES = 250_000
"""Entries read of an index: more than an hour at 60 frames per second."""

MAX_UNDECODED_PACKETS = 32
"""Packets decoded for the first frame. Reordering spans at most 16 frames (ITU-T H.264 §A.3.1)."""


@dataclass(slots=True)
class TimingSample:
    """Frame times of a stream, in ascending order and in units of `time_base`."""

    time_base: Fraction
    times: list[int] = field(default_factory=list)
    """Start times of consecutive frames: all in the index, else those in the sample."""
    keys: list[int] = field(default_factory=list)
    """Start times of key frames."""
    end: int | None = None
    """The end of the range that `keys` covers completely."""
    frame: Any = None
    """The first frame, if it can be decoded."""


def sample_timing(container: Any, stream: Any, file: ReadLimitedFile) -> TimingSample:
    """Sample a stream. Damaged data, or a lack of memory, ends the sample without an error.

    Raises OSError if the disk fails.
    """
    base = stream.time_base  # of PyAV's own class since 19
    sample = TimingSample(Fraction(base.numerator, base.denominator) if base else Fraction(1))
    # Copy the index before reading packets: PyAV keeps a stale pointer when FFmpeg extends it.
    entries = _index_entries(stream)
    # The index of MP4 and AVI lists every frame.
    complete = bool(entries) and len(entries) >= min(stream.frames, MAX_INDEX_ENTRIES) > 0
    file.set_budget(MAX_BYTES)
    # More threads would use memory for stacks and frames, which is limited.
    stream.codec_context.thread_count = 1
    # PyAV raises IndexError on streams that appear later, as in a transport stream.
    with suppress(av.FFmpegError, IndexError):
        _read_packets(container, stream, sample, MAX_UNDECODED_PACKETS if complete else MAX_PACKETS)
    if complete:
        sample.times = [time for time, _ in entries]
        sample.keys = [time for time, is_key in entries if is_key]
        sample.end = sample.times[-1]
        return sample
    sample.times.sort()
    sample.end = sample.times[-1] if sample.times else None
    if "matroska" in container.format.name.split(","):
        file.set_budget(MAX_INDEX_BYTES)
        # Only a seek makes FFmpeg read Cues at the end of the file.
        with suppress(av.FFmpegError):
            container.seek(0, stream=stream)
        _use_cues(stream, sample)
    return sample


def _index_entries(stream: Any) -> list[tuple[int, bool]]:
    """Return the times in the index, and whether each is of a key frame."""
    entries = islice(stream.index_entries, MAX_INDEX_ENTRIES)
    return [(entry.timestamp, entry.is_keyframe) for entry in entries]


def _read_packets(container: Any, stream: Any, sample: TimingSample, max_packets: int) -> None:
    for number, packet in enumerate(container.demux(stream), 1):
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None and packet.size:
            sample.times.append(time)
            if packet.is_keyframe:
                sample.keys.append(time)
        if sample.frame is None and number <= MAX_UNDECODED_PACKETS:
            with suppress(av.FFmpegError):
                sample.frame = next(iter(packet.decode()), None)
        if number >= max_packets or (
            max_packets == MAX_UNDECODED_PACKETS and sample.frame is not None
        ):
            return


def _use_cues(stream: Any, sample: TimingSample) -> None:
    """Use the key frames of the index if it extends beyond the sample."""
    keys = [time for time, is_key in _index_entries(stream) if is_key]
    if keys and sample.end is not None and keys[-1] > sample.end:
        sample.keys, sample.end = keys, keys[-1]


def key_frame_interval(sample: TimingSample) -> float | None:
    """Return the longest time between key frames in seconds; a sample gives a lower bound."""
    if not sample.keys or sample.end is None:
        return None
    longest = max(
        later - earlier for earlier, later in pairwise([*sorted(sample.keys), sample.end])
    )
    return float(longest * sample.time_base) if longest > 0 else None


def is_variable_frame_rate(sample: TimingSample) -> bool | None:
    """Return whether over 1 % of frames last 10 % longer or shorter than the median.

    Differences of up to two time units or milliseconds do not count: containers round times,
    Matroska to milliseconds (RFC 9559 §11.1). Return None if there are too few frames.
    """
    durations = _durations(sample.times)
    if len(durations) < 2:  # noqa: PLR2004 - one duration has no variation
        return None
    typical = median(durations)
    tolerance = max(typical * 0.1, 2, float(Fraction(2, 1000) / sample.time_base))
    irregular = sum(abs(duration - typical) > tolerance for duration in durations)
    return irregular * 100 > len(durations)


def _durations(times: Sequence[int] | Iterable[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(times) if later > earlier]
