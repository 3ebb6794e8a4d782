"""Probes of real files, made by FFmpeg, in real worker processes."""

import os
import struct
from pathlib import Path

import pytest
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg, mp4
from support.probes import metadata_of, problem_of

from service.models import Stream
from service.probing.prober import Prober

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Metadata of valid files


async def test_the_streams_of_an_mp4_are_described(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4", "-metadata", "title= Hello ", "-metadata:s:a:0", "language=deu")
    result = await metadata_of(prober, path)
    assert "mp4" in result.container.split(",")
    assert result.duration == pytest.approx(1.0, abs=0.1)
    assert result.bit_rate == pytest.approx(path.stat().st_size * 8, rel=0.1)
    assert result.title == "Hello"
    assert result.streams == (
        Stream(
            kind="video",
            codec="h264",
            codec_string="avc1.64001E",  # High, no constraints, level 3.0: as encoded
            sample_entry="avc1",
            width=320,
            height=240,
            bit_depth=8,
            frame_rate=25.0,
            variable_frame_rate=False,
            key_frame_interval=0.96,  # one key frame, and 24 frames of 40 ms after it
            open_gops=False,
            default=True,
        ),
        Stream(
            index=1,
            kind="audio",
            codec="aac",
            codec_string="mp4a.40.2",
            sample_entry="mp4a",
            channels=2,
            sample_rate=44100,
            language="deu",
            language_tag="de",
            label="Deutsch",
            default=True,
        ),
    )


@pytest.mark.parametrize(("flags", "expected"), [(("-movflags", "+faststart"), True), ((), False)])
async def test_the_position_of_an_mp4s_moov_is_reported(
    prober: Prober,
    tmp_path: Path,
    flags: tuple[str, ...],
    expected: bool,  # noqa: FBT001 - a case of the table
) -> None:
    result = await metadata_of(prober, mp4(tmp_path / "a.mp4", *flags))
    assert result.index_at_front is expected


FILES = [
    (
        "a.webm",
        ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-c:a", "libopus"),
        ("vp09.00.20.08", "opus"),  # 76800 samples exceed level 1.1
    ),
    (
        "a.mp4",
        ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-c:a", "flac", "-strict", "-2"),
        ("vp09.00.20.08", "flac"),
    ),
    ("a.webm", ("-c:v", "libvpx", "-c:a", "libvorbis"), ("vp8", "vorbis")),
    (
        "a.mkv",
        ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none", "-c:a", "ac3"),
        ("hvc1.1.6.L60.90", "ac-3"),  # Main, level 2, progressive and frames only
    ),
    (
        "a.ts",  # Annex B
        ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none", *AAC),
        ("hvc1.1.6.L60.90", "mp4a.40.2"),
    ),
    ("a.ts", (*H264, "-c:a", "eac3"), ("avc1.64001E", "ec-3")),
    (
        "a.mp4",
        ("-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p10le", "-c:a", "libmp3lame"),
        ("av01.0.00M.10", "mp4a.6B"),  # Main, level 2.0, 10 bits
    ),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), FILES)
async def test_codec_strings_and_dimensions_of_streams_are_read(
    prober: Prober, tmp_path: Path, name: str, arguments: tuple[str, ...], expected: tuple[str, str]
) -> None:
    result = await metadata_of(prober, ffmpeg(tmp_path / name, *PICTURE, *SOUND, *arguments))
    assert tuple(stream.codec_string for stream in result.streams) == expected
    assert (result.streams[0].width, result.streams[0].height) == (320, 240)
    assert result.streams[0].frame_rate == pytest.approx(25.0)
    assert (result.index_at_front is None) is (name != "a.mp4")
    assert result.duration == pytest.approx(1.0, abs=0.2)
    assert not any(stream.language for stream in result.streams)  # "und" is not a language


@pytest.mark.parametrize(
    ("name", "encoder", "codec"), [("a.mp3", "libmp3lame", "mp3"), ("a.m4a", "aac", "aac")]
)
async def test_cover_art_is_an_attachment(
    prober: Prober, tmp_path: Path, name: str, encoder: str, codec: str
) -> None:
    cover = ffmpeg(tmp_path / "cover.png", *PICTURE, "-frames:v", "1")
    maps = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    path = ffmpeg(tmp_path / name, *SOUND, "-i", cover, *maps, "-c:a", encoder)
    result = await metadata_of(prober, path)
    assert [(stream.kind, stream.codec) for stream in result.streams] == [
        ("audio", codec),
        ("attachment", "png"),
    ]


