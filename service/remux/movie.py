"""Writes the header of an MP4 (ftyp, moov, and the start of mdat) for the frames of a file that
follows it."""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from service.languages.registry import language_of
from service.matroska.frame_table import FrameTable
from service.mp4.box_writer import box, full_box
from service.remux.picture_timing import TrackTiming
from service.remux.sample_table import sample_table

_FTYP = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")
_TIMESCALE = 90_000  # of the movie, if no track begins later than the others
_MAX_UINT32 = 2**32 - 1

_ALPHA3 = re.compile("[a-z]{3}")
IDENTITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
NO_TIME = 0  # §8.2.2: of creation and modification; the same file has the same header


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """What the header says of a track besides its samples."""

    stsd: bytes
    """The box with the sample entry."""
    codec: str | None
    """The RFC 6381 codecs parameter."""
    width: int = 0
    """Of the presented picture, in 16.16 pixels."""
    height: int = 0
    matrix: bytes = IDENTITY
    """Of the presented picture, as in tkhd (§8.3.2)."""


@dataclass(frozen=True, slots=True)
class MovieTrack:
    """A track of the movie."""

    table: FrameTable
    timing: TrackTiming
    entry: SampleEntry
    is_enabled: bool


def movie_start(tracks: Sequence[MovieTrack]) -> float:
    """Return the seconds on the file's clock at which the movie begins.

    It begins with the first track of each kind, whichever is earlier, but not before 0
    (service/probing/timeline.py).
    """
    return max(0.0, min(track.timing.start for track in _first_of_each_kind(tracks)))


def write_header(tracks: Sequence[MovieTrack], size: int, start: float | None = None) -> bytes:
    """Return the header of an MP4 that consists of it and of a file of `size` bytes.

    `start` is when the movie begins on the file's clock, if that is before its tracks.
    """
    # §8.1.1: an mdat with a length of 64 bits, which has the whole file in it.
    media = struct.pack(">I4sQ", 1, b"mdat", 16 + size)
    movie = _Movie(tracks, movie_start(tracks) if start is None else start)
    for wide in (False, True):
        length = len(_FTYP) + len(movie.moov(0, wide=wide)) + len(media)
        if length + size <= _MAX_UINT32 or wide:
            break
    return _FTYP + movie.moov(length, wide=wide) + media


def _first_of_each_kind(tracks: Sequence[MovieTrack]) -> list[MovieTrack]:
    firsts: dict[str, MovieTrack] = {}
    for track in tracks:
        firsts.setdefault(track.table.track.kind, track)
    return list(firsts.values())


