"""Make sound with a click each second, and find the clicks in what was made of it."""

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av

from support.ffmpeg_fixtures import ffmpeg

RATE = 48_000
SECONDS = 6
FIRST = 0.5
"""Seconds at which the first click is; another follows each second."""

_TONE = "0.8*sin(2*PI*1000*t)*gte(mod(t+0.5,1),0)*lt(mod(t+0.5,1),0.01)".replace(",", r"\,")
CLICKS = ("-f", "lavfi", "-i", f"aevalsrc={_TONE}:s={RATE}:d={SECONDS}")
IN_THE_CENTRE = ("-af", "pan=5.1(side)|FC=c0")


def click_file(path: Path, *arguments: str) -> Path:
    """Make a file of sound with clicks."""
    return ffmpeg(path, *CLICKS, *arguments)


def decoded(
    packets: Iterable[Any], codec: str, configuration: bytes, rate: int = RATE
) -> list["array[float]"]:
    """Return the samples of both channels of packets, priming and all."""
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.extradata, decoder.sample_rate = configuration, rate
    channels = [array("f"), array("f")]
    for packet in (*packets, None):
        for frame in decoder.decode(packet):
            for channel, plane in zip(channels, frame.planes, strict=True):
                channel.frombytes(bytes(plane)[: 4 * frame.samples])
    return channels


def file_samples(file: Any, index: int = 0) -> tuple[float, "array[float]"]:
    """Return the first time of a sound of a file, and the samples of its left channel from there
    to the end, at 48 kHz.
    """
    channel, start = array("f"), None
    with av.open(file) as container:
        stream = container.streams.audio[index]
        resampler = av.AudioResampler("fltp", "stereo", RATE)
        for frame in container.decode(stream):
            start = frame.time if start is None else start
            for part in resampler.resample(frame):
                channel.frombytes(bytes(part.planes[0])[: 4 * part.samples])
        for part in resampler.resample(None):
            channel.frombytes(bytes(part.planes[0])[: 4 * part.samples])
    return start or 0.0, channel


def click_times(
    samples: Sequence[float], start: float = 0.0, threshold: float = 0.2
) -> list[float]:
    """Return the seconds at which clicks begin: a loud sample after half a second without one."""
    found: list[int] = []
    last = -RATE
    for moment, value in enumerate(samples):
        if not -threshold <= value <= threshold:
            if moment - last > RATE // 2:
                found.append(moment)
            last = moment
    return [start + moment / RATE for moment in found]
