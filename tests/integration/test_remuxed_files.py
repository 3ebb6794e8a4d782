"""Matroska files of FFmpeg and mkvmerge as MP4: every packet, time and frame is the same."""

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import pytest
from support.ffmpeg_fixtures import AAC, ffmpeg
from support.made_sound import film
from support.matroska_elements import ENCRYPTED, WITHOUT_HEADERS, ZLIB, Encoding, element, encode
from support.matroska_writer import EBML_LACING, FIXED, XIPH, cluster, group, matroska, simple, uint
from support.matroska_writer import track as entry
from support.mp4_boxes import boxes
from support.remuxed_files import (
    LACED_TOLERANCE,
    TOLERANCE,
    assert_same,
    fragmented,
    header_of,
    packets,
    with_silence,
)
from support.sounds import click_times, file_samples

from service.fragments import segments
from service.fragments.form import make_forms
from service.matroska.window import DeclinedError

pytestmark = pytest.mark.slow  # every kind of file

SECONDS = 4
RATE = "24000/1001"
PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=160x90:rate={RATE}:duration={SECONDS}")
SOUND = (
    "-f",
    "lavfi",
    "-i",
    f"sine=frequency=440:beep_factor=4:sample_rate=48000:duration={SECONDS}",
)
OTHER = ("-f", "lavfi", "-i", f"sine=frequency=220:sample_rate=44100:duration={SECONDS}")

X264 = (
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-g",
    "24",
    "-threads",
    "1",
    "-pix_fmt",
    "yuv420p",
)
X265 = ("-c:v", "libx265", "-preset", "ultrafast")
VP9 = ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", "24", "-b:v", "300k", "-threads", "1")
B_FRAMES = ("-bf", "3", "-x264-params", "b-pyramid=normal")
HDR = (
    "-pix_fmt", "yuv420p10le", "-color_primaries", "bt2020", "-color_trc", "smpte2084",
    "-colorspace", "bt2020nc", "-x265-params",
    "log-level=none:keyint=24:pools=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
)  # fmt: skip
PICTURES = {
    "h264": (*X264, "-bf", "0"),
    "h264 with B-frames": (*X264, *B_FRAMES),
    "h264 with open GOPs": (*X264, "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal"),
    "hevc": (*X265, "-pix_fmt", "yuv420p",
             "-x265-params", "log-level=none:keyint=24:bframes=3:pools=1"),
    "hdr": (*X265, *HDR),
    "vp9": (*VP9, "-deadline", "realtime"),
    "vp9 with hidden frames": (
        *VP9, "-deadline", "good", "-auto-alt-ref", "1", "-lag-in-frames", "16"),
    "av1": ("-c:v", "libsvtav1", "-preset", "12", "-g", "24", "-svtav1-params", "lp=1"),
}  # fmt: skip
SOUNDS = {
    "aac": ("-c:a", "aac", "-ac", "2"),
    "opus": ("-c:a", "libopus", "-ac", "2"),
    "mp3": ("-c:a", "libmp3lame", "-ac", "2"),
    "flac": ("-c:a", "flac", "-ac", "2"),
    "ac3": ("-c:a", "ac3", "-ac", "6"),
    "eac3": ("-c:a", "eac3", "-ac", "6"),
    "vorbis": ("-c:a", "libvorbis", "-ac", "2"),
    "pcm": ("-c:a", "pcm_s16le", "-ac", "2"),
    "dts": ("-strict", "-2", "-c:a", "dca", "-ac", "2"),
}


