"""The soak benchmark with few requests."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_thousands_of_requests_with_aborts_leak_nothing() -> None:
    """Fail on wrong responses and on growth after the warm-up (benchmarks/soak.py):
    more than 3 descriptors, any response in progress, or more than 24 MiB of memory.
    """
    few = ["--warm-up", "2000", "--requests", "6000", "--every", "3000"]
    command = [sys.executable, "benchmarks/soak.py", *few]
    soak = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert soak.returncode == 0, soak.stdout + soak.stderr
