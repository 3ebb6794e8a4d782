"""The scripts of the pages: rules for all modules, and Node.js tests of those without the DOM."""

import re
import shutil
import subprocess
from pathlib import Path

from support.npm import clean_environment
from support.stack import missing

HERE = Path(__file__).parent
STATIC = Path(__file__).parents[3] / "service" / "static"
SCRIPTS = {file.name: file.read_text(encoding="utf-8") for file in STATIC.glob("*.js")}


def test_the_modules_pass_their_tests(tmp_path: Path) -> None:
    node = shutil.which("node") or missing("needs Node.js")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    for script in (*STATIC.glob("*.js"), *HERE.glob("*.js")):
        shutil.copy(script, tmp_path)
    done = subprocess.run(
        [node, "--test", *sorted(file.name for file in HERE.glob("*.js"))],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def users(pattern: str) -> set[str]:
    """Return the names of the scripts in which a pattern occurs."""
    return {name for name, script in SCRIPTS.items() if re.search(pattern, script)}


def test_only_playback_seeks_starts_stops_and_loads_the_player() -> None:
    assert users(r"\bcurrentTime = ") == {"playback.js"}
    assert users(r"player\.(?:play|pause|load)\(") == {"playback.js"}


def test_only_the_store_uses_browser_storage() -> None:
    assert users(r"\blocalStorage\b") == {"store.js"}


def test_no_script_is_long() -> None:
    assert {name for name, script in SCRIPTS.items() if script.count("\n") > 300} == set()
