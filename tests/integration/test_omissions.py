"""What is left out of a file is named in its JSON, on its page and in the log."""

import json
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg, mp4
from support.raw_http import ask
from support.server import Server, serve, until, write

pytestmark = pytest.mark.slow  # large images and many files

SEGMENT = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6")
ONE_KEY_FRAME = ("-g", "9999", "-keyint_min", "9999", "-sc_threshold", "0")
CUE = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG (ISO/IEC 15948 §5.3)."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


HUGE_PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(1000)))
    + chunk(b"IEND", b"")
)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(256))
TOO_LARGE = "It has 20000 by 20000 pixels, 400 million: at most 100 million are converted."


def image(kind: str, size: int = 300) -> bytes:
    file = BytesIO()
    Image.linear_gradient("L").resize((size, size)).convert("RGB").save(file, kind)
    return file.getvalue()


def size_of(length: int) -> bytes:
    """Return a synchsafe integer (ID3v2.4.0 structure §6.2)."""
    return bytes(length >> shift & 127 for shift in (21, 14, 7, 0))


def tagged(song: bytes, kind: str, cover: bytes) -> bytes:
    """Return an MP3 with a front cover (ID3v2.4.0 native frames §4.14)."""
    picture = b"\0" + f"image/{kind}".encode() + b"\0\x03\0" + cover
    frame = b"APIC" + size_of(len(picture)) + b"\0\0" + picture
    return b"ID3\4\0\0" + size_of(len(frame)) + frame + song


def metadata_file(path: Path, chapters: int, tags: int = 0) -> Path:
    lines = [";FFMETADATA1", *(f"tag{number:03}=text" for number in range(tags))]
    for n in range(chapters):
        lines += ["[CHAPTER]", "TIMEBASE=1/10000", f"START={n}", f"END={n + 1}", f"title=No. {n}"]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("omissions")
    media = folder / "media"
    (media / "captions").mkdir(parents=True)
    song = ffmpeg(folder / "song.mp3", *SOUND, "-c:a", "libmp3lame", "-id3v2_version", "0")
    for kind in ("gif", "bmp", "webp", "tiff"):
        (media / f"{kind}.mp3").write_bytes(tagged(song.read_bytes(), kind, image(kind.upper())))
    large = tagged(song.read_bytes(), "jpeg", image("JPEG", 11_000))
    (media / "large.mp3").write_bytes(large)
    (media / "huge.mp3").write_bytes(tagged(song.read_bytes(), "png", HUGE_PNG))
    (media / "broken.mp3").write_bytes(tagged(song.read_bytes(), "jpeg", b"no image"))
    for kind, cover in {"avif": image("AVIF"), "heic": HEIC}.items():
        (media / f"{kind}.mp3").write_bytes(tagged(song.read_bytes(), kind, cover))
        (folder / kind).write_bytes(cover)
        attached = ("-attach", folder / kind, "-metadata:s:t", f"mimetype=image/{kind}")
        ffmpeg(media / f"{kind}.mka", *SOUND, *attached, *AAC)
    mp4(media / "film.mp4")
    (media / "film.png").write_bytes(HUGE_PNG)
    mp4(media / "captions" / "many.mp4")
    for number in range(300):
        (media / "captions" / f"many.{number:03}.srt").write_text(CUE, encoding="utf-8")
    ffmpeg(media / "segment.ts", *SEGMENT, *SOUND, *H264, *ONE_KEY_FRAME, *AAC)
    ffmpeg(media / "raw.h264", *PICTURE, *H264)
    for name, (chapters, tags) in {"book": (1025, 100), "endless": (5001, 201)}.items():
        lines = metadata_file(folder / "lines.txt", chapters, tags)
        ffmpeg(media / f"{name}.mka", *SOUND, "-i", lines, "-map_metadata", "1", *AAC)
    with serve(media, WORKERS="2") as server:
        until(lambda: all_is_derived(server) or None, "all is derived")
        yield server


def videos(server: Server) -> list[Any]:
    listing: list[Any] = json.loads(ask(server.base, "/api/videos?limit=200").body)["videos"]
    return listing


def all_is_derived(server: Server) -> bool:
    waiting = {"waiting", "pending"}
    listing = videos(server)
    kinds = ("poster", "captions", "storyboard")
    return len(listing) == 17 and not any(
        video["state"] in waiting or waiting & {video[kind]["state"] for kind in kinds}
        for video in listing
    )


def video(server: Server, path: str) -> Any:
    return json.loads(ask(server.base, f"/api/videos/{quote(path)}").body)


def page(server: Server, path: str) -> str:
    return ask(server.base, f"/watch/{quote(path)}").body.decode()


