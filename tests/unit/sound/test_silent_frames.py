"""Frames of silence among the frames that an encoder wrote."""

from array import array
from io import BytesIO
from typing import Any

import av
import pytest
from av.audio.frame import AudioFrame
from av.audio.plane import AudioPlane

from service.sound.silent_frames import silent_frame

COUNT = 6


def encoded(encoder: str, rate: int, layout: str, options: dict[str, str]) -> tuple[Any, bytes]:
    """Return packets of a loud sound, and the configuration as Matroska has it."""
    made = BytesIO()
    output: Any
    container: Any
    with av.open(made, "w", format="matroska") as output:
        format_, _, name = encoder.rpartition(":")
        stream = output.add_stream(name, rate, layout=layout, options=options)
        stream.format = format_ = format_ or ("s16" if name == "libopus" else "fltp")
        stream.codec_context.open()
        resampler = av.AudioResampler(format_, layout, rate, frame_size=stream.frame_size or 1024)
        loud = AudioFrame("s16", layout, rate)  # a second
        values = array("h", [9000 if at // 50 % 2 else -9000 for at in range(rate)])
        channels = len(loud.layout.channels)
        loud.planes[0].update(array("h", [v for v in values for _ in range(channels)]).tobytes())
        loud.sample_rate = rate
        for frame in (*resampler.resample(loud), *resampler.resample(None), None):
            # The last packet of FLAC is empty.
            output.mux([packet for packet in stream.encode(frame) if packet.size])
    with av.open(BytesIO(made.getvalue())) as container:
        stream = container.streams.audio[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return packets, bytes(stream.codec_context.extradata or b"")


@pytest.mark.parametrize(
    ("codec", "encoder", "rate", "layout", "options"),
    [
        *(("aac", "aac", 48_000, layout, {})
          for layout in ("mono", "stereo", "4.0", "5.0", "5.1", "7.1")),
        # These are described by a program config element.
        *(("aac", "aac", 48_000, layout, {})
          for layout in ("2.1", "5.1(side)", "6.1", "octagonal")),
        ("aac", "aac", 22_050, "stereo", {}),
        *(("mp3", "libmp3lame", rate, layout, {})
          for rate, layout in ((48_000, "stereo"), (44_100, "mono"), (32_000, "stereo"),
                               (24_000, "stereo"), (22_050, "mono"), (8_000, "stereo"))),
        *(("opus", "libopus", 48_000, "stereo", {"frame_duration": length})
          for length in ("5", "10", "20", "60")),
        ("opus", "libopus", 16_000, "mono", {"application": "voip", "b": "12000"}),
        *(("opus", "libopus", 48_000, layout, {"frame_duration": length})
          for layout, length in (("5.1", "20"), ("7.1", "60"), ("3.0", "10"))),
        *(("flac", f"{format_}:flac", rate, layout, {})
          for rate, layout, format_ in ((48_000, "stereo", "s16"), (44_100, "mono", "s32"),
                                        (96_000, "5.1", "s32"), (11_025, "stereo", "s16"))),
    ],
)  # fmt: skip
def test_a_decoder_hears_silence_of_the_same_length(
    codec: str, encoder: str, rate: int, layout: str, options: dict[str, str]
) -> None:
    packets, configuration = encoded(encoder, rate, layout, options)
    silence = silent_frame(codec, configuration, packets[0])
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.extradata, decoder.sample_rate = configuration or None, rate
    decoder.layout, decoder.options = layout, {"err_detect": "crccheck+explode"}
    half = len(packets) // 2
    with av.logging.Capture() as messages:
        frames = [
            frame
            for data in (*packets[:half], *[silence] * COUNT, packets[half])
            for frame in decoder.decode(av.Packet(data))
        ]
    assert [message for level, *_, message in messages if level <= av.logging.WARNING] == []
    assert len(frames) == half + COUNT + 1
    assert len({frame.samples for frame in frames[1:]}) == 1  # of the first one Opus skips some
    # Decoders are late by up to a frame, and Opus fades.
    assert max(map(loudness, frames[half + 2 : half + COUNT])) < 0.001
    assert max(map(loudness, frames[half - 3 : half])) > 0.1


@pytest.mark.parametrize(
    ("number", "channels"),
    [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 8), (11, 7), (12, 8), (14, 8)],
)
def test_silence_has_the_channels_of_the_configuration(number: int, channels: int) -> None:
    """ISO/IEC 14496-3 table 1.19. Encoders write some of them only in some releases."""
    configuration = (2 << 11 | 3 << 7 | number << 3).to_bytes(2, "big")  # AAC-LC, 48 kHz
    decoder: Any = av.CodecContext.create("aac", "r")
    decoder.extradata, decoder.options = configuration, {"err_detect": "crccheck+explode"}
    silence = silent_frame("aac", configuration, b"")
    with av.logging.Capture() as messages:
        frames = [frame for _ in range(3) for frame in decoder.decode(av.Packet(silence))]
    assert [message for level, *_, message in messages if level <= av.logging.WARNING] == []
    assert [frame.layout.nb_channels for frame in frames] == [channels] * 3
    assert max(map(loudness, frames)) == 0


def loudness(frame: Any) -> float:
    kind, full = {"flt": ("f", 1), "s16": ("h", 1 << 15), "s32": ("i", 1 << 31)}[
        frame.format.name.removesuffix("p")
    ]
    values = array(kind)
    values.frombytes(bytes(AudioPlane(frame, 0))[: frame.samples * values.itemsize])
    return max(map(abs, values)) / full


@pytest.mark.parametrize(
    ("codec", "configuration", "first"),
    [
        ("aac", bytes([0x11, 0x80]), b""),  # a program config element without elements
        ("aac", b"", b""),
        ("mp3", b"", b"\xff\xfd\x90\x00"),  # layer II
        ("mp3", b"", b"\xff\xfb\x9c\x00"),  # a reserved rate
        ("mp3", b"", b"\xff"),
        ("opus", b"", b""),
        ("flac", b"", b"\xff\xf8\xc9\x18\0"),
        ("flac", bytes(34), b"\xff\xf9\xc9\x18\0"),  # frames of different lengths
    ],
)
def test_other_sound_has_none(codec: str, configuration: bytes, first: bytes) -> None:
    assert silent_frame(codec, configuration, first) == b""
