"""Encryption, compression, the index and the end of a segment, in Matroska's headers."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.matroska_elements import SEEK_HEAD, SEGMENT, UNKNOWN_SIZE, element, number

from service.matroska.segment import MatroskaTrack, Segment, read_segment

EBML, CLUSTER, CUES, TRACKS = 0x1A45DFA3, 0x1F43B675, 0x1C53BB6B, 0x1654AE6B
HEAD = element(EBML, b"\x42\x82\x84webm")
PLAIN = MatroskaTrack("video", encrypted=False, compression=None)


def read(data: bytes) -> Segment:
    return read_segment(BytesIO(data), len(data))


def segment(*content: bytes) -> bytes:
    return HEAD + element(SEGMENT, *content)


def track(kind: int, *encodings: bytes) -> bytes:
    content = [element(0x6240, encoding) for encoding in encodings]
    return element(0xAE, number(0x83, kind), *([element(0x6D80, *content)] if content else []))


def seek(id_: int, position: int) -> bytes:
    identifier = id_.to_bytes(4, "big")
    return element(
        0x4DBB, element(0x53AB, identifier), element(0x53AC, position.to_bytes(4, "big"))
    )


# RFC 9559 §5.1.4.1.31; a type of 0 is the default, and so is the algorithm 0, zlib.
@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        (element(0x5034, number(0x4254, 0)), PLAIN._replace(compression="zlib")),
        (element(0x5034), PLAIN._replace(compression="zlib")),
        (element(0x5034, number(0x4254, 1)), PLAIN._replace(compression="bzlib")),
        (element(0x5034, number(0x4254, 2)), PLAIN._replace(compression="lzo1x")),
        (element(0x5034, number(0x4254, 3)), PLAIN._replace(compression="header stripping")),
        (element(0x5034, number(0x4254, 9)), PLAIN._replace(compression="algorithm 9")),
        (b"", PLAIN._replace(compression="none")),
        (number(0x5033, 1), PLAIN._replace(encrypted=True)),
        # Scope 2 is the codec's private data alone.
        (number(0x5032, 2) + number(0x5033, 1), PLAIN),
        (number(0x5032, 3) + number(0x5033, 1), PLAIN._replace(encrypted=True)),
    ],
)
def test_the_encoding_of_a_track_is_read(encoding: bytes, expected: MatroskaTrack) -> None:
    assert read(segment(element(TRACKS, track(1, encoding)))).tracks == (expected,)


def test_tracks_of_which_ffmpeg_makes_no_stream_are_left_out() -> None:
    # 3 is complex, 16 a logo, 18 buttons, 32 control: §5.1.4.1.3
    tracks = [track(kind) for kind in (3, 1, 16, 2, 18, 17, 32, 33)]
    kinds = [one.kind for one in read(segment(element(TRACKS, *tracks))).tracks]
    assert kinds == ["video", "audio", "subtitle", "data"]


def test_cues_are_found_before_the_clusters() -> None:
    assert read(segment(element(CUES), element(CLUSTER))).has_cues
    assert not read(segment(element(CLUSTER))).has_cues


def test_cues_are_found_where_a_seek_head_names_them() -> None:
    length = len(element(SEEK_HEAD, seek(CUES, 0)))
    cluster = element(CLUSTER, bytes(50))
    at = length + len(cluster)
    assert read(segment(element(SEEK_HEAD, seek(CUES, at)), cluster, element(CUES))).has_cues
    # They are not there, or the file ends before.
    assert not read(segment(element(SEEK_HEAD, seek(CUES, at)), cluster)).has_cues
    assert not read(segment(element(SEEK_HEAD, seek(CUES, length)), cluster)).has_cues


def test_tracks_behind_the_clusters_are_found_where_a_seek_head_names_them() -> None:
    clusters = element(CLUSTER, bytes(1000))
    tracks = element(TRACKS, track(1, number(0x5033, 1)))
    head = element(SEEK_HEAD, seek(TRACKS, 0))
    head = element(SEEK_HEAD, seek(TRACKS, len(head + clusters)))
    found = (PLAIN._replace(encrypted=True),)
    assert read(segment(head, clusters, tracks)).tracks == found
    assert read(segment(head, clusters[:-1], tracks)).tracks == ()


def test_a_seek_head_may_name_another_one_but_not_itself() -> None:
    length = len(element(SEEK_HEAD, seek(CUES, 0)))
    cluster = element(CLUSTER)
    second = length + len(cluster)
    chain = [
        element(SEEK_HEAD, seek(SEEK_HEAD, second)),
        cluster,
        element(SEEK_HEAD, seek(CUES, second + length)),
        element(CUES),
    ]
    assert read(segment(*chain)).has_cues
    assert not read(segment(element(SEEK_HEAD, seek(SEEK_HEAD, 0)), cluster)).has_cues
    two = [element(SEEK_HEAD, seek(SEEK_HEAD, length)), element(SEEK_HEAD, seek(SEEK_HEAD, 0))]
    assert not read(segment(*two, cluster)).has_cues


def test_the_end_is_that_of_the_segment_if_it_has_a_size() -> None:
    whole = segment(element(CLUSTER, bytes(100)))
    assert read(whole).end == len(whole)
    assert read(whole[:60]).end == len(whole)
    assert read(HEAD + SEGMENT.to_bytes(4, "big") + UNKNOWN_SIZE + element(CLUSTER)).end is None


@given(st.binary(max_size=100), st.integers(0, 150))
def test_damaged_headers_are_no_error(noise: bytes, at: int) -> None:
    encodings = element(0x5034, number(0x4254, 0))
    data = bytearray(
        segment(element(SEEK_HEAD, seek(CUES, 9)), element(TRACKS, track(1, encodings)))
    )
    data[at : at + len(noise)] = noise
    read(bytes(data))
    read(noise)
