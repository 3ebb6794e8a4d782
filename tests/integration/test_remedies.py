"""Findings of real files, and the commands that fix them, run by a shell."""

import asyncio
import hashlib
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.containers import CONTAINERS, Container, make
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg
from support.open_gops import OPEN_GOPS
from support.refused_files import FILES, write_file

from service.models import Finding, Metadata
from service.playability.findings import CODES, findings
from service.probing.prober import ProbeFailure, Prober

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

BLOCK = 4 * 1024 * 1024
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
QUIET = ("-x265-params", "log-level=none")
FRONT = ("-movflags", "+faststart")
NEVER_A_KEY = ("-g", "9999", "-keyint_min", "9999", "-sc_threshold", "0")
LONG = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=15")
NOISE = ("-f", "lavfi", "-i", "nullsrc=size=320x240:rate=25:duration=3,geq=random(1)*255:128:128")
# Every third frame is dropped; the others keep their timestamps.
UNEVEN = ("-vf", "select='mod(n,3)'", "-fps_mode", "passthrough")


async def probe_findings(
    prober: Prober, path: Path, name: str, block: int = BLOCK
) -> tuple[Finding, ...]:
    metadata = await prober.probe(path)
    assert isinstance(metadata, Metadata), metadata
    return findings(name, metadata, block)


@dataclass(frozen=True)
class Case:
    """A file and its expected findings."""

    name: str
    arguments: tuple[str, ...]
    expected: dict[str, str]
    """All codes that are more than hints, and those hints that the case is about."""
    block: int = BLOCK


CASES = [
    Case("good.mp4", (*PICTURE, *SOUND, *H264, *AAC, *FRONT), {}),
    Case("good.webm", (*PICTURE, *SOUND, "-c:v", "libvpx-vp9", "-c:a", "libopus"), {}),
    Case("sound.mp3", (*SOUND, "-c:a", "libmp3lame"), {}),
    Case("sound.flac", (*SOUND, "-c:a", "flac"), {}),
    Case("sound.wav", (*SOUND, "-c:a", "pcm_s16le"), {}),
    Case("index.mp4", (*PICTURE, *SOUND, *H264, *AAC), {"index_at_end": "hint"}),
    Case(
        "hour.webm",
        (*PICTURE, *SOUND, "-c:v", "libvpx", "-c:a", "libopus", "-output_ts_offset", "3600"),
        {"clock": "hint"},
    ),
    Case("sound.m4a", (*SOUND, *AAC), {"index_at_end": "hint"}),
    Case("h264.mkv", (*PICTURE, *SOUND, *H264, *AAC), {"container": "warning"}),
    Case(
        "sound.mka",
        (*SOUND, "-c:a", "libmp3lame"),
        {"container": "warning", "audio_codec": "warning"},  # Firefox plays no MP3 in Matroska
    ),
    Case(
        "vp9.mkv",
        (*PICTURE, *SOUND, "-c:v", "libvpx-vp9", "-c:a", "libopus"),
        {"container": "warning"},
    ),
    Case(
        "vp8.mkv",
        (*PICTURE, *SOUND, "-c:v", "libvpx", "-c:a", "dca", "-strict", "-2", "-ac", "2"),
        {"container": "warning", "audio_codec": "unplayable"},
    ),
    Case("stream.ts", (*PICTURE, *SOUND, *H264, *AAC), {"container": "unplayable"}),
    Case(
        "really avi.mp4", (*PICTURE, *SOUND, *H264, *AAC, "-f", "avi"), {"container": "unplayable"}
    ),
    Case(
        "theora.ogv",
        (*PICTURE, *SOUND, "-c:v", "libtheora", "-c:a", "libvorbis"),
        {"container": "warning", "video_codec": "unplayable"},
    ),
    Case("sound.ogg", (*SOUND, "-c:a", "libvorbis"), {"container": "warning"}),
    Case(
        "hevc.mp4",
        (*PICTURE, *SOUND, *HEVC, *QUIET, "-tag:v", "hvc1", *AAC, *FRONT),
        {"video_codec": "warning"},
    ),
    Case(
        "hev1.mp4",
        (*PICTURE, *SOUND, *HEVC, *QUIET, *AAC, *FRONT),
        {"video_codec": "warning", "sample_entry": "warning"},
    ),
    Case(
        "av1.mp4",
        (*PICTURE, *SOUND, "-c:v", "libaom-av1", "-cpu-used", "8", *AAC, *FRONT),
        {"video_codec": "warning"},
    ),
    Case(
        "divx.mp4",
        (*PICTURE, *SOUND, "-c:v", "mpeg4", *AAC, *FRONT),
        {"video_codec": "unplayable"},
    ),
    Case(
        "prores.mov",
        (*PICTURE, *SOUND, "-c:v", "prores_ks", "-c:a", "pcm_s16le", *FRONT),
        {"video_codec": "unplayable", "audio_codec": "warning"},
    ),
    Case(
        "odd size.mkv",
        (*PICTURE, "-vf", "crop=319:239", "-c:v", "ffv1", "-pix_fmt", "yuv444p"),
        {"container": "warning", "video_codec": "unplayable"},
    ),
    Case("ac3.mp4", (*PICTURE, *SOUND, *H264, "-c:a", "ac3", *FRONT), {"audio_codec": "warning"}),
    Case("alac.m4a", (*SOUND, "-c:a", "alac", *FRONT), {"audio_codec": "warning"}),
    Case(
        "ten bits.mp4",
        (*PICTURE, "-c:v", "libx264", "-pix_fmt", "yuv420p10le", *FRONT),
        {"pixel_format": "warning"},
    ),
    Case(
        "4-2-2.mp4",
        (*PICTURE, "-c:v", "libx264", "-pix_fmt", "yuv422p", *FRONT),
        {"pixel_format": "warning"},
    ),
    Case(
        "4-4-4.webm",
        (*PICTURE, "-c:v", "libvpx-vp9", "-pix_fmt", "yuv444p"),
        {"pixel_format": "warning"},
    ),
    Case(
        "hdr.mp4",
        (
            *(*PICTURE, *HEVC, *QUIET, "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", *FRONT),
            *("-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"),
        ),
        {"video_codec": "warning"},
    ),
    Case(
        "interlaced.mp4",
        (*PICTURE, *H264, "-vf", "setfield=tff", "-flags", "+ildct+ilme", *FRONT),
        {"interlaced": "warning"},
    ),
    Case("open.mp4", (*LONG, *OPEN_GOPS, *FRONT), {"open_gops": "hint"}),
    Case("one key.mp4", (*LONG, *H264, *NEVER_A_KEY, *FRONT), {"sparse_key_frames": "warning"}),
    Case(
        "one key.mkv",
        (*LONG, *H264, *NEVER_A_KEY),
        {"container": "warning", "sparse_key_frames": "warning"},
    ),
    Case("uneven.mp4", (*PICTURE, *UNEVEN, *H264, *FRONT), {"variable_frame_rate": "hint"}),
    Case("noise.mp4", (*NOISE, *H264, *FRONT), {"high_bit_rate": "warning"}, block=65536),
    Case(
        "still.mp4",
        ("-f", "lavfi", "-i", "color=size=64x48:rate=1:duration=3600", *H264, *FRONT),
        {"low_bit_rate": "hint", "sparse_key_frames": "warning"},
        block=65536,
    ),
]


