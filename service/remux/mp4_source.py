"""Reads the tracks of an MP4 or MOV with all their samples, by its index and FFmpeg's streams.

Use it in worker processes only."""

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import av

from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.mp4.boxes import MAX_BOXES, MAX_HEADER_LENGTH, box_at
from service.mp4.moov import MAX_INDEX_BYTES
from service.mp4.movie_tracks import (
    MovieHeaderTrack,
    MovieTracks,
    UnsupportedMovieError,
    read_movie_tracks,
)
from service.protocol.ranges import Span
from service.remux.picture_timing import TrackTiming
from service.remux.track_choice import CODEC_IDS

OPTIONS = {"format_whitelist": "mov", "protocol_whitelist": "none"}
"""The options with which FFmpeg opens the file."""

_PICTURES = frozenset({"h264", "hevc", "vp9", "av1"})
_QUICKTIME = b"qt  "
_MAX_UNITS = 1 << 31  # §8.6.1.2: of a duration, without a sign

Read = Callable[[Span], bytes]


def read_movie(size: int, read: Read) -> MovieTracks:
    """Return the tracks in the index of a file of `size` bytes. Raises DeclinedError."""
    try:
        return read_movie_tracks(_moov(size, read))
    except UnsupportedMovieError as error:
        raise DeclinedError(str(error)) from error


def is_quicktime(read: Read) -> bool:
    """Return whether the file is QuickTime, whose sample descriptions may differ from MP4's."""
    return read(Span(0, 12))[4:12] == b"ftyp" + _QUICKTIME


def film_stream(container: Any) -> Any:
    """Return the stream of the picture that browsers play: the first that is enabled.

    Raises DeclinedError if they play none.
    """
    pictures = enabled_first([s for s in container.streams.video if codec_name(s) in _PICTURES])
    if not pictures:
        raise DeclinedError("has no picture of a codec that browsers play in MP4")
    return pictures[0]


def codec_name(stream: Any) -> str:
    """Return FFmpeg's name of a stream's codec; empty if it does not know it."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else ""


def enabled_first(streams: Sequence[Any]) -> list[Any]:
    """Return the streams, the enabled ones first."""
    default = av.stream.Disposition.default
    return sorted(streams, key=lambda stream: not stream.disposition & default)


def media_track(stream: Any) -> MediaTrack:
    """Return what an MP4 says of a track besides its samples."""
    return MediaTrack(
        number=stream.id,
        kind=stream.type,
        codec_id=CODEC_IDS.get(codec_name(stream), ""),
        language=stream.language or "und",
        name=stream.metadata.get("title", ""),
        is_default=bool(stream.disposition & av.stream.Disposition.default),
    )


def frame_table(stream: Any, header: MovieHeaderTrack | None) -> FrameTable:
    """Return the frames of a stream. Raises DeclinedError if it has none."""
    if header is None or not header.sizes:
        raise DeclinedError("has no frames")
    return FrameTable(media_track(stream), header.offsets, header.sizes, keys=header.keys)


def track_timing(header: MovieHeaderTrack, movie_timescale: int) -> TrackTiming:
    """Return the times of a track. Raises DeclinedError if several parts are presented."""
    delay = 0
    edits = list(header.edits)
    while edits and edits[0].media_time < 0:
        delay += edits.pop(0).duration
    if len(edits) > 1:
        raise DeclinedError("is edited together of several parts")
    total = sum(header.durations)
    skip, length = 0, total
    if edits:
        skip = edits[0].media_time
        presented = round(edits[0].duration * header.timescale / movie_timescale)
        length = presented or total - skip
    # Composition never precedes decoding here.
    earliest = min(header.composition or (0,))
    raised = max(0, -earliest)
    offsets = header.composition
    if offsets is not None and raised:
        offsets = array("q", (offset + raised for offset in offsets))
    longest = max(max(numbers) for numbers in (header.durations, offsets or (0,)))
    if length <= 0 or longest >= _MAX_UNITS:
        raise DeclinedError("has a damaged index")
    return TrackTiming(
        timescale=header.timescale,
        durations=header.durations,
        offsets=offsets,
        skip=skip + raised,
        length=length,
        start=delay / movie_timescale,
    )


def _moov(size: int, read: Read) -> bytes:
    """Return the index. Raises UnsupportedMovieError."""
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > size:
            break
        header = read(Span(position, min(MAX_HEADER_LENGTH, size - position)))
        box = box_at(header, position, size)
        if box is None:
            break
        if box.type == b"moov":
            if box.end > size or box.end - box.start > MAX_INDEX_BYTES:
                break
            return read(Span(box.start, box.end - box.start))
        position = box.end
    raise UnsupportedMovieError("has a damaged index")