class Workshop:
    """Makes films in a folder, each stream once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, name: str) -> Path:
        path = self.folder / f"picture {name}.mkv"
        return path if path.exists() else ffmpeg(path, *PICTURE, *PICTURES[name])

    def sound(self, name: str, source: tuple[str, ...] = SOUND) -> Path:
        path = self.folder / f"sound {name} {source is SOUND}.mka"
        return path if path.exists() else ffmpeg(path, *source, *SOUNDS[name])

    def film(
        self,
        picture: str,
        sound: str,
        *options: str,
        suffix: str = ".mkv",
        before: tuple[str, ...] = (),
    ) -> Path:
        return self.make(
            "-i", self.picture(picture), *before, "-i", self.sound(sound),
            "-map", "0:v", "-map", "1:a", "-c", "copy", "-strict", "-2", *options, suffix=suffix,
        )  # fmt: skip

    def make(self, *arguments: str | Path, suffix: str = ".mkv") -> Path:
        return ffmpeg(self.folder / f"film{suffix}", *arguments)

    def usual(self) -> Path:
        return self.film("h264 with B-frames", "aac")

    def merged(self, path: Path, *options: str) -> Path:
        """Return what mkvmerge makes of a file. It laces sound unless it is told otherwise."""
        if shutil.which("mkvmerge") is None:
            pytest.skip("mkvmerge, which makes the files of this test, is not on PATH")
        made = self.folder / f"merged{path.suffix}"
        source = path.rename(self.folder / f"source{path.suffix}")
        subprocess.run(["mkvmerge", "-q", "-o", made, *options, source], check=True)
        return made

    def encoded(self, encodings: dict[int, Encoding]) -> Path:
        return self.write(encode(self.usual().read_bytes(), encodings))

    def write(self, data: bytes) -> Path:
        path = self.folder / "written.mkv"
        path.write_bytes(data)
        return path


@pytest.fixture(autouse=True)
def short_films_have_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make several fragments of a film of four seconds."""
    monkeypatch.setattr(segments, "_SECONDS", 1)
    monkeypatch.setattr(segments, "_FRAGMENT_BYTES", 1)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("remux"))


Maker = Callable[[Workshop], Path]


def several_sounds(workshop: Workshop) -> Path:
    """Return a film with E-AC-3 first, and an Opus track that is the default one."""
    sounds = [workshop.sound("eac3"), workshop.sound("aac"), workshop.sound("opus", OTHER)]
    inputs = [argument for path in (workshop.picture("h264"), *sounds) for argument in ("-i", path)]
    maps = [argument for number in range(4) for argument in ("-map", str(number))]
    dispositions = ("-disposition:a", "0", "-disposition:a:2", "default")
    return workshop.make(*inputs, *maps, "-c", "copy", *dispositions)


VARIABLE = "select='if(lt(t,1),not(mod(n,2)),if(lt(t,3),not(mod(n,5)),1))'"
VFR = (
    "-f", "lavfi", "-i", f"testsrc2=size=160x90:rate=60:duration={SECONDS}", *SOUND,
    "-vf", VARIABLE, "-fps_mode", "vfr", *X264, "-bf", "2", *SOUNDS["aac"],
)  # fmt: skip
ANAMORPHIC = (
    "-f", "lavfi", "-i", f"testsrc2=size=180x144:rate=25:duration={SECONDS}", *SOUND,
    "-vf", "setsar=64/45", *X264, "-flags", "+ilme+ildct", "-x264-params", "tff=1", *SOUNDS["aac"],
)  # fmt: skip
LATE = ("-itsoffset", "0.37")


@dataclass(frozen=True)
class Case:
    """A film, and which of its streams the MP4 has, in its order."""

    name: str
    make: Maker
    streams: tuple[int, ...] = (0, 1)
    tolerance: float = TOLERANCE
    start: float | None = None
    """Seconds, where the delay of an encoder precedes it."""


def pair(picture: str, sound: str, suffix: str = ".mkv") -> Case:
    return Case(f"{picture} and {sound}{suffix}", lambda w: w.film(picture, sound, suffix=suffix))


def merged(name: str, sound: str, *options: str) -> Case:
    return Case(
        f"mkvmerge: {name}",
        lambda w: w.merged(w.film("h264 with B-frames", sound), *options),
        tolerance=LACED_TOLERANCE,
    )


