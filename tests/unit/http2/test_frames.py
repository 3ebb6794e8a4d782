import pytest
from h2.exceptions import FrameTooLargeError
from hypothesis import given
from hypothesis import strategies as st
from support.h2c import CONTINUATION, DATA, HEADERS, PING, PREFACE, SETTINGS, frame

from service.http2.frames import Frames

MOST = 100
SENT = [
    frame(SETTINGS),
    frame(PING, b"farewell", flags=1),
    frame(DATA, b"x" * MOST, stream=1),
    frame(DATA, b"", flags=1, stream=2**31 - 1),
]


def taken(frames: Frames) -> list[bytes]:
    found = []
    while piece := frames.next():
        found.append(piece)
    return found


@given(st.lists(st.integers(0, len(PREFACE + b"".join(SENT))), max_size=20))
def test_however_it_comes_the_frames_are_whole(cuts: list[int]) -> None:
    data, frames, found = PREFACE + b"".join(SENT), Frames(MOST, 4 * MOST), []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        frames.add(data[start:end])
        found += taken(frames)
    preface = found[: len(found) - len(SENT)]
    assert b"".join(preface) == PREFACE
    assert found[len(preface) :] == SENT


@pytest.mark.parametrize("come", [9, 10, 9 + MOST + 1])
def test_a_frame_that_is_too_long_is_refused_by_its_header(come: int) -> None:
    frames = Frames(MOST, 4 * MOST)
    frames.add(PREFACE + frame(DATA, b"x" * (MOST + 1), stream=1)[:come])
    assert frames.next() == PREFACE
    with pytest.raises(FrameTooLargeError):
        frames.next()


def test_a_frame_that_has_not_come_is_waited_for() -> None:
    frames = Frames(MOST, 4 * MOST)
    frames.add(PREFACE + SENT[2][:-1])
    assert taken(frames) == [PREFACE]
    assert frames.next() == b""
    frames.add(SENT[2][-1:])
    assert taken(frames) == [SENT[2]]


def test_headers_are_no_longer_for_coming_in_many_frames() -> None:
    """Of 1 MiB of them that say nothing, h2 would make a second's work."""
    frames = Frames(MOST, 4 * MOST)
    whole = frame(HEADERS, bytes(MOST), stream=1) + frame(CONTINUATION, bytes(MOST), stream=1)
    frames.add(PREFACE + whole + whole)  # each within the bound, with the frames' own headers
    assert len(taken(frames)) == 1 + 4
    frames.add(frame(CONTINUATION, bytes(MOST), stream=1))
    assert len(taken(frames)) == 1
    frames.add(frame(CONTINUATION, bytes(MOST), stream=1))
    with pytest.raises(FrameTooLargeError):
        taken(frames)
