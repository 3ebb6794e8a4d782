"""The npm packages of e2e/browser/package.json, as its lock file names them."""

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

    Without npm, skip the test, or fail where skipping is not allowed.
    """
    modules, lock = FOLDER / "node_modules", FOLDER / "package-lock.json"
    # npm leaves this file last, as a note of what it has installed.
    done = modules / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        if shutil.which("npm") is None:
            missing("needs Node.js and npm")
        # No package gets to run anything: what is needed of them is there as it was packed.
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit"], cwd=FOLDER, check=True)
    return modules


def clean() -> dict[str, str]:
    """Return an environment without settings of Node.js."""
    others = {"FORCE_COLOR", "NODE_OPTIONS"}
    return {name: value for name, value in os.environ.items() if name not in others}


def node(script: str, *words: str, timeout: float = 240) -> Any:
    """Run a script of that folder; return the JSON that it prints."""
    packages()
    done = subprocess.run(
        ["node", FOLDER / script, *words],
        env=clean(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
