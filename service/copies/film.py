"""Copies a film into an MP4: its frames into a large file, and a header that stands in front of it.

Use it in worker processes only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, BinaryIO

import av

from service.copies.clock import MAX_GAP, DamagedStart, DamagedStartError, FilmClock
from service.copies.open_gops import mend_in_place
from service.copies.picture_times import exact_timing, with_timescale
from service.copies.pictures import PictureCopy
from service.copies.sounds import (
    RARE,
    UNIVERSAL,
    CopiedSound,
    Sound,
    SoundChangesError,
    TranscodedSound,
)
from service.matroska.frames import MAX_FRAMES
from service.matroska.window import DeclinedError
from service.probing.metadata import OPTIONS, TEXT_OPTIONS
from service.probing.timeline import media_streams, start_offset
from service.remux.header import MAX_HEADER_BYTES
from service.remux.misfits import declines_misfits
from service.remux.movie import MovieTrack, write_header
from service.remux.picture_timing import SECOND, picture_timing
from service.remux.sample_entries import sample_entry
from service.sound.downmix import RATE
from service.workers.large_output import LargeOutput

# Seconds of the film, and bytes, in a chunk of each track: players read some of each at a time.
_CHUNK_SECONDS = Fraction(1, 2)
_CHUNK_BYTES = 8 * 1024**2

_PICTURES = frozenset({"h264", "hevc", "av1", "vp9"})
_MAX_SOUNDS = 8
# Streams that appear after the start, such as subtitles, at which PyAV stops.
_MAX_LATE_STREAMS = 1000
# Seconds: times of sound are rounded to samples, and those of FFmpeg to microseconds.
_SAME_TIME = 1 / RATE
# Containers whose times are rounded to milliseconds
_ROUNDED = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class FilmCopy:
    """The header of a copied film, and what it says."""

    header: bytes
    codecs: tuple[str, ...]
    """The RFC 6381 codecs parameters of the picture and the first sound."""
    streams: tuple[int, ...]
    """The indexes of FFmpeg's streams of the file, in the order of the MP4's tracks."""
    transcoded: tuple[int, ...]
    """Which of the MP4's tracks are transcoded, by number."""
    jumps: int
    """How often the clock of the file jumps."""
    damaged: int
    """Packets of sound that could not be decoded. Silence is in their place."""
    tracks: Sequence[MovieTrack]


@declines_misfits()
def copy_film(file: BinaryIO, output: LargeOutput) -> FilmCopy:
    """Copy a film, whose frames go into `output`.

    Raises DeclinedError, OutputError, TaskError, MemoryError and what the file raises.
    """
    changing: set[int] = set()
    damaged_starts: dict[int, DamagedStart] = {}
    while True:
        file.seek(0)
        output.restart()
        try:
            with av.open(file, options=OPTIONS, **TEXT_OPTIONS) as container:
                return _Copier(file, container, changing, damaged_starts).copy(output)
        except SoundChangesError as error:
            changing.add(error.index)  # it is transcoded; each stream once
        except DamagedStartError as error:
            damaged_starts[error.stream] = error.start  # each stream once
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            raise DeclinedError("is damaged") from error


