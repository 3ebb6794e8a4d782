"""The frames of a track, in compact arrays."""

from array import array
from dataclasses import dataclass, field

from service.matroska.tracks import MediaTrack

SAME_BLOCK = -(1 << 62)
"""In place of the time of a frame that is not the first one of its block."""


@dataclass(slots=True)
class FrameTable:
    """The frames of a track, in the order in which they are stored and decoded."""

    track: MediaTrack
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    times: "array[int]" = field(default_factory=lambda: array("q"))
    """In ticks of the file, or SAME_BLOCK."""
    keys: bytearray = field(default_factory=bytearray)
    """1 for a key frame, else 0."""
    last_duration: int = 0
    """Ticks of the last block; 0 if the file does not say."""
    discard_padding: int = 0
    """Nanoseconds of sound to be dropped at the end."""

    def add_block(self, offset: int, sizes: list[int], time: int, *, is_key: bool) -> None:
        """Add the frames of a block, which follow each other from `offset` on."""
        for size in sizes:
            if size:  # FFmpeg makes no packet of an empty frame
                self.offsets.append(offset)
                self.sizes.append(size)
                self.times.append(time)
                self.keys.append(is_key)
                time = SAME_BLOCK
            offset += size
        self.last_duration = self.discard_padding = 0

    def drop(self, first: int) -> None:
        """Remove the frames from a number on."""
        del self.offsets[first:], self.sizes[first:], self.times[first:], self.keys[first:]


@dataclass(slots=True)
class BlockGroup:
    """What a BlockGroup says of its block. Its elements may be in any order."""

    end: int
    """Where it ends in the file."""
    table: FrameTable | None = None
    first: int = 0
    """The number of its block's first frame."""
    is_key: bool = True
    duration: int = 0
    discard_padding: int = 0

    def apply(self) -> None:
        """Apply it to the frames of its block."""
        if self.table is not None:
            count = len(self.table.keys) - self.first
            self.table.keys[self.first :] = bytes([self.is_key]) * count
            self.table.last_duration = self.duration
            self.table.discard_padding = self.discard_padding
