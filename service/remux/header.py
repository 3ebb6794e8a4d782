"""Makes the header that stands in front of a Matroska file or a Flash video: the whole is an MP4.

Use it in worker processes only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from service.flv.frames import SIGNATURE, scan_flv
from service.matroska.frame_table import FrameTable
from service.matroska.frames import Frames, scan_frames
from service.matroska.window import DeclinedError
from service.probing.timeline import SAME_CLOCK
from service.protocol.ranges import Span
from service.protocol.revisions import header_layout
from service.remux.misfits import declines_misfits
from service.remux.movie import MovieTrack, movie_start, write_header
from service.remux.open_gops import SeekableForm, make_seekable
from service.remux.picture_timing import SECOND, picture_timing
from service.remux.sample_entries import TrackEntry, read_sample_entries
from service.remux.silence import fill_gaps
from service.remux.sound_timing import sound_timing
from service.remux.track_choice import choose_tracks, plays_everywhere

MAX_HEADER_BYTES = 1 << 24
"""The most that a worker may answer. Two hours with one sound have 6.3 MB."""


@dataclass(frozen=True, slots=True)
class RemuxHeader:
    """A header, and what it says."""

    data: bytes
    codecs: tuple[str, ...]
    """The RFC 6381 codecs parameters of the first picture and the first sound."""
    streams: tuple[int, ...]
    """The indexes of FFmpeg's streams of the file that the MP4 has, in its order."""
    tracks: tuple[MovieTrack, ...]
    silence: tuple[bytes, ...]
    """The interleaving and the bytes of silence in gaps of the sound; empty if it has none."""
    inserted: int
    """Bytes of silence. The positions of the frames are in the file with it."""
    seekable: SeekableForm | None
    """The form for decoders that cannot begin at the key frames of open GOPs; None if there are
    no such key frames, or it cannot be made. It is of the file with the silence."""

    @property
    def has_picture(self) -> bool:
        """Whether the MP4 has a picture."""
        return self.tracks[0].table.track.kind == "video"

    @property
    def layout(self) -> str:
        """The name of the layout in a revision. Another FFmpeg may make another header."""
        return header_layout([self.data, *self.silence])


@declines_misfits()
def make_header(file: BinaryIO, size: int, read: Callable[[Span], bytes]) -> RemuxHeader:
    """Return the header for a file of `size` bytes, which `read` reads and FFmpeg as `file`.

    Raises DeclinedError, MemoryError and what the file raises.
    """
    frames = scan(size, read)
    entries = read_sample_entries(file, frames.tracks, frames.tables)
    tracks = movie_tracks(frames, entries)
    _check(frames, tracks)
    check_start(first_start(frames), movie_start(tracks))
    filled = fill_gaps(tracks, entries, read)
    whole = size + len(filled.inserted)
    data, tracks = short_header(filled.tracks, whole)
    streams = tuple(entries[track.table.track.number].stream_index for track in tracks)
    return RemuxHeader(
        data=data,
        codecs=codecs_of(tracks),
        streams=streams,
        tracks=tuple(tracks),
        silence=filled.blobs,
        inserted=len(filled.inserted),
        seekable=make_seekable(tracks, whole, filled.reader(size, read)),
    )


def short_header(tracks: list[MovieTrack], size: int) -> tuple[bytes, list[MovieTrack]]:
    """Return a header of acceptable length, and the tracks that it has.

    Raises DeclinedError.
    """
    while True:
        data = write_header(tracks, size)
        if len(data) <= MAX_HEADER_BYTES:
            return data, tracks
        if len(tracks) < 3 or tracks[-1].table.track.kind == "video":  # noqa: PLR2004
            raise DeclinedError("has too many frames")
        tracks = tracks[:-1]  # the sounds after the first one are played last


def scan(size: int, read: Callable[[Span], bytes], *, makes_sound: bool = False) -> Frames:
    """Return the frames of the tracks of the movie. Raises DeclinedError and what `read` raises.

    With `makes_sound`, sound is made that browsers play, so that the file need not have any.
    """
    choose = partial(choose_tracks, makes_sound=makes_sound)
    is_flv = read(Span(0, len(SIGNATURE))) == SIGNATURE
    requests = scan_flv(size, any_sound=makes_sound) if is_flv else scan_frames(size, choose)
    try:
        span = next(requests)
        while True:
            span = requests.send(read(span))
    except StopIteration as end:
        frames: Frames = end.value
    if is_flv:
        choose(frames.tracks)  # it declines what is not right
    return frames


def movie_tracks(frames: Frames, entries: Mapping[int, TrackEntry]) -> list[MovieTrack]:
    """Return the tracks of the movie: the picture, and the sounds in order of preference."""
    tracks: list[MovieTrack] = []
    for table in frames.tables:
        made = entries.get(table.track.number)
        if made is not None:
            kinds = {track.table.track.kind for track in tracks}
            tracks.append(
                _movie_track(table, made, frames.tick, is_first=table.track.kind not in kinds)
            )
    return tracks


def _movie_track(table: FrameTable, made: TrackEntry, tick: int, *, is_first: bool) -> MovieTrack:
    timing = (
        picture_timing(table, tick)
        if table.track.kind == "video"
        else sound_timing(table, tick, made.sample_rate, made.frame)
    )
    # Chromium plays only enabled tracks, Firefox the first one: let them agree.
    return MovieTrack(table, timing, made.entry, is_enabled=is_first)


def _check(frames: Frames, tracks: Sequence[MovieTrack]) -> None:
    """Decline a file if the MP4 would lack a picture or a sound that browsers play."""
    chosen = [table.track for table in frames.tables]
    kept = [track.table.track for track in tracks]
    if any(track.kind == "video" for track in chosen) and not (kept and kept[0].kind == "video"):
        raise DeclinedError("has a picture that FFmpeg does not copy into MP4")
    if any(map(plays_everywhere, chosen)) and not any(map(plays_everywhere, kept)):
        raise DeclinedError("has sound that FFmpeg does not copy into MP4")
    if not tracks:
        raise DeclinedError("has no picture and no sound that FFmpeg copies into MP4")


def first_start(frames: Frames) -> float:
    """Return the seconds on the file's clock at which the first track begins."""
    return min(frames.starts.values()) * frames.tick / SECOND


def check_start(first: float, start: float) -> None:
    """Decline a file of which another track begins the clock of the page, also if it is not in the
    movie: chapters and captions would be shifted (service/probing/timeline.py).

    `first` is when the first track of the file begins, and `start` the movie, in seconds.
    """
    if start - max(0.0, first) > SAME_CLOCK:
        raise DeclinedError("has a track that begins before the picture and the sound")


def codecs_of(tracks: Sequence[MovieTrack]) -> tuple[str, ...]:
    """Return the codecs parameters of the first picture and the first sound; none if one of them
    is unknown.
    """
    found = [track.entry.codec for track in tracks if track.is_enabled]
    return tuple(codec for codec in found if codec) if all(found) else ()
