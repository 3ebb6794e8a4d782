"""Write the alerts and dashboards as resources for Kubernetes, into deploy/kubernetes/components.

    .venv/bin/python deploy/monitoring/manifests.py

Run it after a change of rules.yml or a dashboard; tests/unit/test_kubernetes.py says so.
"""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
COMPONENTS = HERE.parent / "kubernetes" / "components"

# Kubernetes adds and removes replicas by load: rules.yml says more.
_LEFT_OUT = {"reelay-discovery"}


class _Writer(yaml.SafeDumper):
    """Writes a text of several lines as lines, and nothing twice by an anchor."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 # its parameters are PyYAML's
        return True


def _write_text(writer: _Writer, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style)


_Writer.add_representer(str, _write_text)


def _alerts() -> dict[str, Any]:
    groups = yaml.safe_load((HERE / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "reelay"},
        "spec": {"groups": [group for group in groups if group["name"] not in _LEFT_OUT]},
    }


def _dashboards() -> dict[str, Any]:
    files = sorted((HERE / "grafana" / "dashboards").glob("*.json"))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dashboards", "labels": {"grafana_dashboard": "1"}},
        "data": {file.name: file.read_text(encoding="utf-8") for file in files},
    }


def manifests() -> dict[Path, str]:
    """Return the text of each file by its path."""
    resources = {
        COMPONENTS / "alerts" / "prometheus-rule.yaml": _alerts(),
        COMPONENTS / "dashboards" / "dashboards.yaml": _dashboards(),
    }
    note = "# Written by deploy/monitoring/manifests.py.\n"
    return {
        file: note + yaml.dump(resource, Dumper=_Writer, sort_keys=False, width=120)
        for file, resource in resources.items()
    }


if __name__ == "__main__":
    for path, text in manifests().items():
        path.write_text(text, encoding="utf-8")
