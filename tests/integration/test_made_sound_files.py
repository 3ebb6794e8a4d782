"""MP4s with sound that was made: in sync, with every picture, and nothing FFmpeg objects to."""

import random
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest
from support.ffmpeg_fixtures import AAC, ffmpeg
from support.made_sound import (
    Made,
    about,
    clicks_of,
    complaints,
    damage_sound,
    film,
    make,
    picture_hashes,
)
from support.mp4_boxes import boxes
from support.remuxed_files import packets
from support.sounds import IN_THE_CENTRE, RATE, SECONDS, file_samples

from service.made_sound.with_sound import make_sound
from service.matroska.window import DeclinedError
from service.sound.transcode import CODEC_STRING
from service.storage.span_reader import span_reader

pytestmark = pytest.mark.slow  # every kind of file

AC3 = (*IN_THE_CENTRE, "-c:a", "ac3", "-b:a", "384k")
SOUNDS = {
    "ac3": AC3,
    "eac3": (*IN_THE_CENTRE, "-c:a", "eac3"),
    "dts": (*IN_THE_CENTRE, "-strict", "-2", "-c:a", "dca"),
    "truehd": ("-ac", "2", "-strict", "-2", "-c:a", "truehd"),
    "pcm": ("-ac", "2", "-c:a", "pcm_s16le"),
    "pcm of 24 bits, big-endian": ("-c:a", "pcm_s24be"),
    "mp2": ("-ar", "44100", "-c:a", "mp2"),
    "wma": ("-c:a", "wmav2"),
    "alac": ("-c:a", "alac"),
}


def seconds(packet: Any) -> float:
    """Return when a packet is decoded."""
    return float(packet.dts * packet.time_base)


def check(path: Path, made: Made) -> None:
    """Assert that a film has become an MP4 with sound, whose clock begins at 0."""
    old, new = packets(str(path), 0), packets(str(made.mp4), 0)
    start = min(file_samples(str(path))[0], *(packet.time for packet in old))
    assert complaints(made.mp4) == ""
    assert [kind for kind, _ in boxes(made.data)] == [b"ftyp", b"moov", b"mdat"]
    assert [packet.digest for packet in new] == [packet.digest for packet in old]
    assert [packet.is_key for packet in new] == [packet.is_key for packet in old]
    assert [p.time for p in new] == about([p.time - start for p in old], 0.0011)
    heard = clicks_of(path)
    assert len(heard) == SECONDS
    # A frame of video is what counts; this is much less.
    assert clicks_of(made.mp4) == about([time - start for time in heard], 0.004)
    with av.open(str(made.mp4)) as container:
        sound = container.streams.audio[0]
        assert (sound.codec_context.name, sound.codec_context.layout.name) == ("aac", "stereo")
        assert sound.disposition & av.stream.Disposition.default


@pytest.mark.parametrize("name", SOUNDS)
def test_a_film_gets_sound_in_sync(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / "a.mkv", *SOUNDS[name])
    made = make(path, tmp_path / "a.mp4")
    check(path, made)
    picture, sound = made.film.codecs
    assert (picture[:5], sound) == ("avc1.", CODEC_STRING)
    assert made.film.damaged == 0
    assert picture_hashes(made.mp4) == picture_hashes(path)


@pytest.mark.parametrize("codec", ["pcm_s16le", "adpcm_swf", "nellymoser"])
def test_flash_video_gets_sound(tmp_path: Path, codec: str) -> None:
    path = film(tmp_path / "a.flv", "-ar", "22050", "-ac", "1", "-c:a", codec)
    check(path, make(path, tmp_path / "a.mp4"))


