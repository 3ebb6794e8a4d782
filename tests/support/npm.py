"""The npm packages that the lock file of e2e/browser names."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.stack import missing

FOLDER = Path(__file__).parents[1] / "e2e" / "browser"
MODULES, LOCK_FILE = FOLDER / "node_modules", FOLDER / "package-lock.json"


def packages() -> Path:
    """Return the folder of the packages; install them if needed.

    If npm is missing, skip the test, or fail where skipping is not allowed.
    """
    if not _is_installed():
        if shutil.which("npm") is None:
            missing("needs Node.js and npm")
        with LOCK_FILE.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # other processes of pytest-xdist need them, too
            if not _is_installed():
                # The packages need no install scripts, so none may run.
                npm = ["npm", "ci", "--ignore-scripts", "--no-audit"]
                subprocess.run(npm, cwd=FOLDER, check=True)
    return MODULES


def _is_installed() -> bool:
    # npm writes this file last, as a record of the installed packages.
    record = MODULES / ".package-lock.json"
    return record.exists() and record.stat().st_mtime >= LOCK_FILE.stat().st_mtime


def clean_environment() -> dict[str, str]:
    """Return an environment without settings of Node.js."""
    others = {"FORCE_COLOR", "NODE_OPTIONS"}
    return {name: value for name, value in os.environ.items() if name not in others}


def node(script: str, *words: str, timeout: float = 240) -> Any:
    """Run a script of that folder; return the JSON that it prints."""
    packages()
    result = subprocess.run(
        ["node", FOLDER / script, *words],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