async def test_a_title_with_invalid_utf_8_is_none_but_other_tags_are_kept(
    prober: Prober, tmp_path: Path
) -> None:
    tags = ("-metadata", "title=Hello", "-metadata", "artist=Hello")
    path = mp4(tmp_path / "a.mp4", *tags)
    path.write_bytes(path.read_bytes().replace(b"Hello", b"H\xffllo"))
    result = await metadata_of(prober, path)
    assert result.title is None
    assert [(tag.name, tag.text) for tag in result.tags] == [("artist", "H\ufffdllo")]


# Russian in Windows-1251 and Chinese in GBK, as programs write them.
FOREIGN = [("Танцевальный рай", "cp1251"), ("我的家乡", "gbk"), ("夜に駆ける", "cp932")]


@pytest.mark.parametrize(("text", "encoding"), FOREIGN)
async def test_tags_in_another_encoding_than_declared_are_read_but_give_no_title(
    prober: Prober, tmp_path: Path, text: str, encoding: str
) -> None:
    # ID3v2.3 frames that declare Latin-1 (id3v2.3.0 §3.3), before an MP3 without tags.
    frames = b"".join(
        name + struct.pack(">IHx", 1 + len(text.encode(encoding)), 0) + text.encode(encoding)
        for name in (b"TIT2", b"TPE1")
    )
    sound = ffmpeg(tmp_path / "a.mp3", *SOUND, "-c:a", "libmp3lame", "-id3v2_version", "0")
    sound.write_bytes(b"ID3\3\0\0" + bytes([0, 0, 0, len(frames)]) + frames + sound.read_bytes())
    result = await metadata_of(prober, sound)
    assert result.title is None
    assert [(tag.name, tag.text) for tag in result.tags] == [("artist", text)]

    # Bytes that are not UTF-8, in Matroska, which requires it (RFC 9559 §17.1).
    place = "x" * len(text.encode(encoding))
    film = ffmpeg(
        tmp_path / "a.mkv",
        *(*PICTURE, "-c:v", "mpeg4", "-metadata", f"title={place}", "-metadata", f"artist={place}"),
        *("-metadata:s:v", f"title={place}"),
    )
    film.write_bytes(film.read_bytes().replace(place.encode(), text.encode(encoding)))
    result = await metadata_of(prober, film)
    assert (result.title, result.streams[0].title) == (None, text)
    assert [(tag.name, tag.text) for tag in result.tags] == [("artist", text)]


DATES = [
    # file, tags, the date: what FFmpeg writes and reads for each container
    ("a.mp4", {"creation_time": "2023-05-01T10:20:30Z"}, "2023-05-01T10:20:30Z"),
    ("a.mkv", {"creation_time": "2023-05-01T10:20:30Z"}, "2023-05-01T10:20:30Z"),
    ("a.mp4", {"date": "1994"}, "1994"),
    ("a.mkv", {"date": "1994-05-01"}, "1994-05-01"),
    ("a.m4a", {"date": "20230401"}, "2023-04-01"),
    ("a.flac", {"date": "1994"}, "1994"),
    ("a.mp3", {"date": "1994"}, "1994"),
    (
        "a.mov",
        {
            "com.apple.quicktime.creationdate": "2023-05-01T01:20:30+0200",
            "creation_time": "2023-04-30T23:20:31Z",
        },
        "2023-05-01T01:20:30+02:00",
    ),
    ("a.mp4", {}, None),
    ("a.mp4", {"creation_time": "1904-01-01T00:00:00Z"}, None),
    ("a.mp4", {"creation_time": "1970-01-01T00:00:00Z"}, None),
    ("a.mkv", {"creation_time": "2001-01-01T00:00:00Z"}, None),
]


@pytest.mark.parametrize(("name", "tags", "created"), DATES)
async def test_the_date_of_a_recording_is_read_from_its_tags(
    prober: Prober, tmp_path: Path, name: str, tags: dict[str, str], created: str | None
) -> None:
    options = [word for tag, text in tags.items() for word in ("-metadata", f"{tag}={text}")]
    flags = ("-movflags", "use_metadata_tags") if name.endswith(".mov") else ()
    path = ffmpeg(tmp_path / name, *SOUND, *options, *flags)
    assert (await metadata_of(prober, path)).created == created


