"""Where the frames of a Matroska file are, and what is declined."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.matroska_elements import CUES, SEEK_HEAD, SEGMENT, element
from support.matroska_writer import (
    CRC,
    EBML_LACING,
    FIXED,
    HEAD,
    VOID,
    XIPH,
    cluster,
    group,
    info,
    matroska,
    simple,
    track,
    uint,
    unsized,
    vint,
)

from service.matroska import frames as scanner
from service.matroska.frame_table import SAME_BLOCK
from service.matroska.frames import Frames, TrackChooser, scan_frames
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError

PICTURE, SOUND = track(1, 1, "V_VP9"), track(2, 2, "A_OPUS")
TRACKS = (PICTURE, SOUND)
TRACKS_ID = 0x1654AE6B


class Read(NamedTuple):
    """A scan's result, and how it read the file."""

    frames: Frames
    bytes_read: int
    longest: int


def everything(tracks: tuple[MediaTrack, ...]) -> tuple[MediaTrack, ...]:
    return tracks


def read(data: bytes, choose: TrackChooser = everything, length: int | None = None) -> Read:
    """Scan a file; `length` is what is left of it when it is read."""
    requests = scan_frames(len(data), choose)
    total = longest = 0
    try:
        span = next(requests)
        while True:
            assert span.start >= 0
            assert span.length > 0
            assert span.end <= len(data)
            total += span.length
            longest = max(longest, span.length)
            span = requests.send(data[:length][span.start : span.end])
    except StopIteration as end:
        return Read(end.value, total, longest)


class Frame(NamedTuple):
    """A frame as a test expects it."""

    time: int
    data: bytes
    key: bool = True


def test_tracks_may_be_behind_the_clusters_as_mkvpropedit_puts_them() -> None:
    """RFC 9559 §5.1.1: a SeekHead names them. Positions count from the segment's content."""

    def seek_head(position: int) -> bytes:
        seek = (TRACKS_ID.to_bytes(4, "big"), position.to_bytes(4, "big"))
        return element(
            SEEK_HEAD, element(0x4DBB, element(0x53AB, seek[0]), element(0x53AC, seek[1]))
        )

    before = info() + cluster(0, simple(1, 0, b"abc"), simple(2, 10, b"de"))
    at = len(seek_head(0)) + len(before)
    tracks = element(TRACKS_ID, *TRACKS)
    moved = HEAD + element(SEGMENT, seek_head(at), before, tracks, cluster(20, simple(1, 0, b"f")))
    found = read(moved).frames
    assert [table.sizes.tolist() for table in found.tables] == [[3, 1], [2]]
    assert [track.codec_id for track in found.tracks] == ["V_VP9", "A_OPUS"]
    with pytest.raises(DeclinedError):
        read(HEAD + element(SEGMENT, seek_head(at + 1), before, tracks))


def frames(data: bytes, number: int) -> list[Frame]:
    table = next(t for t in read(data).frames.tables if t.track.number == number)
    return [
        Frame(time, data[offset : offset + size], bool(key))
        for offset, size, time, key in zip(
            table.offsets, table.sizes, table.times, table.keys, strict=True
        )
    ]


def test_frames_are_found_in_simple_blocks() -> None:
    data = matroska(
        cluster(100, simple(1, 0, b"key"), simple(2, -3, b"sound")),
        cluster(200, simple(1, 7, b"inter", key=False)),
        tracks=TRACKS,
    )
    assert frames(data, 1) == [Frame(100, b"key"), Frame(207, b"inter", key=False)]
    assert frames(data, 2) == [Frame(97, b"sound")]


def test_a_frame_of_a_group_is_a_key_frame_if_the_group_has_no_reference() -> None:
    reference = element(0xFB, b"\xff")
    data = matroska(
        cluster(0, group(1, 0, b"key"), group(1, 1, b"a", key=False), group(1, 2, b"b")),
        # The elements of a group may be in any order.
        cluster(0, group(1, 3, b"c", before=reference), group(1, 4, b"d")),
        tracks=TRACKS,
    )
    assert [frame.key for frame in frames(data, 1)] == [True, False, True, False, True]


def test_the_last_block_tells_its_duration_and_padding() -> None:
    padding = element(0x75A2, struct.pack(">i", 6_500_000))
    data = matroska(
        cluster(
            0,
            group(2, 0, b"a", after=uint(0x9B, 9)),
            group(2, 20, b"b", after=uint(0x9B, 13) + padding),
        ),
        tracks=TRACKS,
    )
    (table,) = read(data).frames.tables
    assert (table.last_duration, table.discard_padding) == (13, 6_500_000)


