"""The manifests of deploy/kubernetes as kubectl renders them."""

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from service.settings.values import parse_size
from support.stack import ROOT, missing

MANIFESTS = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("one-node", "objects", "edges")
MONITORING = ("service-monitor", "alerts", "dashboards")

SECRET = "5ec2" * 16
"""Stands for every secret: some have to be 64 hexadecimal digits."""

Manifest = dict[str, Any]


def _kubectl() -> str:
    """Return the path of kubectl, which is one of the test dependencies."""
    installed = Path(sys.executable).with_name("kubectl")
    path = str(installed) if installed.exists() else shutil.which("kubectl")
    return path or missing("needs kubectl")


def build(kustomization: str) -> list[Manifest]:
    """Render a kustomization next to a folder `reelay` with the manifests."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(MANIFESTS, Path(folder, "reelay"))
        own = Path(folder, "own")
        own.mkdir()
        (own / "kustomization.yaml").write_text(kustomization, encoding="utf-8")
        result = subprocess.run(
            [_kubectl(), "kustomize", own], capture_output=True, text=True, check=False
        )
    assert result.returncode == 0, result.stderr
    assert not result.stderr  # kubectl reports deprecated fields there
    return list(yaml.safe_load_all(result.stdout))


@functools.cache
def _rendered(overlay: str, entry_point: str) -> list[Manifest]:
    components = [*entry_point.split(), *(MONITORING if entry_point else ())]
    paths = [f"../reelay/components/{name}" for name in components]
    return build(
        yaml.safe_dump(
            {
                "namespace": "reelay",
                "resources": [f"../reelay/overlays/{overlay}"],
                "components": paths,
            }
        )
    )


def rendered(overlay: str, entry_point: str = "") -> list[Manifest]:
    """Return the resources of an overlay, with an entry point and then all of MONITORING."""
    return _rendered(overlay, entry_point)


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return each workload by its name, `service` and `edge`."""
    by_name = {
        workload["metadata"]["name"]: workload
        for workload in of_kind(manifests, "Deployment", "StatefulSet")
    }
    assert set(by_name) == {"service", "edge"}
    return by_name


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the pod specifications; each has one container."""
    by_name = {
        name: workload["spec"]["template"]["spec"]
        for name, workload in workloads(manifests).items()
    }
    assert all(len(pod["containers"]) == 1 for pod in by_name.values())
    assert not any("initContainers" in pod for pod in by_name.values())
    return by_name


def environment(manifests: list[Manifest], name: str) -> dict[str, str]:
    """Return the environment of a workload's container, without secrets."""
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(manifests, "ConfigMap")}
    container = pods(manifests)[name]["containers"][0]
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "secretRef" in source:
            continue
        settings = maps[source["configMapRef"]["name"]]
        assert not variables.keys() & settings.keys()
        variables |= settings
    for variable in container.get("env", []):
        assert variable["name"] not in variables
        origin = variable.get("valueFrom", {})
        if "secretKeyRef" in origin:
            variables[variable["name"]] = SECRET
        elif "fieldRef" in origin:
            path = origin["fieldRef"]["fieldPath"]
            variables[variable["name"]] = {
                "metadata.namespace": "reelay",
                "metadata.name": f"{name}-0",
            }[path]
        else:  # it may refer to variables before it
            variables[variable["name"]] = re.sub(
                r"\$\((\w+)\)", lambda match: variables[match[1]], variable["value"]
            )
    return variables


def size(quantity: str) -> int:
    """Parse a number of bytes as Kubernetes writes it, such as 1Gi."""
    return parse_size(f"{quantity}B")
