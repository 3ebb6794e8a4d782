"""Sounds of MPEG layer II that an MP4 calls MP3, as it has one code for both."""

from contextlib import suppress
from typing import Any

import av

from service.probing.read_limited_file import ReadLimitedFile

_MAX_BYTES = 1 << 22  # for the first frames of all of them
_LAYER_II = 2  # the field `layer` of ISO/IEC 11172-3 §2.4.2.3


def name_layer_two(container: Any, file: ReadLimitedFile, streams: list[dict[str, Any]]) -> None:
    """Correct the codecs of such sounds. Browsers do not play these."""
    if "mp4" not in container.format.name.split(","):
        return
    file.set_budget(_MAX_BYTES)
    for info in streams:
        if info["codec"] == "mp3" and _is_layer_two(container, container.streams[info["index"]]):
            info |= {"codec": "mp2", "codec_string": None}


def _is_layer_two(container: Any, stream: Any) -> bool:
    """Return whether the first frame of a sound says so. What cannot be read is MP3."""
    with suppress(av.FFmpegError, IndexError):  # IndexError: as in frame_timing.py
        container.seek(stream.start_time or 0, stream=stream)
        frame = bytes(next(container.demux(stream), b""))
        return frame[:1] == b"\xff" and frame[1:2] >= b"\xe0" and frame[1] >> 1 & 3 == _LAYER_II
    return False
