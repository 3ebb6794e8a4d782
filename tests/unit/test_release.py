"""A release: its compose.yml is docker-compose.yml with images, and its text is the changelog's."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import __version__

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "deploy" / "release"
IMAGES = {"service": "service", "nginx": "edge", "acme": "certificates", "prometheus": "monitoring"}
"""The name of each service's image: those of the matrices in the workflows."""


def read(text: str) -> Any:
    return yaml.safe_load(text)


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(RELEASE / script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_two_files_differ_in_images_alone() -> None:
    cloned = read((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    released = read((RELEASE / "compose.yml").read_text(encoding="utf-8"))
    assert set(cloned["services"]) == set(IMAGES)
    for name in IMAGES:
        del cloned["services"][name]["build"]
        del released["services"][name]["image"]
    assert released == cloned


def test_a_release_names_its_images_and_its_version() -> None:
    stamped = read(run("stamp", "ghcr.io/owner/repository", "1.2.3").stdout)
    assert {name: service["image"] for name, service in stamped["services"].items()} == {
        name: f"${{REELAY_IMAGES:-ghcr.io/owner/repository}}/{image}:${{REELAY_VERSION:-1.2.3}}"
        for name, image in IMAGES.items()
    }


@pytest.mark.parametrize("words", [("ghcr.io/Owner/repository", "1.2.3"), ("ghcr.io/o/r", "a|b")])
def test_what_is_no_name_of_an_image_is_refused(words: tuple[str, str]) -> None:
    refused = run("stamp", *words)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "not the name and tag of an image" in refused.stderr


@pytest.mark.parametrize("workflow", ["ci.yml", "release.yml"])
def test_the_workflows_build_these_images(workflow: str) -> None:
    text = (ROOT / ".github" / "workflows" / workflow).read_text(encoding="utf-8")
    built = read(text)["jobs"]["images"]["strategy"]["matrix"]["include"]
    services = read((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert {row["image"]: row["context"] for row in built} == {
        IMAGES[name]: service["build"]["context"] for name, service in services.items()
    }


def test_the_text_of_a_release_is_the_section_of_its_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    text = run("notes", __version__).stdout
    section = changelog.partition(f"## [{__version__}]")[2].partition("\n## ")[0]
    assert text.strip() == section.partition("\n")[2].strip() != ""


def test_each_section_of_the_changelog_is_short() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = changelog.split("\n## ")[1:]
    assert sections
    assert all(section.count("\n") < 60 for section in sections)


def test_a_tag_of_another_version_is_no_release() -> None:
    refused = run("notes", "99.0.0")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "does not have the version 99.0.0" in refused.stderr
