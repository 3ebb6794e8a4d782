"""Cues of the text tracks inside a video, read in one pass over the file."""

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from io import UnsupportedOperation
from typing import Any, BinaryIO, Final

import av
from av.stream import Discard

from service.captions.overrides import take_overrides
from service.captions.subrip import srt_to_cue_text
from service.captions.substation import event_to_cue_text
from service.captions.webvtt import MAX_CUES, Cue, escape, strip_blank_lines, valid_settings
from service.encodings.decode import normalize_text
from service.probing.timeline import start_offset

MAX_TRACKS: Final = 256
"""Text tracks of one video that are read; discs have at most 32."""
MAX_TEXT_BYTES: Final = 32 << 20
"""Bytes of all text of a video; a long film has 100 kB per track."""

_BYTES_PER_CUE: Final = 64  # counted for each cue, besides its text

_FIRST_READ: Final = 4 << 10
_DROP_AFTER: Final = 16 << 20


class TooMuchTextError(Exception):
    """The text tracks of a video exceed MAX_TEXT_BYTES or MAX_CUES."""


class AdaptiveReader:
    """A file for FFmpeg: it reads little after each seek, and more with each further read.

    By default FFmpeg reads 32 KiB for each cue of an MP4. Cues are far apart and have about a
    hundred bytes. What was read leaves the page cache, which keeps room for what viewers read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read_size = _FIRST_READ
        self._kept_from = 0
        self.bytes_read = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._read_size))
        self.bytes_read += len(data)
        self._read_size *= 2
        position = self._file.tell()
        if position - self._kept_from >= _DROP_AFTER:
            self._drop(position)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        before = self._file.tell()
        position = self._file.seek(offset, whence)
        if position != before:
            self._read_size = _FIRST_READ
            self._kept_from = position
        return position

    def tell(self) -> int:
        return self._file.tell()

    def _drop(self, position: int) -> None:
        """Drop what was read from the page cache: it is not read again."""
        if hasattr(os, "posix_fadvise"):  # not on macOS
            with suppress(OSError, UnsupportedOperation):
                length = position - self._kept_from
                os.posix_fadvise(
                    self._file.fileno(), self._kept_from, length, os.POSIX_FADV_DONTNEED
                )
        self._kept_from = position


def text_streams(container: Any, problems: list[str]) -> list[Any]:
    """Return the text streams of a container; append a sentence to `problems` if some are not."""
    streams = [stream for stream in container.streams if codec(stream) in _CONVERTERS]
    if len(streams) > MAX_TRACKS:
        problems.append(
            f"There are {len(streams)} text tracks inside the video: only the first {MAX_TRACKS} "
            "are shown."
        )
    return streams[:MAX_TRACKS]


def read_cues(container: Any, streams: list[Any], problems: list[str]) -> dict[int, list[Cue]]:
    """Return the cues of `streams`, by stream index; in a damaged file those before the damage.

    Append a sentence to `problems` about each stream that is over before the film begins. Raises
    TooMuchTextError, MemoryError and OSError.
    """
    for stream in container.streams:
        stream.discard = Discard.default if stream in streams else Discard.all
    cues: dict[int, list[Cue]] = {stream.index: [] for stream in streams}
    early = set()
    size = 0
    offset = round(start_offset(container) * 1000)
    for packet in _packets(container, streams):
        stream_cues = cues[packet.stream_index]
        size += packet.size + _BYTES_PER_CUE
        if size > MAX_TEXT_BYTES or len(stream_cues) > MAX_CUES:
            raise TooMuchTextError
        start = _milliseconds(packet.pts, packet.time_base) - offset
        duration = _milliseconds(packet.duration or 0, packet.time_base)
        if stream_cues and stream_cues[-1].end < 0:
            # RFC 9559 §5.1.3.5.3: without a duration, it lasts until the next block.
            stream_cues[-1] = _with_end(stream_cues[-1], start)
        if packet.duration and duration <= -start:
            early.add(packet.stream_index)  # over before the first picture and sound
            continue
        payload, settings = _CONVERTERS[codec(packet.stream)](packet)
        end = start + duration if duration > 0 else -1
        stream_cues.append(Cue(max(start, 0), end, payload, settings))
    problems += (
        f"The subtitles in stream {index}, inside the video, are over before it begins: they are "
        "not shown."
        for index in sorted(early)
        if not any(cue.payload for cue in cues[index])
    )
    last = (container.duration or 0) // 1000  # AV_TIME_BASE is a microsecond
    return {
        index: [_with_end(cue, last) if cue.end < 0 else cue for cue in stream_cues]
        for index, stream_cues in cues.items()
    }


def _packets(container: Any, streams: list[Any]) -> Iterator[Any]:
    try:
        for packet in container.demux(streams):
            if packet.pts is not None and packet.size:
                yield packet
    except av.FFmpegError as error:
        if isinstance(error, (MemoryError, OSError)):
            raise


def _with_end(cue: Cue, end: int) -> Cue:
    return Cue(cue.start, end, cue.payload, cue.settings)


def _milliseconds(ticks: int, base: Fraction) -> int:
    return round(ticks * base * 1000)


def codec(stream: Any) -> str:
    """Return FFmpeg's name of the codec of a stream of subtitles, else an empty string."""
    context = stream.codec_context  # None where FFmpeg has no decoder
    return context.codec.canonical_name if context and stream.type == "subtitle" else ""


def _text(data: bytes) -> str:
    # RFC 9559 and 3GPP TS 26.245 both require UTF-8.
    return normalize_text(data.decode(errors="replace"))


def _subrip(packet: Any) -> tuple[str, str]:
    return srt_to_cue_text(_text(bytes(packet)))


def _ass(packet: Any) -> tuple[str, str]:
    header = packet.stream.codec_context.extradata or b""
    return event_to_cue_text(_text(bytes(packet)), header)


def _webvtt(packet: Any) -> tuple[str, str]:
    # Matroska and WebM store a cue's settings as side data.
    settings = ""
    if packet.has_sidedata("webvtt_settings"):
        settings = _text(bytes(packet.get_sidedata("webvtt_settings")))
    text, position = take_overrides(_text(bytes(packet)))
    lines = (line for line in text.split("\n") if line)
    return "\n".join(lines).replace("-->", "--&gt;"), valid_settings(settings) or position


def _mov_text(packet: Any) -> tuple[str, str]:
    # 3GPP TS 26.245 §5.17: the length in bytes, the text, then boxes of styles. With a byte order
    # mark it is UTF-16.
    data = bytes(packet)
    text = data[2 : 2 + int.from_bytes(data[:2], "big")]
    is_utf_16 = text.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE))
    content = normalize_text(text.decode("utf-16", errors="replace")) if is_utf_16 else _text(text)
    plain, position = take_overrides(content)
    return strip_blank_lines(escape(plain)), position


_CONVERTERS: Final[dict[str, Callable[[Any], tuple[str, str]]]] = {
    "subrip": _subrip,
    "text": _subrip,
    "mov_text": _mov_text,
    "webvtt": _webvtt,
    "ass": _ass,
    "ssa": _ass,
}
