"""Prometheus: its command promtool, its API, and the project's rules and dashboards."""

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from support.raw_http import ask
from support.stack import ROOT, missing

MONITORING = ROOT / "deploy" / "monitoring"
RULES = MONITORING / "rules.yml"
DASHBOARDS = sorted(MONITORING.glob("grafana/dashboards/*.json"))

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


def queries_of_dashboards() -> list[str]:
    panels = [
        panel
        for file in DASHBOARDS
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
    ]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


class Prometheus:
    """A running Prometheus, by its HTTP API."""

    def __init__(self, base: str) -> None:
        self._base = base

    def get(self, name: str, **parameters: str) -> Any:
        answer = ask(self._base, f"/api/v1/{name}?{urlencode(parameters)}")
        assert answer.status == 200, answer.body
        return json.loads(answer.body)["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series now."""
        result = self.get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def has_numbers(self, expression: str) -> bool:
        """Return whether the result has a number: a share of nothing is none."""
        return any(not math.isnan(value) for _, value in self.query(expression))

    def healthy_targets(self) -> list[str]:
        """Return the job of each target that answers."""
        targets = self.get("targets", state="active")["activeTargets"]
        return sorted(target["labels"]["job"] for target in targets if target["health"] == "up")

    def alerts(self, *states: str) -> set[str]:
        """Return the names of the alerts in these states."""
        alerts = self.get("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] in states}
