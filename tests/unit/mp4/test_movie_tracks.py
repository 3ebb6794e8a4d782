"""The tracks of a movie header with all their samples; what is damaged is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mp4.movie_tracks import Edit, UnsupportedMovieError, read_movie_tracks


def box(type_: str, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), type_.encode()) + content


def full(type_: str, *parts: bytes, flags: int = 0, version: int = 0) -> bytes:
    return box(type_, struct.pack(">I", version << 24 | flags), *parts)


def table(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


PRESENTATION = bytes(range(44))
"""A matrix, a width and a height (§8.3.2)."""


def movie(**changes: bytes) -> bytes:
    """Return a header with a track of five samples in three chunks. `changes` replace boxes."""
    boxes = {
        "tkhd": full("tkhd", table(0, 0, 7, 0, 100), bytes(16), PRESENTATION, flags=3),
        "mdhd": full("mdhd", table(0, 0, 90_000, 500), bytes(4)),
        "hdlr": full("hdlr", bytes(4), b"vide", bytes(12), b"\0"),
        "stsd": full("stsd", table(1), box("avc1")),
        "stts": full("stts", table(2, 4, 100, 1, 50)),
        "ctts": full("ctts", table(2, 1, 200, 4, 2**32 - 100), version=1),
        "stss": full("stss", table(2, 1, 4)),
        "stsz": full("stsz", table(0, 5, 10, 20, 30, 40, 50)),
        # Two samples in each chunk, but in the third one.
        "stsc": full("stsc", table(2, 1, 2, 1, 3, 1, 1)),
        "stco": full("stco", table(3, 1000, 2000, 500)),
        "elst": full("elst", struct.pack(">I", 2), struct.pack(">Iii", 20, -1, 1 << 16),
                     struct.pack(">Iii", 80, 200, 1 << 16)),
    } | changes  # fmt: skip
    names = ("stsd", "stts", "ctts", "stss", "stsz", "stsc", "stco")
    stbl = box("stbl", *(boxes[name] for name in names))
    minf = box("minf", full("hdlr", bytes(4), b"alis", bytes(13)), stbl)  # as QuickTime has it
    mdia = box("mdia", boxes["mdhd"], boxes["hdlr"], minf)
    trak = box("trak", boxes["tkhd"], box("edts", boxes["elst"]), mdia)
    mvhd = full("mvhd", table(0, 0, 1000, 100), bytes(16), PRESENTATION[:36], bytes(28))
    return box("moov", mvhd, trak, changes.get("more", b""))


def test_all_samples_are_found() -> None:
    found = read_movie_tracks(movie())
    (track,) = found.tracks
    assert (found.timescale, track.number, track.timescale) == (1000, 7, 90_000)
    assert (track.is_enabled, track.handler) == (True, b"vide")
    assert list(track.offsets) == [1000, 1010, 2000, 2030, 500]
    assert list(track.sizes) == [10, 20, 30, 40, 50]
    assert list(track.durations) == [100, 100, 100, 100, 50]
    assert track.composition is not None
    assert list(track.composition) == [200, -100, -100, -100, -100]
    assert list(track.keys) == [1, 0, 0, 1, 0]
    assert track.edits == (Edit(20, -1), Edit(80, 200))
    assert track.description == table(0, 1) + box("avc1")
    assert (track.presentation, found.matrix) == (PRESENTATION, PRESENTATION[:36])


def test_offsets_may_have_64_bits_and_sizes_may_be_one() -> None:
    wide = full("co64", struct.pack(">I3Q", 3, 1 << 40, 2000, 500))
    (track,) = read_movie_tracks(movie(stco=wide, stsz=full("stsz", table(8, 5)))).tracks
    assert list(track.offsets) == [1 << 40, (1 << 40) + 8, 2000, 2008, 500]
    assert list(track.sizes) == [8] * 5


@pytest.mark.parametrize(
    "changes",
    [
        {"more": box("mvex")},
        {"more": box("cmov")},
        {"stsd": full("stsd", table(2), box("avc1"), box("avc1"))},
        {"stsz": full("stsz", table(0, 2**31, 1))},
        {"stsz": full("stsz", table(9, 2**32 - 1))},
        {"stsz": full("stsz", table(0, 6, 1, 1, 1, 1, 1, 1))},
        {"stts": full("stts", table(1, 2**32 - 1, 1))},
        {"stts": full("stts", table(2**30, 4, 100))},
        {"stsc": full("stsc", table(1, 2, 2, 1))},
        {"stsc": full("stsc", table(2, 1, 2, 1, 9, 1, 1))},
        {"stsc": full("stsc", table(1, 1, 2**32 - 1, 1))},
        {"stco": full("stco", table(2**31, 1))},
        {"stss": full("stss", table(1, 6))},
        {"stss": full("stss", table(1, 0))},
        {"elst": full("elst", table(1), struct.pack(">Iii", 100, 0, 1 << 17))},
        {"elst": full("elst", table(2**31))},
        {"mdhd": full("mdhd", table(0, 0, 0, 500), bytes(4))},
    ],
    ids=str,
)
def test_what_is_damaged_or_rare_is_refused(changes: dict[str, bytes]) -> None:
    with pytest.raises(UnsupportedMovieError):
        read_movie_tracks(movie(**changes))


@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(movie())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(8, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        found = read_movie_tracks(bytes(damaged))
    except UnsupportedMovieError:
        return
    for track in found.tracks:
        count = len(track.sizes)
        assert len(track.offsets) == len(track.durations) == len(track.keys) == count
