"""Films copied into MP4s: every packet, time and frame is that of the film.

The films are made from one MP4, whose times are known, by copying its streams into other
containers. Some of these do not say when their pictures are shown."""

import hashlib
import random
import re
import subprocess
from array import array
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
from support.ffmpeg_fixtures import ffmpeg
from support.remuxed_files import pictures, samples

from service.copies.film import FilmCopy, copy_film
from service.copies.nal_units import units_of_stream
from service.matroska.window import DeclinedError
from service.workers.large_output import LargeOutput

pytestmark = pytest.mark.slow  # every kind of file

SECONDS = 6
RATE = Fraction(24000, 1001)
PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={RATE}:duration={SECONDS}")
SOUND = (
    "-f", "lavfi", "-i",
    f"sine=frequency=440:beep_factor=4:sample_rate=48000:duration={SECONDS}",
)  # fmt: skip
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "24", "-threads", "1",
        "-pix_fmt", "yuv420p")  # fmt: skip
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
PICTURES = {
    "h264": (*X264, "-bf", "0"),
    "h264 with B-frames": (*X264, "-bf", "3", "-x264-params", "b-pyramid=normal"),
    "h264 with open GOPs": (*X264, "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal"),
    "h264 interlaced": (*X264, "-bf", "2", "-flags", "+ildct+ilme", "-x264-params", "tff=1"),
    "hevc": (*X265, "-x265-params", "log-level=none:keyint=24:bframes=3:pools=1"),
}
SOUNDS = {
    "aac": ("-c:a", "aac", "-ac", "2"),
    "mp3": ("-c:a", "libmp3lame", "-ac", "2"),
    "mp2": ("-c:a", "mp2", "-ac", "2"),
    "ac3": ("-c:a", "ac3", "-ac", "6"),
    "eac3": ("-c:a", "eac3", "-ac", "6"),
    "dts": ("-strict", "-2", "-c:a", "dca", "-ac", "2"),
    "pcm": ("-c:a", "pcm_s16le", "-ac", "2"),
}


