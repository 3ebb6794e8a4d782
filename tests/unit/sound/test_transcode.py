"""Sound as AAC: in sync with the clock of its file, with its voices, and bounded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.ffmpeg_fixtures import ffmpeg
from support.sounds import (
    IN_THE_CENTRE,
    RATE,
    SECONDS,
    click_file,
    click_times,
    decoded,
    file_samples,
)

from service.sound.transcode import FRAME, PRIMING, SoundTranscoder

# Seconds. A coded click swells over the encoders' windows; a frame of a film takes 0.04 s.
TOLERANCE = 0.006
HOUR = 3600.0

Edit = Callable[[list[Any]], Iterable[Any]]


@dataclass
class Result:
    """What was transcoded, and its packets."""

    transcoder: SoundTranscoder
    packets: list[Any]

    @property
    def channels(self) -> list[Any]:
        """The samples that are heard."""
        found = decoded(self.packets, "aac", self.transcoder.configuration)
        return [channel[PRIMING : PRIMING + self.transcoder.samples] for channel in found]

    @property
    def clicks(self) -> list[float]:
        """The seconds on the file's clock."""
        return click_times(self.channels[0], self.transcoder.start or 0.0)


def transcode(path: Path, edit: Edit = list, end: float = HOUR) -> Result:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        source = [packet for packet in container.demux(stream) if packet.size]
        transcoder = SoundTranscoder(stream, end=end)
        packets = [made for packet in edit(source) for made in transcoder.feed(packet)]
        packets += transcoder.flush()
    return Result(transcoder, packets)


def expected(*numbers: int, start: float = 0.5) -> list[Any]:
    return [pytest.approx(start + number, abs=TOLERANCE) for number in numbers]


@pytest.fixture
def ac3(tmp_path: Path) -> Path:
    return click_file(tmp_path / "a.mkv", *IN_THE_CENTRE, "-c:a", "ac3", "-b:a", "384k")


