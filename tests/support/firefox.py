"""Firefox over WebDriver BiDi, with the page methods that tests use."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.npm import FOLDER, clean_environment, packages
from support.server import until_ended
from support.stack import missing


def executable() -> str:
    """Return the path of Firefox; without it, skip the test, or fail where that is not allowed."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        missing("needs Firefox")
    return path


class Tab:
    """A page that browser/remote.js controls."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _do(self, *words: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Firefox has ended: see its messages in the captured output"
        return json.loads(line)

    def add_init_script(self, script: str) -> None:
        """Run a script before the scripts of every page."""
        self._do("prepare", script)

    def goto(self, path: str) -> None:
        """Open a page of the server."""
        self._do("goto", path)

    def evaluate(self, expression: str, *values: object) -> Any:
        """Return the value of an expression, or of a function called with these arguments."""
        if "=>" in expression.partition("\n")[0]:
            expression = f"({expression})({', '.join(map(json.dumps, values))})"
        return self._do("evaluate", expression)

    def evaluate_in_frame(self, expression: str) -> Any:
        """Return the value of an expression in the page's first frame."""
        return self._do("frame", expression)

    def click(self, selector: str) -> None:
        """Click the first element that a CSS selector matches."""
        self._do("click", selector)

    def follow(self, selector: str) -> None:
        """Click a link, and wait for its page."""
        self._do("follow", selector)

    def go_back(self) -> None:
        """Go back to the page before, and wait for it."""
        self._do("back")

    def press(self, keys: str) -> None:
        """Press a key with its modifiers, named as in `Shift+N`."""
        self._do("press", keys)

    def resize(self, width: int, height: int) -> None:
        """Resize the page to this size in CSS pixels."""
        self._do("resize", f"{width} {height}")

    def wait_for_timeout(self, milliseconds: float) -> None:
        """Wait for some milliseconds."""
        time.sleep(milliseconds / 1000)

    def complaints(self) -> list[str]:
        """Return the faults so far, as browser/launch.js lists them."""
        complaints: list[str] = self._do("complaints")
        return complaints


@contextmanager
def tab(base: str, profile: Path, **preferences: Any) -> Iterator[Tab]:
    """Start Firefox with a page of this server for the block."""
    firefox = executable()
    packages()
    process = subprocess.Popen(
        ["node", FOLDER / "remote.js", firefox, base, profile, json.dumps(preferences)],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Tab(process)
    finally:
        assert process.stdin
        process.stdin.close()
        try:
            until_ended(process)
        finally:
            assert process.stdout
            process.stdout.close()
