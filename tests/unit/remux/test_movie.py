"""The boxes of a movie."""

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.remux.movie import MovieTrack, SampleEntry, language_code, write_header
from service.remux.picture_timing import TrackTiming


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("de", "deu"),
        ("ger", "deu"),  # 639-2/B
        ("pt-BR", "por"),
        ("und", "und"),
        ("", "und"),
        ("e-g", "und"),
        ("u9d", "und"),
        ("x-a", "und"),  # RFC 5646 §2.2.7: for private use
        ("ENG", "eng"),
        ("not a language", "und"),
    ],
)
def test_a_language_has_five_bits_a_letter(tag: str, code: str) -> None:
    # ISO/IEC 14496-12 §8.4.2.3: each character is the difference to 0x60.
    first, second, third = (ord(letter) - 0x60 for letter in code)
    assert language_code(tag) == first << 10 | second << 5 | third


@given(st.text(max_size=12))
def test_any_tag_has_a_code(tag: str) -> None:
    assert 0x0421 <= language_code(tag) <= 0x6B5A  # "aaa" to "zzz"


def track(codec: str, timescale: int, start: float) -> MovieTrack:
    """Return a track of one frame."""
    table = FrameTable(MediaTrack(1, "video" if codec.startswith("V") else "audio", codec))
    table.add_block(1000, [1], 0, is_key=True)
    timing = TrackTiming(
        timescale=timescale, durations=array("q", [10]), offsets=None, skip=0, length=10,
        start=start,
    )  # fmt: skip
    return MovieTrack(table, timing, SampleEntry(b"", None), is_enabled=True)


# Firefox reads the length of an empty edit in units of its track, so the movie has those of a track
# that waits. Any sound may become the first one.
@pytest.mark.parametrize(
    ("starts", "units"),
    [
        ((0.0, 0.5, 0.0), 44_100),
        ((0.5, 0.0, 0.0), 1000),
        ((0.0, 0.0, 0.5), 48_000),
        ((0.5, 0.0, 0.5), 1000),  # the picture is in the movie whatever is heard
        ((0.0, 0.0, 0.0), 90_000),
    ],
)
def test_the_units_of_a_movie_are_those_of_the_track_that_waits(
    starts: tuple[float, float, float], units: int
) -> None:
    kinds = (("V_VP9", 1000), ("A_OPUS", 44_100), ("A_AAC", 48_000))
    tracks = [track(*kind, start) for kind, start in zip(kinds, starts, strict=True)]
    header = write_header(tracks, 2000)
    at = header.index(b"mvhd") + 4 + 4 + 8  # version and flags; times (§8.2.2)
    assert struct.unpack_from(">I", header, at) == (units,)