@pytest.mark.parametrize("container", CONTAINERS, ids=[one.name for one in CONTAINERS])
async def test_what_makes_a_container_unplayable_is_fixed_by_the_command(
    prober: Prober, tmp_path: Path, container: Container
) -> None:
    source = await asyncio.to_thread(make, container, tmp_path)
    results = await probe_findings(prober, source, container.name)
    severities = {finding.code: finding.severity for finding in results}
    assert {code: s for code, s in severities.items() if s != "hint"} == container.findings | (
        {"interlaced": "warning"} if "interlaced" in severities else {}  # DV always is
    )
    fixable = [finding for finding in results if finding.severity != "hint"]
    (command,) = {finding.command for finding in fixable}  # the same one for all of them
    assert command
    fixed = await asyncio.to_thread(run, command, tmp_path, source)
    metadata = await prober.probe(fixed)
    assert isinstance(metadata, Metadata)
    assert metadata.duration == pytest.approx(container.seconds, abs=0.15)
    after = {f.code: f.severity for f in findings(fixed.name, metadata, BLOCK)}
    assert not {finding.code for finding in fixable} & set(after), command
    assert "unplayable" not in after.values(), command


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_all_findings_are_fixed_by_one_command(
    prober: Prober, tmp_path: Path, case: Case
) -> None:
    source = await asyncio.to_thread(ffmpeg, tmp_path / case.name, *case.arguments)
    await check_findings(prober, source, case.expected, case.block, {"low_bit_rate"})


