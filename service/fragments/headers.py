"""Writes the headers of a fragmented MP4 (ISO/IEC 14496-12 §8.8)."""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from service.mp4.box_writer import box, full_box
from service.remux.movie import (
    IDENTITY,
    NO_TIME,
    MovieTrack,
    handler,
    media_header,
    media_information,
)

_FTYP = box(b"ftyp", b"iso6", struct.pack(">I", 512), b"iso6isommp41")
_TIMESCALE = 1_000_000  # of the movie

# §8.8.7.1 and §8.8.8.1: flags of tfhd and trun
_TFHD_DURATION, _TFHD_FLAGS, _TFHD_BASE_IS_MOOF = 0x08, 0x20, 0x020000
_TRUN = struct.Struct(">I4sIIi")
_TRUN_DATA_OFFSET, _TRUN_FIRST_FLAGS = 0x01, 0x04
_TRUN_DURATION, _TRUN_SIZE, _TRUN_OFFSET = 0x100, 0x200, 0x800

# §8.8.3.1: depends on no other sample; depends on others, and is no sync sample
_KEY, _NO_KEY = struct.pack(">I", 0x02000000), struct.pack(">I", 0x01010000)


class TrackFrames(NamedTuple):
    """The frames of a track in a fragment."""

    number: int
    """The track's in the movie, from 1."""
    track: MovieTrack
    first: int
    end: int
    time: int
    """Of decoding the first frame, in units of the track."""


def initial_boxes(tracks: Sequence[MovieTrack], start: float) -> bytes:
    """Return ftyp and moov, which describe the tracks, but not their frames.

    `start` is when the movie begins on the file's clock, in seconds.
    """
    lengths = [t.timing.start - start + t.timing.length / t.timing.timescale for t in tracks]
    mvhd = full_box(
        b"mvhd",
        struct.pack(">IIII", NO_TIME, NO_TIME, _TIMESCALE, 0),
        struct.pack(">IHHII", 1 << 16, 1 << 8, 0, 0, 0),  # rate and volume
        IDENTITY,
        bytes(24),
        struct.pack(">I", len(tracks) + 1),
    )
    mehd = full_box(b"mehd", struct.pack(">Q", round(max(lengths) * _TIMESCALE)), version=1)
    numbered = list(enumerate(tracks, 1))
    trexes = [full_box(b"trex", struct.pack(">5I", number, 1, 0, 0, 0)) for number, _ in numbered]
    traks = [_trak(number, track, start) for number, track in numbered]
    return _FTYP + box(b"moov", mvhd, *traks, box(b"mvex", mehd, *trexes))


def _trak(number: int, track: MovieTrack, start: float) -> bytes:
    early = max(0, round((start - track.timing.start) * track.timing.timescale))
    skip = track.timing.skip + early
    is_sound = track.table.track.kind == "audio"
    tkhd = full_box(
        b"tkhd",
        struct.pack(">5I", NO_TIME, NO_TIME, number, 0, 0),
        bytes(8),
        struct.pack(">HHHH", 0, 0, 1 << 8 if is_sound else 0, 0),
        track.entry.matrix,
        struct.pack(">II", track.entry.width, track.entry.height),
        flags=3,  # enabled, in the movie
    )
    # §8.6.6.1: an edit of no length lasts as long as the fragments.
    edit = full_box(b"elst", struct.pack(">IIII", 1, 0, skip, 1 << 16))
    edts = box(b"edts", edit) if skip else b""
    stbl = box(
        b"stbl",
        track.entry.stsd,
        *(full_box(name, bytes(4)) for name in (b"stts", b"stsc")),
        full_box(b"stsz", bytes(8)),
        full_box(b"stco", bytes(4)),
    )
    mdia = box(
        b"mdia",
        media_header(track, 0),
        handler(track),
        media_information(stbl, is_sound=is_sound),
    )
    return box(b"trak", tkhd, edts, mdia)


def fragment_header(number: int, parts: Sequence[TrackFrames], begin: int, end: int) -> bytes:
    """Return moof and the start of mdat for a span of the file, which follows them.

    The span has less than 2 GiB (§8.8.8.1: offsets have 32 bits with a sign).
    """
    trafs = [_Traf(part) for part in parts]
    length = 8 + 16 + sum(traf.length for traf in trafs)
    shift = length + 8 - begin
    mfhd = full_box(b"mfhd", struct.pack(">I", number))
    moof = box(b"moof", mfhd, *(traf.to_box(shift) for traf in trafs))
    return moof + struct.pack(">I4s", 8 + end - begin, b"mdat")


class _Run(NamedTuple):
    """Frames that follow each other in the file. Only the first one may be a key frame."""

    flags: int
    frames: int
    place: int
    """In the file."""
    rest: bytes


class _Traf:
    """A track's part of a fragment (§8.8.6)."""

    def __init__(self, part: TrackFrames) -> None:
        table, timing = part.track.table, part.track.timing
        durations = timing.durations[part.first : part.end]
        self._is_even = min(durations) == max(durations)
        self._all_keys = table.track.kind == "audio" or all(table.keys[part.first : part.end])
        flags = _TFHD_BASE_IS_MOOF | _TFHD_FLAGS | (_TFHD_DURATION if self._is_even else 0)
        self._tfhd = full_box(
            b"tfhd",
            struct.pack(">I", part.number),
            struct.pack(">I", durations[0]) if self._is_even else b"",
            _KEY if self._all_keys else _NO_KEY,
            flags=flags,
        )
        self._tfdt = full_box(b"tfdt", struct.pack(">Q", part.time), version=1)
        self._runs = list(self._make_runs(part))

    @property
    def length(self) -> int:
        """The bytes of the box."""
        runs = sum(_TRUN.size + len(run.rest) for run in self._runs)
        return 8 + len(self._tfhd) + len(self._tfdt) + runs

    def to_box(self, shift: int) -> bytes:
        """Return the box. `shift` is from places in the file to those after the start of moof."""
        truns = (
            _TRUN.pack(_TRUN.size + len(rest), b"trun", flags, frames, place + shift) + rest
            for flags, frames, place, rest in self._runs
        )
        return box(b"traf", self._tfhd, self._tfdt, *truns)

    def _make_runs(self, part: TrackFrames) -> Iterator[_Run]:
        """Yield the runs. A film of two hours has half a million, mostly of one frame each."""
        table, timing = part.track.table, part.track.timing
        columns, flags = [table.sizes], _TRUN_DATA_OFFSET | _TRUN_SIZE
        if not self._is_even:
            columns.insert(0, timing.durations)
            flags |= _TRUN_DURATION
        if timing.offsets is not None:
            columns.append(timing.offsets)
            flags |= _TRUN_OFFSET
        row = struct.Struct(f">{len(columns)}I")
        offsets, sizes, keys, marks = table.offsets, table.sizes, table.keys, not self._all_keys
        first = part.first
        while first < part.end:
            rows, end, following = [], first, offsets[first]
            while True:
                rows.append(row.pack(*[column[end] for column in columns]))
                following += sizes[end]
                end += 1
                if end == part.end or offsets[end] != following or (marks and keys[end]):
                    break
            is_marked = bool(marks and keys[first])
            if is_marked:
                rows.insert(0, _KEY)
            yield _Run(
                flags | (_TRUN_FIRST_FLAGS if is_marked else 0),
                end - first,
                offsets[first],
                b"".join(rows),
            )
            first = end
