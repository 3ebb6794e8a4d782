"""A reader of key frames and covers, with a limit on the bytes it reads.

It decodes in one thread and without timeouts, so the same file always gives the same images."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import SEEK_END
from itertools import islice
from typing import Any, BinaryIO, Self

import av

from service.containers.headers import read_headers
from service.probing.metadata import (
    OPTIONS,
    TEXT_OPTIONS,
    UnreadableError,
    film_index,
    read_streams,
)
from service.probing.read_limited_file import ReadLimitedFile
from service.probing.timeline import play_length, start_offset

MAX_BYTES_READ = 1 << 31
"""Of one file: the rest is not read. 150 key frames of a 2160p film have about 300 MB. A Matroska
file without cues has to be read up to the time of a seek."""

_ATTACHED = av.stream.Disposition.attached_pic
_THUMBNAILS = av.stream.Disposition.timed_thumbnails  # chapter thumbnails: attached, but not covers

_DECODING_DELAY = 10.0
"""Seconds by which a frame may be decoded before it is shown: more than the second of MPEG-2
(ISO/IEC 13818-1 §2.4.2.7)."""

_MAX_TIMESTAMP = (1 << 63) - 1  # time stamps have 64 bits


class VideoReader:
    """An open video. Times are in seconds on the page (service/probing/timeline.py)."""

    @classmethod
    @contextmanager
    def open(cls, video: BinaryIO) -> Iterator[Self]:
        """Open `video`. Raises UnreadableError, MemoryError and OSError, now and later."""
        file = ReadLimitedFile(video)
        size = video.seek(0, SEEK_END)
        video.seek(0)
        file.set_budget(MAX_BYTES_READ)
        try:
            container = av.open(file, options=OPTIONS, **TEXT_OPTIONS)
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            raise UnreadableError("This is no video file of a kind that is known here.") from error
        with container:
            encrypted = read_headers(video, size, container).encryption
            try:
                yield cls(container, file, read_streams(container, video), encrypted)
            except av.FFmpegError as error:  # a pixel format that cannot be converted
                if isinstance(error, MemoryError):
                    raise
                raise UnreadableError("The pictures of this video cannot be shown.") from error

    def __init__(
        self,
        container: Any,
        file: ReadLimitedFile,
        streams: list[dict[str, Any]],
        encrypted: Collection[int] = (),
    ) -> None:
        """`encrypted` has the indexes of streams that cannot be decoded."""
        self._container = container
        self._file = file
        self._seekable = True  # as far as is known
        self._start = start_offset(container)
        self._length: float | None = None
        streams = [stream for stream in streams if stream["index"] not in encrypted]
        index = film_index(container, streams)
        self._covers = [stream["index"] for stream in streams if stream["kind"] == "attachment"]
        self.stream: Any = None if index is None else container.streams[index]
        if self.stream is not None and self._has_decoder(self.stream):
            self.stream.codec_context.thread_count = 1

    def has_video(self) -> bool:
        """Return whether there is a film that is not encrypted, which is then `stream`.

        Raises UnreadableError if there is no decoder for it."""
        if self.stream is not None and not self._has_decoder(self.stream):
            raise UnreadableError("There is no decoder for this video here.")
        return self.stream is not None

    @staticmethod
    def _has_decoder(stream: Any) -> bool:
        return stream.codec_context is not None

    def unmarked_covers(self) -> Iterator[tuple[Any, Any]]:
        """Yield the stream and the frame of covers that are stored as a video of one picture."""
        for index in self._covers:
            stream = self._container.streams[index]
            if stream.type != "video" or stream.disposition & _ATTACHED:
                continue
            if self._has_decoder(stream):
                self._container.seek(0)
                packet = next((p for p in self._packets(stream) if p.size), None)
                frame = None if packet is None else self._decode(stream, packet)
                if frame is not None:
                    yield stream, frame

    def duration(self) -> float | None:
        """Return the duration from the header, else from all packets, or None if it is unknown."""
        if self._length is None:
            self._length = play_length(self._container, self._file, self._start)
        if self._length is not None:
            self._file.set_budget(MAX_BYTES_READ)
            return self._length
        ends = (
            float((packet.pts + (packet.duration or 0)) * packet.time_base) - self._start
            for packet in self._packets(self.stream)
            if packet.pts is not None
        )
        last = max(ends, default=0.0)
        self._file.set_budget(MAX_BYTES_READ)
        return last if last > 0 else None

    def attached_covers(self) -> list[bytes]:
        """Return the attached covers as image files, front covers first.

        Matroska's of other types than FFmpeg makes streams of, such as AVIF, come last.
        """
        cover_streams = [
            stream
            for stream in self._container.streams.video
            if stream.disposition & _ATTACHED and not stream.disposition & _THUMBNAILS
        ]
        others = [
            bytes(stream.data)
            for stream in self._container.streams.attachments
            if (stream.mimetype or "").startswith("image/") and stream.data
        ]
        if not cover_streams:
            return others
        cover_streams.sort(key=_is_front, reverse=True)
        # FFmpeg returns their packets first.
        packets = islice(self._packets(*cover_streams), len(cover_streams))
        data = {packet.stream.index: bytes(packet) for packet in packets if packet.size}
        attached = [data[stream.index] for stream in cover_streams if stream.index in data]
        return attached + others

    def key_packet(self, seconds: float, earliest: float) -> Any | None:
        """Return the packet of the key frame at `seconds`, or of the last one before it.

        Without an index, FFmpeg finds no earlier one: then return the first from `earliest` on.
        """
        if self._seekable:
            packet = self._key_packet_from(seconds)
            if packet is None or self._time(packet) <= seconds:
                return packet
            self._seekable = False
        return self._key_packet_from(earliest)

    def decode(self, packet: Any) -> Any | None:
        """Return the frame of a key frame's packet, or None if it cannot be decoded."""
        return self._decode(self.stream, packet)

    @staticmethod
    def _decode(stream: Any, packet: Any) -> Any | None:
        context = stream.codec_context
        context.skip_frame = "NONKEY"
        with _ignore_decode_errors():
            for item in (packet, None):  # None flushes the frame that most decoders delay
                for frame in context.decode(item):
                    context.flush_buffers()
                    return frame
        context.flush_buffers()
        return None

    def frames(self) -> Iterator[Any]:
        """Yield all frames from the beginning that can be decoded."""
        context = self.stream.codec_context
        context.skip_frame = "DEFAULT"
        for packet in self._packets_from_start():
            with _ignore_decode_errors():
                yield from context.decode(packet if packet.size else None)

    def _key_packet_from(self, seconds: float) -> Any | None:
        with _ignore_decode_errors():
            self._seek(seconds)
            for packet in self._packets(self.stream):
                if packet.is_keyframe and packet.size:
                    return packet
        return None

    def _seek(self, seconds: float) -> None:
        offset = int((seconds + self._start) / self.stream.time_base)
        self._container.seek(max(min(offset, _MAX_TIMESTAMP), -_MAX_TIMESTAMP), stream=self.stream)

    def _packets_from_start(self) -> Iterator[Any]:
        """Yield all packets, from the first key frame on.

        A seek to the start time may lead past it: in a transport stream FFmpeg compares decoding
        times, which are earlier. A stream without a container has no times: seek by bytes there.
        """
        seeks = (
            lambda: self._seek(0.0),
            lambda: self._seek(-_DECODING_DELAY),
            lambda: self._container.seek(0, unsupported_byte_offset=True),
        )
        for seek in seeks:
            with _ignore_decode_errors():
                seek()
                packets = self._packets(self.stream)
                first = next(packets, None)
                if first is not None and first.is_keyframe:
                    yield first
                    yield from packets
                    return
        with _ignore_decode_errors():  # without key frames, or cut off before the first one
            self._seek(0.0)
            yield from self._packets(self.stream)

    def _time(self, packet: Any) -> float:
        stamp = packet.dts if packet.pts is None else packet.pts
        return float((stamp or 0) * packet.time_base) - self._start

    def _packets(self, *streams: Any) -> Iterator[Any]:
        with _ignore_decode_errors():
            yield from self._container.demux(*streams)


def _is_front(cover: Any) -> bool:
    """Return whether a cover is a front cover: ID3v2.4's picture type 3, or Matroska's name."""
    value = cover.metadata
    named = str(value.get("filename", "")).startswith("cover.")
    return named or value.get("comment") == "Cover (front)"


@contextmanager
def _ignore_decode_errors() -> Iterator[None]:
    """Ignore decoding errors, but not a lack of memory."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
