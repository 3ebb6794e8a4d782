import struct
from io import BytesIO

import pytest

from service.containers.lost_end import is_riff_cut, written_size

KIB = 1024


def riff(claimed: int, size: int, form: bytes = b"WAVE") -> BytesIO:
    return BytesIO((b"RIFF" + struct.pack("<I", claimed) + form).ljust(size, b"x"))


@pytest.mark.parametrize(
    ("claimed", "size", "is_cut"),
    [
        (10_000 - 8, 10_000, False),
        (10_000, 10_000, False),  # the header is counted, too
        (10_000 - 8, 5_000, True),
        (10_000 - 8, 20_000, False),  # followed by other chunks
        (0, 10_000, False),  # written into a pipe
        (0xFFFFFFFF, 10_000, False),
        (0x7FFFFFFF, 10_000, False),
        (0x7FFFF024, 10_000, False),
    ],
)
@pytest.mark.parametrize("form", [b"WAVE", b"AVI "])
def test_a_riff_file_says_how_long_it_is(
    claimed: int, size: int, form: bytes, *, is_cut: bool
) -> None:
    assert is_riff_cut(riff(claimed, size, form), size) is is_cut


@pytest.mark.parametrize("head", [b"", b"RIFF", b"RIFX\xff\0\0\0WAVE", b"RIFF\xff\xff\0\0WEBP"])
def test_other_files_do_not(head: bytes) -> None:
    assert not is_riff_cut(BytesIO(head), len(head))


@pytest.mark.parametrize("written", [4 * KIB, 8 * KIB + 1, 100 * KIB, 300 * KIB - 1, 448 * KIB])
def test_zeros_at_the_end_are_not_written(written: int) -> None:
    size = 512 * KIB
    found = written_size(BytesIO((b"x" * written).ljust(size, b"\0")), size)
    assert written <= found < written + 4 * KIB


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 300 * KIB, bytes(60 * KIB), b"x" * 300 * KIB + bytes(60 * KIB),
     bytes(300 * KIB) + b"x"],
)  # fmt: skip
def test_few_zeros_are_part_of_a_file(data: bytes) -> None:
    assert written_size(BytesIO(data), len(data)) == len(data)
