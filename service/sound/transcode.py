"""Transcodes a stream of sound to AAC-LC stereo at 48 kHz, in sync with the file's clock.

Frames are placed by their time stamps: silence fills gaps, and what overlaps is left out. So the
sound is in sync to the end, however damaged the source is. Memory is bounded."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.plane import AudioPlane

from service.sound.downmix import RATE, Downmix, FrameFormat, format_of

CODEC_STRING = "mp4a.40.2"
"""Of AAC-LC (ISO/IEC 14496-3 §1.5.1.1, object type 2)."""

FRAME = 1024
"""Samples in a packet (ISO/IEC 14496-3 §4.5.1.1)."""

PRIMING = 1024
"""Samples that a decoder yields before the first ones of the sound: FFmpeg's encoder looks one
frame ahead (libavcodec/aacenc.c, initial_padding)."""

_BIT_RATE = (
    160_000  # transparent to most listeners (Hydrogenaudio, public test of AAC at 96 kbit/s)
)
_TOLERANCE = RATE // 100  # samples: times are rounded to milliseconds, and some writers jitter
_SILENCE = 16 * FRAME  # samples of a piece of silence
_PULLED_AT = RATE // 10  # samples: True HD has 1,200 frames a second


class SoundTranscoder:
    """Transcodes the packets of one stream.

    The packets that it returns have times in units of 1/48000 s on the file's clock.
    """

    def __init__(self, stream: Any, *, end: float) -> None:
        """Transcode an audio stream of an open container, to `end` seconds on its clock at most.

        Raises ValueError if FFmpeg has no decoder for it.
        """
        if stream.codec_context is None:
            raise ValueError("no decoder")
        stream.codec_context.thread_count = 1
        self._time_base = stream.time_base
        self._end = round(end * RATE)
        self._encoder = av.CodecContext.create("aac", "w")
        self._encoder.sample_rate = RATE
        self._encoder.layout = "stereo"
        self._encoder.format = "fltp"
        self._encoder.bit_rate = _BIT_RATE
        self._encoder.thread_count = 1
        # In MP4 the configuration is in the sample entry, not in each packet.
        self._encoder.flags |= av.codec.context.Flags.global_header
        self._encoder.open()
        self._downmix: Downmix | None = None
        self._format: FrameFormat | None = None
        self._base = 0
        """The output sample at which the current format began."""
        self._taken = self._unpulled = 0
        """Input samples of the current format, and those of them since the last pull."""
        self._overlaps = False
        """Whether the last frame was left out, as others are in its place."""
        self._fifo = AudioFifo()
        self._encoded = 0
        self._start: int | None = None
        self.damaged = 0
        """Packets that could not be decoded. Silence is in their place."""

    @property
    def configuration(self) -> bytes:
        """The AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1)."""
        return bytes(self._encoder.extradata or b"")

    @property
    def start(self) -> float | None:
        """Seconds on the file's clock at which the sound begins; None before it has."""
        return None if self._start is None else self._start / RATE

    @property
    def samples(self) -> int:
        """The samples that have been encoded, without the priming."""
        return self._encoded

    @property
    def position(self) -> float:
        """Seconds on the file's clock up to which the sound has been encoded."""
        return ((self._start or 0) + self._encoded) / RATE

    def feed(self, packet: Any) -> Iterator[Any]:
        """Decode a packet of the stream, and yield packets of AAC. Raises FFmpegError."""
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.damaged += 1
            return
        for frame in frames:
            yield from self._place(frame)

    def flush(self) -> Iterator[Any]:
        """Yield the last packets. Raises FFmpegError."""
        if self._start is None:
            return
        yield from self._drain()
        yield from self._encode(partial=True)
        yield from self._encoder.encode(None)

    def _place(self, frame: AudioFrame) -> Iterator[Any]:
        """Convert a decoded frame, after silence if there is a gap."""
        if not frame.samples or not frame.sample_rate:
            return
        stated = self._stated(frame)
        if self._start is None:
            self._start = stated if stated is not None else 0
        if self._downmix is None or self._format != format_of(frame):
            yield from self._restart(frame)
        late = 0 if stated is None else stated - self._position()
        tolerance = 0 if self._overlaps else _TOLERANCE
        self._overlaps = late < -tolerance
        if self._overlaps or self._position() >= self._end:
            return
        if late > tolerance:
            yield from self._fill(frame, stated or 0)
        yield from self._push(frame)

    def _stated(self, frame: AudioFrame) -> int | None:
        """Return the output sample that a frame's time stamp names; None if it has none."""
        if frame.pts is None:
            return None
        return round(frame.pts * (frame.time_base or self._time_base) * RATE)

    def _position(self) -> int:
        """Return the output sample, on the file's clock, at which the next frame would be."""
        rate = self._format[2] if self._format else RATE
        return self._base + self._taken * RATE // rate

    def _restart(self, frame: AudioFrame) -> Iterator[Any]:
        """Begin to convert another format."""
        yield from self._drain()
        self._base = (self._start or 0) + self._encoded + self._fifo.samples
        self._taken = self._unpulled = 0
        self._format = format_of(frame)
        self._downmix = Downmix(self._format, frame.layout.nb_channels)

    def _fill(self, like: AudioFrame, until: int) -> Iterator[Any]:
        """Put silence before a frame, up to an output sample."""
        while (missing := min(until, self._end) - self._position()) > 0:
            count = min(_SILENCE, missing * like.sample_rate // RATE)
            if not count:
                return
            silence = AudioFrame(like.format.name, like.layout.name, count)
            # Not `silence.planes`: PyAV 19 looks for a ninth one after eight, and fails.
            for index in range(like.layout.nb_channels if like.format.is_planar else 1):
                plane = AudioPlane(silence, index)
                plane.update(_zeros(like.format.name, plane.buffer_size))
            silence.sample_rate = like.sample_rate
            yield from self._push(silence)

    def _push(self, frame: AudioFrame) -> Iterator[Any]:
        frame.pts, frame.time_base = self._taken, Fraction(1, frame.sample_rate)
        self._taken += frame.samples
        self._unpulled += frame.samples
        if self._downmix is not None:
            self._downmix.push(frame)
        if self._unpulled * RATE >= _PULLED_AT * frame.sample_rate:
            yield from self._pull()

    def _pull(self) -> Iterator[Any]:
        self._unpulled = 0
        if self._downmix is not None:
            for frame in self._downmix.pull():
                frame.pts = None
                self._fifo.write(frame)
            yield from self._encode(partial=False)

    def _drain(self) -> Iterator[Any]:
        """Convert what the current format has left."""
        if self._downmix is not None:
            self._downmix.push(None)
            yield from self._pull()
            self._downmix = None

    def _encode(self, *, partial: bool) -> Iterator[Any]:
        while self._fifo.samples >= FRAME or (partial and self._fifo.samples):
            frame = self._fifo.read(FRAME, partial=partial)
            if frame is None:
                return
            frame.pts = (self._start or 0) + self._encoded
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            self._encoded += frame.samples
            yield from self._encoder.encode(frame)


def _zeros(format_name: str, length: int) -> bytes:
    """Return silence: 128 is the middle of unsigned samples of 8 bits."""
    return (b"\x80" if format_name.startswith("u8") else b"\0") * length