class Workshop:
    """Makes films in a folder, each stream once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, name: str) -> Path:
        path = self.folder / f"{name}.mp4"
        return path if path.exists() else ffmpeg(path, *PICTURE, *PICTURES[name])

    def sound(self, name: str) -> Path:
        path = self.folder / f"{name}.nut"  # its times are exact
        return path if path.exists() else ffmpeg(path, *SOUND, *SOUNDS[name])

    def whole(self, name: str) -> bytes:
        """Return a film that tests damage, which is made once."""
        path = self.folder / f"whole {name}"
        made = path if path.exists() else self.film("h264 with B-frames", "mp3", path.name)
        return made.read_bytes()

    def film(self, picture: str, sound: str | None, name: str, *options: str) -> Path:
        path = self.folder / name
        inputs: list[str | Path] = ["-i", self.picture(picture)]
        maps = ["-map", "0:v"]
        if sound:
            inputs += ["-i", self.sound(sound)]
            maps += ["-map", "1:a"]
        if path.suffix in {".mpg", ".vob", ".mxf", ".avi"}:  # other muxers do so by themselves
            options = ("-bsf:v", "h264_mp4toannexb", *options)
        return ffmpeg(path, *inputs, *maps, "-c", "copy", "-strict", "-2", *options)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("copied"))


@dataclass(frozen=True)
class Made:
    """A copy, and the whole MP4."""

    film: FilmCopy
    data: bytes


def copied(path: Path) -> Made:
    """Return the copy of a film. Raises DeclinedError."""
    media = path.with_name(f"{path.name}.media")
    media.touch()
    with path.open("rb") as file, LargeOutput(str(media), 1 << 30) as output:
        film = copy_film(file, output)
    data = film.header + media.read_bytes()
    media.unlink()
    return Made(film, data)


@dataclass(frozen=True)
class Frame:
    """A packet: its time in seconds, the digest of its bytes, and whether it is a key frame."""

    time: float | None
    digest: bytes
    is_key: bool


def units(data: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units_of_stream(data))


def frames(file: Any, index: int, *, is_stream: bool = False) -> list[Frame]:
    """Return the packets of a stream; those of pictures in a byte stream as MP4 has them."""
    with av.open(file) as container:
        stream = container.streams[index]
        base = stream.time_base or 1
        return [
            Frame(
                None if packet.pts is None else float(packet.pts * base),
                hashlib.sha256(units(bytes(packet)) if is_stream else bytes(packet)).digest(),
                packet.is_keyframe,
            )
            for packet in container.demux(stream)
            if packet.size
        ]


def start_of(path: Path) -> float:
    """Return when a file begins: with its first picture or sound."""
    with av.open(str(path)) as container:
        return min(
            float(stream.start_time * (stream.time_base or 1))
            for stream in container.streams
            if stream.start_time is not None
        )


def silent(data: bytes) -> None:
    """Assert that FFmpeg finds nothing wrong with an MP4, and decodes all of it."""
    with av.logging.Capture() as messages, av.open(BytesIO(data), "r") as container:
        for packet in container.demux():
            for _ in packet.decode():
                pass
    assert [message for level, *_, message in messages if level <= av.logging.WARNING] == []


# Containers, and whether they say when pictures are shown
WITH_TIMES = {"film.ts": (), "film.m2ts": ("-mpegts_m2ts_mode", "1"), "film.nut": ()}


def can_have(name: str, picture: str) -> bool:
    """Return whether FFmpeg writes such a file."""
    if picture == "hevc":
        return name in {"film.ts", "film.m2ts"}
    # In MXF an interlaced picture would have to be in fields.
    return (name, picture) != ("film.mxf", "h264 interlaced")


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        (name, picture)
        for name in (*WITH_TIMES, "film.mpg", "film.vob", "film.avi", "film.mxf")
        for picture in PICTURES
        if can_have(name, picture)
    ],
)
def test_pictures_are_the_same_at_the_same_times(
    workshop: Workshop, picture: str, name: str
) -> None:
    source = workshop.picture(picture)
    path = workshop.film(picture, None, name, *WITH_TIMES.get(name, ()))
    made = copied(path)
    assert made.film.jumps == 0
    original = frames(str(path), 0, is_stream=name != "film.nut")
    copy = frames(BytesIO(made.data), 0)
    changed = [
        n for n, (a, b) in enumerate(zip(copy, original, strict=True)) if a.digest != b.digest
    ]
    expected = []
    if "open GOPs" in picture:
        copied_to = path.with_suffix(".copy.mp4")
        copied_to.write_bytes(made.data)
        before, after = slice_headers(source), slice_headers(copied_to)
        assert after == without_lost(before, [n for n, frame in enumerate(copy) if frame.is_key])
        expected = [n for n, header in enumerate(before) if header != after[n]]
        assert len(expected) > 1  # else the film is no example
    assert changed == expected
    assert [frame.is_key for frame in copy] == [frame.is_key for frame in original]
    # The times are those of the MP4 that the film was made of, from 0 on.
    times = [frame.time for frame in frames(str(source), 0)]
    assert [frame.time for frame in copy] == pytest.approx(times, abs=1.01 / 90_000)
    assert pictures(BytesIO(made.data), 0) == pictures(str(source), 0)
    silent(made.data)


def slice_headers(path: Path) -> list[list[tuple[str, int]]]:
    """Return the fields of the header of each slice, as FFmpeg prints them."""
    command = ("ffmpeg", "-nostdin", "-i", path, "-map", "0:v", "-c", "copy",
               "-bsf:v", "trace_headers", "-f", "null", "-")  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: list[list[tuple[str, int]]] = []
    is_slice = False
    for line in done.stderr.splitlines():
        field = re.fullmatch(r"\[trace_headers .+\] \d+ +(\S+) .* = (-?\d+)", line)
        if field and is_slice:
            found[-1].append((field[1], int(field[2])))
        elif title := re.fullmatch(r"\[trace_headers .+\] ([A-Z].+)", line):
            is_slice = title[1] == "Slice Header"
            found += [[]] if is_slice else []
    return found


# ITU-T H.264 §7.4.3.3: 1 removes the picture that difference_of_pic_nums_minus1 after it names.
COMMAND = "memory_management_control_operation"
FRAME_NUMBERS, REFERENCES = 16, 3  # by x264 for these films


def without_lost(
    headers: list[list[tuple[str, int]]], keys: list[int]
) -> list[list[tuple[str, int]]]:
    """Return headers of slices without the commands that fail if decoding begins at a key frame:
    of the first picture after it with commands, those that remove a picture from before the last
    REFERENCES ones. These a decoder infers, as the numbers of frames do not begin at 0 (§8.2.5.2).
    """
    kept = [header[:] for header in headers]
    for key in keys[1:]:
        first = next(n for n in range(key, len(headers)) if (COMMAND, 1) in headers[n])
        before, number = dict(headers[key])["frame_num"], dict(headers[first])["frame_num"]
        fields = iter(headers[first])
        kept[first] = []
        for name, value in fields:
            if (name, value) != (COMMAND, 1):
                kept[first].append((name, value))
                continue
            of_picture = next(fields)
            age = (before - (number - 1 - of_picture[1])) % FRAME_NUMBERS
            if age <= REFERENCES:
                kept[first] += [(name, value), of_picture]
    return kept


@pytest.mark.parametrize(
    ("name", "sound"),
    [("film.ts", "aac"), ("film.ts", "mp3"), ("film.avi", "mp3"), ("film.nut", "aac"),
     ("film.mpg", "mp3"), ("film.m2ts", "aac")],
)  # fmt: skip
def test_sound_that_browsers_play_is_the_same_and_in_sync(
    workshop: Workshop, name: str, sound: str
) -> None:
    options = ("-f", "mpegts", "-mpegts_m2ts_mode", "1") if name == "film.m2ts" else ()
    path = workshop.film("h264 with B-frames", sound, name, *options)
    made = copied(path)
    assert (made.film.streams, made.film.transcoded) == ((0, 1), ())
    start = start_of(path)
    original = frames(str(path), 1)
    copy = frames(BytesIO(made.data), 1)
    assert len(copy) == len(original)
    assert [frame.time for frame in copy] == pytest.approx(
        [(frame.time or 0) - start for frame in original], abs=0.0001
    )
    assert samples(BytesIO(made.data), 1) == samples(str(path), 1)
    silent(made.data)


@pytest.mark.parametrize(
    ("name", "sound", "streams"),
    [
        ("film.ts", "mp2", (0, 1)),
        ("film.ts", "ac3", (0, 1, 1)),
        ("film.ts", "eac3", (0, 1, 1)),
        ("film.ts", "dts", (0, 1)),
        ("film.mpg", "mp2", (0, 1)),
        ("film.avi", "ac3", (0, 1, 1)),
        ("film.avi", "pcm", (0, 1)),
    ],
)
def test_other_sound_is_transcoded_and_what_some_players_play_is_kept(
    workshop: Workshop, name: str, sound: str, streams: tuple[int, ...]
) -> None:
    path = workshop.film("h264 with B-frames", sound, name)
    made = copied(path)
    assert (made.film.streams, made.film.transcoded) == (streams, (1,))
    assert made.film.codecs[1] == "mp4a.40.2"
    with av.open(BytesIO(made.data)) as container:
        assert container.streams[1].codec_context.name == "aac"
        enabled = [bool(s.disposition & av.stream.Disposition.default) for s in container.streams]
        assert enabled == [True, True, False][: len(streams)]
    beeps = [onsets(str(path), 1, start_of(path)), onsets(BytesIO(made.data), 1, 0.0)]
    assert len(beeps[0]) >= SECONDS - 1
    assert beeps[1] == pytest.approx(beeps[0], abs=0.02)  # at the start, in the middle, at the end
    if len(streams) > 2:
        assert samples(BytesIO(made.data), 2) == samples(str(path), 1)
    silent(made.data)


ONSET_RATE = 8_000  # Hz; a beep has 1,760


def onsets(file: Any, index: int, start: float) -> list[float]:
    """Return the seconds from `start` at which the beeps of a sound begin."""
    heard, first = array("h"), None
    with av.open(file) as container:
        resampler = av.AudioResampler("s16", "mono", ONSET_RATE)
        for frame in container.decode(container.streams[index]):
            if first is None:
                first = float(frame.time or 0) - start
            for part in resampler.resample(frame):
                heard.extend(array("h", bytes(part.planes[0]))[: part.samples])
    loud = 0.75 * max(map(abs, heard))  # of the beeps; the tone below has a half
    found: list[float] = []
    last_loud = -ONSET_RATE
    for at, value in enumerate(heard):
        if abs(value) > loud:
            if at - last_loud > 0.3 * ONSET_RATE:
                found.append((first or 0.0) + at / ONSET_RATE)
            last_loud = at
    return found


def packets_of(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[start : start + 188] for start in range(0, len(data), 188)]


def test_the_clock_goes_on_where_33_bits_wrap_around(workshop: Workshop) -> None:
    # 2^33 ticks of 90 kHz are 95,443.7 s: the film wraps around in its middle.
    path = workshop.film(
        "h264 with B-frames", "aac", "wraps.ts", "-output_ts_offset", str(95_443.7 - 3)
    )
    plain = workshop.film("h264 with B-frames", "aac", "plain.ts")
    made, expected = copied(path), copied(plain)
    assert made.film.jumps == 0
    for index in (0, 1):
        times = [frame.time for frame in frames(BytesIO(made.data), index)]
        assert times == pytest.approx(
            [frame.time for frame in frames(BytesIO(expected.data), index)], abs=0.001
        )


def test_a_film_goes_on_where_its_clock_jumps(workshop: Workshop) -> None:
    one = workshop.film("h264 with B-frames", "aac", "one.ts")
    two = workshop.film("h264 with B-frames", "aac", "two.ts", "-output_ts_offset", "5000")
    for name, parts in {"forward.ts": (one, two), "back.ts": (two, one)}.items():
        path = workshop.folder / name
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        made = copied(path)
        assert made.film.jumps == 1
        for index in (0, 1):
            times = [frame.time or 0 for frame in frames(BytesIO(made.data), index)]
            assert len(times) == 2 * len(frames(str(one), index))
            assert max(times) == pytest.approx(2 * SECONDS, abs=0.2)
            gaps = [b - a for a, b in zip(sorted(times), sorted(times)[1:], strict=False)]
            assert max(gaps) < 0.15
        # Sound and pictures of the second part are still in sync.
        picture, sound = (
            [frame.time or 0 for frame in frames(BytesIO(made.data), index)] for index in (0, 1)
        )
        count, heard = len(picture) // 2, len(sound) // 2
        assert sound[heard] - picture[count] == pytest.approx(sound[0] - picture[0], abs=0.03)


def pid_of(packet: bytes | bytearray) -> int:
    return (packet[1] & 31) << 8 | packet[2]


SOUND_PID = 0x101  # of FFmpeg's muxer


@pytest.mark.parametrize("codec", ["h264 with B-frames", "hevc"])
def test_a_damaged_time_stamp_moves_nothing_else(workshop: Workshop, codec: str) -> None:
    path = workshop.film(codec, "mp2", "stamped.ts")
    expected = [frame.time for frame in frames(BytesIO(copied(path).data), 0)]
    parts = [bytearray(part) for part in packets_of(path)]
    # The PES headers of pictures with both time stamps (ISO/IEC 13818-1 §2.4.3.6)
    heads = [
        (part, at) for part in parts
        if pid_of(part) == SOUND_PID - 1 and part[1] & 0x40
        and (at := part.find(b"\0\0\1\xe0")) > 0 and part[at + 7] >> 6 == 3
    ]  # fmt: skip
    for number, field in ((20, 9), (60, 14)):  # a time of presentation, and one of decoding
        part, at = heads[number]
        part[at + field] ^= 0b0100
    path.write_bytes(b"".join(parts))
    made = copied(path)
    assert made.film.jumps == 0
    times = [frame.time for frame in frames(BytesIO(made.data), 0)]
    assert len(times) == len(expected)
    moved = [index for index, (a, b) in enumerate(zip(times, expected, strict=True))
             if a != pytest.approx(b, abs=0.001)]  # fmt: skip
    if codec == "hevc":  # the order of its pictures is not read: these are shown a little early
        assert len(moved) <= 2
        assert all(0 < (expected[i] or 0) - (times[i] or 0) < 0.3 for i in moved)
    else:
        assert moved == []
    assert onsets(BytesIO(made.data), 1, 0.0) == pytest.approx(
        onsets(str(path), 1, start_of(path)), abs=0.02
    )


@pytest.mark.parametrize("bit", [20, 22, 28, 32])  # 11.65 s, 47 s, 50 min, 13 h
@pytest.mark.parametrize(("sound", "start"), [("aac", 0), ("mp2", 50_000)])
def test_a_damaged_first_time_stamp_of_a_sound_makes_no_silence(
    workshop: Workshop, sound: str, bit: int, start: int
) -> None:
    path = workshop.film("h264 with B-frames", sound, "begins.ts", "-output_ts_offset", str(start))
    expected = copied(path)
    parts = [bytearray(part) for part in packets_of(path)]
    head = next(part for part in parts if pid_of(part) == SOUND_PID and part[1] & 0x40)
    at = head.find(b"\0\0\1\xc0") + 9
    flip_time(head, at, bit)
    path.write_bytes(b"".join(parts))
    made = copied(path)
    assert made.film.jumps == 0
    assert [len(frames(BytesIO(made.data), index)) for index in (0, 1)] == [
        len(frames(BytesIO(expected.data), index)) for index in (0, 1)
    ]
    for index in (0, 1):
        times = [frame.time or 0 for frame in frames(BytesIO(made.data), index)]
        assert times == pytest.approx(
            [frame.time or 0 for frame in frames(BytesIO(expected.data), index)], abs=0.001
        )


@pytest.mark.parametrize("field", [9, 14])  # the time of presentation, and that of decoding
def test_one_damaged_time_stamp_of_two_of_a_sound_makes_no_silence(
    workshop: Workshop, field: int
) -> None:
    path = workshop.film("h264 with B-frames", "mp2", "stamps.ts")
    parts = [bytearray(part) for part in packets_of(path)]
    heads = [part for part in parts if pid_of(part) == SOUND_PID and part[1] & 0x40]
    part = heads[len(heads) // 2]
    at = part.find(b"\0\0\1\xc0")
    # Both time stamps (ISO/IEC 13818-1 §2.4.3.7), in place of the last bytes of a frame.
    part[at + 14 :] = part[at + 9 : at + 14] + part[at + 14 : -5]
    part[at + 7] |= 0x40
    part[at + 8] += 5
    part[at + 9] |= 0x30
    part[at + 14] = part[at + 14] & 0x0F | 0x10
    path.write_bytes(b"".join(parts))
    whole = copied(path)
    flip_time(part, at + field, 31)  # 6.6 hours
    path.write_bytes(b"".join(parts))
    made = copied(path)
    count, expected = (len(frames(BytesIO(film.data), 1)) for film in (made, whole))
    assert count == pytest.approx(expected, abs=5)
    assert onsets(BytesIO(made.data), 1, 0.0) == pytest.approx(
        onsets(BytesIO(whole.data), 1, 0.0), abs=0.02
    )


def flip_time(part: bytearray, at: int, bit: int) -> None:
    """Change a bit of a time stamp: 3, 15 and 15 bits, and a marker bit after each of the three
    (ISO/IEC 13818-1 §2.4.3.6).
    """
    place = bit + 1 + (bit >= 15) + (bit >= 30)
    part[at + 4 - place // 8] ^= 1 << place % 8


@pytest.mark.parametrize("sound", ["aac", "mp2", "libmp3lame"])
def test_sound_that_is_missing_for_long_is_in_sync_afterwards(
    workshop: Workshop, sound: str
) -> None:
    path = ffmpeg(
        workshop.folder / f"gap {sound}.ts",
        "-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25:duration=24",
        "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000:duration=24",
        *X264, "-c:a", sound, "-ac", "2",
    )  # fmt: skip
    whole = copied(path)
    times = [frame.time or 0 for frame in frames(BytesIO(whole.data), 1)]
    parts = packets_of(path)
    heard = [index for index, part in enumerate(parts) if pid_of(part) == SOUND_PID]
    gap = set(heard[len(heard) // 6 : -len(heard) // 6])  # of some 16 s
    path.write_bytes(b"".join(part for index, part in enumerate(parts) if index not in gap))
    made = copied(path)
    assert made.film.jumps == 0
    # Chromium plays what follows a gap at once. So there is silence in it.
    assert made.film.transcoded == (1,)
    assert len(frames(BytesIO(made.data), 1)) == pytest.approx(24 * 48_000 / 1024, abs=5)
    after = [frame.time or 0 for frame in frames(BytesIO(made.data), 1)]
    assert after[-1] == pytest.approx(times[-1], abs=0.05)
    with av.open(BytesIO(made.data), "r") as container:
        assert (container.duration or 0) / 1e6 == pytest.approx(24, abs=0.2)


@pytest.mark.parametrize("length", [100_000, 400_000])
def test_a_hole_in_a_transport_stream_is_no_end(workshop: Workshop, length: int) -> None:
    whole = ffmpeg(
        workshop.folder / "holes.ts", *PICTURE, *SOUND, *PICTURES["h264"], "-b:v", "4M",
        "-minrate", "4M", *SOUNDS["aac"],
    )  # fmt: skip
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    assert length < len(data) * 0.8
    data[middle - length // 2 : middle + length // 2] = bytes(length // 2 * 2)
    whole.write_bytes(data)
    made = copied(whole)
    counts = []
    for index in (0, 1):
        times = [frame.time or 0 for frame in frames(BytesIO(made.data), index)]
        assert times[-1] == pytest.approx(SECONDS, abs=0.2)
        counts.append(len(times))
    assert counts[0] < SECONDS * RATE - 2
    assert counts[1] == pytest.approx(SECONDS * 48_000 / 1024, abs=5)  # silence in the hole


def test_all_of_a_transcoded_sound_is_decoded(workshop: Workshop) -> None:
    # FFmpeg counts what it skips at the start in samples, which are the units of the track.
    # The picture begins later. The sound begins at 1.4699778 s, which is no whole sample.
    path = ffmpeg(
        workshop.folder / "early.ts",
        "-f", "lavfi", "-i", f"testsrc2=size=64x36:rate=25:duration={SECONDS}",
        *SOUND, *X264, "-bf", "2", "-c:a", "mp2",
    )  # fmt: skip
    made = copied(path)
    with av.open(BytesIO(made.data), "r") as container:
        assert container.streams.audio[0].time_base == Fraction(1, 48_000)
        first = next(iter(container.decode(container.streams.audio[0])))
    assert first.time == 0.0


def test_a_recording_that_begins_in_the_middle_begins_with_its_first_key_frame(
    workshop: Workshop,
) -> None:
    # Encoded anew: each key frame has its parameters before it.
    whole = ffmpeg(
        workshop.folder / "whole.ts", *PICTURE, *SOUND, *PICTURES["h264 with open GOPs"],
        *SOUNDS["aac"],
    )  # fmt: skip
    parts = packets_of(whole)
    tables, middle = parts[:3], len(parts) // 2
    path = workshop.folder / "middle.ts"
    path.write_bytes(b"".join(tables + parts[middle:]))
    made = copied(path)
    original = frames(str(path), 0, is_stream=True)
    copy = frames(BytesIO(made.data), 0)
    assert not original[0].is_key
    assert copy[0].is_key
    first = next(index for index, frame in enumerate(original) if frame.is_key)
    start = start_of(path)
    times = [(frame.time or 0) - start for frame in original[first:]]
    begin = copy[0].time or 0
    shown = [time for time in times if time > begin - 0.001]
    assert [frame.time for frame in copy] == pytest.approx(shown, abs=0.001)
    same = {frame.digest for frame in original[first:]} & {frame.digest for frame in copy}
    # As above
    assert len(copy) - len(same) <= sum(frame.is_key for frame in copy)
    # What is shown before the first key frame refers to what is missing.
    assert copy[0].time == min(frame.time or 0 for frame in copy)
    assert len(original) - len(copy) < 24 + 4
    silent(made.data)


def test_a_film_that_changes_its_format_is_declined(workshop: Workshop) -> None:
    one = workshop.film("h264", "aac", "one.ts")
    other = ffmpeg(
        workshop.folder / "other.ts",
        "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=2", *X264, "-bf", "0",
        "-output_ts_offset", "6",
    )  # fmt: skip
    path = workshop.folder / "changes.ts"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    with pytest.raises(DeclinedError, match="changes its format"):
        copied(path)


def test_sound_that_changes_its_format_is_transcoded(workshop: Workshop) -> None:
    stereo = workshop.film("h264", "aac", "stereo.ts")
    mono = ffmpeg(
        workshop.folder / "mono.ts", "-i", workshop.picture("h264"), "-i", workshop.sound("aac"),
        "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-ac", "1",
        "-output_ts_offset", str(SECONDS),
    )  # fmt: skip
    path = workshop.folder / "channels.ts"
    path.write_bytes(stereo.read_bytes() + mono.read_bytes())
    made = copied(path)
    assert made.film.transcoded == (1,)
    times = [frame.time or 0 for frame in frames(BytesIO(made.data), 1)]
    assert times[-1] == pytest.approx(2 * SECONDS, abs=0.2)
    silent(made.data)


def test_a_film_without_a_picture_that_browsers_play_is_declined(workshop: Workshop) -> None:
    path = ffmpeg(workshop.folder / "mpeg2.ts", *PICTURE, "-c:v", "mpeg2video")
    with pytest.raises(DeclinedError, match="no picture of a codec"):
        copied(path)


def test_the_same_film_has_the_same_digest(workshop: Workshop) -> None:
    path = workshop.film("h264 with B-frames", "ac3", "again.ts")
    assert copied(path) == copied(path)


@pytest.mark.parametrize("name", ["film.ts", "film.mpg", "film.avi"])
@pytest.mark.parametrize("seed", range(6))  # twice each kind of damage
def test_a_damaged_film_is_copied_as_far_as_it_goes_or_declined(
    workshop: Workshop, name: str, seed: int
) -> None:
    whole = workshop.whole(name)
    chance = random.Random(seed)  # noqa: S311 # the same damage each time
    data = bytearray(whole)
    if seed % 3 == 0:
        del data[chance.randrange(len(data)) :]
    elif seed % 3 == 1:
        for _ in range(40):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        start = chance.randrange(len(data) // 2)
        data[start : start + chance.randrange(50_000)] = chance.randbytes(30_000)
    path = workshop.folder / f"damaged {seed} {name}"
    path.write_bytes(data)
    try:
        made = copied(path)
    except DeclinedError:
        return
    finally:
        path.unlink()
    assert len(made.data) < 2 * len(whole) + 100_000
    count = len(frames(BytesIO(made.data), 0))
    assert 0 < count <= SECONDS * RATE + 20
