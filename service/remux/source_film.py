"""The picture of a film that sound is made for, and its own sounds that MP4 has: of Matroska, Flash
video or MP4.

Use it in worker processes only."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import av

from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.mp4.boxes import LEADING_TYPES, MAX_BOXES, MAX_HEADER_LENGTH, box_at
from service.mp4.moov import MAX_INDEX_BYTES
from service.mp4.movie_tracks import (
    MovieHeaderTrack,
    MovieTracks,
    UnsupportedMovieError,
    read_movie_tracks,
)
from service.probing import timeline
from service.probing.metadata import TEXT_OPTIONS
from service.protocol.ranges import Span
from service.remux.header import first_start, movie_tracks, scan
from service.remux.movie import MovieTrack
from service.remux.picture_timing import TrackTiming
from service.remux.sample_entries import OPTIONS, media_streams, read_sample_entries, sample_entry

_MP4_OPTIONS = {"format_whitelist": "mov", "protocol_whitelist": "none"}
_PICTURES = frozenset({"h264", "hevc", "vp9", "av1"})
_KEPT_SOUNDS = frozenset({"ac3", "eac3"})
_MAX_FRAME = 1 << 25  # bytes
_QUICKTIME = b"qt  "
_MAX_UNITS = 1 << 31  # §8.6.1.2: of a duration, without a sign

Read = Callable[[Span], bytes]
Pair = tuple[MediaTrack, Any]
"""A track and FFmpeg's stream."""


@dataclass(frozen=True, slots=True)
class SourceFilm:
    """The tracks that the MP4 takes from a file."""

    tracks: list[MovieTrack]
    """The picture first."""
    streams: tuple[int, ...]
    """The indexes of FFmpeg's streams of these."""
    first: float
    """Seconds on the file's clock at which its first picture or sound begins."""
    options: dict[str, str]
    """With which FFmpeg opens the file."""
    sounds: Callable[[Any], Sequence[Pair]]
    """Returns all sounds in an open container."""


def read_film(file: BinaryIO, size: int, read: Read) -> SourceFilm:
    """Read a film of `size` bytes, which `read` reads and FFmpeg as `file`.

    Raises DeclinedError, MemoryError and what the file raises.
    """
    head = box_at(read(Span(0, min(size, MAX_HEADER_LENGTH))), 0, size)
    is_mp4 = head is not None and head.type in LEADING_TYPES
    return _mp4(file, size, read) if is_mp4 else _other(file, size, read)


def _other(file: BinaryIO, size: int, read: Read) -> SourceFilm:
    frames = scan(size, read, makes_sound=True)
    entries = read_sample_entries(file, frames.tracks, frames.tables)
    tracks = movie_tracks(frames, entries)
    if not tracks or tracks[0].table.track.kind != "video":
        raise DeclinedError("has a picture that FFmpeg does not copy into MP4")

    def sounds(container: Any) -> list[Pair]:
        pairs = media_streams(container, frames.tracks)
        return [(track, stream) for track, stream in pairs if track.kind == "audio"]

    indexes = (entries[track.table.track.number].stream_index for track in tracks)
    return SourceFilm(tracks, tuple(indexes), first_start(frames), OPTIONS, sounds)


# MP4


def _mp4(file: BinaryIO, size: int, read: Read) -> SourceFilm:
    try:
        movie = read_movie_tracks(_moov(size, read))
    except UnsupportedMovieError as error:
        raise DeclinedError(str(error)) from error
    headers = {track.number: track for track in movie.tracks}
    is_quicktime = read(Span(0, 12))[4:12] == b"ftyp" + _QUICKTIME
    file.seek(0)
    try:
        with av.open(file, options=_MP4_OPTIONS, **TEXT_OPTIONS) as container:
            pictures = [s for s in container.streams.video if _codec(s) in _PICTURES]
            # QuickTime's descriptions of sound may be others than those of MP4.
            kept = [s for s in container.streams.audio if _codec(s) in _KEPT_SOUNDS]
            chosen = [*_enabled_first(pictures)[:1], *(() if is_quicktime else kept)]
            if not pictures:
                raise DeclinedError("has no picture of a codec that browsers play in MP4")
            tracks = [_mp4_track(s, headers.get(s.id), movie, read) for s in chosen]
            return SourceFilm(
                tracks=tracks,
                streams=tuple(stream.index for stream in chosen),
                first=timeline.start_offset(container),
                options=_MP4_OPTIONS,
                sounds=_mp4_sounds,
            )
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DeclinedError("is damaged") from error


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


def _codec(stream: Any) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else ""


def _enabled_first(streams: Sequence[Any]) -> list[Any]:
    default = av.stream.Disposition.default
    return sorted(streams, key=lambda stream: not stream.disposition & default)


def _mp4_sounds(container: Any) -> list[Pair]:
    return [(_media_track(stream), stream) for stream in container.streams.audio]


def _media_track(stream: Any) -> MediaTrack:
    return MediaTrack(
        number=stream.id,
        kind=stream.type,
        codec_id="",
        language=stream.language or "und",
        name=stream.metadata.get("title", ""),
        is_default=bool(stream.disposition & av.stream.Disposition.default),
    )


def _mp4_track(
    stream: Any, header: MovieHeaderTrack | None, movie: MovieTracks, read: Read
) -> MovieTrack:
    """Return a track by its header and FFmpeg's stream. Raises DeclinedError."""
    if header is None or not header.sizes:
        raise DeclinedError("has no frames")
    frame = read(Span(header.offsets[0], min(header.sizes[0], _MAX_FRAME)))
    made = sample_entry(stream, frame)
    if made is None:
        raise DeclinedError("has a track that FFmpeg does not copy into MP4")
    table = FrameTable(_media_track(stream), header.offsets, header.sizes, keys=header.keys)
    timing = _timing(header, movie.timescale)
    return MovieTrack(table, timing, made.entry, is_enabled=stream.type == "video")


def _timing(header: MovieHeaderTrack, movie_timescale: int) -> TrackTiming:
    """Return the times of a track, of which one part is presented. Raises DeclinedError."""
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
    if length <= 0 or max(*header.durations, *(offsets or (0,)), 0) >= _MAX_UNITS:
        raise DeclinedError("has a damaged index")
    return TrackTiming(
        timescale=header.timescale,
        durations=header.durations,
        offsets=offsets,
        skip=skip + raised,
        length=length,
        start=delay / movie_timescale,
    )
