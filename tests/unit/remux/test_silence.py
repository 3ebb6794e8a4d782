"""Silence in the gaps of a film's sounds: how much there is, when, and at which positions."""

from array import array
from itertools import accumulate

import pytest

from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.protocol.ranges import Span
from service.remux.movie import MovieTrack, SampleEntry
from service.remux.picture_timing import TrackTiming
from service.remux.sample_entries import TrackEntry
from service.remux.silence import FilledFilm, fill_gaps

ENTRY = SampleEntry(b"", None)
RATE, FRAME = 48_000, 1024
SILENCE = b"silence"


def track(
    number: int, frames: list[tuple[int, int, int]], rate: int = RATE, codec: str = "A_AAC"
) -> MovieTrack:
    """Return a track by the positions, the sizes and the durations of its frames."""
    offsets, sizes, durations = zip(*frames, strict=True)
    table = FrameTable(
        MediaTrack(number, "audio" if rate == RATE else "video", codec),
        array("Q", offsets),
        array("I", sizes),
        keys=bytearray(b"\1" * len(frames)),
    )
    timing = TrackTiming(rate, array("q", durations), None, 0, sum(durations), 0.0)
    return MovieTrack(table, timing, ENTRY, is_enabled=True)


def filled(*tracks: MovieTrack, silence: bytes = SILENCE) -> FilledFilm:
    made = TrackEntry(0, ENTRY, RATE, FRAME, silence)
    return fill_gaps(tracks, {t.table.track.number: made for t in tracks}, read_nothing)


def read_nothing(span: Span) -> bytes:
    """Fail: the lengths of these frames are known."""
    raise AssertionError(span)


def bytes_of(film: FilledFilm, number: int, file: bytes) -> list[bytes]:
    """Return the frames of a track."""
    read = film.reader(len(file), lambda span: file[span.start : span.end])
    table = film.tracks[number].table
    return [read(Span(*frame)) for frame in zip(table.offsets, table.sizes, strict=True)]


FILE = bytes(range(200))


@pytest.mark.parametrize(
    ("durations", "silent"),
    [
        ([FRAME] * 4, []),
        ([FRAME, 3 * FRAME, FRAME], []),  # 43 ms
        ([FRAME, 4 * FRAME, FRAME], [2, 3, 4]),  # 64 ms
        ([FRAME, 4 * FRAME + 500, FRAME], [2, 3, 4]),
        ([FRAME, 4 * FRAME + 600, FRAME], [2, 3, 4, 5]),
        ([FRAME, 2 * FRAME, 3 * FRAME], [3, 4]),  # together 64 ms; of the first one is left
        ([FRAME + 400] * 6, [6]),  # one of the others would be too long
        ([5 * FRAME, 1], [1, 2, 3]),
    ],
)
def test_silence_makes_frames_follow_each_other_in_time(
    durations: list[int], silent: list[int]
) -> None:
    sound = track(1, [(10 * n, 8, duration) for n, duration in enumerate(durations)])
    film = filled(sound)
    found = bytes_of(film, 0, FILE)
    assert [n for n, frame in enumerate(found) if frame == SILENCE] == silent
    kept = [n for n in range(len(found)) if n not in silent]
    assert [found[n] for n in kept] == [FILE[10 * n : 10 * n + 8] for n in range(len(durations))]
    # The film's own frames are heard when they were.
    times = [0, *accumulate(film.tracks[0].timing.durations)]
    assert [times[n] for n in kept] == [0, *accumulate(durations)][:-1]
    assert times[-1] == sum(durations)
    late = [time - FRAME * n for n, time in enumerate(times[:-1])]
    assert max(late) <= 0.045 * RATE + FRAME / 2


def test_a_single_time_stamp_that_is_too_late_is_no_gap() -> None:
    """The frames after it are short until their times agree again (sound_timing.py)."""
    late = [FRAME, 101 * FRAME, *[1] * 100, *[FRAME] * 20]
    assert not filled(track(1, [(10 * n, 8, one) for n, one in enumerate(late)])).inserted
    part = [FRAME, 101 * FRAME, *[1] * 50, *[FRAME] * 20]
    film = filled(track(1, [(10 * n, 8, one) for n, one in enumerate(part)]))
    assert len(film.inserted) == 50 * len(SILENCE)


