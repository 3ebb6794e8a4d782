"""The npm packages that the lock file of e2e/browser names."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.stack import missing

FOLDER = Path(__file__).parents[1] / "e2e" / "browser"


def packages() -> Path:
    """Return the folder of the packages; install them if needed.

    If npm is missing, skip the test, or fail where skipping is not allowed.
    """
    modules, lock = FOLDER / "node_modules", FOLDER / "package-lock.json"
    # npm writes this file last, as a record of the installed packages.
    record = modules / ".package-lock.json"
    if not record.exists() or record.stat().st_mtime < lock.stat().st_mtime:
        if shutil.which("npm") is None:
            missing("needs Node.js and npm")
        # The packages need no install scripts, so none may run.
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit"], cwd=FOLDER, check=True)
    return modules


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
