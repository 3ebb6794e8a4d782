"""Encryption, compression and lost fragments, in the headers of MP4 boxes."""

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mp4_boxes import FTYP, box, large, moov

from service.mp4.movie_header import MovieHeader, read_movie_header


def read(*content: bytes) -> MovieHeader:
    data = b"".join(content)
    return read_movie_header(BytesIO(data), len(data))


def track(entry: bytes, track_id: int = 1, version: int = 0) -> bytes:
    # ISO/IEC 14496-12 §8.3.2: two times of 32 or 64 bits, then track_ID
    times = bytes(16 if version else 8)
    tkhd = box(b"tkhd", bytes([version, 0, 0, 7]), times, struct.pack(">I", track_id), bytes(60))
    stsd = box(b"stsd", bytes(4), struct.pack(">I", 1), entry)
    return box(b"trak", tkhd, box(b"mdia", box(b"minf", box(b"stbl", stsd))))


def protected(scheme: bytes) -> bytes:
    schm = box(b"schm", bytes(4), scheme, bytes(4))
    return box(b"sinf", box(b"frma", b"avc1"), schm)


@pytest.mark.parametrize("scheme", ["cenc", "cens", "cbc1", "cbcs", "piff"])
@pytest.mark.parametrize("kind", [b"encv", b"enca"])
def test_the_scheme_of_an_encrypted_track_is_read(kind: bytes, scheme: str) -> None:
    entry = box(kind, bytes(78), protected(scheme.encode()))
    assert read(FTYP, moov(track(entry, 7))).encryption == {7: scheme}


@pytest.mark.parametrize("kind", [b"drms", b"drmi"])
def test_fairplay_is_known_by_its_sample_entries_and_by_its_scheme(kind: bytes) -> None:
    assert read(moov(track(box(kind, bytes(28))))).encryption == {1: "fairplay"}
    entry = box(b"encv", bytes(78), protected(b"itun"))
    assert read(moov(track(entry))).encryption == {1: "fairplay"}


def test_audiobooks_of_audible_are_known_by_their_sample_entry() -> None:
    assert read(moov(track(box(b"aavd", bytes(28))))).encryption == {1: "audible"}


def test_the_length_of_the_index_is_read_wherever_it_is() -> None:
    index = moov(track(box(b"avc1", bytes(78))))
    for content in ((FTYP, index, box(b"mdat")), (FTYP, large(b"mdat", bytes(99)), index)):
        assert read(*content).index_size == len(index)
    assert read(FTYP, box(b"mdat")).index_size is None


def test_a_track_that_begins_unencrypted_is_encrypted() -> None:
    entries = box(b"avc1", bytes(78)) + box(b"encv", bytes(78), protected(b"cbcs"))
    assert read(moov(track(entries))).encryption == {1: "cbcs"}


def test_tracks_are_told_apart_by_their_ids() -> None:
    plain = track(box(b"avc1", bytes(78)), 1)
    other = track(box(b"enca", bytes(28)), 300, version=1)
    assert read(FTYP, large(b"mdat", bytes(99)), moov(plain, other)).encryption == {300: "unknown"}


def test_a_compressed_index_is_found_wherever_it_is() -> None:
    compressed = box(b"moov", box(b"cmov", bytes(20)))
    assert read(compressed).compressed
    assert read(FTYP, box(b"mdat", bytes(9)), compressed).compressed
    assert not read(FTYP, moov()).compressed


def test_fragments_are_announced_by_their_defaults() -> None:
    assert read(FTYP, moov(box(b"mvex", bytes(20))), box(b"moof")).fragmented
    assert not read(FTYP, moov(), box(b"mdat", bytes(9))).fragmented


def test_an_index_or_fragments_whose_end_is_missing_are_found() -> None:
    index = moov(box(b"mvex", bytes(20)))
    assert not read(FTYP, index).index_cut
    assert read(FTYP, index[:-1]).index_cut
    assert not read(FTYP, index).has_fragment
    assert read(FTYP, index, box(b"moof")).has_fragment


def sidx(durations: list[int], length: int = 100, first: int = 0, version: int = 0) -> bytes:
    # §8.16.3: reference ID, time scale, times, reserved, count; size and duration of each
    times = struct.pack(">QQ" if version else ">II", 0, first)
    references = b"".join(struct.pack(">III", length, duration, 0) for duration in durations)
    head = struct.pack(">II", 1, 1000) + times + struct.pack(">HH", 0, len(durations))
    return box(b"sidx", bytes([version, 0, 0, 0]), head, references)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("present", "until"), [(300, None), (299, 3.5), (200, 3.5), (199, 1.5), (0, 0.0)]
)
def test_a_fragment_beyond_the_end_is_lost(version: int, present: int, until: float) -> None:
    head = FTYP + moov() + sidx([1500, 2000, 1000], version=version)
    assert read(head, bytes(present)).complete_until == until


def test_the_offset_of_the_first_fragment_counts() -> None:
    head = FTYP + moov() + sidx([1000], first=10)
    assert read(head, bytes(110)).complete_until is None
    assert read(head, bytes(109)).complete_until == 0


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_headers_are_no_error(noise: bytes, at: int) -> None:
    data = bytearray(FTYP + moov(track(box(b"encv", bytes(78), protected(b"cenc")))) + sidx([1]))
    data[at : at + len(noise)] = noise
    read(bytes(data))
    read(noise)
