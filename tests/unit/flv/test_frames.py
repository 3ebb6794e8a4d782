"""Where the frames of Flash video are, and what is declined."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.flv.frames import scan_flv
from service.matroska.frames import Frames
from service.matroska.window import DeclinedError

HEAD = b"FLV\x01\x05" + (9).to_bytes(4, "big") + bytes(4)
AVC_CONFIGURATION, AAC_CONFIGURATION = b"\x01avcC", b"\x12\x10"


def tag(type_: int, time: int, body: bytes) -> bytes:
    """Return a tag (§E.4.1) and its PreviousTagSize."""
    low, high = (time & 0xFFFFFF).to_bytes(3, "big"), bytes([time >> 24 & 0xFF])
    head = bytes([type_]) + len(body).to_bytes(3, "big") + low + high + bytes(3)
    return head + body + (len(head) + len(body)).to_bytes(4, "big")


def video(time: int, data: bytes, *, key: bool = True, shift: int = 0, packet: int = 1) -> bytes:
    first = bytes([(1 if key else 2) << 4 | 7, packet])
    return tag(9, time, first + shift.to_bytes(3, "big", signed=True) + data)


def sound(time: int, data: bytes, packet: int = 1) -> bytes:
    return tag(8, time, bytes([10 << 4 | 0xF, packet]) + data)


def mp3(time: int, data: bytes) -> bytes:
    return tag(8, time, bytes([2 << 4 | 0xF]) + data)


START = HEAD + tag(18, 0, b"onMetaData") + video(0, AVC_CONFIGURATION, packet=0)
WITH_SOUND = START + sound(0, AAC_CONFIGURATION, packet=0)


def read(data: bytes) -> Frames:
    requests = scan_flv(len(data))
    try:
        span = next(requests)
        while True:
            assert span.start >= 0
            assert 0 < span.length <= 65536
            assert span.end <= len(data)
            span = requests.send(data[span.start : span.end])
    except StopIteration as end:
        frames: Frames = end.value
        return frames


def frames(data: bytes, number: int) -> list[tuple[int, bytes, bool]]:
    table = read(data).tables[number]
    rows = zip(table.offsets, table.sizes, table.times, table.keys, strict=True)
    return [(time, data[at : at + size], bool(key)) for at, size, time, key in rows]


def test_pictures_and_sound_are_found_with_their_times() -> None:
    data = WITH_SOUND + b"".join((
        sound(0, b"first sound"),
        video(0, b"key picture", shift=80),
        video(40, bytes(9000), key=False, shift=-40),
        sound(23, b"second sound"),
        video(80, b"", packet=2),  # the end of the sequence
    ))  # fmt: skip
    pictures = [(80, b"key picture", True), (0, bytes(9000), False)]
    assert frames(data, 0) == pictures
    assert frames(data, 1) == [(0, b"first sound", True), (23, b"second sound", True)]
    assert [track.private for track in read(data).tracks] == [AVC_CONFIGURATION, AAC_CONFIGURATION]


def test_mp3_has_no_configuration() -> None:
    assert frames(HEAD + mp3(5, b"sound"), 0) == [(5, b"sound", True)]


def test_times_beyond_24_bits_are_read() -> None:
    # §E.4.1: TimestampExtended; 24 bits are 4.6 hours.
    data = HEAD + mp3(2**24 + 7, b"a") + mp3(2**31 - 1, b"b")
    assert [time for time, _, _ in frames(data, 0)] == [2**24 + 7, 2**31 - 1]


def test_the_whole_frames_of_a_truncated_file_are_found() -> None:
    data = WITH_SOUND + video(0, b"one") + video(40, b"two")
    first = len(WITH_SOUND + video(0, b"one"))
    for length in range(first, len(data) - 4):
        assert frames(data[:length], 0) == [(0, b"one", True)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"FLV", "no Flash video"),
        (b"RIFF" + bytes(50), "no Flash video"),
        (HEAD, "no frames"),
        (START, "no frames"),
        (HEAD + video(0, b"a"), "before it says"),
        (START + tag(11, 0, b"a"), "is damaged"),
        (START + video(0, b"a", packet=3), "is damaged"),
        (START + tag(9, 0, b"\x12abcdef"), "no picture of a codec"),  # Sorenson H.263
        (START + tag(9, 0, b"\x90hvc1abc"), "no picture of a codec"),  # Enhanced RTMP
        (START + tag(8, 0, b"\xb2abc"), "no sound of a codec"),  # Speex
        (START + video(0, b"a") + video(1, b"\x01other", packet=0), "changes its format"),
    ],
)
def test_what_is_not_understood_entirely_is_declined(data: bytes, reason: str) -> None:
    with pytest.raises(DeclinedError, match=reason):
        read(data)


def test_a_repeated_configuration_is_no_change() -> None:
    again = video(0, b"one") + video(1, AVC_CONFIGURATION, packet=0) + video(40, b"two")
    assert len(frames(START + again, 0)) == 2


SAMPLE = WITH_SOUND + sound(0, b"sound") + video(0, b"picture") + video(40, b"other", key=False)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE)), st.binary(max_size=9)), max_size=4),
       st.integers(0, len(SAMPLE)))  # fmt: skip
def test_a_damaged_file_is_declined_or_its_frames_are_in_it(
    changes: list[tuple[int, bytes]], length: int
) -> None:
    data = bytearray(SAMPLE)
    for at, noise in changes:
        data[at : at + len(noise)] = noise
    for damaged in (bytes(data), bytes(data[:length]) or b"F"):
        try:
            result = read(damaged)
        except DeclinedError:
            continue
        for table in result.tables:
            ends = [at + size for at, size in zip(table.offsets, table.sizes, strict=True)]
            assert max(ends) <= len(damaged)
