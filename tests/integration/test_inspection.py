"""Bounds on metadata and on the bytes read for it."""

import json
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg

from service.browsers.playable_forms import MAX_SOUNDS, silent_sounds
from service.captions.sound_labels import with_labels
from service.models import Chapter, Metadata, Tag
from service.probing.chapters import MAX_CHAPTERS
from service.probing.frame_timing import MAX_BYTES, MAX_INDEX_BYTES
from service.probing.metadata import (
    MAX_STREAMS,
    read_metadata,
)
from service.probing.tags import MAX_TAG_LENGTH, MAX_TAGS
from service.workers.worker import MAX_ANSWER_BYTES


class Counted:
    """A file that counts the bytes read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def inspect(path: Path) -> Metadata:
    with path.open("rb") as file:
        return Metadata.model_validate(read_metadata(file, path.stat().st_size))


def ffmetadata(path: Path, tags: str, chapters: list[tuple[int, int, str]]) -> Path:
    parts = [
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n"
        for start, end, title in chapters
    ]
    path.write_text(f";FFMETADATA1\n{tags}\n{''.join(parts)}", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_descriptive_tags_and_chapters_are_kept_and_technical_tags_dropped(
    tmp_path: Path, name: str
) -> None:
    metadata_file = ffmetadata(
        tmp_path / "metadata.txt",
        "title=A film\nartist=Somebody\ngenre=Drama\nencoded_by=A machine",
        [(0, 400, "One"), (400, 1000, "Zwei \N{CLAPPER BOARD}")],
    )
    metadata = inspect(
        ffmpeg(tmp_path / name, *PICTURE, "-i", metadata_file, "-map_metadata", "1", *H264)
    )
    assert metadata.title == "A film"
    assert metadata.tags == (Tag(name="artist", text="Somebody"), Tag(name="genre", text="Drama"))
    assert metadata.chapters == (
        Chapter(start=0, end=0.4, title="One"),
        Chapter(start=0.4, end=1, title="Zwei \N{CLAPPER BOARD}"),
    )


def test_titles_and_dispositions_of_streams_are_read(tmp_path: Path) -> None:
    path = ffmpeg(
        tmp_path / "a.mkv",
        *(*PICTURE, *SOUND, "-map", "0", "-map", "1", "-map", "1", *H264, *AAC),
        *("-metadata:s:a:1", "title=Commentary", "-disposition:a:0", "default"),
        *("-disposition:a:1", "forced"),
    )
    _, first, second = inspect(path).streams
    assert (first.title, first.default, first.forced) == (None, True, False)
    assert (second.title, second.default, second.forced) == ("Commentary", False, True)


def test_oversized_metadata_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = 120  # FFmpeg writes at most 127 into Matroska
    monkeypatch.setattr("service.probing.metadata.MAX_STREAMS", streams)
    widest = "\N{CLAPPER BOARD}" * 1000  # twelve bytes each in JSON
    tags = "\n".join(f"{'x' * 50}{number}={widest}" for number in range(100))
    chapters = [(number, number + 1, widest) for number in range(MAX_CHAPTERS + 100)]
    metadata_file = ffmetadata(tmp_path / "metadata.txt", f"title={widest}\n{tags}", chapters)
    sounds = ["-map", "1"] * (streams + 5)
    path = ffmpeg(
        tmp_path / "a.mkv",
        *(*PICTURE, *SOUND, "-i", str(metadata_file), "-map", "0", *sounds, "-map_metadata", "2"),
        *(*H264, "-c:a", "pcm_s16le", "-metadata:s", f"title={widest}"),
    )
    with path.open("rb") as file:
        answer = read_metadata(file, path.stat().st_size)
    metadata = Metadata.model_validate(answer)
    assert len(metadata.streams) == streams
    assert metadata.omissions == (
        f"There are {MAX_CHAPTERS + 100} chapters: only the first {MAX_CHAPTERS} are shown.",
        f"There are many streams: only the first {streams} are examined.",
    )
    assert len(metadata.chapters) == MAX_CHAPTERS
    assert len(metadata.tags) <= MAX_TAGS
    assert all(len(tag.text) <= MAX_TAG_LENGTH for tag in metadata.tags)
    assert metadata.title
    assert metadata.title.endswith("…")
    answer["streams"] *= MAX_STREAMS // streams
    answer["tags"] *= MAX_TAGS // 100
    assert len(json.dumps({"metadata": answer})) < MAX_ANSWER_BYTES


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create lossless noise of 1.4 MB per frame, with only one key frame."""
    source = "color=size=1280x720:rate=25:duration=2.4,noise=alls=100:allf=t"
    return ffmpeg(
        tmp_path_factory.mktemp("noise") / "a.mkv",
        *("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast"),
        *("-qp", "0", "-pix_fmt", "yuv420p", "-g", "9999"),
    )


@pytest.mark.parametrize("cues", [(), ("-reserve_index_space", "4096"), ("-live", "1")])
def test_a_large_film_is_not_read_completely(
    noise: Path, tmp_path: Path, cues: tuple[str, ...]
) -> None:
    path = ffmpeg(tmp_path / "a.mkv", "-i", noise, "-c", "copy", *cues)
    size = path.stat().st_size
    # FFmpeg reads the beginning first: its probesize of 5,000,000 bytes, and a frame more.
    opening = 5_000_000 + 2 * 1280 * 720
    bound = opening + MAX_BYTES + MAX_INDEX_BYTES + (1 << 20)
    assert size > 2 * bound
    with path.open("rb") as file:
        counted = Counted(file)
        read_metadata(cast("BinaryIO", counted), size)
    assert counted.count < bound


def test_a_stream_that_begins_after_ffmpegs_probe_size_is_ignored(tmp_path: Path) -> None:
    # More than FFmpeg's default probe size of 5,000,000 bytes, less than a sample.
    noise = ("-f", "lavfi", "-i", "color=size=320x240:rate=25:duration=3,noise=alls=100:allf=t")
    lossless = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv420p")
    path = ffmpeg(tmp_path / "a.ts", *noise, *lossless, "-g", "5")
    assert 6_000_000 < path.stat().st_size < MAX_BYTES
    # Another version of the program map table (ISO/IEC 13818-1 §2.4.4.9), with audio in it.
    later = ffmpeg(tmp_path / "b.ts", *PICTURE, *SOUND, *H264, *AAC, "-tables_version", "1")
    before = path.read_bytes()
    path.write_bytes(before + later.read_bytes() + before)  # FFmpeg reads the end, too
    metadata = inspect(path)
    assert [stream.kind for stream in metadata.streams] == ["video"]
    assert metadata.streams[0].key_frame_interval == pytest.approx(0.2)


def test_the_sounds_that_viewers_cannot_choose_are_named(tmp_path: Path) -> None:
    maps = ("-map", "0:v", *("-map", "1:a") * (MAX_SOUNDS + 2))
    path = ffmpeg(tmp_path / "film.mkv", *PICTURE, *SOUND, *maps, *H264, "-c:a", "ac3", "-t", "0.2")
    with path.open("rb") as file:
        found = with_labels(read_metadata(file, path.stat().st_size))
    metadata = Metadata.model_validate(found)
    assert len(metadata.sounds) == MAX_SOUNDS + 2
    assert metadata.omissions == ("There are 66 sounds: only the first 64 can be chosen.",)
    # The first one is made without a request, and what cannot be chosen is not made.
    assert silent_sounds(metadata) == tuple(range(2, MAX_SOUNDS + 1))
