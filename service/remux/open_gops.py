"""Makes a form of a film in which a strict decoder of H.264 can begin at every key frame, also of
open GOPs. The starts of some pictures are replaced (service/h264/open_gops.py).

    header | file up to after the start of a picture | its new start | the file from there on | …

Use it in worker processes only."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from service.h264.open_gops import MAX_BYTES_MADE, MendedPictures, mend_open_gops
from service.h264.picture_reader import Read
from service.matroska.frame_table import FrameTable
from service.remux.movie import MovieTrack, write_header
from service.representations.interleaving import Interleaving


@dataclass(frozen=True, slots=True)
class SeekableForm:
    """The parts of the form that are stored."""

    header: bytes
    interleaving: Interleaving
    inserted: bytes
    tracks: tuple[MovieTrack, ...]

    @property
    def blobs(self) -> tuple[bytes, bytes, bytes]:
        """What is stored."""
        return self.header, self.interleaving.to_bytes(), self.inserted


def mended(track: MovieTrack, read: Read) -> MendedPictures | None:
    """Return what to change in the pictures of a track; None if nothing helps or is needed.

    Raises what `read` raises.
    """
    timing = track.timing
    return mend_open_gops(track.table, track.entry.stsd, timing.durations, timing.timescale, read)


def make_seekable(tracks: Sequence[MovieTrack], size: int, read: Read) -> SeekableForm | None:
    """Return the form of a file of `size` bytes; None if it is not needed, or does not help.

    Raises what `read` raises.
    """
    pictures = mended(tracks[0], read)
    if pictures is None:
        return None
    insertions = list(new_starts(tracks[0].table, pictures))
    cuts = array("Q", (cut for cut, _ in insertions))
    ends = array("Q", accumulate(len(data) for _, data in insertions))
    interleaving = Interleaving(cuts, ends)
    moved = tuple(moved_track(track, interleaving, pictures) for track in tracks)
    inserted = b"".join(data for _, data in insertions)
    header = write_header(moved, size + len(inserted))
    form = SeekableForm(header, interleaving, inserted, moved)
    return form if sum(map(len, form.blobs)) <= MAX_BYTES_MADE else None


def new_starts(table: FrameTable, pictures: MendedPictures) -> Iterator[tuple[int, bytes]]:
    """Yield the new starts of pictures, and the positions in the file before which they go."""
    for number, start in pictures.starts.items():
        yield table.offsets[number] + start.replaced, start.data


def moved_track(
    track: MovieTrack, interleaving: Interleaving, pictures: MendedPictures | None
) -> MovieTrack:
    """Return a track with the positions of its frames after the insertions; the picture with those
    changes, if there are any.
    """
    table = track.table
    offsets = array("Q", (offset + interleaving.shift(offset) for offset in table.offsets))
    if pictures is None or table.track.kind != "video":
        return replace(track, table=replace(table, offsets=offsets))
    sizes = table.sizes[:]
    for number, start in pictures.starts.items():
        cut = table.offsets[number] + start.replaced
        offsets[number] = cut + interleaving.shift(cut) - len(start.data)
        sizes[number] += len(start.data) - start.replaced
    changed = replace(table, offsets=offsets, sizes=sizes, keys=pictures.keys)
    return replace(track, table=changed)
