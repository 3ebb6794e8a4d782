"""Mends the open GOPs of a copied film where its pictures are (service/h264/open_gops.py).

Use it in worker processes only."""

from dataclasses import replace

from service.remux.movie import MovieTrack
from service.remux.open_gops import mended
from service.workers.large_output import LargeOutput


def mend_in_place(track: MovieTrack, output: LargeOutput) -> MovieTrack:
    """Return the track of pictures after new starts were written over the old ones in `output`.

    What is left of an old start, before the new one, belongs to no picture from then on. Raises
    OutputError.
    """
    pictures = mended(track, output.read)
    if pictures is None:
        return track
    table = track.table
    offsets, sizes = table.offsets[:], table.sizes[:]
    for number, start in pictures.starts.items():
        left = start.replaced - len(start.data)
        offsets[number] += left
        sizes[number] -= left
        output.overwrite(offsets[number], start.data)
    return replace(track, table=replace(table, offsets=offsets, sizes=sizes, keys=pictures.keys))
