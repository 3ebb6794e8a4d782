"""Rewrite Matroska files, element by element (RFC 8794, RFC 9559), independently of the service."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

SEGMENT, CLUSTER, CUES, SEEK_HEAD = 0x18538067, 0x1F43B675, 0x1C53BB6B, 0x114D9B74
CRC_32 = 0xBF  # it would no longer match
TRACKS, TRACK_ENTRY, TRACK_NUMBER, ENCODINGS = 0x1654AE6B, 0xAE, 0xD7, 0x6D80
BLOCK_GROUP, BLOCKS = 0xA0, {0xA3, 0xA1}
UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


def element(id_: int, *content: bytes) -> bytes:
    """Return an element with a size of eight bytes."""
    data = b"".join(content)
    return _id(id_) + (1 << 56 | len(data)).to_bytes(8, "big") + data


def number(id_: int, value: int) -> bytes:
    """Return an element that is an unsigned integer of one byte."""
    return element(id_, bytes([value]))


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the identifiers and contents of elements."""
    position = 0
    while position < len(data):
        length = 9 - data[position].bit_length()
        id_ = int.from_bytes(data[position : position + length], "big")
        position += length
        length = 9 - data[position].bit_length()
        mask = (1 << 7 * length) - 1
        size = int.from_bytes(data[position : position + length], "big") & mask
        position += length
        end = len(data) if size == mask else position + size
        yield id_, data[position:end]
        position = end


def _id(id_: int) -> bytes:
    return id_.to_bytes((id_.bit_length() + 7) // 8, "big")


class Encoding(NamedTuple):
    """A ContentEncoding, and how it changes a frame."""

    content: bytes
    encode: Callable[[bytes], bytes]


def _compression(algorithm: int, settings: bytes = b"") -> bytes:
    more = element(0x4255, settings) if settings else b""
    return number(0x5033, 0) + element(0x5034, number(0x4254, algorithm), more)


ZLIB = Encoding(_compression(0), zlib.compress)
# H.264 in Matroska begins with the four bytes of a length, here of less than 16 MiB.
WITHOUT_HEADERS = Encoding(_compression(3, b"\0"), lambda frame: frame.removeprefix(b"\0"))
# RFC 9559 §5.1.4.1.31.8: AES with a key ID. The frames have a signal byte and an IV (WebM
# Encryption). The ciphertext is a stand-in, which cannot be decrypted.
ENCRYPTED = Encoding(
    number(0x5033, 1)
    + element(
        0x5035, number(0x47E1, 5), element(0x47E2, bytes(16)), element(0x47E7, number(0x47E8, 1))
    ),
    lambda frame: b"\1" + bytes(8) + bytes(byte ^ 0x5A for byte in frame),
)


def encode(file: bytes, encodings: Mapping[int, Encoding]) -> bytes:
    """Return a file with these tracks encoded, by number; without an index and a size."""
    made = []
    for id_, content in elements(file):
        if id_ != SEGMENT:
            made.append(element(id_, content))
            continue
        made.append(_id(SEGMENT) + UNKNOWN_SIZE)
        for child, data in elements(content):
            if child == TRACKS:
                entries = [entry for entry in elements(data) if entry[0] != CRC_32]
                made.append(element(TRACKS, *(_entry(*entry, encodings) for entry in entries)))
            elif child == CLUSTER:
                blocks = elements(data)
                made.append(element(CLUSTER, *(_block(*block, encodings) for block in blocks)))
            elif child not in {CUES, SEEK_HEAD}:
                made.append(element(child, data))
    return b"".join(made)


def _entry(id_: int, content: bytes, encodings: Mapping[int, Encoding]) -> bytes:
    if id_ != TRACK_ENTRY:
        return element(id_, content)
    track = dict(elements(content))[TRACK_NUMBER][0]
    if track not in encodings:
        return element(id_, content)
    return element(id_, content, element(ENCODINGS, element(0x6240, encodings[track].content)))


def _block(id_: int, content: bytes, encodings: Mapping[int, Encoding]) -> bytes:
    if id_ == BLOCK_GROUP:
        return element(id_, *(_block(*child, encodings) for child in elements(content)))
    if id_ not in BLOCKS or (track := content[0] & 0x7F) not in encodings:
        return element(id_, content)
    assert content[3] & 0x06 == 0, "frames are laced"
    return element(id_, content[:4], encodings[track].encode(content[4:]))