CASES = [
    *(pair(picture, "aac") for picture in PICTURES),
    *(pair("h264 with B-frames", sound) for sound in ("opus", "mp3", "flac", "ac3", "eac3")),
    pair("vp9", "opus"),
    pair("vp9", "opus", ".webm"),
    pair("vp9 with hidden frames", "opus", ".webm"),
    pair("av1", "opus", ".webm"),
    Case("sound without a picture", lambda w: w.sound("aac"), (0,)),
    Case("a picture without sound", lambda w: w.picture("hevc"), (0,)),
    Case("sound that no browser plays", lambda w: w.film("h264", "dts"), (0,)),
    Case("several sounds", several_sounds, (0, 3, 2, 1)),
    Case("variable rate", lambda w: w.make(*VFR)),
    Case("anamorphic and interlaced", lambda w: w.make(*ANAMORPHIC)),
    Case("late sound", lambda w: w.film("h264 with B-frames", "aac", before=LATE)),
    Case("late picture", lambda w: w.make(*LATE, "-i", w.picture("h264 with B-frames"),
                                          "-i", w.sound("aac"), "-c", "copy")),
    Case("a clock from 5 s", lambda w: w.film("hevc", "aac", "-output_ts_offset", "5")),
    Case("a clock from an hour", lambda w: w.film("vp9", "opus", "-output_ts_offset", "3600"),
         start=3600),
    Case("live, of unknown sizes", lambda w: w.film("h264 with B-frames", "aac", "-live", "1")),
    Case("live WebM", lambda w: w.film("vp9", "opus", "-live", "1", suffix=".webm")),
    Case("short clusters and check sums", lambda w: w.film(
        "h264 with B-frames", "aac", "-cluster_time_limit", "100", "-write_crc32", "1")),
    Case("cues in front", lambda w: w.film("h264", "aac", "-reserve_index_space", "50k")),
    Case("Flash video", lambda w: w.film("h264 with B-frames", "aac", suffix=".flv")),
    Case("Flash video with MP3", lambda w: w.make(
        "-i", w.picture("h264"), *OTHER, "-c:v", "copy", "-c:a", "libmp3lame", suffix=".flv")),
    Case("Flash video from 5 s", lambda w: w.film(
        "h264", "aac", "-output_ts_offset", "5", "-copyts", suffix=".flv")),
    Case("cut off", lambda w: w.write(w.usual().read_bytes()[: 2 * w.usual().stat().st_size // 3])),
    Case("junk behind", lambda w: w.write(w.usual().read_bytes() + b"junk" * 5000)),
    merged("laced AAC", "aac"),
    merged("laced AC-3", "ac3"),
    merged("laced MP3", "mp3"),
    merged("laced Opus", "opus"),
    merged("groups", "aac", "--engage", "no_simpleblocks"),
    merged("no lacing, many cues", "aac", "--disable-lacing", "--cues", "0:all", "--cues", "1:all"),
    merged("ticks of 0.1 ms", "aac", "--timestamp-scale", "100000"),
    merged("a stated aspect ratio", "flac", "--aspect-ratio", "0:2.35"),
]  # fmt: skip


# Browsers would not all play the sound, or there is no picture.
WITHOUT_FRAGMENTS = {
    "h264 with B-frames and ac3.mkv", "h264 with B-frames and eac3.mkv", "mkvmerge: laced AC-3",
    "sound without a picture",
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_packets_times_and_frames_are_those_of_the_file(workshop: Workshop, case: Case) -> None:
    path = case.make(workshop)
    made = assert_same(path, case.streams, start=case.start, tolerance=case.tolerance)
    forms = list(make_forms(made.tracks, made.streams, path.stat().st_size))
    assert bool(forms) is (case.name not in WITHOUT_FRAGMENTS)
    for _, fragments in forms:
        assert len(fragments.interleaving.cuts) > 3


# Files that no writer makes


def frames_of(path: Path) -> tuple[list[tuple[int, bytes, bool]], list[tuple[int, bytes, bool]]]:
    """Return the frames of a film: milliseconds, bytes, whether it is a key frame."""
    tables: tuple[list[tuple[int, bytes, bool]], ...] = ([], [])
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams[0], container.streams[1]):
            if packet.size:
                time = round(float((packet.pts or 0) * packet.time_base) * 1000)
                tables[packet.stream.index].append((time, bytes(packet), packet.is_keyframe))
    return tables[0], tables[1]


def rewritten(  # noqa: PLR0913 # what differs in the tests
    workshop: Workshop, sound: str, *, kind: int = 0, groups: bool = False, sized: bool = True,
    numbers: tuple[int, int] = (1, 2),
) -> Path:  # fmt: skip
    """Return a film written anew: with laces of a kind, groups, unknown sizes, track numbers."""
    source = workshop.film("h264 with B-frames", sound)
    pictures, sounds = frames_of(source)
    with av.open(str(source)) as container:
        private = [bytes(stream.codec_context.extradata or b"") for stream in container.streams]
    codec = {"aac": "A_AAC", "ac3": "A_AC3"}[sound]
    audio = element(0xE1, element(0xB5, struct.pack(">f", 48000)), uint(0x9F, 2))
    size = element(0xE0, uint(0xB0, 160), uint(0xBA, 90))
    duration = {"aac": 21_333_333, "ac3": 32_000_000}[sound]
    tracks = [
        entry(numbers[0], 1, "V_MPEG4/ISO/AVC", private[0], size),
        entry(numbers[1], 2, codec, private[1], audio, uint(0x23E383, duration)),
    ]
    write = group if groups else simple
    clusters = []
    for first in range(0, len(pictures), 24):
        some = pictures[first : first + 24]
        base = min(time for time, _, _ in some)
        blocks = [write(numbers[0], time - base, data, key=key) for time, data, key in some]
        until = pictures[first + 24][0] if first + 24 < len(pictures) else 1 << 60
        count = 8 if kind else 1
        while sounds and sounds[0][0] < until:
            lace, sounds = sounds[:count], sounds[count:]
            data = [frame for _, frame, _ in lace]
            kind_of = kind if len(lace) > 1 else 0
            blocks.append(write(numbers[1], lace[0][0] - base, *data, kind=kind_of))
        clusters.append(cluster(base, *blocks, sized=sized))
    return workshop.write(matroska(*clusters, tracks=tracks, sized=sized))


@pytest.mark.parametrize(
    ("options", "sound"),
    [
        ({"kind": XIPH}, "aac"),
        ({"kind": EBML_LACING}, "aac"),
        ({"kind": EBML_LACING, "groups": True}, "aac"),
        ({"kind": FIXED}, "ac3"),
        ({"groups": True}, "aac"),
        ({"sized": False}, "aac"),
        ({"numbers": (1000, 20_000)}, "aac"),
    ],
)
def test_files_that_no_writer_makes_are_the_same(
    workshop: Workshop, options: dict[str, int], sound: str
) -> None:
    path = rewritten(workshop, sound, **options)  # type: ignore[arg-type]
    assert_same(path, (0, 1), tolerance=LACED_TOLERANCE if "kind" in options else TOLERANCE)


def test_frames_that_mkvmerge_says_are_stripped_of_nothing_are_the_same(workshop: Workshop) -> None:
    # It writes ContentEncoding without parameters. FFmpeg 8 does not read such files.
    source = workshop.film("h264 with B-frames", "ac3")
    expected = [packets(str(source), index) for index in (0, 1)]
    stripping = [f"--compression={number}:analyze_header_removal" for number in (0, 1)]
    path = workshop.merged(source, *(part for o in stripping for part in o.split("=")))
    whole = header_of(path).data + path.read_bytes()
    for index, original in enumerate(expected):
        made = packets(BytesIO(whole), index)
        assert [(p.digest, p.is_key) for p in made] == [(p.digest, p.is_key) for p in original]


def early_track(workshop: Workshop) -> Path:
    """Return a film whose second sound begins a second before the rest.

    FFmpeg counts from there, and so do the page, its chapters and its captions.
    """
    usual, early = workshop.usual(), workshop.sound("dts")
    return workshop.make(
        "-itsoffset", "1", "-i", usual.rename(workshop.folder / "usual.mkv"), "-i", early,
        "-map", "0", "-map", "1", "-c", "copy", "-strict", "-2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda w: w.film("h264", "vorbis"), "Vorbis sound"),
        (lambda w: w.film("h264", "pcm"), "uncompressed sound"),
        (lambda w: w.make(*PICTURE, "-c:v", "libvpx", "-b:v", "300k"), "VP8 video"),
        (lambda w: w.make(*PICTURE, "-c:v", "mpeg4"), "no picture of a codec"),
        (lambda w: w.sound("dts"), "no sound of a codec"),
        (lambda w: w.encoded({1: ENCRYPTED}), "picture that is encrypted"),
        (lambda w: w.encoded({1: ZLIB}), "once more .zlib"),
        (lambda w: w.encoded({2: ZLIB}), "sound that is compressed"),
        (lambda w: w.encoded({1: WITHOUT_HEADERS}), "without the first bytes"),
        (lambda w: w.write(w.usual().read_bytes() * 2), "several films"),
        (lambda w: w.make(*PICTURE, "-c:v", "flv", suffix=".flv"), "no picture of a codec"),
        (lambda w: w.make("-i", w.picture("h264"), *SOUND, "-c:v", "copy", "-c:a", "pcm_s16le",
                          "-ar", "44100", suffix=".flv"), "no sound of a codec"),
        (early_track, "a track that begins before"),
        (lambda w: w.write(damaged(w.usual().read_bytes())), "is damaged"),
        (lambda w: w.write(w.usual().read_bytes()[:300]), "no frames|damaged"),
        (lambda w: w.make(*PICTURE, *X264, "-f", "mp4", suffix=".mp4"), "is no Matroska file"),
    ],
)  # fmt: skip
def test_what_would_not_be_exact_is_declined_with_its_reason(
    workshop: Workshop, make: Maker, reason: str
) -> None:
    with pytest.raises(DeclinedError, match=reason):
        header_of(make(workshop))


def damaged(data: bytes) -> bytes:
    """Return a film whose second cluster has no identifier."""
    at = data.index(b"\x1f\x43\xb6\x75", data.index(b"\x1f\x43\xb6\x75") + 4)
    return data[:at] + bytes(4) + data[at + 4 :]


# What the header says besides frames and times


def find(data: bytes, *path: bytes) -> bytes:
    for kind in path:
        data = next(content for found, content in boxes(data) if found == kind)
    return data


STSD = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def test_the_pixel_aspect_ratio_is_kept(workshop: Workshop) -> None:
    header = header_of(workshop.make(*ANAMORPHIC)).data
    assert b"pasp" + struct.pack(">II", 64, 45) in find(header, *STSD)
    width, height = struct.unpack(">II", find(header, b"moov", b"trak", b"tkhd")[-8:])
    assert (width >> 16, height >> 16) == (256, 144)  # 720 x 64/45


def test_the_colours_of_hdr_are_kept(workshop: Workshop) -> None:
    # §5.1.4.1.28.28 to 40. FFmpeg 5 writes them only in the pictures.
    chromaticities = "0:0.68,0.32,0.265,0.69,0.15,0.06"
    path = workshop.merged(
        workshop.film("hdr", "aac"), "--max-content-light", "0:1000", "--max-frame-light", "0:400",
        "--chromaticity-coordinates", chromaticities,
        "--white-colour-coordinates", "0:0.3127,0.329",
        "--max-luminance", "0:1000", "--min-luminance", "0:0.0001",
    )  # fmt: skip
    header = header_of(path)
    stsd = find(header.data, *STSD)
    assert b"hvc1" in stsd
    # ISO/IEC 23091-2: BT.2020 primaries 9, PQ 16, BT.2020 matrix 9
    assert b"colrnclx" + struct.pack(">HHH", 9, 16, 9) in stsd
    assert b"clli" + struct.pack(">HH", 1000, 400) in stsd
    # §12.1.7: green, blue, red, white point, the greatest and the least luminance
    display = (13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450)
    assert b"mdcv" + struct.pack(">8HII", *display, 10_000_000, 1) in stsd


def test_the_rotation_is_kept(workshop: Workshop) -> None:
    # RFC 9559 §5.1.4.1.28.45: ProjectionPoseRoll, counter-clockwise
    turned = workshop.merged(
        workshop.film("h264", "aac"), "--projection-pose-roll", "0:90", "--projection-type", "0:0"
    )
    data = header_of(turned).data + turned.read_bytes()
    assert rotation(BytesIO(data)) == rotation(str(turned)) != 0


def rotation(file: BytesIO | str) -> int:
    """Return the rotation of the first picture, in degrees."""
    with av.open(file, "r") as container:
        return next(container.decode(video=0)).rotation


def test_the_codec_strings_are_those_of_the_first_picture_and_sound(workshop: Workshop) -> None:
    assert header_of(workshop.film("hevc", "aac")).codecs == ("hvc1.1.6.L30.90", "mp4a.40.2")
    assert header_of(several_sounds(workshop)).codecs[1] == "opus"
    assert header_of(workshop.film("h264", "mp3")).codecs[1] == "mp4a.6B"
    assert header_of(workshop.sound("flac")).codecs == ("flac",)


def test_only_the_first_sound_is_enabled_as_chromium_plays_no_other(workshop: Workshop) -> None:
    header = header_of(several_sounds(workshop)).data
    traks = [content for kind, content in boxes(find(header, b"moov")) if kind == b"trak"]
    flags = [find(trak, b"tkhd")[3] for trak in traks]
    assert [flag & 1 for flag in flags] == [1, 1, 0, 0]
    entries = [find(trak, *STSD[2:])[12:16] for trak in traks]
    assert entries == [b"avc1", b"Opus", b"mp4a", b"ec-3"]


@pytest.mark.parametrize("sound", ["aac", "opus"])
def test_an_empty_edit_is_the_same_in_units_of_its_track_and_of_the_movie(
    workshop: Workshop, sound: str
) -> None:
    """Firefox 153 takes its length to be in units of the track, against §8.6.6.3."""
    header = header_of(workshop.film("h264", sound, before=LATE)).data
    (movie,) = struct.unpack_from(">I", find(header, b"moov", b"mvhd"), 12)
    waiting = []
    for kind, trak in boxes(find(header, b"moov")):
        if kind == b"trak":
            edits = find(trak, b"edts", b"elst")
            length, time = struct.unpack_from(">Ii", edits, 8)
            if time == -1:
                (scale,) = struct.unpack_from(">I", find(trak, b"mdia", b"mdhd"), 12)
                waiting.append((scale, round(length / scale, 2)))
    assert waiting == [(movie, 0.37)]


def test_what_is_before_0_is_not_presented_as_browsers_do_not_play_it(workshop: Workshop) -> None:
    picture = frames_of(workshop.film("vp9", "aac"))[0][0][1]
    tracks = [entry(1, 1, "V_VP9", b"", element(0xE0, uint(0xB0, 160), uint(0xBA, 90)))]
    blocks = [simple(1, time, picture) for time in range(-1000, 1000, 40)]
    path = workshop.write(matroska(cluster(0, *blocks), tracks=tracks))
    with av.open(BytesIO(header_of(path).data + path.read_bytes()), "r") as container:
        base = float(container.streams.video[0].time_base or 0)
        times = [float(p.pts or 0) * base for p in container.demux(video=0) if p.size]
        assert times == pytest.approx([frame * 0.04 for frame in range(25)])


def test_the_same_file_has_the_same_header(workshop: Workshop) -> None:
    path = workshop.usual()
    first, second = header_of(path), header_of(path)
    assert first == second
    assert re.fullmatch("m[0-9a-f]{16}", first.layout)
    other = header_of(workshop.film("h264", "aac"))
    assert other.layout != first.layout


@pytest.mark.parametrize(
    ("name", "sound", "dropped"),
    [("aac.mkv", AAC, "40\\,133"), ("aac 5.1.mkv", ("-c:a", "aac", "-ac", "6"), "40\\,133"),
     ("mp3.mkv", ("-c:a", "libmp3lame"), "40\\,120"), ("opus.mkv", ("-c:a", "libopus"), "40\\,140"),
     ("aac.flv", AAC, "40\\,133"), ("aac.mka", (*AAC, "-vn"), "40\\,133"),
     ("aac side.mkv", ("-c:a", "aac", "-af", "aformat=channel_layouts=5.1(side)"), "40\\,133"),
     ("opus 5.1.mkv", ("-c:a", "libopus", "-ac", "6"), "40\\,140"),
     ("flac.mkv", ("-c:a", "flac"), "10\\,29")],
)  # fmt: skip
def test_gaps_of_sound_are_silent(
    tmp_path: Path, name: str, sound: tuple[str, ...], dropped: str
) -> None:
    """Chromium plays frames of sound one after the other and ignores their times."""
    whole = film(tmp_path / f"whole {name}", *sound)
    path = ffmpeg(tmp_path / name, "-i", whole, "-map", "0", "-c", "copy",
                  "-bsf:a", rf"noise=drop=between(n\,{dropped})")  # fmt: skip
    header = header_of(path)
    data = with_silence(path, header)
    with av.open(str(path)) as container:
        begin = (container.start_time or 0) / 1e6
    for index in range(len(header.streams)):
        # Silence may have the bytes of the first frame, if that is silent.
        later = packets(str(path), index)[1:]
        original = {packet.digest: packet.time - begin for packet in later}
        times = {packet.digest: packet.time for packet in packets(BytesIO(data), index)}
        assert {digest: times[digest] for digest in original} == pytest.approx(original, abs=0.002)
    is_sound = name.endswith(".mka")
    forms = [] if is_sound else make_forms(
        header.tracks, header.streams, path.stat().st_size + header.inserted
    )  # fmt: skip
    fragments = [fragmented(data[len(header.data) :], form) for _, form in forms]
    assert len(fragments) == (0 if is_sound else 1)
    for played in (data, *fragments):
        start, samples = file_samples(BytesIO(played))
        # The first click is at 0.5 s, and those at 1.5 and 2.5 s are in the gap.
        assert click_times(samples, start) == pytest.approx([0.5, 3.5, 4.5, 5.5], abs=0.03)


def test_a_gap_in_the_sound_of_an_mp4_becomes_silence_by_a_command(tmp_path: Path) -> None:
    """The command is that of docs/limitations.md. Chromium plays frames one after the other."""

    def clicks(path: Path) -> list[float]:
        found = click_times(file_samples(str(path))[1])
        return [moment - found[0] for moment in found]

    whole = film(tmp_path / "whole.mp4", *AAC)
    gap = ffmpeg(tmp_path / "gap.mp4", "-i", whole, "-map", "0", "-c", "copy",
                 "-bsf:a", r"noise=drop=between(n\,40\,133)")  # fmt: skip
    assert clicks(gap) == pytest.approx([0, 1, 2, 3], abs=0.01)
    fixed = ffmpeg(tmp_path / "fixed.mp4", "-i", gap, "-map", "0", "-c", "copy",
                   "-c:a", "aac", "-af", "aresample=async=1")  # fmt: skip
    assert clicks(fixed) == pytest.approx([0, 3, 4, 5], abs=0.03)