async def test_a_stream_without_a_decoder_is_reported(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    # The last avc1 is the sample entry; the first one is the brand in ftyp.
    path.write_bytes(b"zzzz".join(path.read_bytes().rsplit(b"avc1", 1)))
    result = await metadata_of(prober, path)
    assert [stream.kind for stream in result.streams] == ["video", "audio"]
    assert result.streams[0].codec_string is None


@pytest.mark.parametrize(
    "name",
    ["with space.mp4", "🎬 ünïcode.mp4", "line\nend.mp4", "concat:%03d|x.mp4", "b\udcff.mp4"],
)
async def test_any_name_is_opened_as_a_file(prober: Prober, tmp_path: Path, name: str) -> None:
    path = mp4(tmp_path / "a.mp4").rename(tmp_path / name)
    assert (await metadata_of(prober, path)).duration


async def test_the_content_determines_the_container(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4").rename(tmp_path / "a.mp3")
    assert "mp4" in (await metadata_of(prober, path)).container


# Problems of invalid files

FTYP = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"mp41")
SUBTITLES = b"1\n00:00:00,000 --> 00:00:01,000\nHello\n\n" * 20
DAMAGED = {
    "empty": (b"", "empty"),
    "zeros": (bytes(100_000), "zeros"),
    "text": (b"All work and no play makes Jack a dull boy.\n" * 100, "no video or audio file"),
    "subtitles": (SUBTITLES, "no video or audio file"),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no video or audio file"),
    "no moov": (FTYP + struct.pack(">I4s", 1008, b"mdat") + b"\x55" * 1000, "moov"),
    "moov of 100 MB": (FTYP + struct.pack(">I4s", 100 << 20, b"moov") + b"\x55" * 99, "damaged"),
    "mdat of 100 MB": (FTYP + struct.pack(">I4s", 100 << 20, b"mdat") + b"\x55" * 99, "moov"),
}


@pytest.mark.parametrize(("data", "word"), DAMAGED.values(), ids=DAMAGED.keys())
async def test_a_file_that_is_no_video_has_a_problem_with_its_reason(
    prober: Prober, tmp_path: Path, data: bytes, word: str
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    result = await problem_of(prober, path)
    assert result.outcome == "failed"
    assert word in result.reason


async def test_an_mp4_cut_off_before_its_moov_is_a_problem(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    os.truncate(path, path.stat().st_size // 2)
    result = await problem_of(prober, path)
    assert result.outcome == "failed"
    assert "moov" in result.reason


async def test_an_image_is_no_video(prober: Prober, tmp_path: Path) -> None:
    path = ffmpeg(tmp_path / "a.png", *PICTURE, "-frames:v", "1").rename(tmp_path / "a.mp4")
    assert "no video or audio file" in (await problem_of(prober, path)).reason


async def test_a_file_with_only_subtitles_is_a_problem(prober: Prober, tmp_path: Path) -> None:
    text = tmp_path / "a.srt"
    text.write_bytes(SUBTITLES)
    result = await problem_of(prober, ffmpeg(tmp_path / "a.mkv", "-i", text))
    assert "no picture and no sound" in result.reason


async def test_a_path_that_cannot_be_opened_is_a_problem(prober: Prober, tmp_path: Path) -> None:
    gone = await problem_of(prober, tmp_path / "none.mp4")
    assert "gone" in gone.reason
    assert not gone.lasting
    (tmp_path / "folder.mp4").mkdir()
    folder = await problem_of(prober, tmp_path / "folder.mp4")
    assert "regular file" in folder.reason
    assert folder.lasting


@pytest.mark.parametrize("codec", ["libvorbis", "libopus", "flac"])
async def test_the_tags_of_ogg_are_those_of_its_stream(
    prober: Prober, tmp_path: Path, codec: str
) -> None:
    # RFC 7845 §5.2: the comments are in a header of the logical stream.
    tags = {"title": "Tides", "artist": "The Moon", "date": "1987-03-05"}
    options = [word for name, text in tags.items() for word in ("-metadata", f"{name}={text}")]
    told = await metadata_of(prober, ffmpeg(tmp_path / "song.ogg", *SOUND, "-c:a", codec, *options))
    assert (told.title, told.created) == ("Tides", "1987-03-05")
    assert {"artist": "The Moon", "date": "1987-03-05"}.items() <= {
        tag.name: tag.text for tag in told.tags
    }.items()
