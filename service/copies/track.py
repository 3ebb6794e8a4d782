"""A track of the MP4 while its frames are copied."""

from dataclasses import dataclass, field

from service.matroska.frame_table import FrameTable
from service.workers.large_output import LargeOutput

NO_TIME = -(1 << 62)
"""In place of the time of a frame that the file does not say."""


@dataclass(slots=True)
class CopyTrack:
    """The frames of a track: those that are written, and those that wait for the next chunk."""

    table: FrameTable
    waiting: list[bytes] = field(default_factory=list)

    def add(self, frame: bytes, time: int, *, is_key: bool) -> None:
        """Add a frame. `time` is in ticks of the stream."""
        self.waiting.append(frame)
        self.table.sizes.append(len(frame))
        self.table.times.append(time)
        self.table.keys.append(is_key)

    def extend_last(self, more: bytes) -> None:
        """Append bytes to the last frame, which waits: see `write`."""
        self.waiting[-1] += more
        self.table.sizes[-1] += len(more)

    def write(self, output: LargeOutput, *, all_of_it: bool) -> None:
        """Write the frames that wait; without `all_of_it` the last one goes on waiting."""
        count = len(self.waiting) if all_of_it else max(0, len(self.waiting) - 1)
        for frame in self.waiting[:count]:
            self.table.offsets.append(output.write(frame))
        del self.waiting[:count]
