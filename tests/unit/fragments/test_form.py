"""Which films have a fragmented form, and of what it consists."""

from array import array

import pytest

from service.fragments.form import make_fragments
from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.protocol.ranges import Span
from service.remux.movie import MovieTrack, SampleEntry
from service.remux.picture_timing import TrackTiming
from service.representations.interleaving import Source, map_span

RATE = 10  # frames per second, of picture and sound
SECONDS = 20
FILE = 100_000  # bytes
PLACES = 400  # bytes of the file in a tenth of a second


def track(codec: str, ahead: float = 0.0, wait: float = 0.0) -> MovieTrack:
    """Return a track that is stored and begins so many seconds before or after its time."""
    kind = codec[0]
    media = MediaTrack(1, "video" if kind == "V" else "audio", codec)
    table = FrameTable(media)
    count = SECONDS * RATE
    for number in range(count):
        at = max(0, number - round(ahead * RATE))
        within = 0 if kind == "V" else 200 + number % 2  # apart where several are stored at once
        table.add_block(1000 + PLACES * at + within + (number - at), [1], 0, is_key=True)
    timing = TrackTiming(
        timescale=RATE,
        durations=array("q", [1]) * count,
        offsets=None,
        skip=0,
        length=count,
        start=wait,
    )
    return MovieTrack(table, timing, SampleEntry(b"", None), is_enabled=True)


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ([track("V_VP9")], True),
        ([track("V_VP9"), track("A_OPUS")], True),
        ([track("A_OPUS")], False),
        ([track("V_VP9"), track("A_AC3")], False),
        ([track("V_VP9"), track("A_OPUS", ahead=0.8)], True),
        ([track("V_VP9"), track("A_OPUS", ahead=1.2)], False),
        ([track("V_VP9"), track("A_OPUS", ahead=-1.8)], True),
        ([track("V_VP9"), track("A_OPUS", ahead=-2.2)], False),
        ([track("V_VP9"), track("A_OPUS", wait=0.8)], True),
        ([track("V_VP9"), track("A_OPUS", wait=1.0)], False),
    ],
    ids=[
        "a picture", "with sound", "sound alone", "sound that not all play", "sound stored early",
        "sound stored too early", "sound stored late", "sound stored too late", "sound that waits",
        "sound that waits too long",
    ],
)  # fmt: skip
def test_films_that_segments_suit_have_fragments(tracks: list[MovieTrack], expected: bool) -> None:  # noqa: FBT001 # as in the table
    assert (make_fragments(tracks, FILE) is not None) is expected


@pytest.mark.parametrize(("keys", "expected"), [(1, False), (SECONDS, True)])
def test_a_film_whose_segments_exceed_what_browsers_keep_has_no_fragments(
    keys: int,
    expected: bool,  # noqa: FBT001 # as in the table
) -> None:
    """Firefox keeps 100 MB of pictures."""
    film = track("V_VP9")
    count = len(film.table.keys)
    for number in range(count):
        film.table.keys[number] = number % (count // keys) == 0
        film.table.offsets[number] += number * 100_000_000 // count
    assert (make_fragments([film], 200_000_000) is not None) is expected


def test_no_fragment_begins_within_a_frame() -> None:
    sound = track("A_OPUS")
    sound.table.sizes[2 * RATE - 1] = PLACES  # beyond the start of a segment
    assert make_fragments([track("V_VP9"), sound], FILE) is None


def test_what_precedes_and_follows_the_frames_is_skipped() -> None:
    made = make_fragments([track("V_VP9"), track("A_OPUS")], FILE)
    assert made
    assert made.head[made.index_end :] == (8 + 1000).to_bytes(4, "big") + b"free"
    last = 1000 + PLACES * (SECONDS * RATE - 1) + 200 + 2  # after the last frame
    rest = FILE - last
    assert made.headers.endswith((8 + rest).to_bytes(4, "big") + b"free")
    # The whole file is in it, once and in order.
    whole = Span(0, len(made.head) + FILE + len(made.headers))
    parts = list(map_span(made.interleaving, len(made.head), FILE, whole))
    spans = [span for source, span in parts if source is Source.FILE]
    assert [span.start for span in spans] == [0, *(span.end for span in spans[:-1])]
    assert spans[-1].end == FILE
    assert sum(span.length for _, span in parts) == whole.length
