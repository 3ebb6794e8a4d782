"""Files of all kinds in the running service: listed, described, sent and checked."""

import json
import os
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg
from support.raw_http import ask
from support.server import Server, serve, until

HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
AV1 = ("-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p")
VP9 = ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-c:a", "libopus")
FRONT = ("-movflags", "+faststart")

# RFC 6381 and the codecs' own mappings (service/probing/codecs.py cites them): what x264 and x265
# are told to encode, and the minimum levels for 320x240 at 25 frames a second.
AVC_HIGH = "avc1.64001E"
MAIN, MAIN_10 = "1.6.L60.90", "2.4.L60.90"
AV1_MAIN = "av01.0.00M.08"
VP9_MAIN = "vp09.00.20.08"
AAC_LC = "mp4a.40.2"


@dataclass(frozen=True)
class Case:
    """A file made by FFmpeg and its expected metadata."""

    name: str
    arguments: tuple[str, ...]
    container: str
    codecs: tuple[str | None, ...]
    """The codec strings of its streams."""
    findings: dict[str, str] = field(default_factory=dict)
    """Findings and how severe they are."""
    picture: dict[str, Any] = field(default_factory=dict)
    """Other expected values of the first stream."""


SOME, INDEX = {"container": "warning"}, {"index_at_end": "hint"}
CASES = [
    Case("h264 aac.mp4", (*PICTURE, *SOUND, *H264, *AAC, *FRONT), "mp4", (AVC_HIGH, AAC_LC),
         picture={"width": 320, "height": 240, "frame_rate": 25, "bit_depth": 8,
                  "variable_frame_rate": False, "rotation": None, "pixel_aspect": None}),
    Case("index behind.mp4", (*PICTURE, *SOUND, *H264, *AAC), "mp4", (AVC_HIGH, AAC_LC), INDEX),
    Case("h264 aac.mov", (*PICTURE, *SOUND, *H264, *AAC, *FRONT), "mov", (AVC_HIGH, AAC_LC)),
    Case("h264 aac.mkv", (*PICTURE, *SOUND, *H264, *AAC), "matroska", (AVC_HIGH, AAC_LC)),
    Case("hevc.mp4", (*PICTURE, *HEVC, "-pix_fmt", "yuv420p", "-tag:v", "hvc1", *FRONT), "mp4",
         (f"hvc1.{MAIN}",), {"video_codec": "warning"}),
    Case("hevc as hev1.mp4", (*PICTURE, *HEVC, "-pix_fmt", "yuv420p", *FRONT), "mp4",
         (f"hev1.{MAIN}",), {"video_codec": "warning", "sample_entry": "warning"}),
    Case("hevc ten bits.mov", (*PICTURE, *HEVC, "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1",
         *FRONT), "mov", (f"hvc1.{MAIN_10}",), {"video_codec": "warning"}, {"bit_depth": 10}),
    Case("h264 ten bits.mp4", (*PICTURE, "-c:v", "libx264", "-pix_fmt", "yuv420p10le",
         "-level", "3.0", *FRONT), "mp4", ("avc1.6E001E",),  # H.264 §A.2.5: High 10 is 110
         {"pixel_format": "warning"}, {"bit_depth": 10}),
    Case("av1.mp4", (*PICTURE, *SOUND, *AV1, *AAC, *FRONT), "mp4", (AV1_MAIN, AAC_LC),
         {"video_codec": "warning"}),
    Case("av1.webm", (*PICTURE, *SOUND, *AV1, "-c:a", "libopus"), "webm", (AV1_MAIN, "opus"),
         {"video_codec": "warning"}),
    Case("vp9 opus.webm", (*PICTURE, *SOUND, *VP9), "webm", (VP9_MAIN, "opus")),
    Case("vp9 opus.mp4", (*PICTURE, *SOUND, *VP9, *FRONT), "mp4", (VP9_MAIN, "opus")),
    Case("vp9 opus.mkv", (*PICTURE, *SOUND, *VP9), "matroska", (VP9_MAIN, "opus")),
    Case("stream.ts", (*PICTURE, *SOUND, *H264, *AAC), "mpegts", (AVC_HIGH, AAC_LC)),
    Case("sound alone.m4a", (*SOUND, *AAC, *FRONT), "mp4", (AAC_LC,)),
    Case("sound alone.mp3", (*SOUND, "-c:a", "libmp3lame"), "mp3", ("mp3",)),
    Case("sound alone.flac", (*SOUND, "-c:a", "flac"), "flac", ("flac",)),
    Case("sound alone.opus", (*SOUND, "-c:a", "libopus"), "ogg", ("opus",), SOME),
    Case("no sound.mp4", (*PICTURE, *H264, *FRONT), "mp4", (AVC_HIGH,)),
    Case("one frame.mp4", (*PICTURE, *H264, "-frames:v", "1", *FRONT), "mp4", (AVC_HIGH,),
         picture={"key_frame_interval": None, "variable_frame_rate": None}),
    Case("uneven.mp4", (*PICTURE, "-vf", "select='mod(n,3)'", "-fps_mode", "passthrough", *H264,
         *FRONT), "mp4", (AVC_HIGH,), {"variable_frame_rate": "hint"},
         {"variable_frame_rate": True}),
    Case("uneven.webm", (*PICTURE, "-vf", "select='mod(n,3)'", "-fps_mode", "passthrough", *VP9),
         "webm", (VP9_MAIN,), {"variable_frame_rate": "hint"}, {"variable_frame_rate": True}),
    Case("wide pixels.mp4", (*PICTURE, *H264, "-vf", "setsar=4/3", *FRONT), "mp4", (AVC_HIGH,),
         picture={"pixel_aspect": pytest.approx(4 / 3)}),
    Case("key frames.mp4", (*PICTURE, *H264, "-g", "10", "-sc_threshold", "0", *FRONT), "mp4",
         (AVC_HIGH,), picture={"key_frame_interval": 0.4}),  # 10 frames of 40 ms
    Case("key frames.mkv", (*PICTURE, *H264, "-g", "10", "-sc_threshold", "0"), "matroska",
         (AVC_HIGH,), {}, {"key_frame_interval": 0.4}),
]  # fmt: skip

