import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service.library.derived import Derived
from service.library.video import Metadata, Stream

PATH, REVISION = "sub/film.mp4", "3039-18ae2d7f2c3a4b00"
FULL = Metadata(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    duration=12.345678901234567,
    bit_rate=5_000_000_000,
    title='Ümläut "quoted" 🎬 \x00\x1f\u2028',
    index_at_front=False,
    streams=(
        Stream(
            kind="video",
            codec="h264",
            codec_string="avc1.64001E",
            width=320,
            height=240,
            frame_rate=30000 / 1001,
        ),
        Stream(kind="audio", codec="aac", channels=2, sample_rate=48000, language="deu"),
    ),
)
BARE = Metadata(container="mp3", duration=None, bit_rate=None, streams=())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "derived"


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_what_is_kept_comes_back_as_it_was(folder: Path) -> None:
    derived = Derived(folder)
    derived.save(PATH, REVISION, FULL)
    derived.save("bare.mp3", REVISION, BARE)
    assert derived.load(PATH, REVISION) == FULL
    assert derived.load("bare.mp3", REVISION) == BARE
    assert Derived(folder).load(PATH, REVISION) == FULL  # after a restart as well


def test_streams_that_are_alike_are_held_once(folder: Path) -> None:
    derived = Derived(folder)
    derived.save(PATH, REVISION, FULL)
    derived.save("other.mp4", REVISION, FULL.model_copy(update={"title": "Other"}))
    one, other = derived.load(PATH, REVISION), derived.load("other.mp4", REVISION)
    assert one
    assert other
    assert one.streams is other.streams
    assert (one.title, other.title) == (FULL.title, "Other")


def test_nothing_was_kept_is_none_and_makes_no_folder(folder: Path) -> None:
    assert Derived(folder).load(PATH, REVISION) is None
    assert not folder.exists()


def test_the_last_one_kept_counts(folder: Path) -> None:
    derived = Derived(folder)
    derived.save(PATH, REVISION, BARE)
    derived.save(PATH, REVISION, FULL)
    assert derived.load(PATH, REVISION) == FULL
    assert len(files(folder)) == 1


@pytest.mark.parametrize(
    ("path", "revision"),
    [
        (PATH, "3039-18ae2d7f2c3a4b01"),
        (PATH, ""),
        (PATH, f"{REVISION}/sub"),
        ("film.mp4", REVISION),
        ("sub/film.MP4", REVISION),
        ("sub/film.mp4/", REVISION),
        ("", REVISION),
        (REVISION, PATH),
    ],
)
def test_another_path_or_revision_is_another_video(folder: Path, path: str, revision: str) -> None:
    derived = Derived(folder)
    derived.save(PATH, REVISION, FULL)
    assert derived.load(path, revision) is None
    derived.save(path, revision, BARE)
    assert derived.load(PATH, REVISION) == FULL


@pytest.mark.parametrize(
    "path",
    ["../../outside.mp4", "/etc/passwd", "..", "", "a/" * 2000, "x" * 4096, "nul\0", "日本語/🎬"],
    ids=lambda path: ascii(path[:20]),
)
def test_whatever_the_path_nothing_is_written_outside(tmp_path: Path, path: str) -> None:
    derived = Derived(tmp_path / "derived")
    derived.save(path, REVISION, FULL)
    assert derived.load(path, REVISION) == FULL
    assert files(tmp_path) == files(tmp_path / "derived" / "metadata")
    assert len(files(tmp_path)) == 1


WHOLE = FULL.model_dump_json().encode()
DAMAGED = {
    "empty": b"",
    "cut off": WHOLE[:-1],
    "half": WHOLE[: len(WHOLE) // 2],
    "zeros, as after a power cut": bytes(len(WHOLE)),
    "something behind": WHOLE + WHOLE,
    "no UTF-8": WHOLE.replace(b"aac", b"\xff\xfe\xff"),
    "other JSON": b"[]",
    "null": b"null",
    "a field missing": b'{"container": "mp4", "duration": 1, "bit_rate": 1}',
    "a field of another type": WHOLE.replace(b'"h264"', b"264"),
    "a field of another release": WHOLE.replace(b'"title"', b'"headline"'),
    "nested without end": b'{"streams":' + b"[" * 100_000,
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_none_and_is_made_again(folder: Path, damaged: bytes) -> None:
    assert damaged != WHOLE
    derived = Derived(folder)
    derived.save(PATH, REVISION, FULL)
    (file,) = files(folder)
    file.write_bytes(damaged)
    assert derived.load(PATH, REVISION) is None
    derived.save(PATH, REVISION, FULL)
    assert derived.load(PATH, REVISION) == FULL


@given(data=st.binary())
def test_whatever_bytes_are_there_they_are_none(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "whatever-bytes"
    derived = Derived(folder)
    derived.save(PATH, REVISION, FULL)
    (file,) = files(folder)
    file.write_bytes(data)
    assert derived.load(PATH, REVISION) is None


def unwritable(tmp_path: Path, how: str) -> Path:
    """Give a folder that cannot be written, not even by root."""
    folder = tmp_path / "derived"
    if how == "below a file":
        folder.write_bytes(b"")
    elif how == "a file where its folder goes":
        folder.mkdir()
        (folder / "metadata").write_bytes(b"")
    elif how == "a link that leads nowhere":
        folder.symlink_to("circle")
        (tmp_path / "circle").symlink_to("derived")
    return folder


@pytest.mark.parametrize(
    "how", ["below a file", "a file where its folder goes", "a link that leads nowhere"]
)
def test_a_folder_that_cannot_be_written_only_warns(tmp_path: Path, how: str) -> None:
    folder = unwritable(tmp_path, how)
    derived = Derived(folder)
    with capture_logs() as lines:
        derived.save(PATH, REVISION, FULL)
        assert derived.load(PATH, REVISION) is None
    (line,) = lines
    assert line["log_level"] == "warning"
    assert str(folder) in line["folder"]
    assert line["error"]


def test_a_write_that_fails_leaves_nothing_half_done(folder: Path) -> None:
    derived = Derived(folder)
    derived.save(PATH, REVISION, FULL)
    (target,) = files(folder)
    target.unlink()
    target.mkdir()  # a file cannot take its place
    with capture_logs() as lines:
        derived.save(PATH, REVISION, FULL)
    assert [line["log_level"] for line in lines] == ["warning"]
    assert derived.load(PATH, REVISION) is None
    assert files(folder) == []


def test_two_writers_and_a_reader_never_see_half_a_file(folder: Path) -> None:
    # Replicas may share the folder. What each writes is whole, and large enough to be torn.
    versions = [
        FULL.model_copy(update={"streams": (FULL.streams[number],) * 2000}) for number in (0, 1)
    ]
    Derived(folder).save(PATH, REVISION, versions[0])
    start = threading.Barrier(2)

    def write(number: int) -> None:
        derived = Derived(folder)
        start.wait(30)
        for _ in range(30):
            derived.save(PATH, REVISION, versions[number])

    writers = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    with capture_logs() as lines:
        for writer in writers:
            writer.start()
        read = [Derived(folder).load(PATH, REVISION)]
        while any(writer.is_alive() for writer in writers):
            read.append(Derived(folder).load(PATH, REVISION))
        for writer in writers:
            writer.join()
    assert all(one in versions for one in read)
    assert lines == []
    assert len(files(folder)) == 1  # no temporary file is left
