import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mp4.boxes import MAX_BOXES, moov_precedes_mdat


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def large(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2mp41")
MOOV = box(b"moov", box(b"mvhd", bytes(100)))
MDAT = box(b"mdat", bytes(64))

CASES = {
    "moov, then mdat": (FTYP + MOOV + MDAT, True),
    "mdat, then moov": (FTYP + MDAT + MOOV, False),
    "other boxes between": (
        FTYP + box(b"free", b"x") + box(b"uuid", bytes(16)) + MOOV + MDAT,
        True,
    ),
    "QuickTime without ftyp": (box(b"wide") + MDAT + MOOV, False),
    "QuickTime that begins with moov": (MOOV + MDAT, True),
    "fragmented: no mdat of its own": (FTYP + MOOV + box(b"moof", bytes(8)) + MDAT, True),
    "only the first mdat counts": (FTYP + MDAT + MOOV + MDAT, False),
    "no moov at all": (FTYP + MDAT, False),
    "mdat cut off, the moov after it lost": (FTYP + MDAT[:20], False),
    "64-bit mdat": (FTYP + large(b"mdat", bytes(9)) + MOOV, False),
    "64-bit free before moov": (FTYP + large(b"free", bytes(9)) + MOOV + MDAT, True),
    "mdat to the end of the file": (FTYP + MOOV + b"\0\0\0\0mdat" + bytes(9), True),
    "moov to the end of the file": (FTYP + b"\0\0\0\0moov" + bytes(9), True),
    "free to the end of the file swallows the rest": (FTYP + b"\0\0\0\0free" + MOOV + MDAT, None),
    "neither moov nor mdat": (FTYP + box(b"free", bytes(5)), None),
    "moov cut off": (FTYP + MOOV[:50], None),
    "moov that claims 100 MB": (FTYP + struct.pack(">I4s", 100_000_000, b"moov"), None),
    "free that claims 2**64-1": (FTYP + struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + MOOV, None),
    "box shorter than its header": (FTYP + struct.pack(">I4s", 7, b"free") + MOOV, None),
    "64-bit box shorter than its header": (
        FTYP + struct.pack(">I4sQ", 1, b"free", 15) + MOOV,
        None,
    ),
    # These two sizes are smaller than the header. A parser that trusts them finds a moov in it.
    "box of 4 bytes": (FTYP + b"\0\0\0\4" + b"\0\0\0\x08moov" + MDAT, None),
    "64-bit box of 12 bytes": (
        FTYP + struct.pack(">I4sQ", 1, b"free", 12) + b"moov" + bytes(4) + MDAT,
        None,
    ),
    "header cut off": (FTYP + MOOV[:7], None),
    "64-bit header cut off": (FTYP + struct.pack(">I4s", 1, b"mdat"), None),
    "empty": (b"", None),
    "zeros": (bytes(4096), None),
    "text": (b"moov and mdat are the words of this text", None),
    "Matroska": (bytes.fromhex("1a45dfa3 01000000 00000023 42868101"), None),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + MOOV, None),
    "a first box of no known type": (box(b"abcd") + MOOV + MDAT, None),
}


@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES.keys())
def test_the_index_is_found_before_or_after_the_media_data(
    data: bytes,
    expected: bool | None,  # noqa: FBT001 - the three answers are the table
) -> None:
    assert moov_precedes_mdat(io.BytesIO(data), len(data)) is expected


def test_a_file_that_shrank_since_its_size_was_taken_is_no_error() -> None:
    assert moov_precedes_mdat(io.BytesIO(FTYP), 10_000) is None


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0, "the whole rest was requested"
        self.bytes_read += size
        return super().read(size)


def test_only_headers_are_read() -> None:
    data = FTYP + box(b"free", bytes(1_000_000)) + box(b"mdat", bytes(1_000_000)) + MOOV
    file = Counting(data)
    assert moov_precedes_mdat(file, len(data)) is False
    assert file.bytes_read <= 3 * 16


@pytest.mark.parametrize(
    ("before", "expected"), [(MAX_BOXES - 1, True), (MAX_BOXES, None), (50_000, None)]
)
def test_the_number_of_boxes_is_bounded(
    before: int,
    expected: bool | None,  # noqa: FBT001 - as above
) -> None:
    file = Counting(box(b"free") * before + MOOV + MDAT)
    assert moov_precedes_mdat(file, len(file.getvalue())) is expected
    assert file.bytes_read <= MAX_BOXES * 16


headers = st.builds(
    lambda length, kind, largesize: struct.pack(">I4sQ", length, kind, largesize),
    st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)),
    st.sampled_from([b"ftyp", b"moov", b"mdat", b"free", b"wide"]),
    st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1)),
)


@given(st.one_of(st.binary(), st.lists(st.one_of(headers, st.binary(max_size=20))).map(b"".join)))
def test_any_bytes_are_accepted(data: bytes) -> None:
    file = Counting(data)
    assert moov_precedes_mdat(file, len(data)) in {True, False, None}
    assert file.bytes_read <= MAX_BOXES * 16