@pytest.mark.parametrize("name", FILES)
async def test_what_browsers_refuse_is_found_and_fixed(
    prober: Prober, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    source = await asyncio.to_thread(write_file, folder, name)
    if name == "encrypted fragments.mp4":  # FFmpeg does not open it
        failure = await prober.probe(source)
        assert isinstance(failure, ProbeFailure)
        (finding,) = findings(name, failure.reason, BLOCK)
        assert ({finding.code: finding.severity}, finding.command) == (FILES[name][1], None)
        return
    # A smaller block, so that no bit rate is too low for it.
    await check_findings(prober, source, FILES[name][1], 1 << 16, {"encrypted", "truncated"})


async def check_findings(
    prober: Prober, source: Path, expected: dict[str, str], block: int, without: set[str]
) -> None:
    """Check the findings, and that one command fixes all except those of the codes `without`."""
    results = await probe_findings(prober, source, source.name, block)
    severities = {finding.code: finding.severity for finding in results}
    assert expected.items() <= severities.items()
    assert {code for code in severities if severities[code] != "hint"} <= set(expected)
    assert set(severities) <= set(CODES)
    before = digest(source)
    fixed_codes = {finding.code for finding in results if finding.command}
    assert set(severities) - fixed_codes <= without
    commands = {finding.command for finding in results if finding.command}
    assert len(commands) <= 1
    for command in commands:
        fixed = await asyncio.to_thread(run, command, source.parent, source)
        after = {f.code: f for f in await probe_findings(prober, fixed, fixed.name, block)}
        assert not fixed_codes & set(after), command
        assert all(f.severity == "hint" or f.code in severities for f in after.values()), after
        assert not any(f.severity == "unplayable" for f in after.values()), after
        await asyncio.to_thread(fixed.unlink)
    assert digest(source) == before


def digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def run(command: str, folder: Path, source: Path) -> Path:
    """Run a command in a shell; return the file that it creates."""
    before = set(folder.iterdir())
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, (command, done.stderr)
    (output,) = set(folder.iterdir()) - before
    assert source.exists()
    return output


@pytest.mark.parametrize(
    "name",
    [
        "with space.mp4",
        'it\'s "quoted" $(touch owned) `touch owned`.mp4',
        "-film.mp4",
        "~.mp4",
        "a:b.mp4",
        "concat:film.mp4",
        "100%d *.mp4",
        "\N{CLAPPER BOARD} \u0e20\u0e32\u0e1e e\u0301.mp4",
        f"{'long' * 62}.mp4",
    ],
)
async def test_a_command_quotes_any_file_name_for_the_shell(
    prober: Prober, tmp_path: Path, name: str
) -> None:
    film = await asyncio.to_thread(ffmpeg, tmp_path / "a.mp4", *PICTURE, *H264)
    source = film.rename(tmp_path / name)
    (finding,) = await probe_findings(prober, source, name)
    assert finding.command
    fixed = await asyncio.to_thread(run, finding.command, tmp_path, source)
    assert await probe_findings(prober, fixed, fixed.name) == ()
    assert not (tmp_path / "owned").exists()


async def test_a_command_never_overwrites_a_file(prober: Prober, tmp_path: Path) -> None:
    source = await asyncio.to_thread(ffmpeg, tmp_path / "a.mp4", *PICTURE, *H264)
    (finding,) = await probe_findings(prober, source, "a.mp4")
    assert finding.command
    existing = tmp_path / shlex.split(finding.command)[-1]
    existing.write_bytes(b"mine")
    await asyncio.to_thread(
        subprocess.run, ["sh", "-c", finding.command], cwd=tmp_path, check=False, timeout=600
    )
    assert existing.read_bytes() == b"mine"


async def test_other_streams_tags_and_chapters_are_kept(prober: Prober, tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    (tmp_path / "a.ffmeta").write_text(
        ";FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n"
    )
    source = await asyncio.to_thread(
        ffmpeg,
        tmp_path / "a.mkv",
        *(*PICTURE, *SOUND, "-i", tmp_path / "a.srt", "-i", tmp_path / "a.ffmeta"),
        *("-map", "0", "-map", "1", "-map", "1", "-map", "2", "-map_metadata", "3"),
        *(*H264, "-c:a:0", "aac", "-c:a:1", "dca", "-strict", "-2", "-ac:a:1", "2", "-c:s", "srt"),
        *("-metadata:s:a:1", "language=deu", "-metadata:s:s:0", "language=eng"),
    )
    (finding,) = await probe_findings(prober, source, "a.mkv")
    assert finding.command
    fixed = await asyncio.to_thread(run, finding.command, tmp_path, source)
    metadata = await prober.probe(fixed)
    assert isinstance(metadata, Metadata)
    assert metadata.title == "A film"
    assert [(c.start, c.end, c.title) for c in metadata.chapters] == [(0, 0.5, "One")]
    streams = [(s.kind, s.codec, s.language) for s in metadata.streams if s.kind != "data"]
    assert streams == [
        ("video", "h264", None),
        ("audio", "aac", None),
        ("audio", "aac", "deu"),  # DTS is not possible in MP4
        ("subtitle", "mov_text", "eng"),
    ]


def packets(path: Path) -> list[str]:
    """Return the hash of each video packet."""
    listing = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-c", "copy", "-f", "framemd5", "-"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [line.rpartition(",")[2] for line in listing.splitlines() if not line.startswith("#")]


async def test_only_the_incompatible_stream_is_reencoded(prober: Prober, tmp_path: Path) -> None:
    source = await asyncio.to_thread(
        ffmpeg, tmp_path / "a.mp4", *PICTURE, *SOUND, *H264, "-c:a", "ac3", *FRONT
    )
    (finding,) = await probe_findings(prober, source, "a.mp4")
    assert finding.command
    fixed = await asyncio.to_thread(run, finding.command, tmp_path, source)
    assert packets(fixed) == packets(source)
