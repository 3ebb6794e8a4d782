"""The rules of the HTML standard, and for accessibility, as html-validate checks them."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.npm import packages

# The list role stays explicit, as Safari drops it from lists without markers.
_RULES = """{
    "root": true,
    "extends": ["html-validate:standard", "html-validate:a11y"],
    "rules": {"no-redundant-role": "off", "prefer-native-element": "off"}
}"""

_BAD = (
    "<!DOCTYPE html><html lang='en'><head><title>Bad</title></head>"
    "<body><p><div>No paragraph</div></p></body></html>"
)


def html_faults(pages: Mapping[str, str], folder: Path) -> set[str]:
    """Return what is wrong with pages, by their names. Files are written into the folder."""
    for name, page in {**pages, "bad": _BAD}.items():
        (folder / f"{name}.html").write_text(_filled_in(page), encoding="utf-8")
    (folder / "rules.json").write_text(_RULES, encoding="utf-8")
    report = folder / "report.json"  # a pipe would be cut off at the end of the program
    with report.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [packages() / ".bin" / "html-validate", "--config", folder / "rules.json",
             "--formatter", "json", *sorted(folder.glob("*.html"))],
            stdout=output, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr  # one page is invalid on purpose
    messages = {
        f"{Path(page['filePath']).stem}:{message['line']}: {message['message']}"
        for page in json.loads(report.read_text(encoding="utf-8"))
        for message in page["messages"]
    }
    bad = {line for line in messages if line.startswith("bad:")}
    assert len(bad) == 1
    return messages - bad


def _filled_in(page: str) -> str:
    """Add a source to images in templates, as a script would do."""
    return re.sub(
        r"<template.*?</template>",
        lambda template: template[0].replace("<img ", "<img src='/picture' "),
        page,
        flags=re.DOTALL,
    )