def test_the_films_own_sound_stays_as_a_track_that_is_not_enabled(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", *AC3, "-metadata:s:a", "language=fre")
    made = make(path, tmp_path / "a.mp4")
    assert made.film.streams == (0, 1, 1)
    with av.open(str(made.mp4)) as container:
        ours, own = container.streams.audio
        assert (ours.language, own.language) == ("fra", "fra")
        assert own.codec_context.name == "ac3"
        assert not own.disposition & av.stream.Disposition.default
        index = own.index
    assert [p.digest for p in packets(str(made.mp4), index)] == [
        p.digest for p in packets(str(path), 1)
    ]


def test_sound_that_mp4_does_not_have_is_left_out(tmp_path: Path) -> None:
    made = make(film(tmp_path / "a.mkv", *SOUNDS["dts"]), tmp_path / "a.mp4")
    assert made.film.streams == (0, 1)


def test_the_default_sound_is_taken(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", "-map", "1:a", "-c:a", "ac3", "-metadata:s:a:0", "language=ger",
                "-metadata:s:a:1", "language=eng", "-disposition:a:0", "0",
                "-disposition:a:1", "default")  # fmt: skip
    made = make(path, tmp_path / "a.mp4")
    assert made.film.streams == (0, 2, 2, 1)
    with av.open(str(made.mp4)) as container:
        assert [s.language for s in container.streams.audio] == ["eng", "eng", "deu"]


@pytest.mark.parametrize("offset", ["5", "0.5"])
def test_a_film_whose_clock_begins_later_begins_at_0(tmp_path: Path, offset: str) -> None:
    path = film(tmp_path / "a.mkv", *SOUNDS["pcm"], "-output_ts_offset", offset)
    check(path, make(path, tmp_path / "a.mp4"))


@pytest.mark.parametrize("stream", ["0", "1"])
def test_sound_or_picture_may_begin_later(tmp_path: Path, stream: str) -> None:
    plain = film(tmp_path / "plain.mkv", *SOUNDS["pcm"])
    other = "1" if stream == "0" else "0"
    path = ffmpeg(tmp_path / "a.mkv", "-itsoffset", "0.7", "-i", plain, "-i", plain,
                  "-map", f"{stream}:v", "-map", f"{other}:a", "-c", "copy")  # fmt: skip
    check(path, make(path, tmp_path / "a.mp4"))


def test_a_second_of_sound_stands_before_each_second_of_pictures(tmp_path: Path) -> None:
    """What is heard in a second is read with the pictures of that second, and not far from them."""
    made = make(film(tmp_path / "a.mkv", *AC3), tmp_path / "a.mp4")
    assert len(made.film.interleaving.cuts) == pytest.approx(SECONDS, abs=1)
    with av.open(str(made.mp4)) as container:
        found = [
            (packet.pos, packet.stream.type, seconds(packet))
            for packet in container.demux(video=0, audio=0)
            if packet.size
        ]
    heard = 0.0
    for _, kind, time in sorted(found):
        if kind == "audio":
            heard = time
        else:  # the sound before it reaches as far, but for what an encoder looks ahead
            assert time - 0.2 < heard < time + 1.3 or heard > SECONDS - 0.1


def test_a_gap_in_the_sound_is_silence_and_the_rest_is_in_sync(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", *AC3)
    path = ffmpeg(tmp_path / "a.mkv", "-i", whole, "-map", "0", "-c", "copy",
                  "-bsf:a", "noise=drop=between(n\\,32\\,94)")  # fmt: skip
    heard = clicks_of(whole)
    assert clicks_of(make(path, tmp_path / "a.mp4").mp4) == about([heard[0], *heard[3:]], 0.004)


def test_damaged_sound_is_counted_and_the_rest_is_in_sync(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", *AC3)
    heard = clicks_of(path)
    damage_sound(path, 1.2, 2.2)
    made = make(path, tmp_path / "a.mp4")
    assert made.film.damaged > 20
    assert clicks_of(made.mp4) == about([heard[0], *heard[2:]], 0.004)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (AAC, "has sound that browsers play"),
        (("-c:a", "libvorbis"), "has no sound"),
    ],
)
def test_what_needs_no_sound_gets_none(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    if reason == "has no sound":
        arguments = ("-an",)
    with pytest.raises(DeclinedError, match=reason):
        make(film(tmp_path / "a.mkv", *arguments), tmp_path / "a.mp4")


def test_sound_of_noise_is_declined(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", *AC3)
    damage_sound(path, -1.0, 99.0)
    with pytest.raises(DeclinedError, match="has sound that cannot be decoded"):
        make(path, tmp_path / "a.mp4")


def test_any_damage_is_declined_or_bounded(tmp_path: Path) -> None:
    """No error but those that are meant, and never more sound than the film is long."""
    path = film(tmp_path / "a.mkv", *AC3)
    plain, chance = path.read_bytes(), random.Random(7)  # noqa: S311 # damage, no secrets
    for _ in range(60):
        data = bytearray(plain)
        for _ in range(chance.randrange(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(1, len(data)) :]
        path.write_bytes(data)
        sound: list[bytes] = []
        try:
            with path.open("rb") as file:
                make_sound(file, len(data), span_reader(file), sound.append)
        except DeclinedError:
            continue
        assert len(sound) * 1024 / RATE < SECONDS + 601


def test_the_same_film_has_the_same_sound(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", *AC3)
    first, second = (make(path, tmp_path / f"{number}.mp4") for number in (1, 2))
    assert (first.film, first.sound) == (second.film, second.sound)


def test_the_sound_is_that_of_the_file_not_of_the_picture_it_lacks(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", *AC3)
    alone = ffmpeg(tmp_path / "a.mka", "-i", path, "-vn", "-c", "copy")
    with pytest.raises(DeclinedError, match="has no picture"):
        make(alone, tmp_path / "a.mp4")


def test_hevc_and_vp9_get_sound(tmp_path: Path) -> None:
    pictures = {
        "hevc": (
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-x265-params",
            "log-level=none:pools=1",
        ),
        "vp9": ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-b:v", "300k"),
    }  # fmt: skip
    for name, codec in pictures.items():
        path = film(tmp_path / f"{name}.mkv", *AC3, picture=codec)
        check(path, make(path, tmp_path / f"{name}.mp4"))


def test_ffprobe_is_silent(tmp_path: Path) -> None:
    made = make(film(tmp_path / "a.mkv", *AC3), tmp_path / "a.mp4")
    command: list[str | Path] = ["ffprobe", "-v", "warning", "-show_packets", made.mp4]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    assert found.stderr == ""


# MP4

MP4_SOUNDS = {
    "ac3.mp4": AC3,
    "eac3.mp4": SOUNDS["eac3"],
    "dts.mp4": SOUNDS["dts"],
    "truehd.mp4": SOUNDS["truehd"],
    "alac.mp4": SOUNDS["alac"],
    "pcm.mov": SOUNDS["pcm"],
    "pcm of 24 bits.mov": SOUNDS["pcm of 24 bits, big-endian"],
    "ac3.mov": AC3,
    "in front.mp4": (*AC3, "-movflags", "+faststart"),
    "late.mp4": (*SOUNDS["alac"], "-output_ts_offset", "5"),
    "one by one.mp4": (*AC3, "-max_interleave_delta", "0", "-chunk_duration", "10000000"),
    "without edits.mov": (*SOUNDS["pcm"], "-use_editlist", "0", "-bf", "0"),
}


@pytest.mark.parametrize("name", MP4_SOUNDS)
def test_an_mp4_gets_sound(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name, *MP4_SOUNDS[name])
    made = make(path, tmp_path / "made.mp4")
    check(path, made)
    assert picture_hashes(made.mp4) == picture_hashes(path)
    kept = 3 if name in {"ac3.mp4", "eac3.mp4", "in front.mp4", "one by one.mp4"} else 2
    assert len(made.film.streams) == kept


def test_an_mp4_keeps_its_rotation_and_pixel_aspect(tmp_path: Path) -> None:
    plain = film(tmp_path / "plain.mp4", *AC3, "-aspect", "2.4")
    path = ffmpeg(tmp_path / "a.mp4", "-i", plain, "-c", "copy", "-metadata:s:v", "rotate=90")
    made = make(path, tmp_path / "made.mp4")
    with av.open(str(path)) as old, av.open(str(made.mp4)) as new:
        one, other = old.streams.video[0], new.streams.video[0]
        assert other.sample_aspect_ratio == one.sample_aspect_ratio
        assert next(new.decode(other)).rotation == next(old.decode(one)).rotation != 0


def test_a_fragmented_mp4_is_declined(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", *AC3, "-movflags", "+frag_keyframe+empty_moov+delay_moov")
    with pytest.raises(DeclinedError, match="is fragmented"):
        make(path, tmp_path / "made.mp4")


def test_any_damage_to_an_mp4_is_declined_or_bounded(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", *AC3)
    plain, chance = path.read_bytes(), random.Random(8)  # noqa: S311 # damage, no secrets
    index = plain.index(b"moov") - 4
    for _ in range(80):
        data = bytearray(plain)
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(index, len(data))] = chance.randrange(256)
        path.write_bytes(data)
        sound: list[bytes] = []
        try:
            with path.open("rb") as file:
                make_sound(file, len(data), span_reader(file), sound.append)
        except DeclinedError:
            continue
        assert len(sound) * 1024 / RATE < 3 * SECONDS + 601
