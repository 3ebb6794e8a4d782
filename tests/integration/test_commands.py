"""What the commands of `python -m service` have in common."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import environment, free_port, serve

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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        ("", ""),
        ("--version", "1"),
        ("doctor .", "1"),
        ("share film.mp4", "1"),
        ("share list", ""),
        ("check --help", "1"),
        ("check URL", ""),
    ],
)
def test_a_command_says_that_its_output_cannot_be_written(
    tmp_path: Path, command: str, unbuffered: str
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "film.mp4").write_bytes(b"no film" * 1000)
    settings = {
        "PASSWORD": "a long household word",
        "STATE": str(tmp_path / "state"),
        "LISTEN": f"127.0.0.1:{free_port()}",
    }
    ours = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with contextlib.ExitStack() as stack:
        if "URL" in command:
            server = stack.enter_context(serve(media))
            command = command.replace("URL", f"{server.base}/media/film.mp4")
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -m service {command} >/dev/full', sys.executable],
            env=environment(media, **settings) | ours,
            cwd=media,
            check=False,
            capture_output=True,
            text=True,
        )
    errors = [line for line in done.stderr.splitlines() if "%|" not in line]  # progress
    sentence = "The output cannot be written: No space left on device."
    assert (done.returncode, errors) == (1, [sentence])


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
