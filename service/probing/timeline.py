"""The time on the pages, counted in seconds from a file's first picture or sound.

A file's own clock may begin elsewhere: broadcast recordings, camera clips and cuts keep the time of
their source. FFmpeg's time stamps are on that clock. All times that leave the service are not:
captions, chapters, storyboards, durations and links. static/timeline.js converts for browsers,
whose clocks differ (docs/architecture.md, "Time on the page")."""

from typing import Any, Final

import av

from service.probing.read_limited_file import ReadLimitedFile

_TIME_BASE: Final = 1_000_000  # AV_TIME_BASE: microseconds
_ATTACHED: Final = av.stream.Disposition.attached_pic

SAME_CLOCK: Final = 0.05
"""Seconds. An earlier start is as good as 0: it is a frame, or the delay of an audio encoder."""

_WRAPPING: Final = frozenset({"mpegts", "mpeg"})

_MAX_BYTES: Final = 1 << 24
"""Bytes read for the end: 13 seconds at 10 Mbit/s, as far as key frames may be apart."""

# Their headers tell a length, or the time of the end, as their writer likes: FFmpeg writes the end
# into Matroska and MP4, mkvmerge the length. Other demuxers of FFmpeg count from the start.
_AMBIGUOUS: Final = frozenset({"matroska", "mp4", "ogg"})

# Their headers state the length of what was written, whatever is in the file. FFmpeg measures or
# estimates that of others.
_STATED_LENGTH: Final = frozenset({"flac", "flv", "mp3"})

_COMPLETE_SHARE: Final = 0.98
"""The share of a stated length from which a file is complete. Lengths are rounded to frames."""


def start_offset(container: Any) -> float:
    """Return the time of a container's first picture or sound in seconds on its own clock.

    Call it before any packet is read: FFmpeg changes what it tells of streams whose start was
    unknown. Return 0 for an unknown start, and for a negative one: Chromium and Firefox do not play
    what is before 0, and neither subtracts it. They open no streams of MPEG-2, whose start FFmpeg
    makes negative if their clock wraps around.
    """
    first = [
        float(stream.start_time * stream.time_base)
        for stream in media_streams(container)
        if stream.start_time is not None and stream.time_base is not None
    ]
    # FFmpeg's start of the whole may be that of a subtitle.
    start = min(first, default=(container.start_time or 0) / _TIME_BASE)
    return round(start if container.format.name in _WRAPPING else max(0.0, start), 6)


def media_streams(container: Any) -> list[Any]:
    """Return the streams of pictures and sound, without covers."""
    return [
        stream
        for stream in container.streams
        if stream.type == "audio" or (stream.type == "video" and not stream.disposition & _ATTACHED)
    ]


def play_length(container: Any, file: ReadLimitedFile, start: float) -> float | None:
    """Return the seconds from the first picture or sound to the end; None if no header tells them.

    `start` is what `start_offset` returned. It may seek in the container and read packets, and
    leaves a small budget in `file`.
    """
    told = (container.duration or 0) / _TIME_BASE
    if told <= 0:
        return None
    if start <= SAME_CLOCK or _AMBIGUOUS.isdisjoint(container.format.name.split(",")):
        return told
    file.set_budget(_MAX_BYTES)
    end = _last_end(container, file, start + told)
    if end is not None and end > start:
        return round(end - start, 6)
    return round(told - start, 6) if told > start else told


def seconds_present(container: Any, file: ReadLimitedFile, duration: float | None) -> float | None:
    """Return how many seconds of a duration are in the file, if it ends earlier; else None.

    It seeks in the container and reads packets, and leaves a small budget in `file`.
    """
    if container.format.name not in _STATED_LENGTH or not duration:
        return None
    file.set_budget(_MAX_BYTES)
    end = _last_end(container, file, duration)
    limit = min(duration - 1, duration * _COMPLETE_SHARE)
    return end if end is not None and 0 <= end < limit else None


def _last_end(container: Any, file: ReadLimitedFile, after: float) -> float | None:
    """Return when the last packet ends, in seconds on the container's clock.

    `after` is a time after the end. Return None if the file is damaged or the budget is too small.
    """
    last = None
    try:
        container.seek(int(after * _TIME_BASE))
        for packet in container.demux(media_streams(container)):
            if packet.pts is not None and packet.time_base is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                last = end if last is None else max(last, end)
    except (av.FFmpegError, IndexError) as error:  # IndexError: as in frame_timing.py
        if isinstance(error, MemoryError):
            raise
        return None
    return None if file.exhausted else last
