"""Makes sound that browsers play for a film that has none, and the header of an MP4 that has it: a
second of sound before each second of pictures.

Use it in worker processes only."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import av

from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.probing.metadata import TEXT_OPTIONS
from service.protocol.ranges import Span
from service.remux.aac_entry import aac_entry
from service.remux.header import check_start, codecs_of, short_header
from service.remux.movie import MovieTrack, movie_start
from service.remux.picture_timing import TrackTiming
from service.remux.source_film import SourceFilm, read_film
from service.representations.interleaving import Interleaving
from service.sound.downmix import RATE
from service.sound.transcode import FRAME, PRIMING, SoundTranscoder

MAX_SOUND_BYTES = 1 << 31
"""The edge counts with it (nginx/njs/cache_lookup.js). It is 29 hours."""

_MOST_AFTER = 600.0  # seconds of sound after the last picture
_SECONDS = 1.0  # of pictures between two parts of the sound
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


@dataclass(slots=True)
class MadeSound:
    """The sound, besides its bytes."""

    track: MediaTrack
    """The track that it was made of."""
    stream_index: int
    start: float = 0.0
    """Seconds on the file's clock."""
    samples: int = 0
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    configuration: bytes = b""
    damaged: int = 0


def make_sound(
    file: BinaryIO, size: int, read: Callable[[Span], bytes], write: Callable[[bytes], Any]
) -> FilmWithSound:
    """Write AAC for a file of `size` bytes, which `read` reads and FFmpeg as `file`.

    Raises DeclinedError, MemoryError and what the file and `write` raise.
    """
    film = read_film(file, size, read)
    picture = film.tracks[0]
    end = picture.timing.start + picture.timing.length / picture.timing.timescale
    sound = _transcode(file, film, end + _MOST_AFTER, write)
    interleaving, offsets = interleave(picture, sound)
    moved = [_moved(track, interleaving) for track in film.tracks]
    together = [moved[0], _sound_track(sound, offsets), *moved[1:]]
    check_start(film.first, movie_start(together))
    header, kept = short_header(together, size + interleaving.inserted)
    return FilmWithSound(
        header=header,
        interleaving=interleaving,
        codecs=codecs_of(kept),
        streams=(film.streams[0], sound.stream_index, *film.streams[1 : len(kept) - 1]),
        damaged=sound.damaged,
    )


def _transcode(
    file: BinaryIO, film: SourceFilm, end: float, write: Callable[[bytes], Any]
) -> MadeSound:
    """Write the sound of a film, to `end` seconds on its clock at most. Raises DeclinedError."""
    file.seek(0)
    try:
        with av.open(file, options=film.options, **TEXT_OPTIONS) as container:
            sounds = film.sounds(container)
            if not sounds:
                raise DeclinedError("has no sound")
            track, stream = next((pair for pair in sounds if pair[0].is_default), sounds[0])
            made = MadeSound(track, stream.index)
            transcoder = SoundTranscoder(stream, end=end)
            _write_packets(made, _packets(container, stream, transcoder, end), write)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DeclinedError("has sound that cannot be decoded") from error
    except ValueError as error:
        raise DeclinedError("has sound of a codec that FFmpeg does not decode") from error
    if transcoder.start is None or not made.sizes:
        raise DeclinedError("has sound that cannot be decoded")
    made.start, made.samples = transcoder.start, transcoder.samples
    made.configuration, made.damaged = transcoder.configuration, transcoder.damaged
    return made


def _packets(container: Any, stream: Any, transcoder: SoundTranscoder, end: float) -> Any:
    for packet in container.demux(stream):
        if packet.size:
            yield from transcoder.feed(packet)
        if transcoder.position >= end:
            break
    yield from transcoder.flush()


def _write_packets(made: MadeSound, packets: Any, write: Callable[[bytes], Any]) -> None:
    total = 0
    for packet in packets:
        data = bytes(packet)
        total += len(data)
        if total > MAX_SOUND_BYTES:
            raise DeclinedError("has too much sound")
        write(data)
        made.sizes.append(len(data))


def interleave(picture: MovieTrack, sound: MadeSound) -> tuple[Interleaving, "array[int]"]:
    """Return where the sound goes, and the positions of its frames in header-less bytes.

    What is heard in a second stands before the first picture that is decoded in it.
    """
    cuts, ends, offsets = array("Q"), array("Q"), array("Q")
    moments = _moments(picture)
    written = first = 0
    for number, (cut, _) in enumerate(moments):
        is_last = number + 1 == len(moments)
        count = len(sound.sizes)
        until = count if is_last else min(count, _frames_until(sound, moments[number + 1][1]))
        if until <= first:
            continue
        for size in sound.sizes[first:until]:
            offsets.append(cut + written)
            written += size
        cuts.append(cut)
        ends.append(written)
        first = until
    return Interleaving(cuts, ends), offsets


def _moments(picture: MovieTrack) -> list[tuple[int, float]]:
    """Return the positions in the file at which seconds of pictures begin, and these seconds on
    its clock.
    """
    timing, found = picture.timing, list[tuple[int, float]]()
    begin, time = timing.start - timing.skip / timing.timescale, 0
    wanted, last = begin, -1
    for offset, duration in zip(picture.table.offsets, timing.durations, strict=True):
        moment = begin + time / timing.timescale
        if moment >= wanted and offset > last:
            found.append((offset, moment))
            wanted, last = moment + _SECONDS, offset
        time += duration
    return found


def _frames_until(sound: MadeSound, moment: float) -> int:
    """Return the number of frames that are needed to hear all that is before a moment."""
    return max(0, -(-round((moment - sound.start) * RATE + PRIMING) // FRAME))


def _moved(track: MovieTrack, interleaving: Interleaving) -> MovieTrack:
    """Return a track of the file where its frames are with the sound in between; as a sound, one
    that is not enabled.
    """
    offsets = array("Q", (o + interleaving.shift(o) for o in track.table.offsets))
    is_picture = track.table.track.kind == "video"
    return replace(track, table=replace(track.table, offsets=offsets), is_enabled=is_picture)


def _sound_track(sound: MadeSound, offsets: "array[int]") -> MovieTrack:
    track = replace(sound.track, codec_id="A_AAC", private=b"", obstacle=None)
    count = len(sound.sizes)
    return MovieTrack(
        FrameTable(track, offsets, sound.sizes, keys=bytearray(b"\1") * count),
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
