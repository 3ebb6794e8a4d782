"""What the commands of `python -m service` have in common."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import environment

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", ["doctor .", "share film.mp4", "share list"])
def test_a_command_ends_quietly_if_nobody_reads_its_output(tmp_path: Path, command: str) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no film")
    reading, writing = os.pipe()
    os.close(reading)
    settings = {"PASSWORD": "a long household word", "STATE": str(tmp_path / "state")}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "service", *command.split()],
            env=environment(tmp_path, **settings) | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            check=False,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writing)
    errors = [line for line in done.stderr.splitlines() if "%|" not in line]  # progress
    assert (done.returncode, errors) == (128 + signal.SIGPIPE, [])


@pytest.mark.parametrize("closed", [1, 2])
@pytest.mark.parametrize("command", ["doctor film.mp4", "share list"])
def test_a_command_works_with_a_closed_stream(tmp_path: Path, command: str, closed: int) -> None:
    (tmp_path / "film.mp4").write_bytes((ROOT / "media" / "sample.mp4").read_bytes())
    settings = {"PASSWORD": "a long household word", "STATE": str(tmp_path / "state")}
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m service {command} {closed}>&-', sys.executable],
        env=environment(tmp_path, **settings) | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if closed == 2:
        assert ("1 are fine" if command.startswith("doctor") else "no links") in done.stdout
    else:
        assert "Traceback" not in done.stderr
