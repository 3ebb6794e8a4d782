"""Prometheus' own checks, by its command promtool, and the project's rules."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.stack import ROOT, missing

RULES = ROOT / "deploy" / "monitoring" / "rules.yml"

Rule = dict[str, Any]


def promtool(*words: str | Path, text: str | None = None) -> None:
    """Run promtool, with `text` as its input. It must find nothing wrong."""
    command = shutil.which("promtool") or missing("needs promtool (Debian's package prometheus)")
    result = subprocess.run(
        [command, *words], input=text, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"


def rules(kind: str) -> list[Rule]:
    """Return the rules of a kind, `record` or `alert`."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]