@pytest.mark.parametrize(
    "name", ["gif.mp3", "bmp.mp3", "webp.mp3", "tiff.mp3", "large.mp3", "avif.mka"]
)
def test_a_cover_of_any_common_kind_is_the_poster(served: Server, name: str) -> None:
    poster = video(served, name)["poster"]
    assert (poster["state"], poster["problems"]) == ("ready", [])
    largest = poster["pictures"][-1]
    assert largest["width"] == largest["height"] == (1280 if name == "large.mp3" else 300)


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_a_song_whose_cover_ffmpeg_does_not_read_says_so(served: Server, kind: str) -> None:
    song = video(served, f"{kind}.mp3")
    assert song["poster"]["state"] == "none"
    sentences = [f["sentence"] for f in song["findings"] if f["code"] == "left_out"]
    assert len(sentences) == 1
    assert f"image/{kind}" in sentences[0]
    assert sentences[0] in page(served, f"{kind}.mp3")


def test_a_heic_image_inside_matroska_is_called_that(served: Server) -> None:
    poster = video(served, "heic.mka")["poster"]
    assert poster["state"] == "failed"
    assert "It is a HEIC image" in poster["problem"]


@pytest.mark.parametrize(
    ("name", "reason"), [("huge", TOO_LARGE), ("broken", "It is no image of a kind that is")]
)
def test_a_song_whose_cover_is_not_converted_says_why(
    served: Server, name: str, reason: str
) -> None:
    poster = video(served, f"{name}.mp3")["poster"]
    assert poster["state"] == "failed"
    sentence = f"The cover inside the file is not shown: {reason}"
    assert poster["problem"].startswith(sentence)
    assert f"Poster: could not be made. {sentence}" in page(served, f"{name}.mp3")
    assert served.logged("not derived", path=f"{name}.mp3", reason=poster["problem"])


def test_a_film_gets_a_frame_for_the_image_beside_it_that_is_not_converted_and_says_why(
    served: Server,
) -> None:
    poster = video(served, "film.mp4")["poster"]
    assert (poster["state"], poster["problem"]) == ("ready", None)
    assert poster["problems"] == [f"film.png is not shown: {TOO_LARGE}"]
    assert poster["problems"][0] in page(served, "film.mp4")


def test_a_short_stream_with_one_key_frame_has_a_poster_and_no_complaint(served: Server) -> None:
    segment = video(served, "segment.ts")
    assert (segment["poster"]["state"], segment["poster"]["problem"]) == ("ready", None)
    assert (segment["storyboard"]["state"], segment["storyboard"]["problem"]) == ("ready", None)
    assert "could not be made" not in page(served, "segment.ts")


def test_a_stream_without_a_container_has_a_poster(served: Server) -> None:
    assert video(served, "raw.h264")["poster"]["state"] == "ready"


def test_a_book_has_all_its_chapters_and_tags(served: Server) -> None:
    book = video(served, "book.mka")
    assert [chapter["title"] for chapter in book["chapters"]] == [f"No. {n}" for n in range(1025)]
    assert len(book["metadata"]["chapters"]) == 1025
    assert len([tag for tag in book["metadata"]["tags"] if tag["name"].startswith("tag")]) == 100
    assert "left_out" not in {finding["code"] for finding in book["findings"]}


def test_what_exceeds_a_limit_is_counted_in_a_finding(served: Server) -> None:
    endless = video(served, "endless.mka")
    assert len(endless["chapters"]) == 5000
    sentences = [f["sentence"] for f in endless["findings"] if f["code"] == "left_out"]
    assert sentences == [
        "There are 5001 chapters: only the first 5000 are shown.",
        "There are 201 tags: only the first 200 are shown.",
    ]
    for sentence in sentences:
        assert sentence in page(served, "endless.mka")
        assert served.logged("part of a file is left out", path="endless.mka", reason=sentence)


def test_subtitle_files_beyond_the_limit_are_counted(served: Server) -> None:
    captions = video(served, "captions/many.mp4")["captions"]
    assert len(captions["tracks"]) == 256
    assert captions["problems"] == ["There are 300 subtitle files: only the first 256 are read."]
    assert captions["problems"][0] in page(served, "captions/many.mp4")


def test_the_title_of_a_playlist_says_how_many_videos_are_left_out(tmp_path: Path) -> None:
    media = tmp_path / "media"
    first = write(media / "all", "0000.mp4", b"no video")
    for number in range(1, 1001):
        (media / "all" / f"{number:04}.mp4").hardlink_to(first)
    (media / "few").mkdir()
    (media / "few" / "a.mp4").hardlink_to(first)
    with serve(media) as server:
        lines = ask(server.base, "/playlists?folder=all").body.decode().splitlines()
        assert lines[:2] == ["#EXTM3U", "#PLAYLIST:all (the first 1000 of 1001 videos)"]
        assert len(lines) == 2 + 2 * 1000
        lines = ask(server.base, "/playlists?folder=few").body.decode().splitlines()
        assert lines[1] == "#PLAYLIST:few"
