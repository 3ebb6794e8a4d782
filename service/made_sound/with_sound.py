"""Makes sound that browsers play for a film that has none, and the header of an MP4 that has it: a
second of sound before each second of pictures.

Use it in worker processes only."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import av

from service.made_sound.aac_entry import aac_entry
from service.made_sound.insertions import Inserted, Insertions
from service.made_sound.source_film import SourceFilm, read_film
from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.probing.metadata import TEXT_OPTIONS
from service.protocol.ranges import Span
from service.remux.header import check_start, codecs_of, short_header
from service.remux.misfits import declines_misfits
from service.remux.movie import MovieTrack, movie_start
from service.remux.open_gops import mended, moved_track
from service.remux.picture_timing import TrackTiming
from service.remux.track_choice import plays_everywhere
from service.representations.interleaving import Interleaving
from service.sound.downmix import RATE
from service.sound.transcode import FRAME, PRIMING, SoundTranscoder

_MOST_AFTER = 600.0  # seconds of sound after the last picture
_CHANNELS = 2


@dataclass(frozen=True, slots=True)
class FilmWithSound:
    """What was made besides the bytes of the sound, and what it says."""

    header: bytes
    interleaving: Interleaving
    codecs: tuple[str, ...]
    """The RFC 6381 codecs parameters of the picture and the sound."""
    streams: tuple[int, ...]
    """The indexes of FFmpeg's streams of the file that the MP4 has, in its order. The second is
    what the sound was made of."""
    damaged: int
    """Packets of sound that could not be decoded."""
    tracks: tuple[MovieTrack, ...]
    """Those of the MP4. Their positions are in the file with all that is inserted."""


@dataclass(frozen=True, slots=True)
class MadeSound:
    """The sound, besides its frames."""

    track: MediaTrack
    """The track that it was made of."""
    stream_index: int
    start: float
    """Seconds on the file's clock."""
    samples: int
    configuration: bytes
    damaged: int


@declines_misfits()
def make_sound(
    file: BinaryIO,
    size: int,
    read: Callable[[Span], bytes],
    write: Callable[[bytes], Any],
    index: int | None = None,
) -> FilmWithSound:
    """Write AAC for a file of `size` bytes, which `read` reads and FFmpeg as `file`.

    It is made from the stream with this index; None: from the default sound, of a film without any
    sound that browsers play. Raises DeclinedError, MemoryError and what the file and `write` raise.
    """
    film = read_film(file, size, read)
    if index is None and any(plays_everywhere(track.table.track) for track in film.tracks):
        raise DeclinedError("has sound that browsers play")
    picture = film.tracks[0]
    end = picture.timing.start + picture.timing.length / picture.timing.timescale
    # There is no second form for strict decoders here: the sound is there once.
    pictures = mended(picture, read)
    insertions = Insertions(picture, pictures, write)
    sound = _transcode(file, film, index, end + _MOST_AFTER, insertions)
    inserted = insertions.finish()
    interleaving = inserted.interleaving
    moved = [moved_track(track, interleaving, pictures) for track in film.tracks]
    own = [replace(track, is_enabled=False) for track in moved[1:]]
    together = [moved[0], _sound_track(sound, inserted), *own]
    check_start(film.first, movie_start(together))
    header, kept = short_header(together, size + interleaving.inserted)
    return FilmWithSound(
        header=header,
        interleaving=interleaving,
        codecs=codecs_of(kept),
        streams=(film.streams[0], sound.stream_index, *film.streams[1 : len(kept) - 1]),
        damaged=sound.damaged,
        tracks=tuple(kept),
    )


def _transcode(
    file: BinaryIO, film: SourceFilm, index: int | None, end: float, insertions: Insertions
) -> MadeSound:
    """Write the sound of a film, to `end` seconds on its clock at most. Raises DeclinedError."""
    file.seek(0)
    try:
        with av.open(file, options=film.options, **TEXT_OPTIONS) as container:
            sounds = film.sounds(container)
            if index is not None:
                sounds = [pair for pair in sounds if pair[1].index == index]
            if not sounds:
                raise DeclinedError("has no sound")
            track, stream = next((pair for pair in sounds if pair[0].is_default), sounds[0])
            chosen = stream.index  # not to be read once the container is closed
            transcoder = SoundTranscoder(stream, end=end)
            for packet in _packets(container, stream, transcoder, end):
                insertions.add_sound(bytes(packet), transcoder.start or 0.0)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DeclinedError("has sound that cannot be decoded") from error
    except ValueError as error:
        raise DeclinedError("has sound of a codec that FFmpeg does not decode") from error
    if transcoder.start is None or not transcoder.samples:
        raise DeclinedError("has sound that cannot be decoded")
    return MadeSound(
        track=track,
        stream_index=chosen,
        start=transcoder.start,
        samples=transcoder.samples,
        configuration=transcoder.configuration,
        damaged=transcoder.damaged,
    )


def _packets(container: Any, stream: Any, transcoder: SoundTranscoder, end: float) -> Any:
    for packet in container.demux(stream):
        if packet.size:
            yield from transcoder.feed(packet)
        if transcoder.position >= end:
            break
    yield from transcoder.flush()


def _sound_track(sound: MadeSound, inserted: Inserted) -> MovieTrack:
    track = replace(sound.track, codec_id="A_AAC", private=b"", obstacle=None)
    count = len(inserted.sizes)
    return MovieTrack(
        FrameTable(track, inserted.offsets, inserted.sizes, keys=bytearray(b"\1") * count),
        TrackTiming(
            timescale=RATE,
            durations=array("q", [FRAME]) * count,
            offsets=None,
            skip=PRIMING,
            length=sound.samples,
            start=sound.start,
        ),
        aac_entry(sound.configuration, RATE, _CHANNELS),
        is_enabled=True,
    )
