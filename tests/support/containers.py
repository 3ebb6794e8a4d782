"""A one-second file in each container that no browser plays, or not every one, made by FFmpeg."""

import struct
from dataclasses import dataclass
from pathlib import Path

from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg

_VIDEO_ONLY = ("-map", "0:v")
_MPEG2 = ("-c:v", "mpeg2video", "-c:a", "mp2")
_CIF = ("-s", "352x288")  # one of the sizes of H.263
_PAL = ("-s", "720x576", "-pix_fmt", "yuv420p", "-ar", "48000", "-ac", "2")
_STEREO = ("-ar", "48000", "-ac", "2")


@dataclass(frozen=True)
class Container:
    """A file, and the severity of its findings by their codes, without hints."""

    name: str
    arguments: tuple[str, ...]
    findings: dict[str, str]

    @property
    def seconds(self) -> float:
        """The duration. GXF has sound in packets of 32,768 samples at 48 kHz (SMPTE 360M)."""
        if self.name == "raw.y4m":  # short, as it is large
            return 0.2
        return 2 * 32_768 / 48_000 if self.name.endswith(".gxf") else 1.0


def _films(*rows: tuple[str, tuple[str, ...], str]) -> list[Container]:
    """Return files that are unplayable by their container and by these other streams."""
    return [
        Container(
            name,
            (*PICTURE, *SOUND, *arguments),
            {"container": "unplayable"}
            | {f"{kind}_codec": "unplayable" for kind in also.split() if kind != "pcm"}
            | ({"audio_codec": "warning"} if "pcm" in also else {}),
        )
        for name, arguments, also in rows
    ]


