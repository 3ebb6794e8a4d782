"""Makes the fragmented forms of a plain MP4 or MOV with a long index.

The samples and their times are taken from its tables; its bytes are not changed. A file that is not
simple is declined: players then load its index. Use it in worker processes only."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import av

from service.fragments.form import Fragments, make_forms
from service.matroska.window import DeclinedError
from service.mp4.box_writer import box
from service.mp4.movie_header import ENCRYPTED_ENTRIES
from service.mp4.movie_tracks import MovieHeaderTrack, MovieTracks
from service.probing import timeline
from service.probing.metadata import TEXT_OPTIONS
from service.protocol.ranges import Span
from service.remux import mp4_source
from service.remux.misfits import declines_misfits
from service.remux.movie import IDENTITY, MovieTrack, SampleEntry
from service.remux.mp4_source import Read, codec_name, enabled_first, film_stream, media_track
from service.remux.sample_entries import MAX_FRAME, codec_string, sample_entry
from service.remux.track_choice import plays_everywhere

# Seconds of a track that its edit list may leave out at the end: fragments have no such end. An
# encoder's padding of sound is shorter.
_MAX_CUT = 0.1
_MAX_INT32 = 2**31 - 1  # §8.6.6.2: of the time at which an edit begins


def mp4_forms(file: BinaryIO, size: int, read: Read) -> Iterator[tuple[int | None, Fragments]]:
    """Yield the fragmented forms of a file of `size` bytes, as `make_forms` does.

    `read` and `file` are two ways to read the file; FFmpeg uses the latter. Raises DeclinedError,
    MemoryError and what reading the file raises.
    """
    with declines_misfits():
        tracks, indexes, start = read_tracks(file, size, read)
    count = 0
    for form in make_forms(tracks, indexes, size, start):
        yield form
        count += 1
    if not count:
        raise DeclinedError(
            "has too many frames, too few key frames, or pictures and sound that are too far apart"
        )


def read_tracks(file: BinaryIO, size: int, read: Read) -> tuple[list[MovieTrack], list[int], float]:
    """Return the picture and the sounds that all browsers play, FFmpeg's indexes of their streams,
    and when the film begins on the file's clock, in seconds. Raises DeclinedError.
    """
    movie = mp4_source.read_movie(size, read)
    if movie.matrix != IDENTITY:
        raise DeclinedError("is transformed as a whole")
    file.seek(0)
    try:
        with av.open(file, options=mp4_source.OPTIONS, **TEXT_OPTIONS) as container:
            streams = [film_stream(container), *_sounds(container)]
            tracks = [_track(stream, movie, read) for stream in streams]
            indexes = [stream.index for stream in streams]
            start = timeline.start_offset(container)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DeclinedError("is damaged") from error
    for track in tracks:
        _check(track, size, start)
    return tracks, indexes, start


def _sounds(container: Any) -> list[Any]:
    """Return the sounds that all browsers play. Raises DeclinedError if there are only others."""
    streams = enabled_first(list(container.streams.audio))
    sounds = [stream for stream in streams if plays_everywhere(media_track(stream))]
    if streams and not sounds:
        raise DeclinedError("has no sound that all browsers play")
    return sounds


def _track(stream: Any, movie: MovieTracks, read: Read) -> MovieTrack:
    """Return a track by its header and FFmpeg's stream. Raises DeclinedError."""
    found = [track for track in movie.tracks if track.number == stream.id]
    header = found[0] if len(found) == 1 else None
    table = mp4_source.frame_table(stream, header)
    if header is None or len(header.presentation) != len(IDENTITY) + 8:
        raise DeclinedError("has a damaged index")
    if header.description[12:16] in ENCRYPTED_ENTRIES:
        raise DeclinedError("is encrypted")
    timing = mp4_source.track_timing(header, movie.timescale)
    entry = _entry(stream, header, read)
    return MovieTrack(table, timing, entry, is_enabled=True)


def _entry(stream: Any, header: MovieHeaderTrack, read: Read) -> SampleEntry:
    """Return the file's own sample entry; of QuickTime, FFmpeg's. Raises DeclinedError."""
    matrix, size = header.presentation[:-8], header.presentation[-8:]
    width, height = struct.unpack(">II", size)
    if mp4_source.is_quicktime(read):
        frame = read(Span(header.offsets[0], min(header.sizes[0], MAX_FRAME)))
        made = sample_entry(stream, frame)
        if made is None:
            raise DeclinedError("has a track that FFmpeg does not copy into MP4")
        return replace(made.entry, width=width, height=height, matrix=matrix)
    codec = codec_string(codec_name(stream), header.description, stream.codec_context)
    return SampleEntry(box(b"stsd", header.description), codec, width, height, matrix)


def _check(track: MovieTrack, size: int, start: float) -> None:
    """Decline a track that fragments cannot have as it is.

    `start` is when the film begins on the file's clock, in seconds.
    """
    table, timing = track.table, track.timing
    if min(table.sizes) == 0:
        raise DeclinedError("has empty frames")
    ends = (offset + length for offset, length in zip(table.offsets, table.sizes, strict=True))
    if any(end > following for end, following in zip(ends, table.offsets[1:], strict=False)):
        raise DeclinedError("does not store its frames in the order in which they are decoded")
    if table.offsets[-1] + table.sizes[-1] > size:
        raise DeclinedError("is incomplete")
    early = max(0, round((start - timing.start) * timing.timescale))
    if not 0 <= timing.skip + early <= _MAX_INT32:
        raise DeclinedError("has a damaged index")
    # Media Source Extensions §3.5.8: what is before 0 is dropped, and all to the next key frame.
    first = timing.offsets[0] if timing.offsets else 0
    if table.track.kind == "video" and first < timing.skip + early:
        raise DeclinedError("begins within a group of pictures")
    if sum(timing.durations) - timing.skip - timing.length > _MAX_CUT * timing.timescale:
        raise DeclinedError("has an edit list that leaves out its end")
