from io import BytesIO

import pytest

from service.containers.scrambling import is_program_scrambled, scrambled_pids


def packet(pid: int, *, scrambled: bool, length: int = 188) -> bytes:
    """Return a packet of a transport stream, after its time stamp if it has one."""
    control = 0x90 if scrambled else 0x10
    body = bytes([0x47, pid >> 8, pid & 0xFF, control]).ljust(188, b"x")
    return b"time" * ((length - 188) // 4) + body if length == 192 else body.ljust(length, b"c")


@pytest.mark.parametrize("length", [188, 192, 204])
@pytest.mark.parametrize("before", [b"", b"G damaged"])
def test_scrambled_streams_are_found(length: int, before: bytes) -> None:
    packets = [
        packet(pid, scrambled=pid in {0x101, 0x11}, length=length)
        for pid in (0x11, 0x100, 0x101) * 10  # 0x11: a table
    ]
    assert scrambled_pids(BytesIO(before + b"".join(packets))) == {0x101}


def test_a_stream_that_is_mostly_clear_is_not_scrambled() -> None:
    packets = [packet(0x100, scrambled=number < 4) for number in range(10)]
    assert scrambled_pids(BytesIO(b"".join(packets))) == frozenset()


@pytest.mark.parametrize("data", [b"", b"G", b"G" * 700, b"x" * 100_000])
def test_what_is_no_stream_is_not_scrambled(data: bytes) -> None:
    assert scrambled_pids(BytesIO(data)) == frozenset()
    assert not is_program_scrambled(BytesIO(data))


@pytest.mark.parametrize(
    ("head", "stream", "expected"),
    [(0x90, 0xE0, True), (0xB0, 0xBD, True), (0x80, 0xE0, False), (0x0F, 0xE0, False)],
)
def test_scrambled_programs_are_found(head: int, stream: int, *, expected: bool) -> None:
    pes = bytes([0, 0, 1, stream, 0x07, 0xEC, head]).ljust(2034, b"x")
    pack = b"\0\0\1\xba".ljust(14, b"x") + pes
    assert is_program_scrambled(BytesIO(pack * 10)) is expected
