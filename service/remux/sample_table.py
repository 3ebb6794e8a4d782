"""Writes a track's sample table (ISO/IEC 14496-12 §8.5 to §8.7)."""

import struct
from array import array
from collections.abc import Iterator

from service.matroska.frame_table import FrameTable
from service.mp4.box_writer import box, counted, full_box, packed
from service.remux.picture_timing import TrackTiming


def sample_table(
    table: FrameTable, timing: TrackTiming, stsd: bytes, shift: int, *, wide: bool
) -> bytes:
    """Return the box stbl. `stsd` is a whole box; `shift` is what precedes the file, in bytes.

    `wide` is for offsets of 64 bits.
    """
    starts, counts = _chunks(table)
    parts = [stsd, full_box(b"stts", counted(timing.durations))]
    if timing.offsets is not None:
        parts.append(full_box(b"ctts", counted(timing.offsets)))
    if table.track.kind == "video" and not all(table.keys):
        numbers = [number for number, key in enumerate(table.keys, 1) if key]
        parts.append(full_box(b"stss", struct.pack(">I", len(numbers)), packed(numbers)))
    parts += [_samples_to_chunks(counts), _sizes(table)]
    moved = packed((start + shift for start in starts), "Q" if wide else "I")
    parts.append(full_box(b"co64" if wide else b"stco", struct.pack(">I", len(starts)), moved))
    return box(b"stbl", *parts)


def _chunks(table: FrameTable) -> tuple["array[int]", "array[int]"]:
    """Return where each chunk begins and how many samples it has: frames that follow each other."""
    starts, counts, end = array("Q"), array("I"), -1
    for offset, size in zip(table.offsets, table.sizes, strict=True):
        if offset == end:
            counts[-1] += 1
        else:
            starts.append(offset)
            counts.append(1)
        end = offset + size
    return starts, counts


def _samples_to_chunks(counts: "array[int]") -> bytes:
    """Return the box stsc: first chunk, samples in a chunk and sample entry of each run."""
    numbers = packed(_runs(counts))
    return full_box(b"stsc", struct.pack(">I", len(numbers) // 12), numbers)


def _runs(counts: "array[int]") -> Iterator[int]:
    last = None
    for number, count in enumerate(counts, 1):
        if count != last:
            yield from (number, count, 1)
            last = count


def _sizes(table: FrameTable) -> bytes:
    count, first = len(table.sizes), table.sizes[0]
    if all(size == first for size in table.sizes):
        return full_box(b"stsz", struct.pack(">II", first, count))
    return full_box(b"stsz", struct.pack(">II", 0, count), packed(table.sizes))
