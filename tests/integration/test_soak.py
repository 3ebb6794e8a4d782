"""The benchmark of many requests and aborts, made short."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_thousands_of_requests_with_aborts_leave_nothing_behind() -> None:
    """It fails for wrong answers, and for what is more than after the warm-up (benchmarks/soak.py):
    descriptors by 3, responses in progress at all, memory by 24 MiB.
    """
    few = ["--warm-up", "2000", "--requests", "6000", "--every", "3000"]
    command = [sys.executable, "benchmarks/soak.py", *few]
    soak = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert soak.returncode == 0, soak.stdout + soak.stderr