class _Copier:
    def __init__(
        self,
        file: BinaryIO,
        container: Any,
        changing: set[int],
        damaged_starts: Mapping[int, DamagedStart],
    ) -> None:
        self._file = file
        self._container = container
        self._start = Fraction(start_offset(container)).limit_denominator(1_000_000)
        name = container.format.name
        self._clock = FilmClock(wraps=name in {"mpegts", "mpeg"}, damaged_starts=damaged_starts)
        streams = media_streams(container)
        self._picture = PictureCopy(_film_of(streams), name)
        self._sounds = _sounds_of(streams, changing)
        self._chunk_start = Fraction(0)
        self._waiting = self._frames = 0

    def copy(self, output: LargeOutput) -> FilmCopy:
        by_index = {sound.stream.index: [s for s in self._sounds if s.stream is sound.stream]
                    for sound in self._sounds}  # fmt: skip
        picture = self._picture.stream
        for packet in self._packets([picture, *(sound.stream for sound in self._sounds)]):
            shift, time = self._shift(packet)
            if packet.stream_index == picture.index:
                if packet.is_discard:
                    raise DeclinedError("is edited together of several parts")
                self._picture.add(packet, shift)
            else:
                if packet.dts is not None:
                    packet.pts = packet.dts  # as sound is not reordered, another one is damaged
                for sound in by_index[packet.stream_index]:
                    sound.add(packet, shift)
            self._waiting += packet.size
            if time - self._chunk_start >= _CHUNK_SECONDS or self._waiting >= _CHUNK_BYTES:
                self._write(output, all_of_it=False)
                self._chunk_start = time
        for sound in self._sounds:
            sound.finish()
        self._write(output, all_of_it=True)
        self._picture.finish()
        return self._result(output)

    def _packets(self, streams: Sequence[Any]) -> Any:
        """Yield the packets of some streams, to the end or to where the file is damaged."""
        late = 0
        while late < _MAX_LATE_STREAMS:
            position = self._file.tell()
            try:
                for packet in self._container.demux(*dict.fromkeys(streams)):
                    if packet.size:
                        self._frames += 1
                        if self._frames > MAX_FRAMES:
                            raise DeclinedError("has too many frames")
                        yield packet
            except IndexError:
                late += 1  # PyAV met a stream that it does not know
                continue
            except av.error.BlockingIOError:
                # FFmpeg found none in 64 KiB of a transport stream, and searches on.
                if self._file.tell() > position:
                    continue
            except av.error.InvalidDataError:
                pass
            return

    def _shift(self, packet: Any) -> tuple[int, Fraction]:
        """Return the ticks to add to the times of a packet, and its time in seconds."""
        base = Fraction(packet.time_base.numerator, packet.time_base.denominator)
        ticks = packet.pts if packet.dts is None else packet.dts
        if ticks is None:
            return 0, self._chunk_start
        time = ticks * base
        shift = self._clock.shift(packet.stream_index, time, (packet.duration or 0) * base)
        return round(shift / base), time + shift

    def _write(self, output: LargeOutput, *, all_of_it: bool) -> None:
        self._picture.track.write(output, all_of_it=all_of_it)
        for sound in self._sounds:
            sound.track.write(output, all_of_it=True)
        self._waiting = 0

    def _result(self, output: LargeOutput) -> FilmCopy:
        sounds = [sound for sound in self._sounds if sound.track.table.sizes]
        tracks = [mend_in_place(self._picture_track(), output), *map(_sound_track, sounds)]
        tracks = [
            MovieTrack(track.table, track.timing, track.entry, is_enabled=number < 2)  # noqa: PLR2004 # the picture and a sound
            for number, track in enumerate(tracks)
        ]
        # The clock of a stream that wraps around begins before 0, as FFmpeg reads it.
        first = min(track.timing.start for track in tracks[:2])
        start = min(first, float(self._start))
        # What FFmpeg found as the start may be a damaged time stamp.
        if not _SAME_TIME < first - start <= MAX_GAP:
            start = first
        tracks = _with_common_units(tracks, start)
        header = write_header(tracks, output.length, start)
        while len(header) > MAX_HEADER_BYTES:
            if len(tracks) < 3:  # noqa: PLR2004 # as above
                raise DeclinedError("has too many frames")
            tracks, sounds = tracks[:-1], sounds[:-1]
            header = write_header(tracks, output.length, start)
        codecs = [track.entry.codec for track in tracks if track.is_enabled]
        return FilmCopy(
            header=header,
            codecs=tuple(codec for codec in codecs if codec) if all(codecs) else (),
            streams=(self._picture.stream.index, *(sound.stream.index for sound in sounds)),
            transcoded=tuple(n for n, sound in enumerate(sounds, 1) if sound.is_transcoded),
            jumps=self._clock.jumps,
            damaged=sum(sound.damaged for sound in sounds),
            tracks=tracks,
        )

    def _picture_track(self) -> MovieTrack:
        picture = self._picture
        entry = sample_entry(picture.stream, picture.first)
        if entry is None:
            raise DeclinedError("has a picture that FFmpeg does not copy into MP4")
        table = picture.track.table
        timing = (
            picture_timing(table, SECOND // 1000)
            if picture.time_base == _ROUNDED
            else exact_timing(table.times, picture.time_base)
        )
        return MovieTrack(table, timing, entry.entry, is_enabled=True)


def _sound_track(sound: Sound) -> MovieTrack:
    entry, timing = sound.result()
    return MovieTrack(sound.track.table, timing, entry, is_enabled=False)


def _film_of(streams: Sequence[Any]) -> Any:
    """Return the stream of the picture. Raises DeclinedError."""
    for stream in streams:
        context = stream.codec_context
        if stream.type == "video" and context and context.codec.canonical_name in _PICTURES:
            return stream
    raise DeclinedError("has no picture of a codec that browsers play in MP4")


def _sounds_of(streams: Sequence[Any], changing: set[int]) -> list[Sound]:
    """Return the sounds of the MP4, that which is played first. Raises DeclinedError."""
    found = [
        stream for stream in streams
        if stream.type == "audio" and stream.codec_context is not None
    ][:_MAX_SOUNDS]  # fmt: skip

    def is_copied(stream: Any) -> bool:
        name = stream.codec_context.codec.canonical_name
        return name in UNIVERSAL and stream.index not in changing

    default = av.stream.Disposition.default
    found.sort(key=lambda stream: (not stream.disposition & default, not is_copied(stream)))
    sounds: list[Sound] = []
    originals: list[Sound] = []
    for stream in found:
        if is_copied(stream):
            sounds.append(CopiedSound(stream))
            continue
        try:
            sounds.append(TranscodedSound(stream))
        except (ValueError, av.FFmpegError):
            continue  # no decoder
        if stream.codec_context.codec.canonical_name in RARE and stream.index not in changing:
            originals.append(CopiedSound(stream))
    if found and not sounds:
        raise DeclinedError("has sound that FFmpeg does not decode")
    return [*sounds, *originals]


def _with_common_units(tracks: list[MovieTrack], start: float) -> list[MovieTrack]:
    """Return the tracks, those that are played in common units if both begin after the movie.

    Firefox reads the length of an empty edit in the units of its track (service/remux/movie.py).
    """
    played = [track for track in tracks if track.is_enabled]
    if len(played) < 2 or any(track.timing.start <= start for track in played):  # noqa: PLR2004
        return tracks
    timescale = lcm(*(track.timing.timescale for track in played))
    return [
        MovieTrack(
            track.table, with_timescale(track.timing, timescale), track.entry, is_enabled=True
        )
        if track.is_enabled
        else track
        for track in tracks
    ]