def test_silence_stands_before_the_pictures_of_its_time() -> None:
    """Pictures of seconds 1, 2 and 3 are at 20, 30 and 40; the gap is between 12 and 50."""
    picture = track(2, [(at, 2, 1) for at in (0, 20, 30, 40, 60)], rate=1)
    gap = 150 * FRAME  # 3.2 s
    first = track(1, [(10, 2, gap), (50, 2, FRAME)])
    other = track(3, [(5, 1, FRAME), (6, 1, gap), (13, 1, FRAME)])
    film = filled(picture, first, other)
    read = film.reader(len(FILE), lambda span: FILE[span.start : span.end])
    cuts = list(film.interleaving.cuts)
    assert cuts == [7, 12, 20, 30, 40]
    whole = read(Span(0, 10_000))
    assert len(whole) == len(FILE) + len(film.inserted)
    for number, original in enumerate((picture, first, other)):
        frames = [frame for frame in bytes_of(film, number, FILE) if frame != SILENCE]
        places = zip(original.table.offsets, original.table.sizes, strict=True)
        assert frames == [FILE[at : at + size] for at, size in places]
        offsets = film.tracks[number].table.offsets
        assert list(offsets) == sorted(offsets)
    silent = [frame == SILENCE for frame in bytes_of(film, 1, FILE)]
    assert silent == [False, *[True] * 149, False]
    # Frame n is heard at n * 1024 / 48000 s: before second 1 there are 46 of silence.
    offset = film.tracks[1].table.offsets
    pictures = list(film.tracks[0].table.offsets)[1:4]
    assert [sum(at < place for at in offset[1:-1]) for place in pictures] == [93, 140, 149]


# Packets of Opus (RFC 6716 §3.1) of CELT: one frame of 20 ms, of 10 ms, and three of 20 ms
P20, P10, P60 = b"\xf8\0", b"\xf0\0", b"\xfb\3"


@pytest.mark.parametrize(
    ("packets", "silent"),
    [
        ([(P20, 960), (P60, 2880), (P20, 960), (P60, 2880), (P20, 960)], 0),
        ([(P20, 960), (P60, 2880 + 3840), (P20, 960)], 4),
        ([(P20, 960), (P10, 480), (P10, 480 + 2880), (P20, 960)], 3),
        ([(P20, 960), (b"\xfb\0", 960 + 2880), (P20, 960)], 3),  # damaged
        ([(P20, 960)] + [(P60, 2880)] * 21, 0),
        ([(P20, 960)] + [(P20, 2880)] * 21, 0),  # so many are taken for other lengths
        ([(P20, 960)] * 420 + [(P20, 2880)] * 22, 42),  # one in 20; 40 ms are left
    ],
)
def test_a_longer_packet_of_opus_is_no_gap(packets: list[tuple[bytes, int]], silent: int) -> None:
    frames = [(2 * number, 2, duration) for number, (_, duration) in enumerate(packets)]
    file = b"".join(packet for packet, _ in packets)
    sound, made = track(1, frames, codec="A_OPUS"), TrackEntry(0, ENTRY, RATE, 960, SILENCE)
    film = fill_gaps([sound], {1: made}, lambda span: file[span.start : span.end])
    assert len(film.inserted) == silent * len(SILENCE)


def test_what_is_too_long_or_has_no_silence_is_left_as_it_is() -> None:
    gap = track(1, [(10, 2, 60 * RATE), (50, 2, FRAME)])
    assert filled(gap, silence=b"") == FilledFilm([gap])
    years = track(1, [(10, 2, 1 << 44), (50, 2, FRAME)])
    assert filled(years) == FilledFilm([years])
    many = [track(number, [(number, 1, 3600 * RATE), (50, 2, FRAME)]) for number in (1, 2)]
    assert filled(*many, silence=bytes(50)) == FilledFilm(many)
