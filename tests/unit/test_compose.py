"""What every compose file has to say of every container."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted(
    file
    for pattern in ("*compose*.yml", "deploy/**/*.yml", "tests/**/*.yml", "benchmarks/*.yml")
    for file in ROOT.glob(pattern)
    if "kubernetes" not in file.parts and "node_modules" not in file.parts
)
MOST = 100 * 2**20  # bytes of a disk that one container's log may take


class Loader(yaml.SafeLoader):
    """Reads compose's own tags, which say how files are merged, as if they were not there."""


def _untagged(loader: Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


Loader.add_multi_constructor("!", _untagged)


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), Loader)  # noqa: S506 # safe
    return found


COMPOSE = read(ROOT / "docker-compose.yml")


def containers(file: Path) -> dict[str, dict[str, Any]]:
    """Give a file's services, with what each has from one that it extends or is laid over."""
    found = {}
    for name, own in read(file)["services"].items():
        inherited: dict[str, Any] = {}
        if "extends" in own:
            other = ROOT / own["extends"].get("file", file)
            inherited = read(other)["services"][own["extends"]["service"]]
        elif file.name != "docker-compose.yml":
            inherited = COMPOSE["services"].get(name, {})
        found[name] = inherited | own
    return found


def test_every_compose_file_is_found() -> None:
    names = {str(file.relative_to(ROOT)) for file in FILES}
    assert {
        "docker-compose.yml",
        "deploy/compose/edges.yml",
        "deploy/compose/objects.yml",
        "tests/e2e/pebble/compose.yml",
    } <= names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_containers_log_is_bounded(file: Path) -> None:
    for name, container in containers(file).items():
        options = container["logging"]["options"]
        assert container["logging"]["driver"] == "json-file", name
        assert options["max-size"][-1] == "m", name
        size = int(options["max-size"][:-1]) * 2**20
        # Without a number of files the engine keeps one, and loses it whole when it is full.
        assert 2 <= int(options["max-file"]) <= MOST // size, name


def test_the_service_has_no_way_out_and_the_edge_is_on_its_network() -> None:
    services = COMPOSE["services"]
    assert services["service"]["networks"] == ["backend"]
    assert COMPOSE["networks"]["backend"] == {"internal": True}
    assert services["nginx"]["networks"] == ["default", "backend"]


def test_with_an_object_store_it_has_one() -> None:
    objects = read(ROOT / "deploy" / "compose" / "objects.yml")
    assert objects["services"]["service"]["networks"] == ["outside"]
    assert not (objects["networks"]["outside"] or {}).get("internal")
