"""Write and parse MP4 boxes (ISO/IEC 14496-12), independently of the service's code."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
FTYP = struct.pack(">I4s", 24, b"ftyp") + b"isom\0\0\2\0isommp41"


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box with a 32-bit size."""
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def large(kind: bytes, *content: bytes) -> bytes:
    """Return a box with a 64-bit size."""
    data = b"".join(content)
    return struct.pack(">I4sQ", 1, kind, 16 + len(data)) + data


def table(offsets: Sequence[int], width: int = 4) -> bytes:
    """Return a stco or co64 box (§8.7.5)."""
    code, kind = (">I", b"stco") if width == 4 else (">Q", b"co64")
    entries = b"".join(struct.pack(code, offset) for offset in offsets)
    return box(kind, bytes(4), struct.pack(">I", len(offsets)), entries)


def dref(flags: int = 1) -> bytes:
    """Return a dref box with one entry (§8.7.2); flag 1 means this file."""
    entry = box(b"url ", struct.pack(">I", flags), b"" if flags else b"http://x.test/\0")
    return box(b"dref", bytes(4), struct.pack(">I", 1), entry)


def track(*tables: bytes, references: bytes = b"", more: bytes = b"") -> bytes:
    """Return a trak box."""
    stbl = box(b"stbl", box(b"stsd", bytes(8)), box(b"stsz", bytes(12)), *tables)
    minf = box(b"minf", box(b"dinf", references or dref()), stbl)
    return box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", box(b"hdlr", bytes(24)), minf), more)


def moov(*content: bytes) -> bytes:
    """Return a moov box."""
    return box(b"moov", box(b"mvhd", bytes(100)), *content)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the types and payloads of boxes."""
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
    """The widths and offsets of a moov's chunk offset tables, and the rest of its bytes."""

    tables: list[tuple[int, list[int]]] = field(default_factory=list)
    rest: list[tuple[tuple[bytes, ...], bytes]] = field(default_factory=list)


def index_of(moov: bytes) -> Index:
    """Parse a moov box."""
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
