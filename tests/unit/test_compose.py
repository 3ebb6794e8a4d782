"""Rules that every container of every compose file meets."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted(
    file
    for pattern in ("*compose*.yml", "deploy/**/*.yml", "tests/**/*.yml", "benchmarks/*.yml")
    for file in ROOT.glob(pattern)
    if not {"kubernetes", "monitoring", "node_modules"} & set(file.relative_to(ROOT).parts)
)
MAX_LOG_BYTES = 100 * 2**20  # bytes of disk space that one container's log may take


class Loader(yaml.SafeLoader):
    """Ignores compose's own tags for merging files."""


def _untagged(loader: Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


Loader.add_multi_constructor("!", _untagged)


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), Loader)  # noqa: S506 # safe
    return document


COMPOSE = read(ROOT / "docker-compose.yml")


def containers(file: Path) -> dict[str, dict[str, Any]]:
    """Return a file's services, merged with the services that they extend or override."""
    services = {}
    for name, own in read(file)["services"].items():
        inherited: dict[str, Any] = {}
        if "extends" in own:
            other = ROOT / own["extends"].get("file", file)
            inherited = read(other)["services"][own["extends"]["service"]]
        elif file.name != "docker-compose.yml":
            inherited = COMPOSE["services"].get(name, {})
        services[name] = inherited | own
    return services


def test_every_compose_file_is_found() -> None:
    names = {str(file.relative_to(ROOT)) for file in FILES}
    assert {
        "docker-compose.yml",
        "deploy/compose/edges.yml",
        "deploy/compose/objects.yml",
        "tests/e2e/pebble/compose.yml",
    } <= names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_log_of_every_container_is_limited(file: Path) -> None:
    for name, container in containers(file).items():
        options = container["logging"]["options"]
        assert container["logging"]["driver"] == "json-file", name
        assert options["max-size"][-1] == "m", name
        size = int(options["max-size"][:-1]) * 2**20
        # Without max-file the engine keeps one file and discards all of it when it is full.
        assert 2 <= int(options["max-file"]) <= MAX_LOG_BYTES // size, name


def test_the_service_is_on_an_internal_network_with_the_edge() -> None:
    services = COMPOSE["services"]
    assert services["service"]["networks"] == ["backend"]
    assert COMPOSE["networks"]["backend"] == {"internal": True}
    assert services["nginx"]["networks"] == ["default", "backend"]


def test_with_an_object_store_the_service_reaches_outside_networks() -> None:
    objects = read(ROOT / "deploy" / "compose" / "objects.yml")
    assert objects["services"]["service"]["networks"] == ["outside"]
    assert not (objects["networks"]["outside"] or {}).get("internal")


BASE = re.compile(r"FROM ([a-z/]+:[0-9a-z.-]+@sha256:[0-9a-f]{64}) AS pinned")
DOCKERFILES = [
    file
    for file in ROOT.rglob("Dockerfile")
    if not any(
        part == "node_modules" or part.startswith(".") for part in file.relative_to(ROOT).parts
    )
]


def test_every_image_has_its_base_by_digest_where_dependabot_renews_it() -> None:
    """Dependabot does not read build arguments: so the pinned image is a stage of its own."""
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    renewed = next(each for each in updates if each["package-ecosystem"] == "docker")
    folders = {f"/{file.parent.relative_to(ROOT)}".replace("/.", "/") for file in DOCKERFILES}
    assert set(renewed["directories"]) == folders
    bases: dict[str, set[str]] = {}
    for file in DOCKERFILES:
        lines = file.read_text(encoding="utf-8").splitlines()
        first, *others = [line for line in lines if line.startswith("FROM ")]
        pinned = BASE.fullmatch(first)
        assert pinned, file
        (argument,) = [line for line in lines[: lines.index(first)] if line.startswith("ARG ")]
        name, _, default = argument.removeprefix("ARG ").partition("=")
        assert default == "pinned"
        assert others
        assert all(line.startswith(f"FROM ${{{name}}}") for line in others)
        bases.setdefault(name, set()).add(pinned[1])
    assert {name: len(images) for name, images in bases.items()} == {
        "NGINX_IMAGE": 1, "PROMETHEUS_IMAGE": 1, "PYTHON_IMAGE": 1,
    }  # fmt: skip
