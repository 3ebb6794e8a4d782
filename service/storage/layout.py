"""An MP4 or MOV laid out anew: its index (moov) before its media data (mdat), all else in order.
Law: no I/O. What is to be read is asked for, so that files and object stores are read alike."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import BinaryIO

from service.protocol.ranges import Span
from service.storage.boxes import FIRST_KINDS, LONGEST_HEADER, MOST_BOXES, Box, box_at
from service.storage.index import LARGEST_INDEX, LeftAloneError, Places, rewrite

SUFFIX = "-f1"
"""What the layout's revision has more than the file's: the first of its kind. Whatever changes the
bytes that are made of a file has to change this, too, on all replicas."""

# At the top level: fragments and their tables (§8.8, §8.16), items, which are found by places in
# the file (§8.11), and movies without an index of their own.
_LEFT_ALONE = frozenset({b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"meta", b"cmov", b"rmra"})


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes that players get are made of a file's."""

    before: int
    """The bytes of the file that stay in front of the index."""
    index: bytes
    """The index, rewritten."""
    old: Span
    """The index in the file."""
    file_size: int

    @property
    def size(self) -> int:
        """The bytes of the whole."""
        return self.file_size - self.old.length + len(self.index)

    def parts(self, span: Span) -> list[Span | memoryview]:
        """Give a span's bytes in order: spans of the file, and of the index what lies in it."""
        found: list[Span | memoryview] = []
        pieces = (
            Span(0, self.before),
            None,
            Span(self.before, self.old.start - self.before),
            Span(self.old.end, self.file_size - self.old.end),
        )
        start = 0  # of the piece, in the layout
        for piece in pieces:
            end = start + (len(self.index) if piece is None else piece.length)
            first, last = max(span.start, start), min(span.end, end)
            if first < last and piece is None:
                found.append(memoryview(self.index)[first - start : last - start])
            elif first < last and piece is not None:
                found.append(Span(piece.start + first - start, last - first))
            start = end
        return found


Asking = Generator[Span, bytes, Layout | None]
"""Asks for spans of a file, is given their bytes, and returns in the end."""


def lay_out(size: int) -> Asking:
    """Work out the layout of a file of `size` bytes; None where it is served as it is.

    That is every file that is no MP4, has its index in front, is fragmented, refers to others, or
    is damaged. Takes time and memory in proportion to the index, LARGEST_INDEX at most.
    """
    try:
        places = yield from _survey(size)
        old = Span(places.index.start, places.length)
        if old.length > LARGEST_INDEX:
            return None
        moov = yield old
        if len(moov) != old.length:
            return None
        return Layout(places.media, rewrite(moov, places), old, size)
    except LeftAloneError:
        return None


def _survey(size: int) -> Generator[Span, bytes, Places]:
    """Read the headers of the file's boxes, to its end. Raises LeftAloneError."""
    media: int | None = None
    index: Box | None = None
    position = 0
    for _ in range(MOST_BOXES):
        header = yield Span(position, min(LONGEST_HEADER, size - position))
        box = box_at(header, position, size)
        if box is None or box.end > size or box.kind in _LEFT_ALONE:
            raise LeftAloneError
        if position == 0 and box.kind not in FIRST_KINDS:
            raise LeftAloneError
        if box.kind == b"moov":
            if media is None or index is not None:
                raise LeftAloneError  # in front already, or one of several
            index = box
        if box.kind == b"mdat" and media is None:
            media = position
        position = box.end
        if position == size and media is not None and index is not None:
            return Places(size, media, index)
    raise LeftAloneError


def advance(asking: Asking, data: bytes | None) -> Span | Layout | None:
    """Give what was asked for, None at first; tell what is asked for next, or came of it."""
    try:
        return next(asking) if data is None else asking.send(data)
    except StopIteration as end:
        layout: Layout | None = end.value
        return layout


def layout_of(file: BinaryIO, size: int) -> Layout | None:
    """Work out the layout of an open file. Raises what `file` raises, and leaves it anywhere."""
    asking = lay_out(size)
    step = advance(asking, None)
    while isinstance(step, Span):
        file.seek(step.start)
        step = advance(asking, file.read(step.length))
    return step