# ISO/IEC 14496-12 §8.3.2, the matrix {a, b, u, c, d, v, x, y, w} of a track: a point (p, q) is
# shown at (ap + cq + x, bp + dq + y), and q counts downwards. 16.16, the third column 2.30.
UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
TURNED = {
    90: struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 240 << 16, 0, 1 << 30),
    180: struct.pack(">9i", -1 << 16, 0, 0, 0, -1 << 16, 0, 320 << 16, 240 << 16, 1 << 30),
    270: struct.pack(">9i", 0, -1 << 16, 0, 1 << 16, 0, 0, 0, 320 << 16, 1 << 30),
}

FTYP = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"mp41")
BROKEN = {
    "zeros.mp4": (bytes(100_000), "zeros"),
    "text.mp4": (b"All work and no play makes Jack a dull boy.\n" * 100, "no video or audio"),
    "claims 100 MB.mp4": (FTYP + struct.pack(">I4s", 100 << 20, b"moov") + b"\x55" * 99, "damaged"),
}

NAMES = [
    "\u0641\u064a\u0644\u0645 \u0642\u0635\u064a\u0631.mp4",  # Arabic
    "\u7535\u5f71/\u7b2c\u4e00\u96c6.mp4",  # Chinese
    "\u0e20\u0e32\u0e1e\u0e22\u0e19\u0e15\u0e23\u0e4c.mp4",  # Thai, with marks above
    "\U0001f469\u200d\U0001f680\U0001f3ac.mp4",  # emoji, joined
    "z\u0335\u0321\u0352a\u0334\u0301l\u0337go.mp4",  # combining marks
    "caf\u00e9.mp4",  # NFC
    "cafe\u0301.mp4",  # NFD: another file
    "100% #1?&=+;.mp4",
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    media: Path = tmp_path_factory.mktemp("formats") / "media"
    media.mkdir()
    for case in CASES:
        with suppress(pytest.skip.Exception):  # its own test is skipped
            ffmpeg(media / case.name, *case.arguments)
    plain = (media / "no sound.mp4").read_bytes()
    before, mark, after = plain.partition(b"tkhd")
    for angle, matrix in TURNED.items():
        (media / f"turned {angle}.mp4").write_bytes(
            before + mark + after.replace(UPRIGHT, matrix, 1)
        )
    for name, (data, _) in BROKEN.items():
        (media / name).write_bytes(data)
    behind = (media / "index behind.mp4").read_bytes()
    (media / "cut off.mp4").write_bytes(behind[: len(behind) // 2])
    (media / "cut short.mp4").write_bytes(plain[: len(plain) // 2])
    for name in NAMES:
        (media / name).parent.mkdir(exist_ok=True)
        os.link(media / "no sound.mp4", media / name)
    with serve(media, MAX_PARTIAL_SIZE="4MiB") as server:
        until(lambda: all_are_probed(server) or None, "all are probed")
        yield server, media


def get(server: Server, target: str) -> Any:
    answer = ask(server.base, target)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def all_are_probed(server: Server) -> bool:
    videos = get(server, "/api/videos?limit=200")["videos"]
    # A transport stream is listed only when it has been probed, and copied into an MP4 then.
    is_copied = any(
        (video["path"], video["representation"]) == ("stream.ts", "copied") for video in videos
    )
    return is_copied and all(
        video["state"] != "pending" and video["remux"]["state"] != "waiting" for video in videos
    )


def get_video(server: Server, path: str) -> Any:
    return get(server, f"/api/videos/{quote(path)}")


def findings_of(video: dict[str, Any]) -> dict[str, str]:
    """Return the severity of each finding of a video by its code, from the JSON."""
    return {finding["code"]: finding["severity"] for finding in video["findings"]}


def range_matches(server: Server, video: dict[str, Any], data: bytes) -> bool:
    """Return whether ranges in the middle and at the end of a file are sent correctly."""
    middle = len(data) // 2
    for first, last in ((middle, middle + 99), (len(data) - 50, len(data) - 1)):
        answer = ask(server.base, video["download_url"], {"Range": f"bytes={first}-{last}"})
        if (answer.status, answer.body) != (206, data[first : last + 1]):
            return False
    return True


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_film_is_listed_described_sent_and_checked(
    served: tuple[Server, Path], case: Case
) -> None:
    server, media = served
    if not (media / case.name).exists():
        pytest.skip("this ffmpeg has no encoder for it")
    video = get_video(server, case.name)
    assert video["state"] == "probed"
    metadata = video["metadata"]
    assert case.container in metadata["container"].split(",")
    streams = metadata["streams"]
    assert tuple(stream["codec_string"] for stream in streams) == case.codecs
    assert [stream["index"] for stream in streams] == list(range(len(streams)))
    assert {name: streams[0][name] for name in case.picture} == case.picture
    assert metadata["duration"] == pytest.approx(0.04 if "one frame" in case.name else 1, abs=0.15)
    assert findings_of(video) == case.findings
    assert range_matches(server, video, (media / case.name).read_bytes())


@pytest.mark.parametrize("angle", TURNED)
def test_the_rotation_of_a_film_is_reported(served: tuple[Server, Path], angle: int) -> None:
    server, _ = served
    video = get_video(server, f"turned {angle}.mp4")
    (picture,) = video["metadata"]["streams"]
    assert picture["rotation"] == angle
    assert (picture["width"], picture["height"]) == (320, 240)  # as coded
    assert findings_of(video) == {}


@pytest.mark.parametrize("name", [*BROKEN, "cut off.mp4"])
def test_a_broken_file_is_listed_with_its_problem_and_sent(
    served: tuple[Server, Path], name: str
) -> None:
    server, media = served
    video = get_video(server, name)
    assert video["state"] == "failed"
    assert (BROKEN[name][1] if name in BROKEN else "moov") in video["problem"]
    assert findings_of(video) == {"unreadable": "unplayable"}
    assert range_matches(server, video, (media / name).read_bytes())


def test_a_truncated_film_is_described_by_its_moov(
    served: tuple[Server, Path],
) -> None:
    server, media = served
    video = get_video(server, "cut short.mp4")
    assert video["state"] == "probed"
    assert video["metadata"]["streams"][0]["codec_string"] == AVC_HIGH
    assert range_matches(server, video, (media / "cut short.mp4").read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_is_listed_unchanged_and_its_video_served(
    served: tuple[Server, Path], name: str
) -> None:
    server, media = served
    video = get_video(server, name)
    assert video["path"] == name
    assert video["title"] == unicodedata.normalize("NFC", Path(name).stem)
    assert video["state"] == "probed"
    assert range_matches(server, video, (media / name).read_bytes())
