"""Probes of real files, made by FFmpeg, in real worker processes."""

import asyncio
import errno
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg, mp4

from service.models import Metadata, Stream
from service.probing.metadata import read_metadata
from service.probing.prober import ProbeFailure, Prober
from service.storage.local.files import revision
from service.workers.pool import MAX_ANSWER_BYTES, MAX_BLOB_BYTES

WORKER = (sys.executable, "-m", "service.worker")


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    prober = Prober()
    yield prober
    pids = prober.pids
    await prober.close()
    assert not any(map(exists, pids))


def exists(pid: int) -> bool:
    """Return whether a process exists, including zombies."""
    return Path(f"/proc/{pid}").exists()


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - processes set no asyncio.Event
            await asyncio.sleep(0.01)


async def hang(prober: Prober) -> int:
    """Stop the only worker, as if a disk did not respond; return its process identifier."""
    await until(lambda: prober.pids)
    (pid,) = prober.pids
    os.kill(pid, signal.SIGSTOP)
    return pid


async def metadata(prober: Prober, path: Path) -> Metadata:
    answer = await prober.probe(path)
    assert isinstance(answer, Metadata), answer
    return answer


async def problem(prober: Prober, path: Path) -> ProbeFailure:
    answer = await prober.probe(path)
    assert isinstance(answer, ProbeFailure), answer
    assert str(path.parent) not in answer.reason
    return answer


# Metadata of valid files


