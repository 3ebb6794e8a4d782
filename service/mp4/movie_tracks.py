"""Reads the tracks of a movie header (moov) with all their samples (ISO/IEC 14496-12 §8).

For tools that write another header for the same samples. Nothing in the file is trusted: what is
damaged, or more than these boxes say, raises UnsupportedMovieError."""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.mp4.boxes import MAX_HEADER_LENGTH, box_at

MAX_SAMPLES = 3_000_000
"""Of all tracks. Two hours have 170,000 pictures; each sample takes 33 bytes."""

_MAX_BOXES = 10_000
_PATHS = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"}
_ONE = 1 << 16  # the rate of an edit that plays as fast as the film
# Fragments, compressed headers and references to other movies
_UNSUPPORTED = {b"mvex", b"cmov", b"rmra"}


class UnsupportedMovieError(Exception):
    """The header is damaged, or has what is not supported. The text goes on after "the file"."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A part of a track's edit list (§8.6.6)."""

    duration: int
    """In units of the movie."""
    media_time: int
    """In units of the track; -1 for a part without media."""


@dataclass(slots=True)
class MovieHeaderTrack:
    """A track and its samples, in the order of decoding."""

    number: int
    is_enabled: bool
    handler: bytes
    timescale: int
    description: bytes = b""
    """The content of its sample description (stsd)."""
    presentation: bytes = b""
    """The matrix, the width and the height of its header (tkhd)."""
    edits: tuple[Edit, ...] = ()
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    durations: "array[int]" = field(default_factory=lambda: array("q"))
    composition: "array[int] | None" = None
    """From decoding to composition, perhaps negative; None if all are 0."""
    keys: bytearray = field(default_factory=bytearray)
    """1 for a sync sample, else 0."""


@dataclass(frozen=True, slots=True)
class MovieTracks:
    """The timescale of a movie, and its tracks in their order."""

    timescale: int
    tracks: tuple[MovieHeaderTrack, ...]
    matrix: bytes = b""
    """By which all pictures are transformed (mvhd)."""


def read_movie_tracks(moov: bytes) -> MovieTracks:
    """Return the tracks of a whole box moov. Raises UnsupportedMovieError."""
    try:
        return _read(moov)
    except (struct.error, IndexError, KeyError, OverflowError) as error:
        raise UnsupportedMovieError("has a damaged index") from error


def _read(moov: bytes) -> MovieTracks:
    budget = iter(range(_MAX_BOXES))
    timescale, matrix, traks = 0, b"", list[dict[bytes, memoryview]]()
    for type_, content in _boxes(_content(moov), budget):
        if type_ in _UNSUPPORTED:
            raise UnsupportedMovieError("is fragmented, or its index is compressed")
        if type_ == b"mvhd":
            (timescale,) = struct.unpack_from(">I", content, 20 if content[0] else 12)
            matrix = bytes(content[48 if content[0] else 36 :][:36])
        elif type_ == b"trak":
            boxes: dict[bytes, memoryview] = {}
            for inner, data in _flat(content, budget):
                boxes.setdefault(inner, data)  # QuickTime has a second hdlr, of where the data are
            traks.append(boxes)
    if not timescale or not traks:
        raise UnsupportedMovieError("has a damaged index")
    left = MAX_SAMPLES
    tracks = []
    for boxes in traks:
        if (handler := bytes(boxes[b"hdlr"][8:12])) not in {b"vide", b"soun"}:
            continue
        track = _track(boxes, handler, left)
        left -= len(track.sizes)
        tracks.append(track)
    return MovieTracks(timescale, tuple(tracks), matrix)


def _content(box: bytes) -> memoryview:
    header = box_at(box[:MAX_HEADER_LENGTH], 0, len(box))
    if header is None or header.end != len(box):
        raise UnsupportedMovieError("has a damaged index")
    return memoryview(box)[header.payload_offset :]  # it may be long, so it is not copied


def _boxes(data: memoryview, budget: Iterator[int]) -> Iterator[tuple[bytes, memoryview]]:
    position = 0
    while position + 8 <= len(data):
        header = bytes(data[position : position + MAX_HEADER_LENGTH])
        box = box_at(header, position, 0)
        if box is None or box.end > len(data) or next(budget, None) is None:
            raise UnsupportedMovieError("has a damaged index")
        yield box.type, data[box.payload_offset : box.end]
        position = box.end


