"""The modules without the DOM, run by Node.js: their tests are in the folder of this file."""

import shutil
import subprocess
from pathlib import Path

from support.npm import clean
from support.stack import missing

HERE = Path(__file__).parent
STATIC = Path(__file__).parents[3] / "service" / "static"


def test_the_modules_pass_their_tests(tmp_path: Path) -> None:
    node = shutil.which("node") or missing("needs Node.js")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    for script in (*STATIC.glob("*.js"), *HERE.glob("*.js")):
        shutil.copy(script, tmp_path)
    done = subprocess.run(
        [node, "--test", *sorted(file.name for file in HERE.glob("*.js"))],
        cwd=tmp_path,
        env=clean(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
