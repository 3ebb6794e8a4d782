"""Fragments of plain MP4s: every packet and time is the file's; what is not simple is declined."""

import random
import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import av
import pytest
from support.ffmpeg_fixtures import AAC, ffmpeg
from support.long_film import segments as index_of
from support.mp4_boxes import box, boxes
from support.remuxed_files import complaints, fragmented, media_indexes, packets, pictures

from service.fragments import segments
from service.fragments.form import Fragments
from service.fragments.mp4 import mp4_forms
from service.matroska.window import DeclinedError
from service.storage.span_reader import span_reader

SECONDS = 4
PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=160x90:rate=30000/1001:duration={SECONDS}")
SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", "2", "-threads", "1",
        "-pix_fmt", "yuv420p")  # fmt: skip
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-tag:v", "hev1",
        "-x265-params", "log-level=none:keyint=30:bframes=2:open-gop=0:pools=1")  # fmt: skip
VP9 = ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", "30", "-b:v", "300k", "-threads", "1")
COPY = ("-c", "copy")
ENCRYPTED = (
    "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb",
    "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8",
)  # fmt: skip
TICK = 1 / 10_000
"""Seconds, not less than a unit of any of the tracks here."""


@pytest.fixture(autouse=True)
def short_films_have_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make several fragments of a film of four seconds."""
    monkeypatch.setattr(segments, "_FRAGMENT_BYTES", 1)


def forms_of(data: bytes) -> list[tuple[int | None, Fragments]]:
    """Return the fragmented forms of a file. Raises DeclinedError."""
    file = BytesIO(data)
    return list(mp4_forms(file, len(data), span_reader(file)))


def film(path: Path, picture: Sequence[str] = X264, sound: Sequence[str] = AAC) -> Path:
    return ffmpeg(path, *PICTURE, *SOUND, *picture, *sound)


def copy(folder: Path, suffix: str, *options: str, before: Sequence[str] = ()) -> Path:
    """Return a copy of the usual film, made with these options for the output and the input."""
    source = film(folder / "source.mp4")
    return ffmpeg(folder / f"film{suffix}", *before, "-i", source, *COPY, *options)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".mp4", ()),
        (".mp4", ("-movflags", "faststart")),
        (".mov", ()),
        (".mp4", ("-use_editlist", "0")),
        (".mp4", ("-output_ts_offset", "100")),
        (".mp4", ("-video_track_timescale", "90000", "-movflags", "negative_cts_offsets")),
        (".mp4", ("-metadata:s:v", "rotate=90", "-aspect", "2:1")),
        (".mp4", ("-an",)),
    ],
    ids=["index at the end", "index in front", "QuickTime", "no edit list", "a clock from 100 s",
         "negative offsets", "turned and anamorphic", "no sound"],
)  # fmt: skip
def test_the_packets_and_times_are_those_of_the_file(
    tmp_path: Path, suffix: str, options: Sequence[str]
) -> None:
    assert_same(copy(tmp_path, suffix, *options))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("picture", "sound"),
    [(HEVC, AAC), (VP9, ("-c:a", "libopus", "-strict", "-2")), (X264, ("-c:a", "libmp3lame"))],
    ids=["hev1", "VP9 and Opus", "MP3"],
)
def test_other_codecs_have_fragments(
    tmp_path: Path, picture: Sequence[str], sound: Sequence[str]
) -> None:
    assert_same(film(tmp_path / "film.mp4", picture, sound))


def assert_same(path: Path) -> None:
    """Assert that FFmpeg finds the same in the fragments as in the file."""
    file = path.read_bytes()
    ((sound, made),) = forms_of(file)
    data = fragmented(file, made)
    assert complaints(data) == ""
    index = index_of(data[: made.index_end])
    assert len(index) == SECONDS
    assert [kind for kind, _ in boxes(data[: made.index_end])] == [b"ftyp", b"moov", b"sidx"]
    assert {kind for kind, _ in boxes(data[index[0].start : index[-1].end])} == {b"moof", b"mdat"}
    originals = [packets(str(path), number) for number in media_indexes(str(path))]
    assert len(originals) == (1 if sound is None else 2)
    # The film begins with its first picture or sound, but the delay of an encoder is before 0.
    start = max(0.0, min(packet.time for original in originals for packet in original))
    for number, original in enumerate(originals):
        found = packets(BytesIO(data), number)
        assert [(p.digest, p.is_key) for p in found] == [(p.digest, p.is_key) for p in original]
        worst = max(abs(a.time - start - b.time) for a, b in zip(original, found, strict=True))
        assert worst <= TICK
    assert pictures(BytesIO(data), 0) == pictures(str(path), 0)
    assert looks(BytesIO(data)) == looks(str(path))


def looks(file: BytesIO | str) -> tuple[object, ...]:
    """Return how a player shows the first picture."""
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        shape = stream.width, stream.height, stream.sample_aspect_ratio
        return (*shape, stream.codec_context.codec_tag, frame.rotation)


def moved(data: bytes, change: Callable[[list[int]], list[int]]) -> bytes:
    """Return a film with other positions of its chunks (§8.7.5), which are changed for a track."""
    at = 0
    while (at := data.find(b"stco", at + 1)) > 0:
        form = f">{int.from_bytes(data[at + 8 : at + 12], 'big')}I"
        positions = change(list(struct.unpack_from(form, data, at + 12)))
        packed = struct.pack(form, *positions)
        data = data[: at + 12] + packed + data[at + 12 + len(packed) :]
    return data


def reordered(data: bytes) -> bytes:
    """Return a film whose second chunks are decoded before the first ones."""
    return moved(data, lambda positions: [positions[1], positions[0], *positions[2:]])


def test_media_data_may_be_in_several_boxes(tmp_path: Path) -> None:
    path = copy(tmp_path, ".mp4")
    data = path.read_bytes()
    chunks: list[int] = []

    def noted(positions: list[int]) -> list[int]:
        chunks.extend(positions)
        return positions

    moved(data, noted)
    middle = sorted(chunks)[len(chunks) // 2]
    begin, end = data.index(b"mdat") - 4, data.index(b"moov") - 4
    between = box(b"free", bytes(100)) + struct.pack(">I4s", 8 + end - middle, b"mdat")
    first = struct.pack(">I4s", middle - begin, b"mdat") + data[begin + 8 : middle]
    shifted = moved(data, lambda at: [p + len(between) * (p >= middle) for p in at])
    path.write_bytes(data[:begin] + first + between + data[middle:end] + shifted[end:])
    assert_same(path)


def with_end(data: bytes) -> bytes:
    """Return a film with the edit of its first track half as long."""
    at = data.index(b"elst") + 12
    length = int.from_bytes(data[at : at + 4], "big")
    return data[:at] + (length // 2).to_bytes(4, "big") + data[at + 4 :]


def transformed(data: bytes) -> bytes:
    """Return a film that is mirrored as a whole."""
    at = data.index(b"mvhd") + 4 + 36
    return data[:at] + (-65536).to_bytes(4, "big", signed=True) + data[at + 4 :]


@pytest.mark.parametrize(
    ("options", "before", "change", "reason"),
    [
        ((), ("-ss", "1.5"), bytes, "begins within a group of pictures"),
        (("-movflags", "frag_keyframe+empty_moov"), (), bytes, "is fragmented"),
        (("-movflags", "faststart"), (), lambda data: data[:-20_000], "is incomplete"),
        ((), (), with_end, "has an edit list that leaves out its end"),
        ((), (), transformed, "is transformed as a whole"),
        (("-c:a", "ac3", "-b:a", "64k"), (), bytes, "has no sound that all browsers play"),
        (("-vn",), (), bytes, "has no picture"),
        (ENCRYPTED, (), bytes, "encrypted"),
        ((), (), reordered, "does not store its frames in the order"),
    ],
    ids=["cut within a group of pictures", "fragmented", "truncated", "an early end", "mirrored",
         "AC-3", "no picture", "encrypted", "another order"],
)  # fmt: skip
def test_what_is_not_simple_is_declined(
    tmp_path: Path, options: Sequence[str], before: Sequence[str], change: object, reason: str
) -> None:
    path = copy(tmp_path, ".mp4", *options, before=before)
    assert callable(change)
    with pytest.raises(DeclinedError, match=reason):
        forms_of(change(path.read_bytes()))


def test_damaged_tables_are_declined_or_harmless(tmp_path: Path) -> None:
    """Whatever the tables contain, the fragments have the whole file once, in valid boxes."""
    whole = copy(tmp_path, ".mp4", "-movflags", "faststart").read_bytes()
    chance = random.Random(16)  # noqa: S311 # no secrets
    begin, end = whole.index(b"moov") + 4, whole.index(b"mdat") - 4
    declined = 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(begin, end)
            data[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        try:
            forms = forms_of(bytes(data))
        except (DeclinedError, MemoryError):
            declined += 1
            continue
        for _, made in forms:
            found = fragmented(bytes(data), made)
            assert len(found) == len(made.head) + len(data) + len(made.headers)
            index = index_of(found[: made.index_end])
            kinds = [kind for kind, _ in boxes(found[index[0].start : index[-1].end])]
            assert set(kinds) == {b"moof", b"mdat"}
    assert 0 < declined < 500