CONTAINERS = [
    *_films(
        ("xvid.avi", ("-c:v", "mpeg4", "-c:a", "libmp3lame"), "video"),
        ("xvid.divx", ("-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi"), "video"),
        ("camera.avi", ("-c:v", "mjpeg", "-c:a", "pcm_s16le"), "video pcm"),
        ("h264.avi", (*H264, "-c:a", "libmp3lame"), ""),
        ("sorenson.flv", ("-c:v", "flv", "-c:a", "libmp3lame", "-ar", "44100"), "video"),
        ("h264.flv", (*H264, *AAC), ""),
        ("film.wmv", ("-c:v", "wmv2", "-c:a", "wmav2"), "video audio"),
        ("film.asf", (*H264, *AAC), ""),
        ("dvd.mpg", _MPEG2, "video audio"),
        ("disc.mpeg", ("-c:v", "mpeg1video", "-c:a", "mp2", "-f", "mpeg"), "video audio"),
        ("title.vob", (*_MPEG2, "-f", "vob"), "video audio"),
        ("camcorder.mod", (*_MPEG2, "-f", "mpeg"), "video audio"),
        ("camcorder.tod", (*_MPEG2, "-f", "mpegts"), "video audio"),
        ("camcorder.mts", (*H264, *AAC, "-f", "mpegts", "-mpegts_m2ts_mode", "1"), ""),
        ("recording.m2t", (*_MPEG2, "-f", "mpegts"), "video audio"),
        ("film.rm", ("-c:v", "rv20", *_CIF, "-c:a", "aac", "-f", "rm"), "video"),
        ("film.rmvb", ("-c:v", "rv10", *_CIF, "-c:a", "aac", "-f", "rm"), "video"),
        ("camera.mxf", ("-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", "48000"), "video pcm"),
        ("tape.dv", ("-c:v", "dvvideo", "-c:a", "pcm_s16le", *_PAL), "video pcm"),
        ("film.nut", (*H264, *AAC), ""),
        ("recording.wtv", _MPEG2, "video audio"),
        ("film.m2v", (*_VIDEO_ONLY, "-c:v", "mpeg2video"), "video"),
        ("film.h264", (*_VIDEO_ONLY, *H264), ""),
        ("server.gxf", ("-c:v", "mpeg2video", *_PAL, "-ac", "1", "-c:a", "pcm_s16le"), "video pcm"),
        ("film.ivf", (*_VIDEO_ONLY, "-c:v", "libvpx-vp9"), ""),
        ("film.gvi", ("-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi"), "video"),
        ("film.wm", ("-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf"), "video audio"),
        ("film.mpeg2", (*_MPEG2, "-f", "vob"), "video audio"),
        ("recording.rec", (*_MPEG2, "-f", "mpegts"), "video audio"),
        ("raw.y4m", (*_VIDEO_ONLY, "-t", "0.2", "-f", "yuv4mpegpipe"), "video"),
        ("player.amv", ("-c:v", "amv", "-c:a", "adpcm_ima_amv", "-ar", "22050", "-ac", "1",
                        "-block_size", "882", "-strict", "-1"), "video audio"),
    ),
    Container(
        "film.hevc",
        (*PICTURE, "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"),
        {"container": "unplayable", "video_codec": "warning"},
    ),
    Container(
        "film.obu",
        (*PICTURE, "-c:v", "libaom-av1", "-cpu-used", "8"),
        {"container": "unplayable", "video_codec": "warning"},
    ),
    Container(
        "film.ogm",
        (*PICTURE, *SOUND, "-c:v", "libtheora", "-c:a", "libvorbis", "-f", "ogg"),
        {"container": "warning", "video_codec": "unplayable"},
    ),
    Container("depth.mk3d", (*PICTURE, *SOUND, *H264, *AAC, "-f", "matroska"),
              {"container": "warning"}),
    Container("phone.3gp", (*PICTURE, *SOUND, *H264, *AAC, "-movflags", "+faststart"),
              {"container": "warning"}),
    Container(
        "old phone.3gp",
        (*PICTURE, *SOUND, "-c:v", "h263", *_CIF, *AAC, "-movflags", "+faststart"),
        {"container": "warning", "video_codec": "unplayable"},
    ),
    Container("film.mj2", (*PICTURE, *SOUND, "-c:v", "jpeg2000", *AAC, "-f", "mov"),
              {"video_codec": "unplayable"}),
    Container("song.wma", (*SOUND, "-c:a", "wmav2"),
              {"container": "unplayable", "audio_codec": "unplayable"}),
    Container("song.mp2", (*SOUND, "-c:a", "mp2"), {"audio_codec": "unplayable"}),
    Container("song.m2a", (*SOUND, "-c:a", "mp2", "-f", "mp2"), {"audio_codec": "unplayable"}),
    Container("memo.3ga", (*SOUND, *AAC, "-f", "3gp"), {"container": "warning"}),
    Container("song.aiff", SOUND, {"container": "unplayable", "audio_codec": "warning"}),
    Container("song.caf", (*SOUND, "-c:a", "alac"),
              {"container": "unplayable", "audio_codec": "warning"}),
    Container("song.w64", SOUND, {"container": "unplayable", "audio_codec": "warning"}),
    Container("song.au", SOUND, {"container": "unplayable", "audio_codec": "warning"}),
    Container("song.ac3", (*SOUND, "-c:a", "ac3"),
              {"container": "unplayable", "audio_codec": "warning"}),
    Container("song.eac3", (*SOUND, "-c:a", "eac3"),
              {"container": "unplayable", "audio_codec": "warning"}),
    Container("song.dts", (*SOUND, "-c:a", "dca", "-strict", "-2", *_STEREO),
              {"container": "unplayable", "audio_codec": "unplayable"}),
    Container("song.thd", (*SOUND, "-c:a", "truehd", "-strict", "-2", *_STEREO),
              {"container": "unplayable", "audio_codec": "unplayable"}),
    Container("song.wv", (*SOUND, "-c:a", "wavpack"),
              {"container": "unplayable", "audio_codec": "unplayable"}),
    Container("song.tta", (*SOUND, "-c:a", "tta"),
              {"container": "unplayable", "audio_codec": "unplayable"}),
    Container("song.mlp", (*SOUND, "-c:a", "mlp", "-strict", "-2", *_STEREO),
              {"container": "unplayable", "audio_codec": "unplayable"}),
    Container("song.voc", SOUND, {"container": "unplayable", "audio_codec": "warning"}),
    Container("memo.amr", (), {"container": "unplayable", "audio_codec": "unplayable"}),
]  # fmt: skip


def make(container: Container, folder: Path) -> Path:
    """Make the file in a folder. Skip the test if this FFmpeg lacks an encoder."""
    path = folder / container.name
    if path.suffix == ".amr":
        # RFC 4867 §5: the magic number, then frames of 20 ms. Type 0 has 95 bits, the quality bit
        # is set, and FFmpeg decodes any bits to some sound.
        path.write_bytes(b"#!AMR\n" + 50 * (struct.pack("B", 0x04) + bytes(range(12))))
        return path
    return ffmpeg(path, *container.arguments)