async def test_the_streams_of_an_mp4_are_described(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4", "-metadata", "title= Hello ", "-metadata:s:a:0", "language=deu")
    result = await metadata(prober, path)
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
    result = await metadata(prober, mp4(tmp_path / "a.mp4", *flags))
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
    result = await metadata(prober, ffmpeg(tmp_path / name, *PICTURE, *SOUND, *arguments))
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
    result = await metadata(prober, path)
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
    result = await metadata(prober, path)
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
    result = await metadata(prober, sound)
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
    result = await metadata(prober, film)
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
    assert (await metadata(prober, path)).created == created


async def test_a_stream_without_a_decoder_is_reported(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    # The last avc1 is the sample entry; the first one is the brand in ftyp.
    path.write_bytes(b"zzzz".join(path.read_bytes().rsplit(b"avc1", 1)))
    result = await metadata(prober, path)
    assert [stream.kind for stream in result.streams] == ["video", "audio"]
    assert result.streams[0].codec_string is None


@pytest.mark.parametrize(
    "name",
    ["with space.mp4", "🎬 ünïcode.mp4", "line\nend.mp4", "concat:%03d|x.mp4", "b\udcff.mp4"],
)
async def test_any_name_is_opened_as_a_file(prober: Prober, tmp_path: Path, name: str) -> None:
    path = mp4(tmp_path / "a.mp4").rename(tmp_path / name)
    assert (await metadata(prober, path)).duration


async def test_the_content_determines_the_container(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4").rename(tmp_path / "a.mp3")
    assert "mp4" in (await metadata(prober, path)).container


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
    result = await problem(prober, path)
    assert result.outcome == "failed"
    assert word in result.reason


async def test_an_mp4_cut_off_before_its_moov_is_a_problem(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    os.truncate(path, path.stat().st_size // 2)
    result = await problem(prober, path)
    assert result.outcome == "failed"
    assert "moov" in result.reason


async def test_an_image_is_no_video(prober: Prober, tmp_path: Path) -> None:
    path = ffmpeg(tmp_path / "a.png", *PICTURE, "-frames:v", "1").rename(tmp_path / "a.mp4")
    assert "no video or audio file" in (await problem(prober, path)).reason


async def test_a_file_with_only_subtitles_is_a_problem(prober: Prober, tmp_path: Path) -> None:
    text = tmp_path / "a.srt"
    text.write_bytes(SUBTITLES)
    result = await problem(prober, ffmpeg(tmp_path / "a.mkv", "-i", text))
    assert "no picture and no sound" in result.reason


async def test_a_path_that_cannot_be_opened_is_a_problem(prober: Prober, tmp_path: Path) -> None:
    gone = await problem(prober, tmp_path / "none.mp4")
    assert "gone" in gone.reason
    assert not gone.lasting
    (tmp_path / "folder.mp4").mkdir()
    folder = await problem(prober, tmp_path / "folder.mp4")
    assert "regular file" in folder.reason
    assert folder.lasting


# Worker processes


@pytest.mark.parametrize(
    ("cause", "result"),
    [
        (signal.SIGSEGV, ("crashed", "lasting")),
        (signal.SIGKILL, ("crashed", "passing")),  # as the kernel does when memory runs out
        (signal.SIGPROF, ("timeout", "lasting")),  # processor time; a hanging disk uses none
    ],
)
async def test_a_killed_worker_fails_only_its_own_file(
    prober: Prober, tmp_path: Path, cause: signal.Signals, result: tuple[str, str]
) -> None:
    probing = asyncio.create_task(prober.probe(mp4(tmp_path / "b.mp4")))
    pid = await hang(prober)
    os.kill(pid, cause)
    os.kill(pid, signal.SIGCONT)
    answer = await probing
    assert isinstance(answer, ProbeFailure)
    assert (answer.outcome, "lasting" if answer.lasting else "passing") == result
    await metadata(prober, mp4(tmp_path / "a.mp4"))
    await until(lambda: not exists(pid))


async def test_a_worker_killed_between_files_fails_none(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    await metadata(prober, path)
    (pid,) = prober.pids
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not exists(pid))
    await metadata(prober, path)
    assert pid not in prober.pids


async def until_read(prober: Prober, path: Path) -> None:
    """Probe until it succeeds: on a busy machine a process takes longer to start."""
    async with asyncio.timeout(60):
        while not isinstance(await prober.probe(path), Metadata):
            pass


async def test_a_probe_that_takes_too_long_times_out(tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    prober = Prober(timeout=5)
    try:
        await until_read(prober, path)
        pid = await hang(prober)
        begun = time.monotonic()
        result = await problem(prober, path)
        assert time.monotonic() - begun > 4
        assert (result.outcome, result.lasting) == ("timeout", False)
        await until_read(prober, path)
        await until(lambda: not exists(pid))
    finally:
        await prober.close()


async def test_a_cancelled_probe_leaves_no_answer_for_the_next(
    prober: Prober, tmp_path: Path
) -> None:
    path = mp4(tmp_path / "a.mp4")
    await metadata(prober, path)
    pid = await hang(prober)
    other = mp4(tmp_path / "b.mp4", "-metadata", "title=Other")
    probing = asyncio.create_task(prober.probe(other))
    await asyncio.sleep(0.1)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    assert (await metadata(prober, path)).title is None
    assert pid not in prober.pids
    await until(lambda: not exists(pid))


async def test_a_probe_may_be_cancelled_at_any_moment(prober: Prober, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")

    async def for_ever() -> None:
        while True:
            await prober.probe(path)

    for milliseconds in (0, 1, 2, 3, 5, 10, 50, 100, 200, 300):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(for_ever(), milliseconds / 1000)
    await metadata(prober, path)
    assert len(prober.pids) == 1


async def test_workers_are_started_on_demand_and_replaced_after_their_files(tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    prober = Prober(workers=2, files_per_worker=2)
    try:
        assert not prober.pids
        await metadata(prober, path)
        first = prober.pids
        assert len(first) == 1
        await metadata(prober, path)
        assert not prober.pids, "a second process was started, or the first one not ended"
        await metadata(prober, path)
        assert len(prober.pids) == 1
        assert not prober.pids & first
    finally:
        await prober.close()


async def test_idle_workers_are_stopped_and_started_again(prober: Prober, tmp_path: Path) -> None:
    file = tmp_path / "no.mp4"
    file.write_bytes(b"no video")
    await problem(prober, file)
    (pid,) = prober.pids
    prober.stop_idle()
    assert prober.pids == frozenset()
    await until(lambda: not exists(pid))
    await problem(prober, file)
    assert len(prober.pids) == 1


async def test_the_number_of_workers_is_bounded() -> None:
    prober = Prober(workers=2, command=worker_answering(PROBLEM, "import time; time.sleep(0.1)"))
    counts: list[int] = []

    async def probe(number: int) -> None:
        await prober.probe(Path(f"/{number}"))
        counts.append(len(prober.pids))

    await asyncio.gather(*map(probe, range(8)))
    await prober.close()
    assert max(counts) == 2


async def test_close_stops_running_probes(tmp_path: Path) -> None:
    prober = Prober(workers=2)
    path = mp4(tmp_path / "a.mp4")
    probing = [asyncio.create_task(prober.probe(path)) for _ in range(3)]
    await until(lambda: len(prober.pids) == 2)
    pids = prober.pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(10):
        await asyncio.gather(prober.close(), prober.close())
    assert not any(map(exists, pids))
    assert not prober.pids
    for result in await asyncio.gather(*probing, return_exceptions=True):
        assert isinstance(result, RuntimeError)
    with pytest.raises(RuntimeError, match="closed"):
        await prober.probe(path)


# Invalid answers of a worker

PROBLEM = b'{"problem": "It is so.", "lasting": true}\n'
VALID = {"container": "mp4", "duration": 1.0, "bit_rate": 1, "streams": []}


def worker_answering(answer: bytes, before: str = "") -> tuple[str, ...]:
    """Return the command of a worker that sends this answer to every request."""
    source = (
        f"import sys\nfor _ in sys.stdin.buffer:\n {before or 'pass'}\n"
        f" sys.stdout.buffer.write({answer!r}); sys.stdout.flush()"
    )
    return (sys.executable, "-c", source)


def worker_copying(answer: Path) -> tuple[str, ...]:
    """Return the command of a worker that answers with the content of a file."""
    source = (
        "import pathlib, sys\nfor _ in sys.stdin.buffer:\n"
        " sys.stdout.buffer.write(pathlib.Path(sys.argv[1]).read_bytes()); sys.stdout.flush()"
    )
    return (sys.executable, "-c", source, str(answer))


def answer_of(size: int) -> bytes:
    """Return a valid answer of `size` bytes."""
    frame = json.dumps({"metadata": VALID | {"title": ""}}).encode() + b"\n"
    return frame.replace(b'"title": ""', b'"title": "%s"' % (b"x" * (size - len(frame))))


async def test_an_answer_may_have_the_maximum_length(tmp_path: Path) -> None:
    (tmp_path / "answer").write_bytes(answer_of(MAX_ANSWER_BYTES))
    prober = Prober(command=worker_copying(tmp_path / "answer"))
    result = await metadata(prober, tmp_path)
    assert result.title is not None
    assert len(result.title) > MAX_ANSWER_BYTES - 200
    await prober.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"\n",
        b"noise\n",
        b"\xff\n",
        b"[]\n",
        b"{}\n",
        b'{"problem": "", "lasting": true}\n',
        b'{"problem": 7, "lasting": true}\n',
        b'{"problem": "It is so.", "lasting": 1}\n',
        PROBLEM.replace(b"}", b', "bytes": [-1]}'),
        PROBLEM.replace(b"}", b', "bytes": [true]}'),
        PROBLEM.replace(b"}", b', "bytes": "3"}'),
        PROBLEM.replace(b"}", b', "bytes": [%d]}' % (MAX_BLOB_BYTES + 1)),
        b'{"metadata": {}}\n',
        json.dumps({"metadata": VALID, "problem": "both"}).encode() + b"\n",
        json.dumps({"metadata": VALID | {"unknown": 1}}).encode() + b"\n",
        json.dumps({"metadata": VALID | {"duration": "long"}}).encode() + b"\n",
        b"[" * 100_000 + b"\n",
    ],
)
async def test_an_invalid_answer_counts_as_a_crash(answer: bytes) -> None:
    prober = Prober(command=worker_answering(answer))
    assert (await problem(prober, Path("/a/b"))).outcome == "crashed"
    assert not prober.pids
    await prober.close()


async def test_an_answer_above_the_maximum_length_counts_as_a_crash(tmp_path: Path) -> None:
    (tmp_path / "answer").write_bytes(answer_of(MAX_ANSWER_BYTES * 3))
    prober = Prober(command=worker_copying(tmp_path / "answer"))
    assert (await problem(prober, Path("/a/b"))).outcome == "crashed"
    await prober.close()


@pytest.mark.parametrize(
    "command",
    [
        ("/nonexistent/program",),
        (sys.executable, "-c", "raise SystemExit(1)"),
        (sys.executable, "-c", "print('half', end='')"),
    ],
)
async def test_a_worker_that_cannot_start_or_answer_counts_as_a_crash(
    command: tuple[str, ...],
) -> None:
    prober = Prober(command=command)
    for _ in range(2):
        result = await problem(prober, Path("/a/b"))
        assert (result.outcome, result.lasting) == ("crashed", False)
    await prober.close()


# The worker on its own


def run(source: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    source = f"import os, sys; from service import worker; {source}"
    return subprocess.run(
        [sys.executable, "-c", source, *arguments],
        check=False,
        input=stdin,
        capture_output=True,
        timeout=30,
    )


def test_the_memory_of_a_worker_is_limited() -> None:
    assert (
        run(
            "worker.process.apply_limits(); bytearray(worker.process.MAX_MEMORY_BYTES // 2)"
        ).returncode
        == 0
    )
    result = run(
        "worker.process.apply_limits(); bytearray(worker.process.MAX_MEMORY_BYTES + (1 << 20))"
    )
    assert b"MemoryError" in result.stderr


def test_a_file_that_needs_too_much_memory_is_a_problem() -> None:
    result = run(
        "worker.process.apply_limits();"
        "worker.read_metadata = lambda *_: bytearray(2 * worker.process.MAX_MEMORY_BYTES);"
        "place, path = os.path.split(os.path.realpath(sys.executable));"
        "print(worker.handle_request({'task': 'probe', 'root': place, 'path': path}))"
    )
    assert b"memory" in result.stdout


@pytest.mark.parametrize(
    ("hindrance", "reason"),
    [
        ("os.geteuid() or os.seteuid(65534)", "permission denied"),  # root may read every file
        (
            "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
            "Too many open files",
        ),
    ],
)
def test_failures_not_caused_by_the_file_are_temporary(
    tmp_path: Path, hindrance: str, reason: str
) -> None:
    path = mp4(tmp_path / "a.mp4")
    path.chmod(0)
    tmp_path.chmod(0o755)
    request = {"task": "probe", "root": ".", "path": "a.mp4"}
    source = (
        f"import json; os.chdir({str(tmp_path)!r}); {hindrance}; "
        f"print(json.dumps(worker.handle_request({request})[0]))"
    )
    result = json.loads(run(source).stdout)
    assert reason in result["problem"]
    assert result["lasting"] is False


@pytest.mark.parametrize(
    ("hindrance", "problem"),
    [
        ("os.geteuid() or os.seteuid(65534)", "The file a.srt may not be read: permission denied."),
        ("os.unlink(texts[0][0])", "The file a.srt is gone."),
    ],
)
def test_a_sidecar_failure_is_reported_by_its_name_only(
    tmp_path: Path, hindrance: str, problem: str
) -> None:
    path, sidecar = mp4(tmp_path / "a.mp4"), tmp_path / "a.srt"
    sidecar.write_text("1\n00:00:01,000 --> 00:00:02,000\nText\n")
    tmp_path.chmod(0o755)
    sidecar.chmod(0)
    texts = [["a.srt", revision(sidecar.stat())]]
    request = {
        "task": "captions",
        "root": ".",
        "path": "a.mp4",
        "revision": revision(path.stat()),
    }
    source = (
        f"import json; texts = {texts!r}; os.chdir({str(tmp_path)!r}); {hindrance}; "
        f"print(json.dumps(worker.handle_request({request!r} | {{'texts': texts}})[0]))"
    )
    assert json.loads(run(source).stdout) == {"problem": problem, "lasting": False}


class FailingDisk(io.FileIO):
    """A file of which only the first bytes can be read."""

    def __init__(self, path: Path, readable: int) -> None:
        super().__init__(path)
        self._readable = readable

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() + (size or 0) > self._readable:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


@pytest.mark.parametrize("readable", [0, 1000, 20_000])
def test_a_disk_error_is_not_reported_as_damage(tmp_path: Path, readable: int) -> None:
    path = mp4(tmp_path / "a.mp4")
    size = path.stat().st_size
    assert size > readable  # the moov is at the end
    with FailingDisk(path, readable) as file, pytest.raises(OSError, match="Input/output error"):
        read_metadata(file, size)


def test_only_answers_reach_standard_output() -> None:
    result = run(
        "worker.handle_request = lambda _: ({'said': os.write(1, b'noise')}, ()); worker.main()",
        stdin=b'{"path": "/"}\n',
    )
    assert result.stdout == b'{"said": 5}\n'
    assert b"noise" in result.stderr


def test_a_hanging_worker_ends_itself(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    request = {"task": "probe", "root": str(tmp_path), "path": "a.mp4", "wall": 1}
    result = run(
        "import time; worker.read_metadata = lambda *_: time.sleep(60); worker.main()",
        stdin=json.dumps(request).encode() + b"\n",
    )
    assert result.returncode == -signal.SIGALRM


async def test_a_worker_has_idle_priority_and_dumps_no_core(prober: Prober, tmp_path: Path) -> None:
    await problem(prober, tmp_path)
    (pid,) = prober.pids
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    # A session of its own would get its own share of processor time at any priority.
    assert (os.getsid(pid), os.getpgid(pid)) == (os.getsid(0), pid)
    limits = await asyncio.to_thread(Path(f"/proc/{pid}/limits").read_text)
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


PARENT = """
import asyncio, os, sys
from pathlib import Path
from service.probing.prober import Prober

async def main():
    prober = Prober()
    print(await prober.probe(Path("none.mp4")), *prober.pids, flush=True)
    os._exit(0)

asyncio.run(main())
"""


async def test_a_worker_starts_from_any_folder_and_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service/__init__.py").write_text("raise ImportError('the wrong one')")
    parent = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-P", "-c", PARENT],  # -P: the parent itself does not import from here
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
    )
    output, pid = parent.stdout.rsplit(maxsplit=1)
    assert "The file is gone." in output
    status = Path(f"/proc/{pid}/status")
    # A zombie has ended; its new parent reaps it.
    await until(lambda: not status.exists() or "\nState:\tZ" in status.read_text())


@pytest.mark.slow
def test_probes_timeouts_and_crashes_work_on_uvloop(tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")

    async def main() -> None:
        prober = Prober(timeout=5)
        await metadata(prober, path)
        pids = prober.pids
        await hang(prober)
        assert (await problem(prober, path)).outcome == "timeout"
        await metadata(prober, path)
        pid = await hang(prober)
        probing = asyncio.create_task(prober.probe(path))
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        answer = await probing
        assert isinstance(answer, ProbeFailure)
        assert answer.outcome == "crashed"
        await metadata(prober, path)
        pids |= prober.pids
        await prober.close()
        assert not any(map(exists, pids))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("codec", ["libvorbis", "libopus", "flac"])
async def test_the_tags_of_ogg_are_those_of_its_stream(
    prober: Prober, tmp_path: Path, codec: str
) -> None:
    # RFC 7845 §5.2: the comments are in a header of the logical stream.
    tags = {"title": "Tides", "artist": "The Moon", "date": "1987-03-05"}
    options = [word for name, text in tags.items() for word in ("-metadata", f"{name}={text}")]
    told = await metadata(prober, ffmpeg(tmp_path / "song.ogg", *SOUND, "-c:a", codec, *options))
    assert (told.title, told.created) == ("Tides", "1987-03-05")
    assert {"artist": "The Moon", "date": "1987-03-05"}.items() <= {
        tag.name: tag.text for tag in told.tags
    }.items()
