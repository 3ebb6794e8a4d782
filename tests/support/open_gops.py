"""Films of H.264 with open GOPs, and a decoder that is as strict as Chromium's."""

from functools import cached_property
from io import BytesIO
from typing import Any

import av

OPEN_GOPS = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "10", "-x264-params",
             "open-gop=1:bframes=3:ref=3:keyint=25:scenecut=0")  # fmt: skip


class StrictFilm:
    """The pictures of an MP4."""

    def __init__(self, data: bytes) -> None:
        container: Any
        with av.open(BytesIO(data)) as container:
            stream = container.streams.video[0]
            self._configuration = stream.codec_context.extradata
            self._packets = [packet for packet in container.demux(stream) if packet.size]
        self.keys = [n for n, packet in enumerate(self._packets) if packet.is_keyframe]

    @cached_property
    def pictures(self) -> dict[int, bytes]:
        """All pictures by their times."""
        return self.decode()

    def decode(self, first: int = 0, count: int | None = None) -> dict[int, bytes]:
        """Return pictures by their times, decoded from a packet on. Raises InvalidDataError.

        Like Chromium, it takes what FFmpeg's decoder reports with `explode` for an error.
        """
        decoder = av.CodecContext.create("h264", "r")
        decoder.extradata = self._configuration
        decoder.options = {"err_detect": "explode"}
        decoder.thread_count = 1
        last = None if count is None else first + count
        frames = [frame for packet in self._packets[first:last] for frame in decoder.decode(packet)]
        return {frame.pts or 0: b"".join(map(bytes, frame.planes)) for frame in frames}

    @cached_property
    def failures(self) -> int:
        """At how many key frames decoding does not begin."""
        count = 0
        for key in self.keys:
            try:
                self.decode(key, 40)
            except av.error.InvalidDataError:
                count += 1
        return count


def check_entry_points(as_it_is: StrictFilm, mended: StrictFilm) -> None:
    """Assert that decoding begins at all key frames of a mended film, with the same pictures."""
    assert as_it_is.failures > len(as_it_is.keys) // 2  # else the film is no example
    pictures = mended.pictures
    assert list(pictures.values()) == list(as_it_is.pictures.values())
    assert len(mended.keys) > len(as_it_is.keys) // 2
    for key in mended.keys:
        found = mended.decode(key, 40)
        assert len(found) > 20
        assert {time: pictures[time] for time in found} == found
