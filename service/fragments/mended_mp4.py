"""Makes the header of an MP4 whose open GOPs are mended: new starts of some pictures are inserted
into the file (service/remux/open_gops.py), and all decoders can begin at its key frames.

Use it in worker processes only."""

from dataclasses import replace
from typing import BinaryIO

from service.fragments.mp4 import read_tracks
from service.matroska.window import DeclinedError
from service.mp4.boxes import LEADING_TYPES, MAX_HEADER_LENGTH, box_at
from service.protocol.ranges import Span
from service.remux.header import RemuxHeader, check_start, codecs_of
from service.remux.misfits import declines_misfits
from service.remux.movie import movie_start
from service.remux.mp4_source import Read
from service.remux.open_gops import make_seekable


def is_mp4(size: int, read: Read) -> bool:
    """Return whether a file of `size` bytes is an MP4. Raises what `read` raises."""
    first = box_at(read(Span(0, min(size, MAX_HEADER_LENGTH))), 0, size)
    return first is not None and first.type in LEADING_TYPES


@declines_misfits()
def mend_mp4(file: BinaryIO, size: int, read: Read) -> RemuxHeader:
    """Return the header for an MP4 of `size` bytes, which `read` reads and FFmpeg as `file`.

    It has the picture, and the sounds that all browsers play. Raises DeclinedError, MemoryError and
    what the file raises.
    """
    found, streams, start = read_tracks(file, size, read)
    # A player plays the first picture and the first sound.
    tracks = [replace(track, is_enabled=place < 2) for place, track in enumerate(found)]  # noqa: PLR2004
    check_start(start, movie_start(tracks))
    form = make_seekable(tracks, size, read)
    if form is None:
        raise DeclinedError("has open GOPs that are not mended here")
    return RemuxHeader(
        data=form.header,
        codecs=codecs_of(tracks),
        streams=tuple(streams),
        tracks=form.tracks,
        silence=form.blobs[1:],
        inserted=len(form.inserted),
        seekable=None,
    )
