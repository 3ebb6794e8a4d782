"""Video streams of a single picture, such as a cover that is not marked as one."""

from typing import Any, BinaryIO

import av

from service.models import BROWSER_VIDEO
from service.probing.read_limited_file import ReadLimitedFile

MAX_SECONDS = 10.0
"""Of a file, read for a second picture. A film has one within a second."""

MAX_BYTES = 1 << 24
"""Read for it: 10 seconds at 13 Mbit/s."""

_ATTACHED = av.stream.Disposition.attached_pic


def single_pictures(container: Any, file: BinaryIO, options: dict[str, Any]) -> frozenset[int]:
    """Return the indexes of video streams that are covers, because they have only one picture.

    A stream of one picture is no cover if nothing else in the file is a film or sound. A picture
    in a codec that browsers play is none either if it is the only one: they show it.
    `options` are those of `av.open`. Raises OSError and MemoryError.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _ATTACHED]
    images = [stream for stream in videos if not _is_shown(stream)]
    candidates = videos if len(videos) > 1 else images if container.streams.audio else []
    if not candidates:
        return frozenset()
    # AVI counts the ticks of a stream's clock. The programs of a transport stream are no covers.
    counted = container.format.name not in {"avi", "mpegts"}
    single = {stream.index for stream in candidates if counted and stream.frames == 1}
    uncounted = {stream.index for stream in candidates if not (counted and stream.frames)}
    if uncounted and container.format.name != "mpegts":
        single |= _with_one_packet(uncounted, file, options)
    if any(stream.index not in single for stream in videos):
        return frozenset(single)
    single &= {stream.index for stream in images}
    return (
        frozenset(single) if len(single) < len(videos) or container.streams.audio else frozenset()
    )


def _is_shown(stream: Any) -> bool:
    context = stream.codec_context
    return context is None or context.codec.canonical_name in BROWSER_VIDEO


def _with_one_packet(indexes: set[int], file: BinaryIO, options: dict[str, Any]) -> set[int]:
    """Return those of these streams that have one packet at the start of the file.

    The file is opened anew, because reading packets changes the state of its container.
    """
    position = file.tell()
    counts = dict.fromkeys(indexes, 0)
    try:
        file.seek(0)
        reader = ReadLimitedFile(file)
        with av.open(reader, **options) as container:
            reader.set_budget(MAX_BYTES)
            for packet in container.demux(*container.streams.video, *container.streams.audio):
                if packet.size and packet.stream_index in counts:
                    counts[packet.stream_index] += 1
                if min(counts.values()) > 1 or _seconds(packet, container) > MAX_SECONDS:
                    break
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
    finally:
        file.seek(position)
    return {index for index, count in counts.items() if count == 1}


def _seconds(packet: Any, container: Any) -> float:
    """Return the time of a packet from the start of the file."""
    if packet.dts is None or packet.time_base is None:
        return 0.0
    return float(packet.dts * packet.time_base) - (container.start_time or 0) / av.time_base
