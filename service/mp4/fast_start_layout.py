"""An MP4 or MOV laid out anew: its index (moov) before its media data (mdat), all else in order.
Law: no I/O. What is to be read is asked for, so that files and object stores are read alike."""

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from service.mp4.boxes import FIRST_KINDS, LONGEST_HEADER, MOST_BOXES, Box, box_at
from service.mp4.moov import LARGEST_INDEX, LeftAloneError, Places, rewrite
from service.mp4.sample_tables import Header, Rewriting, Table
from service.protocol.ranges import Span

SUFFIX = "-f1"
"""What the layout's revision has more than the file's: the first of its kind. Whatever changes the
bytes that are made of a file, or of which files they are made, has to change this, too, on all
replicas: layouts are kept under it."""

# At the top level: fragments and their tables (§8.8, §8.16), items, which are found by places in
# the file (§8.11), and movies without an index of their own.
_LEFT_ALONE = frozenset({b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"meta", b"cmov", b"rmra"})


class OfIndex(NamedTuple):
    """A part of a layout that lies in the rewritten index."""

    span: Span
    """From the index's beginning."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes that players get are made of a file's. Small, however long the index is."""

    rewriting: Rewriting
    file_size: int

    pieces: tuple[tuple[int, int, int | None], ...] = field(init=False, repr=False)
    """Where each begins and ends in the layout, and where in the file: None: the index."""

    def __post_init__(self) -> None:
        length = self.rewriting.length
        front, back = self.before + length, self.old.start + length
        pieces = (
            (0, self.before, 0),
            (self.before, front, None),
            (front, back, self.before),
            (back, self.size, self.old.end),
        )
        object.__setattr__(self, "pieces", pieces)

    @property
    def before(self) -> int:
        """The bytes of the file that stay in front of the index."""
        return self.rewriting.media

    @property
    def old(self) -> Span:
        """The index in the file."""
        return self.rewriting.old

    @property
    def size(self) -> int:
        """The bytes of the whole."""
        return self.file_size - self.old.length + self.rewriting.length

    def parts(self, span: Span) -> list[Span | OfIndex]:
        """Give a span's bytes in order: spans of the file, and those of the rewritten index."""
        found: list[Span | OfIndex] = []
        for start, end, place in self.pieces:
            first, last = max(span.start, start), min(span.end, end)
            if first >= last:
                continue
            if place is None:
                found.append(OfIndex(Span(first - start, last - first)))
            else:
                found.append(Span(place + first - start, last - first))
        return found

    def to_json(self) -> bytes:
        """Give what `layout_from_json` reads."""
        made = self.rewriting
        told = {
            "file_size": self.file_size,
            "media": made.media,
            "old": [made.old.start, made.old.length],
            "length": made.length,
            "tables": made.tables,
            "headers": made.headers,
        }
        return json.dumps(told, separators=(",", ":")).encode()


def layout_from_json(data: bytes) -> Layout:
    """Read what `Layout.to_json` wrote. Raises ValueError for anything else."""
    try:
        told = json.loads(data)
        rewriting = Rewriting(
            media=told["media"],
            old=Span(*told["old"]),
            length=told["length"],
            tables=tuple(Table(*table) for table in told["tables"]),
            headers=tuple(Header(*header) for header in told["headers"]),
        )
        return Layout(rewriting, told["file_size"])
    except (KeyError, TypeError) as error:
        raise ValueError("this is no layout") from error


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
        return Layout(rewrite(moov, places), size)
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
