"""How the frames of a stream follow one another: from the container's index, else from a sample.
Law: whatever a file claims, no more of it is read or looked at than the bounds below say."""

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
"""Packets of a sample: some 40 seconds of most films."""

MAX_BYTES = 1 << 24
"""Bytes read for a sample; 13 seconds at 10 Mbit/s. A library of thousands is read through at a
start, from disks that others wait for."""

MAX_INDEX_BYTES = 1 << 22
"""Bytes read for a Matroska's index (Cues, RFC 9559 §5.1.5), some 20 bytes a key frame."""

MAX_INDEX_ENTRIES = 250_000
"""Entries of an index that are looked at: more than an hour at 60 frames a second."""

MAX_UNDECODED_PACKETS = 32
"""Packets until the first frame: the longest reordering (ITU-T H.264 §A.3.1) is 16 frames."""


@dataclass(slots=True)
class TimingSample:
    """What was seen of a stream. Times are in units of `time_base`, in order."""

    time_base: Fraction
    times: list[int] = field(default_factory=list)
    """When frames begin, without gaps: the index's all, else those of the sample."""
    keys: list[int] = field(default_factory=list)
    """When key frames begin."""
    end: int | None = None
    """Up to where no other key frame is."""
    frame: Any = None
    """The first frame, where it can be decoded."""


def sample_timing(container: Any, stream: Any, file: ReadLimitedFile) -> TimingSample:
    """Look into a stream. What is damaged, or takes too much memory, ends the look and is no error.

    Raises OSError where the disk fails.
    """
    base = stream.time_base  # of PyAV's own class since 19
    sample = TimingSample(Fraction(base.numerator, base.denominator) if base else Fraction(1))
    # Copied before anything is read: FFmpeg moves an index that grows, and PyAV does not follow.
    entries = _index_entries(stream)
    # MP4 and AVI count their frames, and list each.
    complete = bool(entries) and len(entries) >= min(stream.frames, MAX_INDEX_ENTRIES) > 0
    file.set_budget(MAX_BYTES)
    # Another thread's stack and picture would count against the bound on memory.
    stream.codec_context.thread_count = 1
    # IndexError is PyAV's on streams that appear on the way, as they may in a transport stream.
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
        # It is when a place is sought that FFmpeg reads Cues that stand at the end.
        with suppress(av.FFmpegError):
            container.seek(0, stream=stream)
        _use_cues(stream, sample)
    return sample


def _index_entries(stream: Any) -> list[tuple[int, bool]]:
    """Give the times that the index lists, and whether each is a key frame's."""
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
    """Take the key frames that an index lists, if it reaches beyond what was read."""
    keys = [time for time, is_key in _index_entries(stream) if is_key]
    if keys and sample.end is not None and keys[-1] > sample.end:
        sample.keys, sample.end = keys, keys[-1]


def key_frame_interval(sample: TimingSample) -> float | None:
    """Give the longest time between key frames in seconds; of a sample, at least that."""
    if not sample.keys or sample.end is None:
        return None
    longest = max(
        later - earlier for earlier, later in pairwise([*sorted(sample.keys), sample.end])
    )
    return float(longest * sample.time_base) if longest > 0 else None


def is_variable_frame_rate(sample: TimingSample) -> bool | None:
    """Whether more than one frame in a hundred lasts a tenth longer or shorter than most do.

    Containers round times, Matroska to milliseconds (RFC 9559 §11.1), so that two units or
    milliseconds tell nothing. None where there are too few frames to tell.
    """
    durations = _durations(sample.times)
    if len(durations) < 2:  # noqa: PLR2004 - of which one may be longer than the other
        return None
    typical = median(durations)
    tolerance = max(typical * 0.1, 2, float(Fraction(2, 1000) / sample.time_base))
    irregular = sum(abs(duration - typical) > tolerance for duration in durations)
    return irregular * 100 > len(durations)


def _durations(times: Sequence[int] | Iterable[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(times) if later > earlier]