SIZES = [1, 254, 255, 256, 510, 700, 3, 3]


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (XIPH, SIZES),
        (EBML_LACING, SIZES),
        (EBML_LACING, [5, 5]),
        (EBML_LACING, [16_000, 3, 16_000]),
        (FIXED, [77] * 8),
        *((kind, [9]) for kind in (XIPH, EBML_LACING, FIXED)),
        (XIPH, [1500] * 256),
        (EBML_LACING, [1 + at % 200 for at in range(256)]),
    ],
)
def test_laced_frames_are_found(kind: int, sizes: Sequence[int]) -> None:
    payload = [bytes([at % 256]) * size for at, size in enumerate(sizes)]
    data = matroska(
        cluster(5, simple(2, 1, *payload, kind=kind), simple(2, 9, b"next")), tracks=TRACKS
    )
    found = frames(data, 2)
    assert [frame.data for frame in found] == [*payload, b"next"]
    # Only the first frame of a block has a time.
    assert [frame.time for frame in found] == [6, *[SAME_BLOCK] * (len(sizes) - 1), 14]


def test_laced_frames_of_a_group_are_found() -> None:
    data = matroska(cluster(0, group(2, 4, b"one", b"two!", kind=XIPH, key=False)), tracks=TRACKS)
    assert frames(data, 2) == [Frame(4, b"one", key=False), Frame(SAME_BLOCK, b"two!", key=False)]


def test_an_empty_frame_is_left_out_as_by_ffmpeg() -> None:
    data = matroska(cluster(0, simple(2, 0, b""), simple(2, 1, b"a")), tracks=TRACKS)
    assert frames(data, 2) == [Frame(1, b"a")]


def test_elements_of_unknown_size_end_where_the_next_ones_begin() -> None:
    data = matroska(
        cluster(1, simple(1, 0, b"a"), sized=False),
        cluster(2, simple(1, 0, b"b"), sized=False),
        element(CUES, bytes(9)),
        cluster(3, simple(1, 0, b"c")),
        tracks=TRACKS,
        sized=False,
    )
    assert frames(data, 1) == [Frame(1, b"a"), Frame(2, b"b"), Frame(3, b"c")]


def test_void_elements_and_check_sums_are_skipped_everywhere() -> None:
    skipped = element(VOID, bytes(5000)) + element(CRC, bytes(4))
    blocks = (
        skipped,
        simple(1, 0, b"a"),
        skipped,
        group(1, 1, b"b", before=skipped, after=skipped),
    )
    data = matroska(
        skipped, cluster(0, *blocks), skipped, cluster(9, simple(1, 0, b"c")), tracks=TRACKS
    )
    data = HEAD + element(VOID, bytes(9)) + data.removeprefix(HEAD)
    assert [frame.data for frame in frames(data, 1)] == [b"a", b"b", b"c"]


def test_track_numbers_may_be_large() -> None:
    numbers = (0x7E, 0x3FFE, 0x1FFFFE, 2**49)
    data = matroska(
        cluster(0, *(simple(number, 0, b"%d" % number) for number in numbers)),
        tracks=[track(number, 2, "A_OPUS") for number in numbers],
    )
    assert all(frames(data, number) == [Frame(0, b"%d" % number)] for number in numbers)


def test_frames_of_tracks_that_are_not_chosen_are_not_looked_for() -> None:
    data = matroska(cluster(0, simple(1, 0, b"a"), simple(2, 0, b"b")), tracks=TRACKS)
    found = read(data, lambda tracks: tracks[1:]).frames
    assert [table.track.number for table in found.tables] == [2]
    assert [one.number for one in found.tracks] == [1, 2]


def test_the_first_times_of_all_tracks_of_pictures_and_sound_are_found() -> None:
    text = track(3, 17, "S_TEXT/UTF8")
    blocks = (simple(1, 7, b"a"), simple(2, -3, b"b"), simple(2, 9, b"c"), simple(3, 1, b"d"))
    data = matroska(cluster(0, *blocks), tracks=(*TRACKS, text))
    assert read(data, lambda tracks: tracks[:1]).frames.starts == {1: 7, 2: -3}


def test_bytes_behind_the_segment_do_not_matter_unless_they_are_another_film() -> None:
    data = matroska(cluster(0, simple(1, 0, b"a")), tracks=TRACKS)
    assert frames(data + b"\0" * 5000, 1) == [Frame(0, b"a")]
    assert frames(data + b"junk", 1) == [Frame(0, b"a")]
    with pytest.raises(DeclinedError, match="several films"):
        read(data + data)


def test_the_whole_frames_of_a_truncated_file_are_found() -> None:
    data = matroska(
        cluster(0, simple(1, 0, b"first")), cluster(9, simple(1, 0, b"second")), tracks=TRACKS
    )
    whole = matroska(cluster(0, simple(1, 0, b"first")), tracks=TRACKS)
    for length in range(len(whole), len(data)):
        assert frames(data[:length], 1) == [Frame(0, b"first")]
    in_group = matroska(cluster(0, simple(1, 0, b"a"), group(1, 1, b"b", key=False)), tracks=TRACKS)
    for missing in range(1, 11):  # without its reference, it seemed to be a key frame
        assert frames(in_group[:-missing], 1) == [Frame(0, b"a")]


def test_frames_are_not_read() -> None:
    payload = bytes(100_000)
    blocks = [simple(1, at, payload) for at in range(100)]
    result = read(matroska(cluster(0, *blocks), tracks=TRACKS))
    assert result.bytes_read < 105 * 4096
    assert result.longest <= 4096


