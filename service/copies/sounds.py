"""Copies the sound of a film, or transcodes what browsers do not play."""

from array import array
from fractions import Fraction
from typing import Any, Protocol

from service.copies.adts import AdtsHeader, read_adts
from service.copies.track import CopyTrack
from service.made_sound.aac_entry import aac_entry
from service.matroska.frame_table import SAME_BLOCK, FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.remux.movie import SampleEntry
from service.remux.picture_timing import SECOND, TrackTiming
from service.remux.sample_entries import sample_entry
from service.remux.silence import MAX_EARLY
from service.remux.sound_timing import sound_timing
from service.remux.track_choice import CODEC_IDS
from service.sound.downmix import RATE
from service.sound.frames import sound_frame
from service.sound.transcode import FRAME, PRIMING, SoundTranscoder

UNIVERSAL = frozenset({"aac", "mp3"})
"""Sound that all browsers play in MP4, and that is copied."""

RARE = frozenset({"ac3", "eac3"})
"""Sound that some players play in MP4: it is copied beside what is transcoded of it."""

# Samples in a frame of AAC (ISO/IEC 14496-3 §4.5.1.1).
_AAC_FRAME = 1024
# Of transport and program streams (ISO/IEC 13818-1 §2.4.3.7)
_CLOCK = Fraction(1, 90_000)

# The end of what is transcoded, on the film's clock: it may begin after 26.5 hours, and the number
# of frames is limited. FilmClock keeps damaged time stamps away, which would make silence.
_MAX_SECONDS = 2e5


class SoundChangesError(Exception):
    """Sound that is not encoded in the same way from start to end, or has gaps, so that it cannot
    be copied."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index
        """Of the stream."""


class Sound(Protocol):
    """A sound of the MP4."""

    stream: Any
    track: CopyTrack
    is_transcoded: bool

    @property
    def damaged(self) -> int:
        """Packets that could not be decoded, where they have to be."""
        ...

    def add(self, packet: Any, shift: int) -> None:
        """Add the frames of a packet, at its time and `shift` ticks."""
        ...

    def finish(self) -> None:
        """Add what is left."""
        ...

    def result(self) -> tuple[SampleEntry, TrackTiming]:
        """Return the sample entry, and the times of the frames. Raises DeclinedError."""
        ...


def new_track(stream: Any, codec: str) -> CopyTrack:
    """Return the track of a stream of sound, with FFmpeg's name of the codec that it has there."""
    codec_id, language = CODEC_IDS[codec], stream.language or "und"
    return CopyTrack(FrameTable(MediaTrack(stream.index, "audio", codec_id, language=language)))


class CopiedSound:
    """Sound whose frames are the same in the MP4."""

    is_transcoded = False
    damaged = 0

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        codec = stream.codec_context.codec.canonical_name
        self.track = new_track(stream, codec)
        self._tick = float(stream.time_base) * SECOND
        self._header: AdtsHeader | None = None
        self._is_adts = codec == "aac" and not stream.codec_context.extradata
        self._first = b""
        self._lengths = (0, 0)
        """The samples per second and in a frame, if times are stated so that gaps can be seen."""
        if codec == "mp3" and stream.time_base == _CLOCK:
            self._lengths = sound_frame("mp3", stream.codec_context.sample_rate, b"", b"")

    def add(self, packet: Any, shift: int) -> None:
        """Add a frame. Raises SoundChangesError."""
        frame = bytes(packet)
        if not self.track.table.sizes:
            self._first = frame
        if self._is_adts:
            try:
                header, frame = read_adts(frame)
            except ValueError as error:
                raise SoundChangesError(self.stream.index) from error
            if self._header not in {None, header}:
                raise SoundChangesError(self.stream.index)
            self._header = header
            self._lengths = header.rate, _AAC_FRAME
        if frame:
            time = SAME_BLOCK if packet.pts is None else packet.pts + shift
            self._check_gaps(time)
            self.track.add(frame, time, is_key=True)

    def _check_gaps(self, time: int) -> None:
        """Compare the time of the next frame with those before it. Raises SoundChangesError."""
        times = self.track.table.times
        rate, frame = self._lengths
        if not frame or not times or SAME_BLOCK in (time, times[0]):
            return
        stated = (time - times[0]) * self._tick / SECOND
        if abs(stated - len(times) * frame / rate) > MAX_EARLY:
            raise SoundChangesError(self.stream.index)

    def finish(self) -> None:
        pass

    def result(self) -> tuple[SampleEntry, TrackTiming]:
        table = self.track.table
        if self._header is not None:
            configuration = self._header.configuration
            entry = aac_entry(configuration, self._header.rate, self._header.channels)
            rate, frame = sound_frame("aac", self._header.rate, configuration, b"")
        else:
            made = sample_entry(self.stream, self._first)
            if made is None:
                raise DeclinedError("has sound that FFmpeg does not copy into MP4")
            entry, rate, frame = made.entry, made.sample_rate, made.frame
        return entry, sound_timing(table, self._tick, rate, frame)


class TranscodedSound:
    """Sound that is transcoded to AAC."""

    is_transcoded = True

    @property
    def damaged(self) -> int:
        return self._transcoder.damaged

    def __init__(self, stream: Any) -> None:
        """Transcode a stream. Raises ValueError if FFmpeg has no decoder for it."""
        self.stream = stream
        self.track = new_track(stream, "aac")
        self._time_base = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        self._transcoder = SoundTranscoder(stream, end=_MAX_SECONDS)

    def add(self, packet: Any, shift: int) -> None:
        """Decode a packet. Raises FFmpegError."""
        time = packet.pts
        packet.pts = None if time is None else time + shift
        self._take(self._transcoder.feed(packet))
        packet.pts = time  # it may also be copied

    def finish(self) -> None:
        self._take(self._transcoder.flush())

    def _take(self, packets: Any) -> None:
        for packet in packets:
            self.track.add(bytes(packet), 0, is_key=True)

    def result(self) -> tuple[SampleEntry, TrackTiming]:
        count = len(self.track.table.sizes)
        entry = aac_entry(self._transcoder.configuration, RATE, 2)
        timing = TrackTiming(
            timescale=RATE,
            durations=array("q", [FRAME]) * count,
            offsets=None,
            skip=PRIMING,
            length=max(1, min(self._transcoder.samples, count * FRAME - PRIMING)),
            start=self._transcoder.start or 0.0,
        )
        return entry, timing
