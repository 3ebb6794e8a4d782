"""Firefox over WebDriver BiDi, with the page methods that tests use."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from support.ffmpeg_fixtures import KEPT
from support.npm import FOLDER, clean_environment, packages
from support.server import until_ended
from support.stack import missing


def executable() -> str:
    """Return the path of Firefox; without it, skip the test, or fail where that is not allowed."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        missing("needs Firefox")
    return path


# What Firefox compiles at its first start. Of another version it is ignored: compatibility.ini says
# which one made it.
_COMPILED = ("startupCache", "compatibility.ini")


@cache
def _compiled() -> Path:
    """Return the folder of what the first start of this Firefox has compiled."""
    program = Path(executable()).resolve()
    return KEPT / f"firefox-{program.stat().st_mtime_ns}"


def _keep_compiled(profile: Path) -> None:
    """Keep it for all processes of the tests. Another one may do so at the same time."""
    part = _compiled().with_name(f"{_compiled().name}.{os.getpid()}")
    _copy_compiled(profile, part)
    try:
        part.rename(_compiled())
    except OSError:
        shutil.rmtree(part)


def prepare(profile: Path) -> None:
    """Copy what the first start of Firefox compiled into a new profile: it saves 2 s."""
    _copy_compiled(_compiled(), profile)


def _copy_compiled(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in _COMPILED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        elif (source / name).exists():
            shutil.copy2(source / name, target / name)


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
        is_done, result = json.loads(line)
        assert is_done, f"{' '.join(words)}: {result}"
        return result

    def renew(self, base: str, *, watched: bool = False) -> None:
        """Replace the page by one of this server, with a storage of its own and no faults.

        Only a watched page tells its complaints, such as the first one.
        """
        self._do("renew", base, *["watched"][:watched])

    @contextmanager
    def at(self, base: str, *, watched: bool = False) -> Iterator["Tab"]:
        """Have an empty page of this server for the block, and leave it afterwards."""
        self.renew(base, watched=watched)
        yield self
        self.renew("")

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
        """Return the faults of a watched page so far, as browser/launch.js lists them."""
        complaints: list[str] = self._do("complaints")
        return complaints


@contextmanager
def tab(base: str, profile: Path, **preferences: Any) -> Iterator[Tab]:
    """Start Firefox with a page of this server for the block."""
    firefox = executable()
    packages()
    prepare(profile)
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
        if not _compiled().exists():
            _keep_compiled(profile)