def _flat(data: memoryview, budget: Iterator[int]) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the boxes of a track that have samples or times, however deep."""
    for type_, content in _boxes(data, budget):
        if type_ in _PATHS:
            yield from _flat(content, budget)
        else:
            yield type_, content


def _track(boxes: dict[bytes, memoryview], handler: bytes, most: int) -> MovieHeaderTrack:
    tkhd, mdhd, stsd = boxes[b"tkhd"], boxes[b"mdhd"], boxes[b"stsd"]
    if b"stz2" in boxes or b"saiz" in boxes or b"senc" in boxes:
        raise UnsupportedMovieError("has samples that are stored in a rare way, or encrypted")
    if struct.unpack_from(">I", stsd, 4) != (1,):
        raise UnsupportedMovieError("changes its format on the way")
    track = MovieHeaderTrack(
        number=struct.unpack_from(">I", tkhd, 20 if tkhd[0] else 12)[0],
        is_enabled=bool(tkhd[3] & 1),
        handler=handler,
        timescale=struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)[0],
        description=bytes(stsd),
        presentation=bytes(tkhd[-44:]),
        edits=tuple(_edits(boxes[b"elst"])) if b"elst" in boxes else (),
    )
    count = _sizes(track, boxes[b"stsz"], most)
    if not track.timescale:
        raise UnsupportedMovieError("has a damaged index")
    track.offsets = _offsets(track.sizes, boxes)
    track.durations = _expanded(boxes[b"stts"], count, "q")
    if b"ctts" in boxes:
        track.composition = _expanded(boxes[b"ctts"], count, "q", signed=True)
    track.keys = _keys(boxes.get(b"stss"), count)
    return track


def _edits(elst: memoryview) -> Iterator[Edit]:
    form = struct.Struct(">Qqi" if elst[0] else ">Iii")
    (count,) = struct.unpack_from(">I", elst, 4)
    if 8 + count * form.size > len(elst):
        raise UnsupportedMovieError("has a damaged index")
    for duration, time, rate in form.iter_unpack(elst[8 : 8 + count * form.size]):
        if rate != _ONE:
            raise UnsupportedMovieError("has parts that are played at another speed")
        yield Edit(duration, time)


def _sizes(track: MovieHeaderTrack, stsz: memoryview, most: int) -> int:
    size, count = struct.unpack_from(">II", stsz, 4)
    if count > most:
        raise UnsupportedMovieError("has too many frames")
    track.sizes = array("I", [size]) * count if size else _numbers(stsz, 12, count, "I")
    return int(count)


def _numbers(data: memoryview, start: int, count: int, code: str) -> "array[int]":
    """Return big-endian numbers of a table."""
    numbers = array(code)
    end = start + count * numbers.itemsize
    if end > len(data):
        raise UnsupportedMovieError("has a damaged index")
    numbers.frombytes(data[start:end])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _expanded(table: memoryview, samples: int, code: str, *, signed: bool = False) -> "array[int]":
    """Return the value of each sample of a table of runs (§8.6.1)."""
    (count,) = struct.unpack_from(">I", table, 4)
    runs = _numbers(table, 8, 2 * count, "I")
    values = array(code)
    for times, value in zip(runs[::2], runs[1::2], strict=True):
        if len(values) + times > samples:
            raise UnsupportedMovieError("has a damaged index")
        number = value - (1 << 32) if signed and value >> 31 else value
        values.extend(array(code, [number]) * times)
    if len(values) != samples:
        raise UnsupportedMovieError("has a damaged index")
    return values


def _keys(stss: memoryview | None, samples: int) -> bytearray:
    if stss is None:  # §8.6.2: all are
        return bytearray(b"\1") * samples
    keys = bytearray(samples)
    (count,) = struct.unpack_from(">I", stss, 4)
    for number in _numbers(stss, 8, count, "I"):
        if not number:
            raise UnsupportedMovieError("has a damaged index")
        keys[number - 1] = 1
    return keys


def _offsets(sizes: "array[int]", boxes: dict[bytes, memoryview]) -> "array[int]":
    """Return where each sample is, by the tables of chunks (§8.7.4, §8.7.5)."""
    table, code = (boxes[b"co64"], "Q") if b"co64" in boxes else (boxes[b"stco"], "I")
    (chunks,) = struct.unpack_from(">I", table, 4)
    starts = _numbers(table, 8, chunks, code)
    stsc = boxes[b"stsc"]
    (count,) = struct.unpack_from(">I", stsc, 4)
    runs = _numbers(stsc, 8, 3 * count, "I")
    firsts, in_chunk = runs[::3], runs[1::3]
    offsets, sample = array("Q"), 0
    for run, (first, samples) in enumerate(zip(firsts, in_chunk, strict=True)):
        until = firsts[run + 1] if run + 1 < count else chunks + 1
        if not 1 <= first <= until <= chunks + 1:
            raise UnsupportedMovieError("has a damaged index")
        for chunk in range(first - 1, until - 1):
            if sample + samples > len(sizes):
                raise UnsupportedMovieError("has a damaged index")
            position = starts[chunk]
            for size in sizes[sample : sample + samples]:
                offsets.append(position)
                position += size
            sample = len(offsets)
    if len(offsets) != len(sizes):
        raise UnsupportedMovieError("has a damaged index")
    return offsets
