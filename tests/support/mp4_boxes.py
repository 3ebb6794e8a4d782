"""MP4s made by hand, box by box, and taken apart again: as ISO/IEC 14496-12 has them, by other code
than the service's."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
FTYP = struct.pack(">I4s", 24, b"ftyp") + b"isom\0\0\2\0isommp41"


def box(kind: bytes, *content: bytes) -> bytes:
    """Make a box with a length of 32 bits."""
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def large(kind: bytes, *content: bytes) -> bytes:
    """Make a box with a length of 64 bits."""
    data = b"".join(content)
    return struct.pack(">I4sQ", 1, kind, 16 + len(data)) + data


def table(offsets: Sequence[int], width: int = 4) -> bytes:
    """Make a stco or co64 box (§8.7.5)."""
    code, kind = (">I", b"stco") if width == 4 else (">Q", b"co64")
    entries = b"".join(struct.pack(code, offset) for offset in offsets)
    return box(kind, bytes(4), struct.pack(">I", len(offsets)), entries)


def dref(flags: int = 1) -> bytes:
    """Make a dref box of one entry (§8.7.2): of this file, if its flag says so."""
    entry = box(b"url ", struct.pack(">I", flags), b"" if flags else b"http://x.test/\0")
    return box(b"dref", bytes(4), struct.pack(">I", 1), entry)


def track(*tables: bytes, references: bytes = b"", more: bytes = b"") -> bytes:
    """Make a trak box."""
    stbl = box(b"stbl", box(b"stsd", bytes(8)), box(b"stsz", bytes(12)), *tables)
    minf = box(b"minf", box(b"dinf", references or dref()), stbl)
    return box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", box(b"hdlr", bytes(24)), minf), more)


def moov(*content: bytes) -> bytes:
    """Make a moov box."""
    return box(b"moov", box(b"mvhd", bytes(100)), *content)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Take boxes apart: kinds and contents."""
    position = 0
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        end = position + length if length else len(data)
        assert position + header <= end <= len(data)
        yield kind, data[position + header : end]
        position = end


@dataclass
class Index:
    """What a moov says: its tables' widths and offsets in their order, and all the rest of it."""

    tables: list[tuple[int, list[int]]] = field(default_factory=list)
    rest: list[tuple[tuple[bytes, ...], bytes]] = field(default_factory=list)


def index_of(moov: bytes) -> Index:
    """Take a moov box apart."""
    index = Index()

    def walk(data: bytes, within: tuple[bytes, ...]) -> None:
        for kind, content in boxes(data):
            if kind in CONTAINERS:
                index.rest.append(((*within, kind), b""))
                walk(content, (*within, kind))
            elif kind in {b"stco", b"co64"}:
                width = 4 if kind == b"stco" else 8
                (count,) = struct.unpack_from(">I", content, 4)
                assert len(content) == 8 + count * width
                code = f">{count}{'I' if width == 4 else 'Q'}"
                index.tables.append((width, list(struct.unpack_from(code, content, 8))))
                index.rest.append(((*within, b"table"), content[:8]))
            else:
                index.rest.append(((*within, kind), content))

    walk(moov, ())
    return index