class _Movie:
    def __init__(self, tracks: Sequence[MovieTrack], start: float) -> None:
        self._tracks = tracks
        self._start = start
        # Firefox 153 takes the length of an empty edit to be in the units of its track, and not
        # of the movie as §8.6.6.3 has it. Of the first picture and the first sound one waits at
        # most, so its units are those of the movie. If neither waits, they are those of another
        # sound, which may become the first one (service/representations/sound_order.py).
        by_rank = [*_first_of_each_kind(tracks), *tracks]
        late = [track for track in by_rank if track.timing.start > self._start]
        self._timescale = late[0].timing.timescale if late else _TIMESCALE

    def moov(self, shift: int, *, wide: bool) -> bytes:
        """Return the moov. `shift` and `wide` are as for `sample_table`."""
        duration = max(self._wait(track) + self._length(track) for track in self._tracks)
        version, form = _version(duration)
        mvhd = full_box(
            b"mvhd",
            struct.pack(form, NO_TIME, NO_TIME, self._timescale, duration),
            struct.pack(">IHHII", 1 << 16, 1 << 8, 0, 0, 0),  # rate and volume
            IDENTITY,
            bytes(24),
            struct.pack(">I", len(self._tracks) + 1),
            version=version,
        )
        traks = [
            self._trak(number, track, sample_table(
                track.table, track.timing, track.entry.stsd, shift, wide=wide
            ))
            for number, track in enumerate(self._tracks, 1)
        ]  # fmt: skip
        return box(b"moov", mvhd, *traks)

    def _wait(self, track: MovieTrack) -> int:
        """Return how long a track waits, in units of the movie."""
        return max(0, round((track.timing.start - self._start) * self._timescale))

    def _early(self, track: MovieTrack) -> int:
        """Return how long before the movie a track begins, in units of the track."""
        return max(0, round((self._start - track.timing.start) * track.timing.timescale))

    def _length(self, track: MovieTrack) -> int:
        timing = track.timing
        presented = timing.length - self._early(track)
        return max(1, -(-presented * self._timescale // timing.timescale))

    def _trak(self, number: int, track: MovieTrack, stbl: bytes) -> bytes:
        wait, length = self._wait(track), self._length(track)
        is_sound = track.table.track.kind == "audio"
        version, _ = _version(wait + length)
        tkhd = full_box(
            b"tkhd",
            struct.pack(
                ">QQIIQ" if version else ">IIIII", NO_TIME, NO_TIME, number, 0, wait + length
            ),
            bytes(8),
            # §8.3.2: tracks of one alternate group are alternatives, of which one is played.
            struct.pack(">HHHH", 0, int(is_sound), 1 << 8 if is_sound else 0, 0),
            track.entry.matrix,
            struct.pack(">II", track.entry.width, track.entry.height),
            version=version,
            flags=3 if track.is_enabled else 2,  # in the movie; 1: enabled
        )
        edits = [(wait, -1)] if wait else []
        edits.append((length, track.timing.skip + self._early(track)))
        mdia = box(
            b"mdia",
            media_header(track, track.timing.media_length),
            handler(track),
            media_information(stbl, is_sound=is_sound),
        )
        return box(b"trak", tkhd, box(b"edts", _elst(edits)), mdia)


def _version(duration: int) -> tuple[int, str]:
    """Return the version of a box with a duration, and the format of its first fields."""
    return (0, ">IIII") if duration <= _MAX_UINT32 else (1, ">QQIQ")


def _elst(edits: Sequence[tuple[int, int]]) -> bytes:
    wide = any(length > _MAX_UINT32 or time >= 1 << 31 for length, time in edits)
    form = ">Qqi" if wide else ">Iii"
    entries = b"".join(struct.pack(form, length, time, 1 << 16) for length, time in edits)
    return full_box(b"elst", struct.pack(">I", len(edits)), entries, version=int(wide))


def media_header(track: MovieTrack, length: int) -> bytes:
    """Return the box mdhd (§8.4.2) of a track of this length."""
    version, form = _version(length)
    language = language_code(track.table.track.language)
    return full_box(
        b"mdhd",
        struct.pack(form, NO_TIME, NO_TIME, track.timing.timescale, length),
        struct.pack(">HH", language, 0),
        version=version,
    )


def handler(track: MovieTrack) -> bytes:
    """Return the box hdlr (§8.4.3)."""
    matroska = track.table.track
    type_ = b"soun" if matroska.kind == "audio" else b"vide"
    name = matroska.name or {"audio": "Sound", "video": "Video"}[matroska.kind]
    return full_box(b"hdlr", struct.pack(">I4s", 0, type_), bytes(12), name.encode() + b"\0")


def media_information(stbl: bytes, *, is_sound: bool) -> bytes:
    """Return the box minf (§8.4.4) around a sample table."""
    header = full_box(b"smhd", bytes(4)) if is_sound else full_box(b"vmhd", bytes(8), flags=1)
    url = full_box(b"url ", flags=1)  # §8.7.2: the media are in this file
    dinf = box(b"dinf", full_box(b"dref", struct.pack(">I", 1), url))
    return box(b"minf", header, dinf, stbl)


def language_code(tag: str) -> int:
    """Return a language as mdhd has it (§8.4.2): ISO 639-2/T, five bits a letter."""
    try:
        code = language_of(tag).to_alpha3(variant="T")
    except (LookupError, ValueError):
        code = ""
    value = 0
    for letter in code if _ALPHA3.fullmatch(code) else "und":
        value = value << 5 | (ord(letter) - 0x60)
    return value
