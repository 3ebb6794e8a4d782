"""The images of a release, built for this machine as its workflow builds them.

The workflow has BuildKit list their contents by Syft. BuildKit needs a registry for that, so Syft
is run here on the image itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import notices
from support.stack import ROOT, docker, missing, require_engine

pytestmark = [pytest.mark.slow, pytest.mark.stack]

SYFT = Path(sys.executable).parent / "syft"
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))
JOB = WORKFLOW["jobs"]["images"]
STEP = next(step for step in JOB["steps"] if step.get("id") == "build")["with"]
IMAGES = {row["image"]: row["context"] for row in JOB["strategy"]["matrix"]["include"]}
LABELS = {
    "${{ github.server_url }}/${{ github.repository }}": "https://example.org/reelay",
    "${{ needs.version.outputs.version }}": "9.9.9",
    "${{ github.sha }}": "0" * 40,
}
BASES = ("PYTHON_IMAGE", "NGINX_IMAGE", "NODE_IMAGE", "PROMETHEUS_IMAGE")


@pytest.fixture
def tag() -> Iterator[str]:
    require_engine()
    if not SYFT.exists():
        missing("needs Syft, which PyPI has for x86-64")
    tag = f"reelay-test-release-{os.getpid()}"
    yield tag
    docker("rmi", tag)


def labels() -> dict[str, str]:
    """Return the labels of the workflow, with values for its expressions."""
    text = STEP["labels"]
    for expression, value in LABELS.items():
        text = text.replace(expression, value)
    assert "${{" not in text
    return dict(line.split("=", 1) for line in text.split())


def contents(image: str, folder: Path) -> dict[str, set[tuple[str, str]]]:
    """Return the names and versions in an image's SBOM, by the type of their package URL."""
    archive, sbom = folder / "image.tar", folder / "sbom.spdx.json"
    docker("save", "--output", str(archive), image)
    subprocess.run(
        [SYFT, "scan", f"docker-archive:{archive}", "--quiet", "--output", f"spdx-json={sbom}"],
        check=True,
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    archive.unlink()
    document: Any = json.loads(sbom.read_bytes())
    assert document["spdxVersion"].startswith("SPDX-2.")
    found: dict[str, set[tuple[str, str]]] = {}
    for package in document["packages"]:
        for reference in package.get("externalRefs", ()):
            if reference["referenceType"] == "purl":
                kind = reference["referenceLocator"].removeprefix("pkg:").partition("/")[0]
                version = package["name"].lower(), package["versionInfo"]
                found.setdefault(kind, set()).add(version)
    return found


@pytest.mark.parametrize("image", ["service", "edge", "certificates"])
def test_the_list_of_contents_is_complete(image: str, tag: str, tmp_path: Path) -> None:
    assert (STEP["sbom"], STEP["provenance"], STEP["push"]) == (True, "mode=max", True)
    assert STEP["context"] == "${{ matrix.context }}"
    set_bases = [name for name in BASES if name in os.environ]
    options = [word for name in set_bases for word in ("--build-arg", name)]
    options += [word for pair in labels().items() for word in ("--label", "=".join(pair))]
    platform = docker("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
    assert platform in STEP["platforms"].split(",")
    context = str(ROOT / IMAGES[image])
    docker("buildx", "build", "--load", "--platform", platform, *options, "--tag", tag, context)
    assert (
        labels().items()
        <= json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", tag)).items()
    )
    found = contents(tag, tmp_path)
    listed = docker(
        "run", "--rm", "--entrypoint", "dpkg-query", tag,
        "--show", "--showformat", "${Package} ${Version}\n",
    )  # fmt: skip
    assert found["deb"] == {
        (name, version) for name, version in map(str.split, listed.splitlines())
    }
    expected = {(name.lower(), version) for name, version in notices.packages(image)}
    assert expected <= found.get("pypi", set())
    assert bool(expected) == (image != "edge")


def test_every_image_of_compose_is_released() -> None:
    released = yaml.safe_load((ROOT / "deploy" / "release" / "compose.yml").read_text("utf-8"))
    named = {service["image"] for service in released["services"].values()}
    assert {name.partition("}/")[2].partition(":")[0] for name in named} == set(IMAGES)
