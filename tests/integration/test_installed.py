"""What `pip install` installs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_service_is_in_the_wheel(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    archive = ["git", "ls-files", "-z", "service", "pyproject.toml", "README.md", "LICENSE"]
    listed = subprocess.run(archive, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = listed.rstrip("\0").split("\0")
    for file in files:
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        (clone / file).write_bytes((ROOT / file).read_bytes())
    options = ["--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(clone)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as contents:
        packed = set(contents.namelist())
    assert {file for file in files if file.startswith("service/")} <= packed
