"""Writes what is inserted between parts of a film: a second of sound before each second of
pictures, and the new starts of pictures of open GOPs."""

from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.h264.open_gops import MendedPictures
from service.matroska.window import DeclinedError
from service.remux.movie import MovieTrack
from service.remux.open_gops import new_starts
from service.remux.picture_timing import picture_moments
from service.representations.interleaving import Interleaving
from service.sound.downmix import RATE
from service.sound.transcode import FRAME, PRIMING

MAX_INSERTED = 1 << 31
"""Bytes. The edge counts with it (nginx/njs/cache_lookup.js). It is 29 hours of sound."""

# Seconds of pictures between two parts of the sound. With a picture and a frame of sound that is
# less than fragments allow (service/fragments/form.py, _MAX_LEAD).
_SECONDS = 0.9


@dataclass(frozen=True, slots=True)
class Inserted:
    """What was written."""

    interleaving: Interleaving
    offsets: "array[int]"
    """Where the frames of sound are in the file with all insertions."""
    sizes: "array[int]"
    """Of the frames of sound."""


class Insertions:
    """Writes insertions in the order of their places in the file."""

    def __init__(
        self, picture: MovieTrack, mended: MendedPictures | None, write: Callable[[bytes], Any]
    ) -> None:
        """`mended` are changes of the pictures; None: there are none."""
        self._write = write
        self._starts = deque(new_starts(picture.table, mended) if mended else ())
        self._moments = deque(picture_moments(picture.table, picture.timing, _SECONDS))
        self._cut = self._moments.popleft()[0]
        """Before this byte of the file goes what is heard now."""
        self._cuts, self._ends = array("Q"), array("Q")
        self._offsets, self._sizes = array("Q"), array("I")
        self._written = 0

    def add_sound(self, frame: bytes, start: float) -> None:
        """Write the next frame of sound that begins `start` seconds after 0 on the file's clock.

        What is heard in a second stands before the first picture that is decoded in it. Raises
        DeclinedError and what `write` raises.
        """
        number = len(self._sizes)
        while self._moments and number >= _frames_until(self._moments[0][1], start):
            self._cut = self._moments.popleft()[0]
        self._add_starts_before(self._cut)
        self._offsets.append(self._cut + self._written)
        self._sizes.append(len(frame))
        self._insert(self._cut, frame)

    def finish(self) -> Inserted:
        """Write the rest, and return what was written. Raises what `add_sound` raises."""
        while self._starts:
            self._insert(*self._starts.popleft())
        return Inserted(Interleaving(self._cuts, self._ends), self._offsets, self._sizes)

    def _add_starts_before(self, cut: int) -> None:
        while self._starts and self._starts[0][0] < cut:
            self._insert(*self._starts.popleft())

    def _insert(self, cut: int, data: bytes) -> None:
        self._written += len(data)
        if self._written > MAX_INSERTED:
            raise DeclinedError("has too much sound")
        self._write(data)
        if self._cuts and self._cuts[-1] == cut:
            self._ends[-1] = self._written
        else:
            self._cuts.append(cut)
            self._ends.append(self._written)


def _frames_until(moment: float, start: float) -> int:
    """Return the number of frames of sound from `start` on that are needed to hear all before a
    moment.
    """
    return max(0, -(-round((moment - start) * RATE + PRIMING) // FRAME))