DAMAGED = "is damaged, or of an unknown kind"
TWO = (PICTURE, PICTURE)
A_BLOCK = simple(1, 0, b"a")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0" * 100, "no Matroska"),
        (b"RIFF....AVI LIST", "no Matroska"),
        (element(0x1A45DFA3, element(0x4282, b"other")) + unsized(0x18538067), "no Matroska"),
        (HEAD + b"\0" * 50, DAMAGED),
        (matroska(tracks=TRACKS), "no frames"),
        (matroska(cluster(0, A_BLOCK), tracks=()), "no frames"),
        (matroska(cluster(0, A_BLOCK), tracks=TWO), "two tracks with the same number"),
        (matroska(A_BLOCK, tracks=TRACKS), DAMAGED),  # a block outside of a cluster
        (HEAD + unsized(0x18538067, info(), cluster(0, A_BLOCK)), DAMAGED),  # before Tracks
        (matroska(element(0x1F43B675, A_BLOCK), tracks=TRACKS), DAMAGED),  # without a time
        (matroska(cluster(0, A_BLOCK, b"\xa0\xff"), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, element(0xA1, A_BLOCK)), tracks=TRACKS), DAMAGED),  # without a group
        (matroska(cluster(0, element(0xA0, A_BLOCK)), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, group(1, 0, b"a", after=group(1, 1, b"b"))), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, element(0xAF, bytes(9))), tracks=TRACKS), DAMAGED),  # EncryptedBlock
        (matroska(cluster(0, A_BLOCK, bytes(30)), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, A_BLOCK), bytes(30), cluster(0, A_BLOCK), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, element(0xA3, vint(1))), tracks=TRACKS), DAMAGED),  # a short block
        (matroska(cluster(0, A_BLOCK), tracks=TRACKS, tick=0), DAMAGED),
        (matroska(cluster(0, A_BLOCK), tracks=TRACKS, tick=2 * 10**9), DAMAGED),
        # Laces that are longer than their block
        (matroska(cluster(0, element(0xA3, b"\x81\0\0\x82\x02\xff\0")), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, element(0xA3, b"\x81\0\0\x86\x02\x90")), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, element(0xA3, b"\x81\0\0\x84\x02abcd")), tracks=TRACKS), DAMAGED),
        (matroska(cluster(0, element(0xA3, b"\x81\0\0\x86\x02\x81\x80a")), tracks=TRACKS), DAMAGED),
    ],
)  # fmt: skip
def test_what_is_not_understood_entirely_is_declined(data: bytes, reason: str) -> None:
    with pytest.raises(DeclinedError, match=reason):
        read(data)


def test_an_element_may_not_end_behind_its_parent() -> None:
    inner = cluster(0, A_BLOCK)
    longer = bytearray(matroska(inner, inner, tracks=TRACKS))
    at = longer.index(inner) + 11  # the last byte of the first cluster's size
    longer[at] -= 1
    with pytest.raises(DeclinedError, match=DAMAGED):
        read(bytes(longer))


def test_a_file_that_becomes_shorter_meanwhile_is_declined() -> None:
    data = matroska(cluster(0, simple(1, 0, bytes(9000)), A_BLOCK), tracks=TRACKS)
    with pytest.raises(DeclinedError, match="became shorter"):
        read(data, length=9000)


def test_the_numbers_of_frames_and_elements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = matroska(cluster(0, *[A_BLOCK] * 50), tracks=TRACKS)
    monkeypatch.setattr(scanner, "MAX_FRAMES", 49)
    with pytest.raises(DeclinedError, match="too many frames"):
        read(data)
    monkeypatch.setattr(scanner, "MAX_FRAMES", 50)
    monkeypatch.setattr(scanner, "MAX_ELEMENTS", 53)
    with pytest.raises(DeclinedError, match="too many elements"):
        read(data)


SAMPLE = matroska(
    cluster(0, simple(1, 0, b"picture"), simple(2, 0, b"a", b"bc", b"def", kind=XIPH)),
    element(VOID, bytes(8)),
    cluster(40, group(1, 0, b"picture", key=False), simple(2, 0, b"gh", b"ijk", kind=EBML_LACING)),
    tracks=TRACKS,
)


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE)), st.binary(max_size=12)), max_size=4),
       st.integers(0, len(SAMPLE)))  # fmt: skip
def test_a_damaged_file_is_declined_or_its_frames_are_in_it(
    changes: list[tuple[int, bytes]], length: int
) -> None:
    data = bytearray(SAMPLE)
    for at, noise in changes:
        data[at : at + len(noise)] = noise
    for damaged in (bytes(data), bytes(data[:length])):
        try:
            result = read(damaged)
        except DeclinedError:
            continue
        assert result.bytes_read < 100 * 4096
        for table in result.frames.tables:
            ends = [offset + size for offset, size in zip(table.offsets, table.sizes, strict=True)]
            assert max(ends) <= len(damaged)
            assert len(ends) == len(table.times) == len(table.keys)


@given(st.binary(max_size=400))
def test_noise_is_declined(noise: bytes) -> None:
    for data in (noise or b"\0", HEAD + noise, HEAD + unsized(0x18538067, noise)):
        with pytest.raises(DeclinedError):
            read(data)
