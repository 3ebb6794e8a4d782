"""Reads the picture of a film for which sound is made, and those of its own sounds that are kept.

The film is Matroska, Flash video or MP4.

Use it in worker processes only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import av

from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.mp4.boxes import LEADING_TYPES, MAX_HEADER_LENGTH, box_at
from service.mp4.movie_tracks import MovieHeaderTrack, MovieTracks
from service.probing import timeline
from service.probing.metadata import TEXT_OPTIONS
from service.protocol.ranges import Span
from service.remux import mp4_source
from service.remux.header import first_start, movie_tracks, scan
from service.remux.movie import MovieTrack
from service.remux.mp4_source import (
    Read,
    codec_name,
    film_stream,
    frame_table,
    media_track,
    track_timing,
)
from service.remux.sample_entries import (
    MAX_FRAME,
    OPTIONS,
    media_streams,
    read_sample_entries,
    sample_entry,
)

_KEPT_SOUNDS = frozenset({"ac3", "eac3"})

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
    """The options with which FFmpeg opens the file."""
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
    movie = mp4_source.read_movie(size, read)
    headers = {track.number: track for track in movie.tracks}
    is_quicktime = mp4_source.is_quicktime(read)
    file.seek(0)
    try:
        with av.open(file, options=mp4_source.OPTIONS, **TEXT_OPTIONS) as container:
            sounds = [s for s in container.streams.audio if codec_name(s) in _KEPT_SOUNDS]
            chosen = [film_stream(container), *(() if is_quicktime else sounds)]
            tracks = [_mp4_track(s, headers.get(s.id), movie, read) for s in chosen]
            return SourceFilm(
                tracks=tracks,
                streams=tuple(stream.index for stream in chosen),
                first=timeline.start_offset(container),
                options=mp4_source.OPTIONS,
                sounds=_mp4_sounds,
            )
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DeclinedError("is damaged") from error


def _mp4_sounds(container: Any) -> list[Pair]:
    return [(media_track(stream), stream) for stream in container.streams.audio]


def _mp4_track(
    stream: Any, header: MovieHeaderTrack | None, movie: MovieTracks, read: Read
) -> MovieTrack:
    """Return a track by its header and FFmpeg's stream. Raises DeclinedError."""
    table = frame_table(stream, header)
    frame = read(Span(table.offsets[0], min(table.sizes[0], MAX_FRAME)))
    made = sample_entry(stream, frame)
    if header is None or made is None:
        raise DeclinedError("has a track that FFmpeg does not copy into MP4")
    timing = track_timing(header, movie.timescale)
    return MovieTrack(table, timing, made.entry, is_enabled=stream.type == "video")
