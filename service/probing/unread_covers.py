"""Covers in tags of MP3, FLAC, Ogg and others that FFmpeg leaves out for their type."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import av.logging

from service.probing.tags import legible

# libavformat/id3v2.c and libavformat/flac_picture.c. The type is the file's text; `-->` is a link.
_MESSAGE: Final = re.compile(r"Unknown attached picture mimetype: (.+?)(?:, skipping)?\.\n")


@contextmanager
def unread_covers(problems: list[str]) -> Iterator[None]:
    """Append a sentence if FFmpeg says that it leaves out covers, as it opens a file."""
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as messages:
            yield
    finally:
        av.logging.set_level(None)
    if types := [found[1] for *_, text in messages if (found := _MESSAGE.fullmatch(text))]:
        told = legible(", ".join(types), 100)
        problems.append(f"Covers of the type {told} are not shown. JPEG and PNG are.")
