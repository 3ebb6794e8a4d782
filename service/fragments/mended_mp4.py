"""Makes the header that mends an MP4 for browsers: the first sound is one that all of them play. If
it has open GOPs, new starts of some pictures are inserted into the file, so that all decoders can
begin at its key frames (service/remux/open_gops.py).

Use it in worker processes only."""

from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

import av

from service.fragments.mp4 import read_tracks
from service.matroska.window import DeclinedError
from service.mp4.boxes import LEADING_TYPES, MAX_HEADER_LENGTH, box_at
from service.probing.metadata import TEXT_OPTIONS
from service.protocol.ranges import Span
from service.remux.header import RemuxHeader, check_start, codecs_of, short_header
from service.remux.misfits import declines_misfits
from service.remux.movie import movie_start
from service.remux.mp4_source import OPTIONS, Read, is_quicktime
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
    if form is None and _agree(file, streams, is_quicktime=is_quicktime(read)):
        raise DeclinedError("has open GOPs that are not mended here")
    data, kept = (form.header, form.tracks) if form else short_header(tracks, size)
    return RemuxHeader(
        data=data,
        codecs=codecs_of(kept),
        streams=tuple(streams[: len(kept)]),
        tracks=tuple(kept),
        silence=form.blobs[1:] if form else (),
        inserted=len(form.inserted) if form else 0,
        seekable=None,
    )


def _agree(file: BinaryIO, streams: Sequence[int], *, is_quicktime: bool) -> bool:
    """Return whether browsers play the first of these sounds in the file as it is: it is the first
    one and enabled (service/browsers/track_choice.py). Firefox refuses QuickTime because of others.
    """
    file.seek(0)
    with av.open(file, options=OPTIONS, **TEXT_OPTIONS) as container:
        sounds = container.streams.audio
        if is_quicktime and len(sounds) >= len(streams):
            return False
        first = next(iter(sounds), None)
        default = av.stream.Disposition.default
        return first is None or (first.index in streams and bool(first.disposition & default))
