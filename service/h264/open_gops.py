"""Mends open GOPs of H.264: what to change in a film's pictures so that a strict decoder can begin
at its key frames (service/h264/entry_points.py)."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.h264.entry_points import UnsupportedError, find_entry_points
from service.h264.picture_reader import NewStart, PictureReader, Read
from service.matroska.frame_table import FrameTable

MAX_BYTES_MADE = 1 << 24
"""Most bytes of the new starts. `nginx/njs/cache_lookup.js` has the same limit."""

_LOOKED_AT = 8  # key frames that are examined first; if all are closed, no others are
_MAX_PICTURES = 500_000  # five hours; the header of each takes 300 bytes of memory
_MAX_APART = 20  # seconds between key frames: a seek decodes from one
_TYPE = slice(20, 24)  # of the first entry in stsd: ISO/IEC 14496-12 §8.5.2


@dataclass(frozen=True, slots=True)
class MendedPictures:
    """What changes in the pictures of a film."""

    starts: dict[int, NewStart]
    """The new starts of pictures, by number, in the order of decoding and of the file."""
    keys: bytearray
    """1 for a key frame at which decoding can begin, else 0."""


def mend_open_gops(
    table: FrameTable, stsd: bytes, durations: Sequence[int], timescale: int, read: Read
) -> MendedPictures | None:
    """Return what to change in the pictures of a track; None if nothing helps or is needed.

    `stsd` is the box with its sample entry, and `durations` are in units of `timescale` per second.
    Raises what `read` raises.
    """
    if stsd[_TYPE] != b"avc1" or len(table.sizes) > _MAX_PICTURES:
        return None
    try:
        starts, failing = _new_starts(PictureReader(table, stsd, read))
    except (ValueError, IndexError, UnsupportedError):
        return None
    if not starts and not failing:
        return None
    keys = bytearray(table.keys)
    for number in failing:
        keys[number] = 0
    is_rare = _longest_run(keys, durations) > _MAX_APART * timescale
    is_long = sum(len(start.data) for start in starts.values()) > MAX_BYTES_MADE
    if is_rare or is_long or not _is_in_order(table):
        return None
    return MendedPictures(starts, keys)


def _new_starts(pictures: PictureReader) -> tuple[dict[int, NewStart], set[int]]:
    """Return the new starts of pictures, by number, and the key frames at which decoding still
    cannot begin. Raises ValueError, UnsupportedError.
    """
    keys = [number for number, key in enumerate(pictures.table.keys) if key]
    step = -(-len(keys) // _LOOKED_AT)
    if all(pictures.header(key).is_idr for key in keys[::step]):
        return {}, set()
    headers = [pictures.header(number) for number in range(len(pictures.table.sizes))]
    found = find_entry_points(headers, keys)
    starts = {
        number: pictures.new_start(number, left_out)
        for number, left_out in sorted(found.left_out.items())
    }
    return starts, found.failing


def _longest_run(keys: bytearray, durations: Sequence[int]) -> int:
    """Return the longest time between key frames."""
    longest = time = 0
    for key, duration in zip(keys, durations, strict=True):
        time = 0 if key else time
        time += duration
        longest = max(longest, time)
    return longest


def _is_in_order(table: FrameTable) -> bool:
    """Return whether the pictures are in the file in the order of decoding, and do not overlap."""
    ends = map(int.__add__, table.offsets, table.sizes)
    return all(end <= start for end, start in zip(ends, table.offsets[1:], strict=False))