@pytest.mark.parametrize(
    "arguments",
    [
        (*IN_THE_CENTRE, "-c:a", "ac3"),
        (*IN_THE_CENTRE, "-c:a", "eac3"),
        (*IN_THE_CENTRE, "-strict", "-2", "-c:a", "dca"),
        ("-ac", "2", "-strict", "-2", "-c:a", "truehd"),
        ("-af", "pan=7.1|FC=c0", "-c:a", "flac"),
        ("-af", "pan=5.1(side)|FC=c0", "-c:a", "pcm_s24le"),
        ("-c:a", "pcm_u8"),
        ("-ar", "44100", "-c:a", "mp2"),
        ("-ar", "22050", "-c:a", "pcm_s16le"),
        ("-ar", "96000", "-c:a", "pcm_s32le"),
        ("-ac", "2", "-c:a", "wmav2"),
    ],
)
def test_the_sound_is_in_sync(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = click_file(tmp_path / "a.mkv", *arguments)
    start, samples = file_samples(str(path))
    source = click_times(samples, start)  # some encoders delay the sound and do not say so
    assert len(source) == SECONDS
    result = transcode(path)
    assert result.clicks == [pytest.approx(time, abs=0.002) for time in source]
    assert result.transcoder.damaged == 0


def test_the_packets_follow_each_other_from_the_priming_on(ac3: Path) -> None:
    result = transcode(ac3)
    times = [packet.pts for packet in result.packets]
    assert times == [FRAME * number - PRIMING for number in range(len(times))]
    assert {packet.time_base for packet in result.packets} == {Fraction(1, RATE)}
    assert result.transcoder.samples == pytest.approx(SECONDS * RATE, abs=1536)


def test_a_voice_in_the_centre_is_as_loud_as_before(tmp_path: Path) -> None:
    """BS.775-4, annex 4: it is 3 dB lower in each of the two."""
    tone = ("-f", "lavfi", "-i", f"aevalsrc=0.5*sin(2*PI*440*t):s={RATE}:d=2")
    path = ffmpeg(tmp_path / "a.mkv", *tone, *IN_THE_CENTRE, "-c:a", "pcm_f32le")
    for channel in transcode(path).channels:
        assert max(channel[RATE // 2 : RATE]) == pytest.approx(0.5 * 0.7071, rel=0.05)


def test_a_mono_voice_is_as_loud_in_each_channel(tmp_path: Path) -> None:
    tone = ("-f", "lavfi", "-i", f"aevalsrc=0.5*sin(2*PI*440*t):s={RATE}:d=2")
    for channel in transcode(ffmpeg(tmp_path / "a.mkv", *tone, "-c:a", "pcm_f32le")).channels:
        assert max(channel[RATE // 2 : RATE]) == pytest.approx(0.5, rel=0.05)


def test_channels_that_are_all_loud_are_not_clipped(tmp_path: Path) -> None:
    """The sum would be 0.9 * (1 + 0.71 + 0.71) = 2.2."""
    tone = ("-f", "lavfi", "-i", f"aevalsrc=0.9*sin(2*PI*440*t):s={RATE}:d=2")
    mix = "pan=5.1(side)|FL=c0|FR=c0|FC=c0|SL=c0|SR=c0"
    path = ffmpeg(tmp_path / "a.mkv", *tone, "-af", mix, "-c:a", "pcm_f32le")
    for channel in transcode(path).channels:
        middle = channel[RATE // 2 : RATE]
        assert 0.9 < max(middle) <= 1.02  # what a lossy coder adds


def test_silence_fills_a_gap(ac3: Path) -> None:
    """Two seconds are lost, and the clicks after it are where they were."""
    kept = transcode(ac3, lambda packets: [p for p in packets if not 1000 <= p.pts < 3000])
    assert kept.clicks == expected(0, 3, 4, 5)
    assert kept.transcoder.samples == pytest.approx(SECONDS * RATE, abs=1536)


def test_silence_fills_a_gap_of_eight_channels(tmp_path: Path) -> None:
    path = click_file(tmp_path / "a.mkv", "-af", "pan=7.1|FC=c0", "-c:a", "libopus", "-b:a", "256k")
    kept = transcode(path, lambda packets: [p for p in packets if not 1000 <= p.pts < 3000])
    whole = transcode(path).clicks
    assert kept.clicks == [pytest.approx(time, abs=TOLERANCE) for time in (whole[0], *whole[3:])]


def test_small_gaps_do_not_add_up(ac3: Path) -> None:
    """Every second packet is lost: what remains is where it was."""
    kept = transcode(ac3, lambda packets: packets[::2])
    assert kept.transcoder.samples == pytest.approx(SECONDS * RATE, abs=2 * 1536)


def test_a_later_start_is_the_start(ac3: Path) -> None:
    def moved(packets: list[Any]) -> list[Any]:
        for packet in packets:
            packet.pts += 7000
        return packets

    result = transcode(ac3, moved)
    assert result.transcoder.start == pytest.approx(7, abs=0.001)
    assert result.clicks == expected(*range(SECONDS), start=7.5)


def test_what_overlaps_is_left_out(ac3: Path) -> None:
    """The second half is said to begin a second earlier."""

    def moved(packets: list[Any]) -> list[Any]:
        for packet in packets:
            packet.pts -= 1000 * (packet.pts >= 3000)
        return packets

    # The click of 3.5 s is one of those that overlap; 4.5 and 5.5 are a second earlier.
    result = transcode(ac3, moved)
    assert result.clicks == expected(0, 1, 2, 3, 4)
    assert result.transcoder.samples == pytest.approx((SECONDS - 1) * RATE, abs=2 * 1536)


def test_times_that_are_rounded_make_no_gaps(ac3: Path) -> None:
    def jitter(packets: list[Any]) -> list[Any]:
        for number, packet in enumerate(packets):
            packet.pts += (-4, 0, 4)[number % 3]
        return packets

    plain, moved = transcode(ac3), transcode(ac3, jitter)
    assert abs(moved.transcoder.samples - plain.transcoder.samples) <= RATE // 100


def test_damaged_packets_are_silence(ac3: Path) -> None:
    def damage(packets: list[Any]) -> Iterable[Any]:
        for packet in packets:
            if 1000 <= packet.pts < 3000:
                copy = av.Packet(b"\xff" * packet.size)
                copy.stream, copy.pts, copy.time_base = packet.stream, packet.pts, packet.time_base
                yield copy
            else:
                yield packet

    result = transcode(ac3, damage)
    assert result.transcoder.damaged > 50
    assert result.clicks == expected(0, 3, 4, 5)


def test_a_sound_that_cannot_be_decoded_has_no_packets(ac3: Path) -> None:
    def damage(packets: list[Any]) -> Iterable[Any]:
        for packet in packets:
            copy = av.Packet(b"\xff" * packet.size)
            copy.stream, copy.pts, copy.time_base = packet.stream, packet.pts, packet.time_base
            yield copy

    result = transcode(ac3, damage)
    assert (result.packets, result.transcoder.start) == ([], None)


def test_a_format_that_changes_is_in_sync(tmp_path: Path) -> None:
    """As in broadcasts: a film in 5.1 after an advertisement in stereo."""
    stereo = click_file(tmp_path / "a.ac3", "-ac", "2", "-c:a", "ac3", "-b:a", "192k")
    many = click_file(tmp_path / "b.ac3", *IN_THE_CENTRE, "-c:a", "ac3", "-b:a", "384k")
    both = tmp_path / "c.ac3"
    both.write_bytes(stereo.read_bytes() + many.read_bytes())
    result = transcode(both)
    # 6 s are 187.5 frames of AC-3, so the second part begins half a frame after 6 s.
    later = 188 * 1536 / RATE - SECONDS
    assert result.clicks[:SECONDS] == expected(*range(SECONDS))
    assert result.clicks[SECONDS:] == expected(*range(SECONDS, 2 * SECONDS), start=0.5 + later)


def test_nothing_is_made_after_the_end(ac3: Path) -> None:
    """Neither of sound nor of a gap, however long a damaged time stamp says that it is."""

    def jump(packets: list[Any]) -> list[Any]:
        packets[-1].pts = 10**12
        return packets

    short = transcode(ac3, end=2.0)
    assert short.transcoder.samples == pytest.approx(2 * RATE, abs=1536)
    long = transcode(ac3, jump, end=20.0)
    assert long.transcoder.samples == pytest.approx(20 * RATE, abs=2 * 1536)
