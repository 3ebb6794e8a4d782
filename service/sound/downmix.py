"""Turns decoded sound of one format into stereo at 48 kHz.

ITU-R BS.775-4, Annex 4, table 2: the centre and the surrounds are 3 dB lower in each of the two
channels, so that voices are as loud as before. The LFE channel is left out, as it is there."""

from collections.abc import Iterator
from itertools import pairwise

import av
from av.audio.frame import AudioFrame
from av.filter import Graph

RATE = 48_000
"""Samples per second."""

# What the sum of the channels exceeds is limited smoothly, without a delay of the whole; else the
# decoder would clip it. The rest is unchanged: level=0 does not make quiet sound louder.
_LIMITER = "level_in=1:level_out=1:limit=0.98:attack=5:release=50:level=0:latency=1"
_MIX = "center_mix_level=0.7071:surround_mix_level=0.7071:lfe_mix_level=0"

FrameFormat = tuple[str, str, int]
"""FFmpeg's names of the sample format and the layout, and the samples per second."""


def format_of(frame: AudioFrame) -> FrameFormat:
    """Return the format of a frame."""
    return frame.format.name, frame.layout.name, frame.sample_rate


class Downmix:
    """A converter of frames that follow each other without gaps."""

    def __init__(self, source: FrameFormat, channels: int) -> None:
        """Convert frames of the format `source`. Raises FFmpegError, ValueError."""
        samples, layout, rate = source
        self._graph = Graph()
        nodes = [
            self._graph.add(
                "abuffer",
                f"sample_rate={rate}:sample_fmt={samples}:channel_layout={layout}"
                f":time_base=1/{rate}",
            ),
            *(self._graph.add(name, options) for name, options in _filters(channels)),
            self._graph.add("abuffersink"),
        ]
        for node, following in pairwise(nodes):
            node.link_to(following)
        self._graph.configure()
        self._source, self._sink = nodes[0], nodes[-1]

    def push(self, frame: AudioFrame | None) -> None:
        """Take a frame; None at the end. Raises FFmpegError."""
        self._source.push(frame)

    def pull(self) -> Iterator[AudioFrame]:
        """Yield what has been converted. Raises FFmpegError."""
        while True:
            try:
                frame = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if isinstance(frame, AudioFrame):
                yield frame


def _filters(channels: int) -> Iterator[tuple[str, str]]:
    if channels == 1:
        yield "pan", "stereo|c0=c0|c1=c0"
    yield "aresample", f"{RATE}:{_MIX}"
    yield "aformat", "sample_fmts=fltp:channel_layouts=stereo"
    if channels > 2:  # noqa: PLR2004 # stereo cannot exceed what it was
        yield "alimiter", _LIMITER
    # What is below 16 bits is not heard. FFmpeg's encoder takes four times the time and eight times
    # the bytes on silence that is not quite 0, as of decoders of AC-3 and DTS.
    yield "aformat", "sample_fmts=s16p:channel_layouts=stereo"
    yield "aformat", "sample_fmts=fltp:channel_layouts=stereo"
