import hashlib
from pathlib import Path

import pytest

from service.protocol.ranges import Span
from service.workers.large_output import LargeOutput
from service.workers.process import OutputError, TaskError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "large"
    file.touch()
    return file


def test_what_is_written_has_positions_a_length_and_a_digest(file: Path) -> None:
    with LargeOutput(str(file), 100) as output:
        assert [output.write(part) for part in (b"abc", b"", b"defg")] == [0, 3, 3]
        assert output.length == 7
        assert output.digest == hashlib.blake2b(b"abcdefg", digest_size=16).digest()
    assert file.read_bytes() == b"abcdefg"


def test_a_file_has_no_more_bytes_than_there_is_room_for(file: Path) -> None:
    with LargeOutput(str(file), 5) as output:
        output.write(b"12345")
        with pytest.raises(TaskError, match="larger"):
            output.write(b"6")
    assert file.read_bytes() == b"12345"


def test_a_check_ends_writing(file: Path) -> None:
    def check() -> None:
        raise FileNotFoundError

    with LargeOutput(str(file), 1 << 30, check) as output:
        output.write(bytes(1 << 24))
        with pytest.raises(FileNotFoundError):
            output.write(b"more")


def test_what_was_written_may_be_read_and_overwritten(file: Path) -> None:
    with LargeOutput(str(file), 100) as output:
        output.write(b"abcdef")
        digest = output.digest
        assert output.read(Span(1, 3)) == b"bcd"
        output.overwrite(2, b"xy")
        assert output.read(Span(0, 100)) == b"abxyef"
        assert output.length == 6
        assert output.digest != digest
    assert file.read_bytes() == b"abxyef"


def test_a_full_disk_is_a_failure_that_may_pass() -> None:
    with (
        pytest.raises(OutputError, match="No space left on device"),
        LargeOutput("/dev/full", 1 << 30) as output,
    ):
        output.write(bytes(1 << 22))


def test_a_file_that_is_gone_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        LargeOutput(str(tmp_path / "gone"), 1)
    assert list(tmp_path.iterdir()) == []
