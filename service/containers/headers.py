"""What a container's headers say of a file besides what FFmpeg reports: encryption, compression,
an index that browsers cannot use, and an end that is missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from service.containers.lost_end import is_riff_cut, written_size
from service.containers.scrambling import is_program_scrambled, scrambled_pids
from service.matroska.segment import read_segment
from service.mp4.movie_header import read_movie_header

# FFmpeg's tags of the Content Encryption Object and the extended one (libavformat/asfdec_f.c).
_ASF_PROTECTION: Final = frozenset({"ASF_Protection_Type", "encryption"})

MAX_INDEX_ENTRIES = 250_000
"""Entries examined of a stream's index. Of a longer one, every second or third is."""


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """Facts about a file. Streams are identified by their indexes."""

    complete_until: Callable[[float | None], float | None] = lambda _: None
    """Return how many seconds of a duration are in the file; None if all are, or it is unknown."""
    compressed_index: bool = False
    index_cut: bool = False
    fragmented: bool = False
    index_size: int | None = None
    """Bytes of an MP4's index."""
    has_seek_index: bool | None = None
    encryption: dict[int, str] = field(default_factory=dict)
    compression: dict[int, str] = field(default_factory=dict)


def read_headers(file: BinaryIO, size: int, container: Any) -> HeaderFacts:
    """Read the headers of a file of `size` bytes that is open as `container`.

    The position of `file` is restored, as FFmpeg relies on it. Raises what `file` raises.
    """
    names = container.format.name.split(",")
    position = file.tell()
    try:
        if "mp4" in names:
            return _mp4(file, size, container)
        if "matroska" in names:
            return _matroska(file, size, container)
        if names[0] in {"avi", "wav"}:
            # FFmpeg has measured how much of it there is.
            is_cut = is_riff_cut(file, size)
            return HeaderFacts(complete_until=lambda duration: duration if is_cut else None)
        return HeaderFacts(encryption=_scrambling(file, names[0], container))
    finally:
        file.seek(position)


def _scrambling(file: BinaryIO, name: str, container: Any) -> dict[int, str]:
    """Return the scheme of each scrambled stream of a container that is called `name`."""
    if name == "mpegts":
        pids = scrambled_pids(file)
        return {stream.index: "scrambled" for stream in container.streams if stream.id in pids}
    scheme = None
    if name == "asf" and not _ASF_PROTECTION.isdisjoint(container.metadata):
        scheme = "asf"
    elif name == "mpeg" and is_program_scrambled(file):
        scheme = "scrambled"
    return {stream.index: scheme for stream in container.streams} if scheme else {}


def _mp4(file: BinaryIO, size: int, container: Any) -> HeaderFacts:
    written = size if _is_uncompressed(container) else written_size(file, size)
    header = read_movie_header(file, written)
    times = list(_lost_sample_times(container, written))
    if header.complete_until is not None:
        times.append(header.complete_until)
    if header.fragmented and not header.has_fragment and not _has_samples(container):
        times.append(0.0)
    until = max(0.0, min(times)) if times else None
    return HeaderFacts(
        complete_until=lambda _: until,
        compressed_index=header.compressed,
        index_cut=header.index_cut,
        fragmented=header.fragmented,
        index_size=header.index_size,
        encryption={
            stream.index: header.encryption[stream.id]
            for stream in container.streams
            if stream.id in header.encryption
        },
    )


def _is_uncompressed(container: Any) -> bool:
    """Return whether a stream is uncompressed: then zeros may be silence, or black pictures."""
    contexts = (stream.codec_context for stream in container.streams)
    names = [context.name for context in contexts if context is not None]
    return any(name.startswith("pcm_") or name == "rawvideo" for name in names)


def _has_samples(container: Any) -> bool:
    return any(len(stream.index_entries) for stream in container.streams)


def _lost_sample_times(container: Any, size: int) -> Iterator[float]:
    """Yield for each stream the time of the first sample that is not in the file, in seconds."""
    for stream in container.streams:
        if stream.type not in {"video", "audio"} or not stream.time_base:
            continue
        entries = stream.index_entries
        step = len(entries) // MAX_INDEX_ENTRIES + 1
        for number in range(0, len(entries), step):
            entry = entries[number]
            if entry.pos + entry.size > size:
                yield float(entry.timestamp * stream.time_base)
                break


def _matroska(file: BinaryIO, size: int, container: Any) -> HeaderFacts:
    segment = read_segment(file, size)
    # An index is mostly at the end. A file that has one may end with room for tags.
    is_whole = segment.has_cues or _is_uncompressed(container)
    written = size if is_whole else written_size(file, size)
    end = segment.end if segment.end is not None and segment.end > size else size

    def complete_until(duration: float | None) -> float | None:
        # Without the index, which is at the end, only the bytes tell.
        return duration * written / end if duration and end > written else None

    # FFmpeg makes streams of the tracks in their order, then of the attachments.
    streams = [
        (stream, track)
        for stream, track in zip(container.streams, segment.tracks, strict=False)
        if stream.type == track.kind
    ]
    return HeaderFacts(
        complete_until=complete_until,
        has_seek_index=segment.has_cues,
        encryption={stream.index: "webm" for stream, track in streams if track.encrypted},
        compression={
            stream.index: track.compression for stream, track in streams if track.compression
        },
    )
